//! Imports: a file of companies or contacts, simulated, confirmed, applied as a whole, undoable.
//!
//! `reader` turns files into rows, `mapping` says what columns mean, `validate`
//! judges rows one by one, `run` is the engine, `report` tells what became of
//! each row, `changes` what it changes in whom the base knew. Companies and contacts are written by `contacts::bulk` alone.

pub mod changes;
pub mod corrections;
mod decisions;
pub mod examples;
pub mod exclusions;
pub mod files;
pub mod mapping;
pub mod people;
pub mod permission;
pub mod reader;
pub mod report;
pub mod run;
mod staging;
pub mod undo;
pub mod validate;

pub use decisions::{Correction, cancel, confirm, correct, expire};
pub use permission::{Consent, restate};

use crate::{
    access::Actor,
    audit,
    channels::Channel,
    contacts::bulk::{HistoryKind, OnDuplicate},
    db::Tx,
    error::{Error, Result},
    ids::{ImportId, StaffId},
};
use chrono::{DateTime, NaiveDate, Utc};
use mapping::Field;
use reader::Layout;
use sqlx::{PgExecutor, types::Json};

/// What a file is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One company a row.
    Companies,
    /// One person a row, with the company they work at.
    Contacts,
    /// One purchase, visit or enrolment a row.
    History,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 3] = [Kind::Contacts, Kind::Companies, Kind::History];

    /// As stored and as in forms.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Kind::Companies => "companies",
            Kind::Contacts => "contacts",
            Kind::History => "history",
        }
    }

    /// From the stored code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|it| it.code() == code)
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Kind::Companies => "Empresas",
            Kind::Contacts => "Contactos",
            Kind::History => "Historial",
        }
    }
}

/// Where an import stands; the arrows are drawn in its migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Waits to be read.
    Uploaded,
    /// Is being read.
    Analysing,
    /// Simulated: waits for a person.
    Ready,
    /// Is being written.
    Applying,
    /// Written.
    Done,
    /// Is being taken back.
    Undoing,
    /// Taken back.
    Undone,
    /// Given up by a person; nothing was written.
    Cancelled,
    /// Could not be read or written; nothing was written.
    Failed,
}

impl Status {
    const ALL: [Status; 9] = [
        Status::Uploaded,
        Status::Analysing,
        Status::Ready,
        Status::Applying,
        Status::Done,
        Status::Undoing,
        Status::Undone,
        Status::Cancelled,
        Status::Failed,
    ];

    /// As stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Status::Uploaded => "UPLOADED",
            Status::Analysing => "ANALYSING",
            Status::Ready => "READY",
            Status::Applying => "APPLYING",
            Status::Done => "DONE",
            Status::Undoing => "UNDOING",
            Status::Undone => "UNDONE",
            Status::Cancelled => "CANCELLED",
            Status::Failed => "FAILED",
        }
    }

    fn from_code(code: &str) -> Result<Status> {
        Status::ALL
            .into_iter()
            .find(|it| it.code() == code)
            .ok_or_else(|| Error::Internal(format!("unknown import status {code}")))
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Status::Uploaded => "En espera",
            Status::Analysing => "Leyendo",
            Status::Ready => "Por confirmar",
            Status::Applying => "Guardando",
            Status::Done => "Lista",
            Status::Undoing => "Deshaciendo",
            Status::Undone => "Deshecha",
            Status::Cancelled => "Cancelada",
            Status::Failed => "Fallida",
        }
    }

    /// Whether the engine has work with it.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Status::Uploaded | Status::Analysing | Status::Applying | Status::Undoing)
    }
}

/// How a file of history is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// What rows are that don't say it; none: told by the headers.
    pub kind: Option<HistoryKind>,
    /// Whether people whom the base doesn't know are created.
    pub create_people: bool,
}

/// What an uploader asks for.
#[derive(Clone, Debug)]
pub struct Order {
    /// What the file is about.
    pub kind: Kind,
    /// Its name, as shown.
    pub filename: String,
    /// What to do with rows that are in the base already.
    pub on_duplicate: OnDuplicate,
    /// Basis for promotions; none: nobody becomes reachable by this import.
    pub consent: Option<Consent>,
    /// Sheet of a workbook; none: the first that is understood.
    pub sheet: Option<String>,
    /// Write without waiting for a person (command line).
    pub apply_at_once: bool,
    /// For a file of history.
    pub history: History,
}

/// How many rows met each fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Rows of the file, empty ones and the header aside.
    pub rows: i64,
    /// New in the base.
    pub created: i64,
    /// In the base, with something new.
    pub updated: i64,
    /// In the base as they are.
    pub unchanged: i64,
    /// Repeated in the file.
    pub duplicates: i64,
    /// With a fault that keeps them out.
    pub rejected: i64,
}

/// An import as it stands.
#[derive(Clone, Debug)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// What the file is about.
    pub kind: Kind,
    /// Name of the file.
    pub filename: String,
    /// Size of the file.
    pub byte_size: i64,
    /// Where it stands.
    pub status: Status,
    /// What happens with rows that are in the base already.
    pub on_duplicate: OnDuplicate,
    /// Written without waiting for a person.
    pub apply_at_once: bool,
    /// Basis for promotions.
    pub consent: Option<Consent>,
    /// The sheet that was asked for.
    pub sheet: Option<String>,
    /// The row of the header that a person chose; 0: the file has none.
    pub header_row: Option<u32>,
    /// What a person said the columns mean.
    pub mapping: Option<Vec<Option<Field>>>,
    /// What was found in the file, once it was looked at.
    pub layout: Option<Layout>,
    /// What the columns were taken to mean.
    pub fields: Vec<Option<Field>>,
    /// In how many rows each column holds something; empty where nobody counted.
    pub filled: Vec<i64>,
    /// How a file of history is taken.
    pub history: History,
    /// Percent of the running step.
    pub progress: i16,
    /// Rows read so far.
    pub rows_read: i64,
    /// How often it was simulated.
    pub simulation: i32,
    /// Fates of the rows.
    pub counts: Counts,
    /// Rows taken with a reservation.
    pub warned: i64,
    /// Rows of people who unsubscribed before and stay so.
    pub unsubscribed: i64,
    /// Companies that it creates or created.
    pub companies_created: i64,
    /// People whom a file of history creates or created.
    pub people_created: i64,
    /// People who were there before and get, or got, the stated basis by it.
    pub permitted: i64,
    /// Interests that it makes or made, by name.
    pub new_interests: Vec<String>,
    /// Why it failed, or why the last undo was refused.
    pub failure: Option<String>,
    /// When it was uploaded.
    pub created_at: DateTime<Utc>,
    /// By whom, as shown.
    pub created_by: String,
    /// By whom, where they have an account.
    pub created_by_id: Option<StaffId>,
    /// Who confirmed, cancelled or undid it.
    pub decided_by: Option<String>,
    /// When it was written.
    pub applied_at: Option<DateTime<Utc>>,
    /// When it ended, whichever way.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub undone_at: Option<DateTime<Utc>>,
}

/// What `layout` holds in the database: the layout, and what its columns were taken to mean.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Found {
    #[serde(flatten)]
    pub(crate) layout: Layout,
    pub(crate) fields: Vec<Option<Field>>,
    /// In how many rows each column holds something.
    #[serde(default)]
    pub(crate) filled: Vec<i64>,
}

struct Record {
    id: i64,
    kind: String,
    filename: String,
    byte_size: i64,
    status: String,
    on_duplicate: String,
    apply_at_once: bool,
    consent_basis: Option<String>,
    consent_source: Option<String>,
    consent_obtained_on: Option<NaiveDate>,
    consent_channels: Vec<String>,
    sheet: Option<String>,
    header_row: Option<i32>,
    mapping: Option<Json<Vec<Option<Field>>>>,
    layout: Option<Json<Found>>,
    progress: i16,
    rows_read: i64,
    simulation: i32,
    total: i64,
    created: i64,
    updated: i64,
    unchanged: i64,
    duplicates: i64,
    rejected: i64,
    warned: i64,
    unsubscribed: i64,
    companies_created: i64,
    people_created: i64,
    permitted: i64,
    new_interests: Vec<String>,
    history_kind: Option<String>,
    create_people: bool,
    failure: Option<String>,
    created_at: DateTime<Utc>,
    created_by: Option<i64>,
    created_by_name: String,
    decided_by_name: Option<String>,
    applied_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    undone_at: Option<DateTime<Utc>>,
}

impl TryFrom<Record> for Import {
    type Error = Error;

    fn try_from(it: Record) -> Result<Import> {
        let consent = match (it.consent_basis, it.consent_source, it.consent_obtained_on) {
            (Some(basis), Some(source), Some(obtained_on)) => {
                let channels = it.consent_channels.iter().filter_map(|it| Channel::from_code(it)).collect();
                Some(Consent { basis, source, obtained_on, channels })
            }
            _ => None,
        };
        let (layout, fields, filled) = match it.layout {
            Some(Json(found)) => (Some(found.layout), found.fields, found.filled),
            None => (None, Vec::new(), Vec::new()),
        };
        Ok(Import {
            id: ImportId(it.id),
            kind: Kind::from_code(&it.kind)
                .ok_or_else(|| Error::Internal(format!("unknown import kind {}", it.kind)))?,
            filename: it.filename,
            byte_size: it.byte_size,
            status: Status::from_code(&it.status)?,
            on_duplicate: OnDuplicate::from_code(&it.on_duplicate).unwrap_or_default(),
            apply_at_once: it.apply_at_once,
            consent,
            sheet: it.sheet,
            header_row: it.header_row.and_then(|it| u32::try_from(it).ok()),
            mapping: it.mapping.map(|it| it.0),
            layout,
            fields,
            filled,
            progress: it.progress,
            rows_read: it.rows_read,
            simulation: it.simulation,
            counts: Counts {
                rows: it.total,
                created: it.created,
                updated: it.updated,
                unchanged: it.unchanged,
                duplicates: it.duplicates,
                rejected: it.rejected,
            },
            warned: it.warned,
            unsubscribed: it.unsubscribed,
            companies_created: it.companies_created,
            people_created: it.people_created,
            permitted: it.permitted,
            new_interests: it.new_interests,
            history: History {
                kind: it.history_kind.as_deref().and_then(HistoryKind::from_code),
                create_people: it.create_people,
            },
            failure: it.failure,
            created_at: it.created_at,
            created_by: it.created_by_name,
            created_by_id: it.created_by.map(StaffId),
            decided_by: it.decided_by_name,
            applied_at: it.applied_at,
            finished_at: it.finished_at,
            undone_at: it.undone_at,
        })
    }
}

macro_rules! records {
    ($rest:literal $(, $value:expr)*) => {
        sqlx::query_as!(
            Record,
            r#"select id, kind, filename, byte_size, status, on_duplicate, apply_at_once, consent_basis, consent_source,
                consent_obtained_on, consent_channels, sheet, header_row, mapping as "mapping: _", layout as "layout: _", progress, rows_read, simulation, total,
                created, updated, unchanged, duplicates, rejected, warned, unsubscribed, companies_created, people_created, permitted, new_interests, history_kind, create_people, failure, created_at,
                created_by, created_by_name, decided_by_name, applied_at, finished_at, undone_at
            from imports "# + $rest
            $(, $value)*
        )
    };
}

/// The import `id`.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn get(db: impl PgExecutor<'_>, id: ImportId) -> Result<Import> {
    records!("where id = $1", id.0).fetch_optional(db).await?.ok_or(Error::NotFound)?.try_into()
}

/// Imports older than `before`, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(db: impl PgExecutor<'_>, before: Option<ImportId>, limit: i64) -> Result<Vec<Import>> {
    records!("where ($1::bigint is null or id < $1) order by id desc limit $2", before.map(|it| it.0), limit)
        .fetch_all(db)
        .await?
        .into_iter()
        .map(Import::try_from)
        .collect()
}

/// The names of the files of `ids`, in the order of their imports.
///
/// # Errors
/// When the database fails.
pub async fn filenames(db: impl PgExecutor<'_>, ids: &[i64]) -> Result<Vec<String>> {
    let named = sqlx::query_scalar!("select filename from imports where id = any($1) order by id", ids);
    Ok(named.fetch_all(db).await?)
}

/// An import that wrote the same file before.
#[derive(Clone, Copy, Debug)]
pub struct Earlier {
    /// Row.
    pub id: ImportId,
    /// When it was written.
    pub applied_at: DateTime<Utc>,
    /// Whether it came with a basis for promotions.
    pub has_basis: bool,
}

/// The last earlier import that wrote this very file, if any.
///
/// # Errors
/// When the database fails.
pub async fn done_before(db: impl PgExecutor<'_>, id: ImportId) -> Result<Option<Earlier>> {
    Ok(sqlx::query_as!(
        Earlier,
        r#"select earlier.id as "id: ImportId", earlier.applied_at as "applied_at!",
            earlier.consent_basis is not null as "has_basis!" from imports earlier
        join imports this on this.file_sha256 = earlier.file_sha256 and this.kind = earlier.kind
        where this.id = $1 and earlier.id < this.id and earlier.status = 'DONE'
        order by earlier.id desc limit 1"#,
        id.0
    )
    .fetch_optional(db)
    .await?)
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: ImportId,
    after: serde_json::Value,
) -> Result<()> {
    audit::record(
        tx,
        now,
        actor,
        audit::Change {
            action,
            subject_kind: "import",
            subject_id: Some(id.0),
            after: Some(after),
            ..audit::Change::default()
        },
    )
    .await
}
