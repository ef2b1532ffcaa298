//! Finds the programs of Postgres on this machine. It runs `postgres --version`
//! and `pg_config`, and knows nothing of data folders but their major version.

use crate::config::Config;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest major that the schema works on (`unique nulls not distinct`).
pub const OLDEST: u32 = 15;

/// One installation of Postgres.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// Folder of `postgres`, `initdb` and their kin, links resolved.
    pub bin: PathBuf,
    /// Major version.
    pub major: u32,
}

/// What was found, and what was passed over.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Usable, in order of preference.
    pub usable: Vec<Programs>,
    /// Why others are not, in Spanish, one each.
    pub unusable: Vec<String>,
}

impl Programs {
    /// Path of the program `name`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Look at `folder`: none where it holds no `postgres` at all, else the
    /// programs or a Spanish sentence that says what they lack.
    #[must_use]
    pub fn at(folder: &Path) -> Option<Result<Programs, String>> {
        let postgres = folder.join("postgres").canonicalize().ok()?;
        let bin = postgres.parent()?.to_owned();
        let shown = bin.display();
        let Some(major) = major_of(&postgres) else {
            return Some(Err(format!("el programa de {shown} no arranca")));
        };
        if major < OLDEST {
            return Some(Err(format!(
                "el de {shown} es la versión {major} y se necesita {OLDEST} o posterior"
            )));
        }
        if output(&bin.join("initdb"), "--version").is_none() {
            return Some(Err(format!("en {shown} falta el programa initdb, o no arranca")));
        }
        if let Some(share) = share_of(&bin) {
            if !share.join("postgres.bki").is_file() {
                return Some(Err(format!("al de {shown} le faltan los archivos de {}", share.display())));
            }
            if !share.join("extension/pg_trgm.control").is_file() {
                return Some(Err(format!(
                    "al de {shown} le falta la extensión pg_trgm (paquete postgresql-contrib)"
                )));
            }
        }
        Some(Ok(Programs { bin, major }))
    }
}

/// Every installation, best first: the one named by hand, then the PATH, then
/// where systems put them, then what we fetched ourselves.
#[must_use]
pub fn find(config: &Config, fetched: &Path) -> Found {
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for folder in folders(config, fetched) {
        let Ok(real) = folder.join("postgres").canonicalize() else { continue };
        if !seen.insert(real) {
            continue;
        }
        match Programs::at(&folder) {
            None => (),
            Some(Ok(programs)) => found.usable.push(programs),
            Some(Err(why)) => found.unusable.push(why),
        }
    }
    found
}

fn folders(config: &Config, fetched: &Path) -> Vec<PathBuf> {
    if let Some(named) = &config.postgres_bin {
        return vec![named.clone()];
    }
    let mut folders: Vec<PathBuf> = config.path.iter().flat_map(std::env::split_paths).collect();
    if let Some(told) = output(Path::new("pg_config"), "--bindir") {
        folders.push(PathBuf::from(told));
    }
    for (parent, prefix, tail) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("/opt/local/lib", "postgresql", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
        ("/Library/PostgreSQL", "", "bin"),
        ("/usr/libexec", "postgresql", ""),
    ] {
        folders.extend(children(Path::new(parent), prefix).into_iter().map(|it| it.join(tail)));
    }
    folders.extend(children(fetched, "").into_iter().map(|it| it.join("bin")));
    folders
}

/// Folders in `parent` whose name begins with `prefix`, the highest number first.
fn children(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = parent.read_dir() else { return Vec::new() };
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.starts_with(prefix).then(|| (numbers(&name), entry.path()))
        })
        .filter(|(_, path)| path.is_dir())
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

fn numbers(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|it| it.parse().ok()).collect()
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is 15.
fn major_of(postgres: &Path) -> Option<u32> {
    let text = output(postgres, "--version")?;
    numbers(text.split("(PostgreSQL)").nth(1)?).first().copied()
}

/// The folder of shared files, where the programs tell it.
fn share_of(bin: &Path) -> Option<PathBuf> {
    output(&bin.join("pg_config"), "--sharedir").map(PathBuf::from)
}

fn output(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).current_dir("/").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// The command that installs Postgres on this system, for people to copy.
#[must_use]
pub fn install_command(is_root: bool) -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    command_for(&release, std::env::consts::OS, is_root)
}

fn command_for(os_release: &str, os: &str, is_root: bool) -> String {
    if os == "macos" {
        return "brew install postgresql@17".to_owned();
    }
    let value = |key: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|it| it.trim_matches('"').to_lowercase())
            .unwrap_or_default()
    };
    let families = format!("{} {}", value("ID"), value("ID_LIKE"));
    let is = |names: &[&str]| families.split_whitespace().any(|it| names.contains(&it));
    let sudo = if is_root { "" } else { "sudo " };
    if is(&["alpine"]) {
        format!("{sudo}apk add postgresql17 postgresql17-contrib")
    } else if is(&["arch", "manjaro"]) {
        format!("{sudo}pacman -S postgresql")
    } else if is(&["fedora", "rhel", "centos", "rocky", "almalinux", "amzn"]) {
        format!("{sudo}dnf install -y postgresql-server postgresql-contrib")
    } else if is(&["suse", "opensuse", "sles"]) {
        format!("{sudo}zypper install -y postgresql-server postgresql-contrib")
    } else {
        format!("{sudo}apt-get install -y postgresql")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_is_told_its_own_install_command() {
        for (release, os, is_root, expected) in [
            ("ID=debian\n", "linux", true, "apt-get install -y postgresql"),
            ("NAME=x\nID=ubuntu\nID_LIKE=debian\n", "linux", false, "sudo apt-get install -y postgresql"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "linux", false, "sudo dnf install"),
            ("ID=alpine\n", "linux", true, "apk add postgresql"),
            ("ID=arch\n", "linux", false, "sudo pacman -S postgresql"),
            ("ID=opensuse-leap\nID_LIKE=\"suse opensuse\"\n", "linux", true, "zypper install"),
            ("", "macos", false, "brew install postgresql@17"),
        ] {
            let command = command_for(release, os, is_root);
            assert!(command.starts_with(expected), "{release:?} {os}: {command}");
        }
    }

    #[test]
    fn higher_versions_come_first_by_number_and_not_by_letter() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["pgsql-9", "pgsql-15", "pgsql-17", "other-99"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let names: Vec<_> = children(folder.path(), "pgsql-")
            .iter()
            .map(|it| it.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["pgsql-17", "pgsql-15", "pgsql-9"]);
    }

    #[test]
    fn a_folder_without_postgres_is_nothing_and_a_broken_one_says_why() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Programs::at(folder.path()), None);
        std::fs::write(folder.path().join("postgres"), "not a program").unwrap();
        let why = Programs::at(folder.path()).unwrap().unwrap_err();
        assert!(why.contains("no arranca"), "{why}");
    }
}
