//! Where people are who never gave a sign of life: blocks of ids, noted down by the database itself, so that a list by
//! activity finds its end without looking at everybody.

use crate::error::Result;
use sqlx::{PgExecutor, Postgres, QueryBuilder};

/// Ids of one block, as a power of two.
const BLOCK: i32 = 10;

/// Each contact `c` who is listed and never gave a sign of life.
pub(super) const SILENT: &str = "c.merged_into is null and not exists (select from contact_metrics a
    where a.contact_id = c.id and a.last_activity_at is not null)";

/// Take out the blocks in which nobody is silent any more, and those noted down twice. What another transaction has not
/// yet committed has a note of its own and stays.
///
/// # Errors
/// When the database fails.
pub async fn tidy(db: impl PgExecutor<'_>) -> Result<()> {
    let mut query = QueryBuilder::<Postgres>::new(
        "with known as (delete from silent_blocks returning block)
         insert into silent_blocks select block from (select distinct block from known) once
         cross join lateral (select from contacts c where ",
    );
    push_block(&mut query, "once");
    query.push(" and ").push(SILENT).push(" limit 1) somebody").build().execute(db).await?;
    Ok(())
}

/// Whether `contacts c` has its id in the block of `blocks`.
pub(super) fn push_block(query: &mut QueryBuilder<Postgres>, blocks: &str) {
    query.push(format!("c.id >= {blocks}.block << {BLOCK} and c.id < ({blocks}.block + 1) << {BLOCK}"));
}

/// The blocks where somebody may be silent, as `b`, in the order of ids: up, or down; from the block of `edge` on.
pub(super) fn push_blocks(query: &mut QueryBuilder<Postgres>, edge: Option<i64>, up: bool) {
    query.push("(select distinct block from silent_blocks");
    if let Some(edge) = edge {
        query.push(if up { " where block >= " } else { " where block <= " }).push_bind(edge >> BLOCK);
    }
    query.push(if up { " order by block) b" } else { " order by block desc) b" });
}
