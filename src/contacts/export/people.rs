//! People as rows of a file.

use super::{Export, Kind, Rows, sheet::Cell};
use crate::{
    access::Actor,
    chile::comunas,
    contacts::{
        columns::{Choice as _, Column},
        contact_list::{Filter, Row, Sort, matching},
    },
    error::Result,
};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// Begin to take out whom a list with `filter` shows. What others change meanwhile is not seen.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden); [`Error::Refused`](crate::error::Error::Refused) when they
/// are more than the actor's role may take; the database's.
pub async fn begin(
    db: &PgPool,
    now: DateTime<Utc>,
    actor: &Actor,
    (filter, sort): (&Filter, Sort),
    columns: &[Column],
    kind: Kind,
) -> Result<Export> {
    let mut tx = super::open(db, actor).await?;
    let matching = matching(&mut tx, filter, sort).await?;
    let count = matching.count(&mut tx, super::counted_to(actor)).await?;
    super::few_enough(actor, count, "contactos")?;
    let what = ("contact.export", "contact");
    super::record(&mut tx, now, actor, what, (count, kind), (filter.facts(), columns)).await?;
    let tx = super::still(db, tx).await?;
    // Nor may what was added since make more of them.
    let whole = matching.whole(super::most(actor));
    Ok(Export { tx, rows: Rows::People(whole, columns.to_vec()), count })
}

pub(super) fn heads(columns: &[Column]) -> Vec<&'static str> {
    let mut heads = vec!["Nombre", "Apellidos"];
    for column in columns {
        heads.push(column.label());
        match column {
            Column::Company => heads.push("RUT empresa"),
            Column::Comuna => heads.push("Región"),
            _ => {}
        }
    }
    heads
}

pub(super) fn cells(row: &Row, columns: &[Column]) -> Vec<Cell> {
    let mut cells = vec![Cell::text(Some(&row.first_name)), Cell::text(Some(&row.last_name))];
    for column in columns {
        cells.push(match column {
            Column::Company => Cell::text(row.company.as_deref()),
            Column::JobTitle => Cell::text(row.job_title.as_deref()),
            Column::Email => Cell::text(row.email.as_deref()),
            Column::Phone => Cell::phone(row.phone.as_deref()),
            Column::Comuna => Cell::text(row.comuna.as_deref().map(comunas::name)),
            Column::Lifecycle => Cell::text(Some(row.lifecycle.label())),
            Column::Reach => Cell::text(Some(row.reach())),
            Column::Source => Cell::text(Some(row.source.label())),
            Column::Owner => Cell::text(row.owner.as_deref()),
            Column::Interests => Cell::text(row.interests.as_deref()),
            Column::BirthDate => row.birth_date.map_or(Cell::Empty, Cell::Day),
            Column::Created => Cell::instant(row.created_at),
            Column::Visits => Cell::Number(i64::from(row.visits)),
            Column::Spent => Cell::Money(row.spent),
            Column::LastActivity => row.last_activity_at.map_or(Cell::Empty, Cell::instant),
        });
        match column {
            Column::Company => cells.push(Cell::rut(row.company_rut.as_deref())),
            Column::Comuna => cells.push(Cell::region(row.comuna.as_deref())),
            _ => {}
        }
    }
    cells
}
