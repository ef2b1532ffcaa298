//! The permission that a file's people come with: stated at upload, anew before confirming, or declared once they are
//! written. Whom it reaches is decided by `contacts::bulk`, each time by the same rules.

use super::{
    Import, Kind, Status, decisions, get,
    mapping::Field,
    people::{self, Whom},
    validate,
};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    contacts::bulk::{self, Basis},
    db::{Tx, locks},
    error::{Error, Result},
    ids::ImportId,
};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;
use sqlx::PgConnection;

/// Why an import of companies has none.
const OF_COMPANIES: &str = "Las empresas no llevan permiso: lo llevan las personas.";

/// The lawful basis for promotions that an uploader states, with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// `CONSENT`, `CONTRACT` or `LEGITIMATE_INTEREST`.
    pub basis: String,
    /// Where it was given, in words.
    pub source: String,
    /// The day it was given.
    pub obtained_on: NaiveDate,
    /// The channels on which it holds: one at least.
    pub channels: Vec<Channel>,
}

impl Consent {
    /// Bases with their labels, as a form offers them.
    pub const BASES: [(&'static str, &'static str); 4] = [
        ("NONE", "Ninguna: no se les enviarán promociones"),
        ("CONSENT", "Consentimiento: aceptaron recibir promociones"),
        ("CONTRACT", "Contrato: son clientes y se trata de lo mismo que compraron"),
        ("LEGITIMATE_INTEREST", "Interés legítimo: contacto de trabajo de una empresa"),
    ];

    /// What a form or a command states. `NONE` and empty mean none.
    ///
    /// # Errors
    /// When the basis is unknown, or stated without its source, its day or a channel.
    pub fn parse(
        basis: &str,
        source: &str,
        obtained_on: &str,
        channels: &[Channel],
        today: NaiveDate,
    ) -> Result<Option<Consent>> {
        if basis.is_empty() || basis == "NONE" {
            return Ok(None);
        }
        if !Consent::BASES.iter().any(|(code, _)| *code == basis) {
            return Err(Error::invalid("consent_basis", "Elige una base de la lista."));
        }
        let source = source.trim();
        if source.is_empty() {
            return Err(Error::invalid(
                "consent_source",
                "Di de dónde viene la autorización (por ejemplo: «formulario de la feria de Osorno»). Sin ese respaldo no se les puede escribir.",
            ));
        }
        if obtained_on.trim().is_empty() {
            return Err(Error::invalid(
                "consent_obtained_on",
                "Di cuándo se obtuvo la autorización, como 31-12-2025: sin fecha no sirve de respaldo.",
            ));
        }
        let obtained_on =
            validate::written_date(obtained_on, today).filter(|it| *it <= today).ok_or_else(|| {
                Error::invalid("consent_obtained_on", "Escribe una fecha que ya pasó, como 31-12-2025.")
            })?;
        if channels.is_empty() {
            return Err(Error::invalid(
                "consent_email",
                "Marca al menos un canal para el que vale la autorización.",
            ));
        }
        Ok(Some(Consent {
            basis: basis.to_owned(),
            source: source.chars().take(300).collect(),
            obtained_on,
            channels: Channel::ALL.into_iter().filter(|it| channels.contains(it)).collect(),
        }))
    }

    /// The codes of its channels, as stored.
    #[must_use]
    pub fn channel_codes(&self) -> Vec<String> {
        self.channels.iter().map(|it| it.code().to_owned()).collect()
    }

    /// Its channels as people read them.
    #[must_use]
    pub fn channel_labels(&self) -> String {
        self.channels.iter().map(|it| it.label()).collect::<Vec<_>>().join(", ")
    }

    /// The label of a stored basis.
    #[must_use]
    pub fn label(basis: &str) -> &'static str {
        Consent::BASES.iter().find(|(code, _)| *code == basis).map_or("Ninguna", |(_, label)| label)
    }
}

/// State another basis for a simulated import, or none, and have its file read again: whom it
/// makes reachable is decided anew.
///
/// # Errors
/// [`Error::Forbidden`]; when it is past that, is about companies, or the database fails.
pub async fn restate(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ImportId,
    consent: Option<&Consent>,
) -> Result<()> {
    actor.require(Permission::RunImports)?;
    let import = get(&mut **tx, id).await?;
    if import.kind == Kind::Companies {
        return Err(Error::refused(OF_COMPANIES));
    }
    if import.consent.as_ref() == consent {
        return Err(Error::refused("El permiso ya era ese: no se cambió nada."));
    }
    decisions::read_again(tx, &import).await?;
    set(tx, id, consent).await?;
    let change = audit::Change {
        action: "import.restate",
        subject_kind: "import",
        subject_id: Some(id.0),
        before: Some(stated(import.consent.as_ref())),
        after: Some(stated(consent)),
    };
    audit::record(tx, now, actor, change).await
}

/// Why a written import's people can't be given a basis any more, in Spanish; none: they can.
#[must_use]
pub fn obstacle(import: &Import) -> Option<&'static str> {
    if import.kind == Kind::Companies {
        return Some(OF_COMPANIES);
    }
    if import.status != Status::Done {
        return Some("Solo se declara el permiso de una importación terminada.");
    }
    if import.consent.is_some() {
        return Some("Esta importación ya tiene su permiso declarado.");
    }
    // What each row answered is let go with the file: only the file can say again who said yes.
    import.fields.contains(&Some(Field::Accepts)).then_some(
        "El archivo trae una columna que dice quién acepta, y el permiso vale solo para quienes dijeron que sí. \
         Vuelve a subirlo y declara la base legal ahí: no se duplica a nadie.",
    )
}

/// How many of the people whom a basis declared for `import` would be about have no basis at all.
///
/// # Errors
/// When the database fails.
pub async fn lacking(db: &mut PgConnection, import: &Import) -> Result<i64> {
    // Counted where they are: a file may hold a million, and its page is looked at often.
    Ok(match people::whom_a_basis_may_be_given(import) {
        Whom::Created => {
            sqlx::query_scalar!(
                r#"select count(*) as "count!" from contacts
                   where import_id = $1 and merged_into is null
                     and email_basis is null and sms_basis is null and whatsapp_basis is null"#,
                import.id.0
            )
            .fetch_one(db)
            .await?
        }
        Whom::All => {
            sqlx::query_scalar!(
                r#"select count(*) as "count!" from contacts
                   where id in (select contact_id from import_people where import_id = $1) and merged_into is null
                     and email_basis is null and sms_basis is null and whatsapp_basis is null"#,
                import.id.0
            )
            .fetch_one(db)
            .await?
        }
    })
}

/// What became of a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// People who got the basis.
    pub permitted: i64,
    /// People without a basis who stay so: they said no, are excluded, or have no address there.
    pub left: i64,
}

/// Declare a basis for the people of a written import that has none. It becomes part of the import: the ledger names it as
/// its proof, and who takes the import back takes the basis back.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] when [`obstacle`] says why; the database's.
pub async fn declare(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ImportId,
    consent: &Consent,
) -> Result<Declared> {
    actor.require(Permission::DeclareBasis)?;
    // As the engine holds it: nobody writes another file, or takes this one back, meanwhile.
    sqlx::query!("select pg_advisory_xact_lock($1, 0)", locks::IMPORT).execute(&mut **tx).await?;
    sqlx::query_scalar!("select id from imports where id = $1 for update", id.0)
        .fetch_optional(&mut **tx)
        .await?;
    let import = get(&mut **tx, id).await?;
    if let Some(sentence) = obstacle(&import) {
        return Err(Error::refused(sentence));
    }
    let applied_at = import.applied_at.unwrap_or(now);
    let people = people::whom_a_basis_is_about(tx, &import).await?;
    bulk::decide_permission(tx, &consent.basis, &consent.channels, &people).await?;
    let known: i64 = sqlx::query_scalar(
        "with permitted as (
            select id from import_updates where new_basis is not null union select contact_id from import_grants
         ), known as (
            insert into import_changes (import_id, subject_kind, subject_id, before)
            select $1, 'contact', c.id, to_jsonb(c) from permitted p join contacts c on c.id = p.id
            where c.import_id is distinct from $1
            on conflict do nothing
         )
         select count(*) from permitted p join contacts c on c.id = p.id where c.import_id is distinct from $1",
    )
    .persistent(false)
    .bind(id.0)
    .fetch_one(&mut **tx)
    .await?;
    let file = format!("importación «{}»", import.filename);
    let basis = Basis {
        basis: Some(&consent.basis),
        channels: &consent.channels,
        source: &consent.source,
        obtained_on: Some(consent.obtained_on),
        file: &file,
    };
    let permitted = bulk::write_permission(tx, now, id, applied_at, &basis).await?;
    let permitted = i64::try_from(permitted).unwrap_or(i64::MAX);
    set(tx, id, Some(consent)).await?;
    sqlx::query!("update imports set permitted = permitted + $2 where id = $1", id.0, known)
        .execute(&mut **tx)
        .await?;
    let mut after = stated(Some(consent));
    after["people"] = json!(permitted);
    let change = audit::Change {
        action: "import.declare",
        subject_kind: "import",
        subject_id: Some(id.0),
        before: Some(stated(None)),
        after: Some(after),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(Declared { permitted, left: lacking(tx, &import).await? })
}

async fn set(tx: &mut Tx<'_>, id: ImportId, consent: Option<&Consent>) -> Result<()> {
    let channels = consent.map(Consent::channel_codes);
    sqlx::query!(
        "update imports set consent_basis = $2, consent_source = $3, consent_obtained_on = $4,
            consent_channels = coalesce($5, '{EMAIL}'::text[]) where id = $1",
        id.0,
        consent.map(|it| it.basis.as_str()),
        consent.map(|it| it.source.as_str()),
        consent.map(|it| it.obtained_on),
        channels.as_deref(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A basis as the audit keeps it.
fn stated(it: Option<&Consent>) -> serde_json::Value {
    json!({
        "consent_basis": it.map(|it| &it.basis), "consent_source": it.map(|it| &it.source),
        "consent_obtained_on": it.map(|it| it.obtained_on), "consent_channels": it.map(|it| &it.channels)
    })
}
