//! `llovizna user`: a staff account from the shell. The rules are `accounts`'.

use super::{Said, said, typed};
use crate::{
    access::{Actor, Role},
    accounts::staff::{self, NewStaff},
    error::{Error, Result},
    state::AppState,
};
use serde_json::json;

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
    /// Cambia la contraseña de una cuenta, también la tuya si la olvidaste
    ///
    /// La pregunta dos veces, o la lee de la entrada estándar si no hay un terminal. Cierra las sesiones de esa
    /// persona y queda en la auditoría.
    Password {
        /// Correo con el que entra
        #[arg(value_name = "CORREO")]
        email: String,
    },
}

pub(super) async fn run(state: &AppState, command: Command, as_json: bool) -> Result<Said> {
    match command {
        Command::Create { email, role, name, password_stdin: _ } => {
            create(state, email, role, name, as_json).await
        }
        Command::Password { email } => password(state, &email, as_json).await,
    }
}

async fn create(
    state: &AppState,
    email: String,
    role: Role,
    name: Option<String>,
    as_json: bool,
) -> Result<Said> {
    let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
    let password = typed::piped("No se creó nada.").await?;
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

async fn password(state: &AppState, email: &str, as_json: bool) -> Result<Said> {
    let fresh = typed::password("No se cambió nada.").await?;
    let mut tx = state.db.begin().await?;
    let now = state.clock.now();
    let user = staff::set_password(&mut tx, now, &Actor::CommandLine, &state.config, email, &fresh)
        .await
        .map_err(|error| match error {
            // A shell has no field to show it at.
            Error::Invalid(fields) => {
                let said: Vec<String> = fields.into_iter().map(|it| it.message).collect();
                Error::refused(format!("{} No se cambió nada.", said.join(" ")))
            }
            other => other,
        })?;
    tx.commit().await?;
    let closed = if user.active { "" } else { " La cuenta está desactivada: así no puede entrar." };
    Ok(said(
        as_json,
        &format!("Contraseña cambiada: {}. Sus sesiones se cerraron.{closed}", user.email),
        &json!({ "id": user.id, "email": user.email, "active": user.active }),
    ))
}
