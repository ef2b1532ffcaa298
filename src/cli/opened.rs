//! What commands work on: the settled configuration, the database (embedded or
//! named), migrated, and the providers. Opened once, closed once.

use super::complain;
use crate::{
    channels,
    clock::Clock,
    config::{Config, Secret},
    db::{
        self,
        embedded::{self, Embedded},
    },
    deliverability::{Doctor, links::Visitor},
    error::{Error, Result},
    messaging::{limits, tracking::Hits},
    state::AppState,
};
use sqlx::{PgPool, postgres::PgConnectOptions};
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    str::FromStr,
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Connections of a command; the panel takes more.
const FEW: u32 = 6;

/// A database that answers, and how it was reached.
pub(super) struct Database {
    pub(super) options: PgConnectOptions,
    pub(super) embedded: Option<Embedded>,
}

impl Database {
    /// Start or join the embedded server, or take the one that is named.
    pub(super) async fn open(config: &Config) -> Result<Database> {
        if let Some(url) = &config.database_url {
            let options = PgConnectOptions::from_str(url.reveal()).map_err(|_| {
                Error::refused(
                    "DATABASE_URL no se entiende: debe ser postgres://usuario:clave@servidor:5432/base.",
                )
            })?;
            return Ok(Database { options, embedded: None });
        }
        let embedded = embedded::start(config, &|it| complain(it)).await?;
        Ok(Database { options: embedded.options(), embedded: Some(embedded) })
    }

    /// A pool of at most `size` connections.
    pub(super) async fn pool(&self, size: u32) -> Result<PgPool> {
        db::connect(self.options.clone(), size).await
    }

    /// Leave it as it was found.
    pub(super) async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// Settle the data folder, so that every later step speaks of the same one.
/// Gives the sentence that says where it went, if not where it was asked for.
pub(super) fn settle(config: &mut Config) -> Result<Option<String>> {
    let home = embedded::settle_home(config)?;
    config.home = home.path;
    Ok(home.moved)
}

/// Take the secret key from the data folder, or make it there, where none was given.
pub(super) fn keep_secret_key(config: &mut Config) -> Result<()> {
    if config.secret_key.is_none() {
        config.secret_key = Some(secret_key_in(&config.home)?);
    }
    Ok(())
}

fn secret_key_in(home: &Path) -> Result<Secret> {
    let path = home.join("secret.key");
    let cannot = |error: &std::io::Error| {
        Error::refused(format!(
            "No se pudo guardar la clave secreta en {}: {error}. Define SECRET_KEY o una carpeta LLOVIZNA_HOME en la que se pueda escribir.",
            path.display()
        ))
    };
    fs::create_dir_all(home).map_err(|it| cannot(&it))?;
    for _ in 0..2 {
        match fs::read_to_string(&path) {
            Ok(text) if text.trim().len() >= 32 => return Ok(Secret::new(text.trim())),
            Ok(_) => {
                return Err(Error::refused(format!(
                    "La clave secreta de {} está dañada. Recupérala de un respaldo, o borra el archivo: se hará otra, y los enlaces ya enviados con la anterior dejarán de funcionar.",
                    path.display()
                )));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => (),
            Err(error) => return Err(cannot(&error)),
        }
        let key = hex::encode(rand::random::<[u8; 32]>());
        // Written whole under another name first: two processes may start at once, and either may be killed.
        let fresh = home.join(format!("secret.key.{}", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
            .map_err(|it| cannot(&it))?;
        file.write_all(key.as_bytes()).and_then(|()| file.sync_all()).map_err(|it| cannot(&it))?;
        // A link refuses to replace a key that someone else has just made.
        let linked = fs::hard_link(&fresh, &path);
        let _ = fs::remove_file(&fresh);
        match linked {
            Ok(()) => return Ok(Secret::new(key)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (),
            Err(error) => return Err(cannot(&error)),
        }
    }
    Err(Error::Internal("the secret key came and went".to_owned()))
}

/// Migrate, set what the environment gives first, and put the state together.
pub(super) async fn state(config: Config, db: PgPool) -> Result<AppState> {
    db::migrate(&db).await?;
    limits::apply_first_values(&db, &config.first_values).await?;
    put_together(config, db)
}

/// The state on a database as it is.
fn put_together(config: Config, db: PgPool) -> Result<AppState> {
    let senders = channels::open(&config, &db).map_err(Error::Refused)?;
    Ok(AppState {
        db,
        config: Arc::new(config),
        clock: Clock::System,
        senders,
        hits: Hits::default(),
        doctor: Arc::new(Doctor::of_system()),
        visitor: Arc::new(Visitor::of_system()),
        stop: CancellationToken::new(),
    })
}

/// Open everything, do `work`, close everything.
pub(super) async fn with_state<T>(
    mut config: Config,
    work: impl AsyncFnOnce(&AppState) -> Result<T>,
) -> Result<T> {
    if let Some(moved) = settle(&mut config)? {
        complain(&moved);
    }
    keep_secret_key(&mut config)?;
    let database = Database::open(&config).await?;
    let end = async { on(state(config, database.pool(FEW).await?).await?, work).await }.await;
    database.close().await;
    end
}

/// Do `work`, and close the pool of `state`.
async fn on<T>(state: AppState, work: impl AsyncFnOnce(&AppState) -> Result<T>) -> Result<T> {
    let end = work(&state).await;
    close_pool(&state.db).await;
    end
}

/// The same on a database that is there already, as it is: of one that was made for the question, whatever is said of it
/// would be true, and who asks whether anything was changed must not change it.
pub(super) async fn with_what_is_there<T>(
    mut config: Config,
    work: impl AsyncFnOnce(&AppState) -> Result<T>,
) -> Result<T> {
    if let Some(moved) = settle(&mut config)? {
        complain(&moved);
    }
    if config.database_url.is_none() && !embedded::is_made(&config)? {
        return Err(Error::refused(format!(
            "No hay una base de datos en {}. No se creó ninguna: ejecuta esto en la carpeta de la instalación, o define LLOVIZNA_HOME o DATABASE_URL.",
            config.home.display()
        )));
    }
    let database = Database::open(&config).await?;
    let end = async {
        let pool = database.pool(1).await?;
        let is_migrated = db::is_migrated(&pool).await;
        close_pool(&pool).await;
        if !is_migrated {
            return Err(old_schema(&config));
        }
        keep_secret_key(&mut config)?;
        on(put_together(config, database.pool(FEW).await?)?, work).await
    }
    .await;
    database.close().await;
    end
}

fn old_schema(config: &Config) -> Error {
    if config.database_url.is_some() {
        return Error::refused(
            "La base de datos de DATABASE_URL no es de Llovizna, o es de una versión anterior. No se cambió nada: revisa la dirección, o ejecuta antes «llovizna migrate».",
        );
    }
    Error::refused(format!(
        "La base de datos de {} es de una versión anterior de Llovizna. No se cambió nada: ejecuta antes «llovizna migrate».",
        config.home.display()
    ))
}

/// Connections that are lent out come back soon, or are cut with the process.
pub(super) async fn close_pool(db: &PgPool) {
    let _ = tokio::time::timeout(Duration::from_secs(5), db.close()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_secret_key_is_made_once_and_is_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let made = secret_key_in(home.path()).unwrap();
        assert_eq!(secret_key_in(home.path()).unwrap(), made);
        let bits = fs::metadata(home.path().join("secret.key")).unwrap().permissions().mode();
        assert_eq!(bits & 0o777, 0o600);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_secret_key_is_not_replaced_in_silence() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("secret.key"), "corta").unwrap();
        let error = secret_key_in(home.path()).unwrap_err().to_string();
        assert!(error.contains("dañada"), "{error}");
    }
}
