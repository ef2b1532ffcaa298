//! Under which account Postgres runs, and which folders that account can reach:
//! Postgres refuses to run as root. Knows nothing of Postgres itself.

use crate::error::{Error, Result};
use nix::unistd::{Uid, User};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

/// Where the data goes when root's own folders are closed to others.
pub const SHARED_HOME: &str = "/var/lib/llovizna";

/// The account that Postgres is run under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User.
    pub uid: u32,
    /// Main group.
    pub gid: u32,
    /// We are root and give up our rights to become this account.
    pub steps_down: bool,
}

impl Account {
    /// Ourselves; when we are root, `postgres` or else `nobody`.
    ///
    /// # Errors
    /// When root finds neither of the two.
    pub fn of_postgres() -> Result<Account> {
        let me = nix::unistd::geteuid();
        if !me.is_root() {
            return Ok(Account { uid: me.as_raw(), gid: nix::unistd::getegid().as_raw(), steps_down: false });
        }
        for name in ["postgres", "nobody"] {
            if let Ok(Some(user)) = User::from_name(name)
                && !user.uid.is_root()
            {
                return Ok(Account { uid: user.uid.as_raw(), gid: user.gid.as_raw(), steps_down: true });
            }
        }
        Err(Error::refused(
            "PostgreSQL no puede correr como root y este sistema no tiene los usuarios postgres ni nobody: \
             inicia Llovizna con un usuario común.",
        ))
    }

    /// The account's name, for people.
    #[must_use]
    pub fn name(&self) -> String {
        match User::from_uid(Uid::from_raw(self.uid)) {
            Ok(Some(user)) => user.name,
            _ => self.uid.to_string(),
        }
    }

    /// Give `path` to this account, where we may.
    pub fn own(&self, path: &Path) -> Result<()> {
        if self.steps_down {
            chown(path, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }

    /// Make `path` and its parents, `path` itself open to this account alone.
    pub fn make_private(&self, path: &Path) -> Result<()> {
        fs::create_dir_all(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
        self.own(path)
    }

    /// The first folder among `path` and its parents that this account may not
    /// pass through. Folders that do not exist yet close nothing.
    #[must_use]
    pub fn barrier(&self, path: &Path) -> Option<PathBuf> {
        if !self.steps_down {
            return None;
        }
        let ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.into_iter().rev().find(|it| !self.may_pass(it)).map(Path::to_owned)
    }

    // Supplementary groups do not count: they are dropped with root's rights.
    fn may_pass(&self, folder: &Path) -> bool {
        let Ok(it) = fs::metadata(folder) else { return true };
        let bit = if it.uid() == self.uid {
            0o100
        } else if it.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        it.mode() & bit != 0
    }
}

/// Where the data folder really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Absolute path.
    pub path: PathBuf,
    /// Why it is not the one asked for, in Spanish.
    pub moved: Option<String>,
}

/// The data folder for `asked`: itself, or one under [`SHARED_HOME`] when the
/// account of Postgres could not reach it. A folder named by hand gets a place
/// of its own there, so that two of them never share a database.
///
/// # Errors
/// When `asked` has no absolute path (the current folder is gone).
pub fn settle_home(account: &Account, asked: &Path, named_by_hand: bool) -> Result<Home> {
    let path = std::path::absolute(asked)?;
    let path = path.canonicalize().unwrap_or(path);
    let parent = path.parent().unwrap_or(&path).to_owned();
    let Some(barrier) = account.barrier(&parent) else {
        open_for_passing(account, &path)?;
        return Ok(Home { path, moved: None });
    };
    let moved = if named_by_hand {
        Path::new(SHARED_HOME).join(format!("home-{}", short_hash(&path)))
    } else {
        PathBuf::from(SHARED_HOME)
    };
    let moved_because = format!(
        "Los datos quedan en {}: PostgreSQL corre como el usuario {} y no puede entrar a {}.",
        moved.display(),
        account.name(),
        barrier.display(),
    );
    Ok(Home { path: moved, moved: Some(moved_because) })
}

/// A home that root made for itself alone must let the account of Postgres
/// through to its own folder inside; passing through shows nothing else.
pub(super) fn open_for_passing(account: &Account, home: &Path) -> Result<()> {
    if account.steps_down
        && !account.may_pass(home)
        && let Ok(it) = fs::metadata(home)
    {
        fs::set_permissions(home, Permissions::from_mode((it.mode() & 0o7777) | 0o011))?;
    }
    Ok(())
}

/// Eight letters that stand for `path`.
#[must_use]
pub fn short_hash(path: &Path) -> String {
    use sha2::{Digest, Sha256};
    use std::os::unix::ffi::OsStrExt;
    hex::encode(&Sha256::digest(path.as_os_str().as_bytes())[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stepping_down() -> Account {
        Account { uid: 65_534, gid: 65_534, steps_down: true }
    }

    #[test]
    fn a_closed_parent_is_a_barrier_to_another_account_and_none_to_ourselves() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let closed = folder.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
        let inside = closed.join("not/there/yet");
        assert_eq!(stepping_down().barrier(&inside), Some(closed.clone()));
        fs::set_permissions(&closed, Permissions::from_mode(0o711)).unwrap();
        assert_eq!(stepping_down().barrier(&inside), None);
        let ourselves = Account { steps_down: false, ..stepping_down() };
        assert_eq!(ourselves.barrier(&inside), None);
    }

    #[test]
    fn homes_behind_a_barrier_move_and_say_so() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let asked = folder.path().join("var");
        let by_default = settle_home(&stepping_down(), &asked, false).unwrap();
        assert_eq!(by_default.path, Path::new(SHARED_HOME));
        assert!(by_default.moved.unwrap().contains(folder.path().to_str().unwrap()));
        let named = settle_home(&stepping_down(), &asked, true).unwrap().path;
        let other = settle_home(&stepping_down(), &folder.path().join("other"), true).unwrap().path;
        assert!(named.starts_with(SHARED_HOME) && named != other);
    }

    #[test]
    fn a_home_of_our_own_is_opened_for_passing_through_only() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, Permissions::from_mode(0o700)).unwrap();
        let settled = settle_home(&stepping_down(), &home, true).unwrap();
        assert_eq!((settled.path, settled.moved), (home.canonicalize().unwrap(), None));
        assert_eq!(fs::metadata(&home).unwrap().mode() & 0o777, 0o711);
    }
}
