//! What a list shows, as a file: whom it holds, who may take it out, what is written
//! down about it. Knows nothing of HTTP; how files are written is `sheet`'s.

mod companies;
mod people;
mod sheet;

pub use companies::begin as begin_companies;
pub use people::begin as begin_people;

use super::{columns, company_list, contact_list};
use crate::{
    access::{Actor, Permission},
    audit,
    error::{Error, Result},
};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use std::{fs::File, time::Duration};
use tokio::sync::mpsc;

/// Most rows that a role without [`Permission::ExportAll`] takes out at once.
pub const FEW: i64 = 500;

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text with semicolons.
    Csv,
    /// A workbook.
    Xlsx,
}

impl Kind {
    /// From the form.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Kind> {
        match code {
            "csv" => Some(Kind::Csv),
            "xlsx" => Some(Kind::Xlsx),
            _ => None,
        }
    }

    /// As in the form and at the end of the file's name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Kind::Csv => "csv",
            Kind::Xlsx => "xlsx",
        }
    }
}

/// How long a download may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Over one chunk.
    pub chunk: Duration,
    /// In all.
    pub whole: Duration,
}

impl Patience {
    /// What a slow line needs, and no more.
    pub const USUAL: Patience = Patience { chunk: Duration::from_mins(1), whole: Duration::from_mins(30) };
}

/// An export that was allowed, counted and written down; nothing has been read yet.
pub struct Export {
    tx: Transaction<'static, Postgres>,
    rows: Rows,
    /// How many rows it holds.
    pub count: i64,
}

/// What is read, and which columns of it are written.
enum Rows {
    People(contact_list::Whole, Vec<columns::Column>),
    Companies(company_list::Whole, Vec<columns::CompanyColumn>),
}

/// A transaction to count and to write down in, for who may export.
async fn open(db: &PgPool, actor: &Actor) -> Result<Transaction<'static, Postgres>> {
    actor.require(Permission::Export)?;
    Ok(db.begin().await?)
}

/// End `tx`, and begin one in which what others change meanwhile is not seen. One connection after the other: who
/// holds one and waits for a second may wait for ever.
async fn still(db: &PgPool, tx: Transaction<'static, Postgres>) -> Result<Transaction<'static, Postgres>> {
    tx.commit().await?;
    let mut tx = db.begin().await?;
    sqlx::query!("set transaction isolation level repeatable read").execute(&mut *tx).await?;
    Ok(tx)
}

/// How many rows `actor` may take out.
fn most(actor: &Actor) -> i64 {
    if actor.may(Permission::ExportAll) { i64::MAX } else { FEW }
}

/// How far the rows have to be counted to know whether `actor` may take them out.
fn counted_to(actor: &Actor) -> i64 {
    most(actor).saturating_add(1)
}

/// Refuse more rows of `nouns` than the actor's role may take out.
fn few_enough(actor: &Actor, count: i64, nouns: &str) -> Result<()> {
    if count > FEW && !actor.may(Permission::ExportAll) {
        return Err(Error::refused(format!(
            "Tu rol puede exportar hasta {FEW} {nouns} y estos filtros muestran más. No se exportó nada. \
             Agrega filtros, o pídelo a quien administra el equipo."
        )));
    }
    Ok(())
}

/// Write down who took out what, before the first row leaves: a file that breaks off was taken out too.
async fn record<C: columns::Choice>(
    tx: &mut Transaction<'static, Postgres>,
    now: DateTime<Utc>,
    actor: &Actor,
    (action, subject_kind): (&str, &str),
    (count, kind): (i64, Kind),
    (filter, columns): (Value, &[C]),
) -> Result<()> {
    let change = audit::Change {
        action,
        subject_kind,
        after: Some(json!({
            "rows": count, "format": kind.code(), "filter": filter,
            "columns": columns.iter().map(|it| it.code()).collect::<Vec<_>>(),
        })),
        ..audit::Change::default()
    };
    audit::record(tx, now, actor, change).await
}

impl Rows {
    fn heads(&self) -> Vec<&'static str> {
        match self {
            Rows::People(_, columns) => people::heads(columns),
            Rows::Companies(_, columns) => companies::heads(columns),
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Rows::People(..) => "Contactos",
            Rows::Companies(..) => "Empresas",
        }
    }

    /// The rows as they come.
    fn cells<'a>(
        &'a mut self,
        tx: &'a mut Transaction<'static, Postgres>,
    ) -> BoxStream<'a, Result<Vec<sheet::Cell>>> {
        match self {
            Rows::People(whole, columns) => whole.rows(tx).map_ok(|row| people::cells(&row, columns)).boxed(),
            Rows::Companies(whole, columns) => {
                whole.rows(tx).map_ok(|row| companies::cells(&row, columns)).boxed()
            }
        }
    }
}

impl Export {
    /// What the file is called before its ending, the day aside.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.rows.title()
    }

    /// Write a CSV to `out`, chunk by chunk. Ends early when nobody reads on, or takes longer than `patience`: it
    /// holds a connection and what the database must keep for it.
    ///
    /// # Errors
    /// When the database fails, or patience ends.
    pub async fn csv(mut self, out: mpsc::Sender<Vec<u8>>, patience: Patience) -> Result<()> {
        let heads = self.rows.heads();
        let writing = sheet::csv(&heads, self.rows.cells(&mut self.tx), out, patience.chunk);
        tokio::time::timeout(patience.whole, writing).await.map_err(|_| sheet::stalled())?
    }

    /// Write a workbook to a temporary file, open at its start.
    ///
    /// # Errors
    /// When the database or the disk fails.
    pub async fn xlsx(mut self) -> Result<File> {
        let (title, heads) = (self.rows.title(), self.rows.heads());
        sheet::xlsx(title, heads, self.rows.cells(&mut self.tx)).await
    }
}
