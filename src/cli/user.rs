//! `llovizna user`: a staff account from the shell. The rules are `accounts`'.

use super::{Said, said};
use crate::{
    access::{Actor, Role},
    accounts::staff::{self, NewStaff},
    error::{Error, Result},
    state::AppState,
};
use serde_json::json;
use std::io::Read;

/// Longest password read from standard input, in bytes; the rules allow less.
const LONGEST: u64 = 4096;

#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Crea una cuenta
    Create {
        /// Correo con el que entra
        #[arg(long, value_name = "CORREO")]
        email: String,
        /// Rol: SUPERADMIN, ADMIN, STAFF o READ_ONLY
        #[arg(long, value_enum, value_name = "ROL")]
        role: Role,
        /// Nombre; si no se indica, lo que va antes de la arroba
        #[arg(long, value_name = "NOMBRE")]
        name: Option<String>,
        /// Lee la contraseña de la entrada estándar, para que no quede en el historial
        #[arg(long, required = true)]
        password_stdin: bool,
    },
}

pub(super) async fn run(state: &AppState, command: Command, as_json: bool) -> Result<Said> {
    let Command::Create { email, role, name, password_stdin: _ } = command;
    let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
    let password = password_from_stdin().await?;
    let mut tx = state.db.begin().await?;
    let new = NewStaff { email: email.clone(), name, role, password };
    let id = staff::create(&mut tx, state.clock.now(), &Actor::CommandLine, new).await?;
    tx.commit().await?;
    let email = staff::normal_email(&email)?;
    Ok(said(
        as_json,
        &format!("Cuenta creada: {email}, {}.", role.label()),
        &json!({ "id": id, "email": email, "role": role.code() }),
    ))
}

async fn password_from_stdin() -> Result<String> {
    let text = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        std::io::stdin().lock().take(LONGEST).read_to_string(&mut text).map(|_| text)
    })
    .await
    .map_err(|it| Error::Internal(it.to_string()))?
    .map_err(|_| {
        Error::refused("La contraseña de la entrada estándar no es texto UTF-8. No se creó nada.")
    })?;
    // `echo` and files end with a line break that nobody meant.
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(Error::refused("No llegó ninguna contraseña por la entrada estándar. No se creó nada."));
    }
    Ok(password.to_owned())
}
