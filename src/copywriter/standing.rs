//! Whether the provider is called at all. A key or an account that it refuses turns it off for everybody, until a person
//! says to try again: asking on would only gather refusals.

use super::outcome::Outcome;
use crate::{
    access::{Actor, Permission},
    audit,
    codes::codes,
    config::Config,
    db::Tx,
    error::{Error, Result},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgExecutor;

codes! {
    /// Why it was turned off.
    Reason {
        /// It refuses our key.
        Key = "KEY", "DeepSeek no acepta la clave";
        /// The account is empty.
        Balance = "BALANCE", "La cuenta de DeepSeek no tiene saldo";
    }
}

impl Reason {
    /// What a call that ended so turns off.
    #[must_use]
    pub fn of(outcome: Outcome) -> Option<Reason> {
        match outcome {
            Outcome::Key => Some(Reason::Key),
            Outcome::Balance => Some(Reason::Balance),
            _ => None,
        }
    }
}

/// Whether it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    On,
    /// There is no key.
    NoKey,
    /// The model's name was retired.
    Retired(String),
    /// It refused us, and nobody said to try again.
    Paused(Reason, DateTime<Utc>),
}

impl Standing {
    /// Why not, and what to do; none: it is called.
    #[must_use]
    pub fn why_off(&self) -> Option<String> {
        match self {
            Standing::On => None,
            Standing::NoKey => Some(
                "La IA está apagada: no hay clave de DeepSeek. Nada sale de este servidor. Para encenderla, define \
                 DEEPSEEK_API_KEY donde corre Llovizna y reinicia."
                    .to_owned(),
            ),
            Standing::Retired(model) => Some(format!(
                "La IA está apagada: DeepSeek retiró el modelo «{model}» el 24 de julio de 2026. Define \
                 DEEPSEEK_MODEL=deepseek-flash donde corre Llovizna y reinicia."
            )),
            Standing::Paused(Reason::Key, _) => Some(
                "La IA está apagada: DeepSeek no acepta la clave. Revisa DEEPSEEK_API_KEY donde corre Llovizna; \
                 después, vuelve a intentar."
                    .to_owned(),
            ),
            Standing::Paused(Reason::Balance, _) => Some(
                "La IA está apagada: la cuenta de DeepSeek no tiene saldo. Cárgala en platform.deepseek.com; después, \
                 vuelve a intentar."
                    .to_owned(),
            ),
        }
    }

    /// Whether a person can turn it on from the panel.
    #[must_use]
    pub fn can_be_lifted(&self) -> bool {
        matches!(self, Standing::Paused(..))
    }
}

/// How it stands.
///
/// # Errors
/// When the database fails.
pub async fn of(db: impl PgExecutor<'_>, config: &Config) -> Result<Standing> {
    let Some(deepseek) = &config.deepseek else { return Ok(Standing::NoKey) };
    if let Some(model) = deepseek.retired_model() {
        return Ok(Standing::Retired(model.to_owned()));
    }
    let open =
        sqlx::query!("select reason, at from copy_pauses where lifted_at is null").fetch_optional(db).await?;
    Ok(open.map_or(Standing::On, |it| {
        Standing::Paused(Reason::from_code(&it.reason).unwrap_or(Reason::Key), it.at)
    }))
}

/// Turn it off.
///
/// # Errors
/// When the database fails.
pub async fn pause(tx: &mut Tx<'_>, now: DateTime<Utc>, reason: Reason) -> Result<()> {
    sqlx::query!(
        "insert into copy_pauses (reason, at) values ($1, $2) on conflict ((true)) where lifted_at is null do nothing",
        reason.code(),
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Try again, because a person says so.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Refused`] when it is not off, or the database's.
pub async fn lift(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor) -> Result<()> {
    actor.require(Permission::EditCampaigns)?;
    let lifted = sqlx::query_scalar!(
        "update copy_pauses set lifted_at = $1, lifted_by_name = $2 where lifted_at is null returning reason",
        now,
        actor.label()
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(reason) = lifted else {
        return Err(Error::refused("La IA ya estaba encendida: no había nada que reintentar."));
    };
    let change = audit::Change {
        action: "copywriter.resume",
        subject_kind: "copywriter",
        before: Some(json!({ "reason": Reason::from_code(&reason).map_or("", Reason::label) })),
        ..audit::Change::default()
    };
    audit::record(tx, now, actor, change).await
}
