//! Who is asking, and what they may do.

use crate::{
    error::{Error, Result},
    ids::StaffId,
};
use sqlx::PgExecutor;

/// What a member of the staff is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
pub enum Role {
    /// Everything, staff accounts of every role included.
    #[serde(rename = "SUPERADMIN")]
    #[value(name = "SUPERADMIN")]
    SuperAdmin,
    /// Everything but accounts of superadministrators.
    #[serde(rename = "ADMIN")]
    #[value(name = "ADMIN")]
    Admin,
    /// Daily work: contacts, companies, imports, drafts.
    #[serde(rename = "STAFF")]
    #[value(name = "STAFF")]
    Staff,
    /// Looks, changes nothing.
    #[serde(rename = "READ_ONLY")]
    #[value(name = "READ_ONLY")]
    ReadOnly,
}

impl Role {
    /// Every role, most powerful first.
    pub const ALL: [Role; 4] = [Role::SuperAdmin, Role::Admin, Role::Staff, Role::ReadOnly];

    /// As stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Role::SuperAdmin => "SUPERADMIN",
            Role::Admin => "ADMIN",
            Role::Staff => "STAFF",
            Role::ReadOnly => "READ_ONLY",
        }
    }

    /// From the stored code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|it| it.code() == code)
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Role::SuperAdmin => "Superadministrador",
            Role::Admin => "Administrador",
            Role::Staff => "Equipo",
            Role::ReadOnly => "Solo lectura",
        }
    }

    /// What it is for, in a line.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Role::SuperAdmin => "Todo, también las cuentas de otros superadministradores.",
            Role::Admin => "Envía campañas, cambia los ajustes y administra el equipo.",
            Role::Staff => "Contactos, empresas, importaciones y preparar campañas, sin iniciarlas.",
            Role::ReadOnly => "Mira y no cambia nada.",
        }
    }

    /// Whether the role includes `permission`. The one home of this rule.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        use Permission as P;
        match permission {
            P::View => true,
            P::EditContacts | P::RunImports | P::EditCampaigns | P::SendTests | P::Export => {
                self != Role::ReadOnly
            }
            P::SendCampaigns
            | P::DecideMessages
            | P::EditSettings
            | P::Delete
            | P::ManageStaff
            | P::ViewAudit
            | P::ExportAll
            | P::UndoAnyImport
            | P::DeclareBasis
            | P::RunJobs => {
                matches!(self, Role::SuperAdmin | Role::Admin)
            }
        }
    }
}

/// Something that a role may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Look at contacts, companies, imports, campaigns and messages.
    View,
    /// Create and change contacts and companies.
    EditContacts,
    /// Delete contacts, companies, lists and segments, which others may work with.
    Delete,
    /// Upload, confirm and cancel imports, and undo one's own.
    RunImports,
    /// Undo what others imported, and so delete the people whom it created.
    UndoAnyImport,
    /// Declare, once an import is written, why its people may be sent promotions.
    DeclareBasis,
    /// Write campaigns.
    EditCampaigns,
    /// Send a test message to oneself.
    SendTests,
    /// Start, pause, resume and cancel campaigns; write to people chosen by hand.
    SendCampaigns,
    /// Decide on unconfirmed and failed messages; lift suppressions.
    DecideMessages,
    /// Change the business's settings.
    EditSettings,
    /// Create and change staff accounts.
    ManageStaff,
    /// Read the audit.
    ViewAudit,
    /// Take a few contacts out as a file.
    Export,
    /// Take all of them out.
    ExportAll,
    /// Run scheduled jobs by hand.
    RunJobs,
}

/// The person, or the system, on whose behalf the code runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Someone signed in to the panel.
    Staff {
        /// Account.
        id: StaffId,
        /// As shown in the audit.
        name: String,
        /// What they are.
        role: Role,
    },
    /// Someone with a shell on the server.
    CommandLine,
    /// The program itself.
    System,
}

impl Actor {
    /// In whose name something goes on that `id` asked for as `name`: with what they may do by now. None: the program itself.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when they may not come in any more, or the database's.
    pub async fn asking(db: impl PgExecutor<'_>, id: Option<i64>, name: &str) -> Result<Actor> {
        let Some(id) = id else { return Ok(Actor::System) };
        let role = sqlx::query_scalar!("select role from staff_users where id = $1 and active", id)
            .fetch_optional(db)
            .await?;
        let role = role.as_deref().and_then(Role::from_code).ok_or(Error::Forbidden)?;
        Ok(Actor::Staff { id: StaffId(id), name: name.to_owned(), role })
    }

    /// Fail unless the actor has `permission`.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.may(permission) { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// Whether the actor has `permission`.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        match self {
            Actor::Staff { role, .. } => role.may(permission),
            Actor::CommandLine | Actor::System => true,
        }
    }

    /// The staff account, where there is one.
    #[must_use]
    pub fn staff_id(&self) -> Option<StaffId> {
        match self {
            Actor::Staff { id, .. } => Some(*id),
            Actor::CommandLine | Actor::System => None,
        }
    }

    /// As shown in the audit.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Actor::Staff { name, .. } => name,
            Actor::CommandLine => "línea de comandos",
            Actor::System => "sistema",
        }
    }
}
