//! Companies and contacts by the hundred thousand: a staging table is filled by
//! the caller, then decided on and written with one statement a step.
//!
//! The staging tables are temporary and live as long as the transaction, so the
//! statements on them can't be checked when compiling; the tests of imports run
//! every one. This knows nothing of files: rows come typed and normalised.

mod companies;
mod contacts;
mod grants;
mod history;
mod interests;
mod owners;
mod permission;
mod refusals;
mod removal;
mod telephones;

pub use companies::{decide_companies, write_companies};
pub use contacts::{Basis, Headers, decide_contacts, write_contacts};
pub use history::{HistoryKind, People, decide_history, newcomers, write_history};
pub use interests::{forget_interests, hold_interests, new_interests};
pub use permission::{decide_permission, write_permission};
pub use removal::{Obstacle, Touched, hold, obstacles, remove, remove_history, touched};

use super::search_index;
use crate::{channels::Channel, db::Tx, error::Result};

/// What to do with a row that is in the base already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnDuplicate {
    /// Leave the base as it is.
    Skip,
    /// Add what the base lacks.
    #[default]
    Fill,
    /// What the file says wins; a blank cell erases nothing.
    Overwrite,
}

impl OnDuplicate {
    /// Every way.
    pub const ALL: [OnDuplicate; 3] = [OnDuplicate::Fill, OnDuplicate::Skip, OnDuplicate::Overwrite];

    /// As stored and as in forms.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            OnDuplicate::Skip => "skip",
            OnDuplicate::Fill => "fill",
            OnDuplicate::Overwrite => "overwrite",
        }
    }

    /// From the stored code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<OnDuplicate> {
        OnDuplicate::ALL.into_iter().find(|it| it.code() == code)
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            OnDuplicate::Skip => "Dejarla como está",
            OnDuplicate::Fill => "Completar lo que le falta",
            OnDuplicate::Overwrite => "Reemplazar con lo del archivo",
        }
    }
}

/// Columns of the staging table, in the order of its `copy`.
///
/// `verdict` is null for a row to be decided on; `company_ident` is the RUT or
/// else the name's key; `phone_ident` the mobile, or the fixed line with the
/// name, since an office shares it. `name_key` is the folded name of whoever may be looked for by telephone, empty where
/// there is none.
pub const COLUMNS: &str = "row_number, verdict, company_ident, company_name, company_key, rut, industry, first_name, \
    last_name, email, phone, phone_ident, job_title, birth_date, comuna, address, website, notes, source, accepts, \
    search_key, column_name, value, reason, warning, cells, name_key, interests, lifecycle, owner_name";

/// Further columns of a file of history, after [`COLUMNS`].
pub const HISTORY_COLUMNS: &str = "event_kind, event_on, item, amount, quantity";

/// By what rules staged rows are decided on.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// What to do with those that are in the base already.
    pub on_duplicate: OnDuplicate,
    /// Lawful basis that reachable people get, where nothing speaks against it.
    pub basis: Option<&'a str>,
    /// The channels on which it holds.
    pub channels: &'a [Channel],
    /// The file's own yes and no are about email alone; else about every channel.
    pub answers_email_alone: bool,
    /// Whether what is decided gets written: then nobody else may change the rows that it is about.
    pub writes: bool,
}

/// Make the empty staging table, for this transaction.
///
/// # Errors
/// When the database fails.
pub async fn stage(tx: &mut Tx<'_>, rules: Rules<'_>) -> Result<()> {
    // A joined hundred thousand rows shouldn't go through the disk.
    run(tx, "set local work_mem = '64MB'").await?;
    // A rough idea of the shape is all that the planner needs.
    run(tx, "set local default_statistics_target = 10").await?;
    search_index::later(tx).await?;
    run(
        tx,
        "create temp table import_staging (
            row_number int not null, verdict text, company_ident text, company_name text, company_key text, rut text,
            industry text, first_name text, last_name text, email text, phone text, phone_ident text, job_title text,
            birth_date date, comuna text, address text, website text, notes text, source text, accepts boolean,
            search_key text, column_name text, value text, reason text, warning text, cells text[],
            name_key text, interests text[], lifecycle text, owner_name text, event_kind text, event_on date, item text, amount bigint, quantity int
        ) on commit drop",
    )
    .await?;
    run(tx, "create temp table import_made (row_number int not null, id bigint not null) on commit drop")
        .await?;
    run(
        tx,
        "create temp table import_rules (skip boolean, overwrite boolean, basis text, writes boolean, phone_channels text[],
            answered text[], since xid) on commit drop",
    )
    .await?;
    run(
        tx,
        "create temp table import_notes (row_number int not null, note text not null, unsubscribed boolean not null)
         on commit drop",
    )
    .await?;
    run(tx, "create temp table import_owners (said text not null, staff_id bigint) on commit drop").await?;
    run(
        tx,
        "create temp table import_whom (id bigint not null, held boolean not null default false) on commit drop",
    )
    .await?;
    let by_phone: Vec<&str> = rules
        .channels
        .iter()
        .filter(|it| rules.basis.is_some() && **it != Channel::Email)
        .map(|it| it.code())
        .collect();
    let answered: Vec<&str> = Channel::ALL
        .iter()
        .filter(|it| !rules.answers_email_alone || **it == Channel::Email)
        .map(|it| it.code())
        .collect();
    sqlx::query("insert into import_rules values ($1, $2, $3, $4, $5, $6)")
        .persistent(false)
        .bind(rules.on_duplicate == OnDuplicate::Skip)
        .bind(rules.on_duplicate == OnDuplicate::Overwrite)
        .bind(rules.basis.filter(|_| rules.channels.contains(&Channel::Email)))
        .bind(rules.writes)
        .bind(by_phone)
        .bind(answered)
        .execute(&mut **tx)
        .await?;
    // One row: the planner would suppose a thousand, and each person of the file a thousand times.
    run(tx, "analyze import_rules").await?;
    Ok(())
}

/// The staging table is full: let the planner know its shape.
///
/// # Errors
/// When the database fails.
pub async fn staged(tx: &mut Tx<'_>) -> Result<()> {
    run(tx, "analyze import_staging (row_number, verdict, email, phone, phone_ident, company_ident)").await?;
    Ok(())
}

/// From here on it counts who is changed: see [`hold_matched`].
async fn look_out(tx: &mut Tx<'_>) -> Result<()> {
    run(tx, "update import_rules set since = pg_snapshot_xmin(pg_current_snapshot())::xid").await?;
    Ok(())
}

/// Let nobody change those in `import_whom` until the import is written: what is compared now is written then. Gives
/// whether one of them was changed after [`look_out`] and before being held: joined into another, say, or given
/// another address. Then whom each row is about has to be looked for again.
async fn hold_matched(tx: &mut Tx<'_>) -> Result<bool> {
    run(tx, "analyze import_whom").await?;
    // What is held is its newest version, whatever this statement saw when it began.
    let changed: bool = sqlx::query_scalar(
        "select coalesce(bool_or(age(held.version) <= age(r.since)), false)
         from (
            select c.xmin as version from contacts c join import_whom w on w.id = c.id
            where not w.held order by c.id for no key update of c
         ) held
         cross join import_rules r",
    )
    .persistent(false)
    .fetch_one(&mut **tx)
    .await?;
    // Who is held is asked again only where all are looked for again.
    if changed {
        run(tx, "update import_whom set held = true where not held").await?;
    }
    Ok(changed)
}

/// Give each row that is to be created its id in `table`: fills `import_made(row_number, id)`.
async fn number(tx: &mut Tx<'_>, table: &'static str) -> Result<()> {
    sqlx::query(
        // The sequence is looked up once, not for each row.
        "insert into import_made select row_number, nextval((select pg_get_serial_sequence($1, 'id')::regclass))
         from (select row_number from import_decided where verdict = 'CREATED' order by row_number) new",
    )
    .persistent(false)
    .bind(table)
    .execute(&mut **tx)
    .await?;
    run(tx, "analyze import_made").await?;
    Ok(())
}

/// A statement on the staging tables. It isn't kept prepared: the tables die with the transaction.
async fn run(tx: &mut Tx<'_>, statement: &'static str) -> Result<u64> {
    Ok(sqlx::query(statement).persistent(false).execute(&mut **tx).await?.rows_affected())
}
