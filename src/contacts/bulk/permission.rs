//! A basis declared after its import was written. Who may get it is decided by the import's own rules: the address that
//! each of the people has now is staged as a row that says yes, and of what is found the basis alone is written.

use super::{Basis, Headers, OnDuplicate, Rules, contacts, grants, stage, staged};
use crate::{channels::Channel, db::Tx, error::Result, ids::ImportId};
use chrono::{DateTime, Utc};

/// Decide who of `people` gets `basis` on `channels`: fills `import_updates` and `import_grants`, and holds them until the transaction
/// ends. Nobody who said no, is excluded, has a basis already or has no address there.
///
/// # Errors
/// When the database fails.
pub async fn decide_permission(
    tx: &mut Tx<'_>,
    basis: &str,
    channels: &[Channel],
    people: &[i64],
) -> Result<()> {
    let rules = Rules {
        on_duplicate: OnDuplicate::Fill,
        basis: Some(basis),
        channels,
        answers_email_alone: true,
        writes: true,
    };
    stage(tx, rules).await?;
    sqlx::query!(
        "select count(*) from (select id from contacts where id = any ($1) order by id for no key update) held",
        people
    )
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query(
        // Of who left an address behind, nobody knows any more which one the file said.
        "insert into import_staging (row_number, email, accepts)
         select row_number() over (order by c.id), c.email, true from contacts c
         where c.id = any ($1) and c.merged_into is null and c.email is not null and c.email_basis is null
            and not exists (select from former_owners f where f.contact_id = c.id and strpos(f.address, '@') > 0)",
    )
    .persistent(false)
    .bind(people)
    .execute(&mut **tx)
    .await?;
    staged(tx).await?;
    contacts::decide_contacts(tx, Headers::default()).await?;
    grants::find_among(tx, people).await
}

/// Write what [`decide_permission`] decided, with `import` as its proof; gives how many got it. Whom nobody changed since
/// the import was written at `applied_at` stays so: the basis is part of it, and is taken back with it.
///
/// # Errors
/// When the database fails.
pub async fn write_permission(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    import: ImportId,
    applied_at: DateTime<Utc>,
    basis: &Basis<'_>,
) -> Result<u64> {
    contacts::grant(tx, now, import, basis).await?;
    let permitted: i64 = sqlx::query_scalar(
        "select count(*) from (
            select id from import_updates where new_basis is not null union select contact_id from import_grants
         ) permitted",
    )
    .persistent(false)
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query(
        "update contacts c set email_basis = u.new_basis,
            updated_at = case when c.updated_at <= $2 then $2 else $1 end
         from import_updates u where c.id = u.id and u.new_basis is not null",
    )
    .persistent(false)
    .bind(now)
    .bind(applied_at)
    .execute(&mut **tx)
    .await?;
    grants::write(tx, now, import, applied_at, basis).await?;
    Ok(permitted.unsigned_abs())
}
