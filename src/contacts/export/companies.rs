//! Companies as rows of a file.

use super::{Export, Kind, Rows, sheet::Cell};
use crate::{
    access::Actor,
    chile::comunas,
    contacts::{
        columns::{Choice as _, CompanyColumn},
        company_list::{Filter, Row, Sort, matching},
    },
    error::Result,
};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// Begin to take out the companies that a list with `filter` shows. What others change meanwhile is not seen.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden); [`Error::Refused`](crate::error::Error::Refused) when they
/// are more than the actor's role may take; the database's.
pub async fn begin(
    db: &PgPool,
    now: DateTime<Utc>,
    actor: &Actor,
    (filter, sort): (&Filter, Sort),
    columns: &[CompanyColumn],
    kind: Kind,
) -> Result<Export> {
    let mut tx = super::open(db, actor).await?;
    let matching = matching(&mut tx, filter, sort).await?;
    let count = matching.count(&mut tx, super::counted_to(actor)).await?;
    super::few_enough(actor, count, "empresas")?;
    let what = ("company.export", "company");
    super::record(&mut tx, now, actor, what, (count, kind), (filter.facts(), columns)).await?;
    let tx = super::still(db, tx).await?;
    Ok(Export { tx, rows: Rows::Companies(matching.whole(super::most(actor)), columns.to_vec()), count })
}

pub(super) fn heads(columns: &[CompanyColumn]) -> Vec<&'static str> {
    let mut heads = vec!["Empresa"];
    for column in columns {
        heads.push(column.label());
        if *column == CompanyColumn::Comuna {
            heads.push("Región");
        }
    }
    heads
}

pub(super) fn cells(row: &Row, columns: &[CompanyColumn]) -> Vec<Cell> {
    let mut cells = vec![Cell::text(Some(&row.name))];
    for column in columns {
        cells.push(match column {
            CompanyColumn::Rut => Cell::rut(row.rut.as_deref()),
            CompanyColumn::Industry => Cell::text(row.industry.as_deref()),
            CompanyColumn::Comuna => Cell::text(row.comuna.as_deref().map(comunas::name)),
            CompanyColumn::Address => Cell::text(row.address.as_deref()),
            CompanyColumn::Phone => Cell::phone(row.phone.as_deref()),
            CompanyColumn::Email => Cell::text(row.email.as_deref()),
            CompanyColumn::Website => Cell::text(row.website.as_deref()),
            CompanyColumn::Owner => Cell::text(row.owner.as_deref()),
            CompanyColumn::Created => Cell::instant(row.created_at),
            CompanyColumn::Contacts => Cell::Number(row.contacts),
        });
        if *column == CompanyColumn::Comuna {
            cells.push(Cell::region(row.comuna.as_deref()));
        }
    }
    cells
}
