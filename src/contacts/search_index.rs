//! The index that the search box looks in, for people who come in bulk: they are
//! put aside when written, and sorted in when somebody has the time. Whoever
//! comes alone is sorted in at once, by a trigger of the table.

use crate::{db::Tx, error::Result, ids::ImportId};
use sqlx::PgPool;

/// People sorted in by one transaction: well under a second.
const PAGE: i64 = 5000;

/// What this transaction adds to contacts is sorted in later. To be followed by [`put_aside`].
pub(super) async fn later(tx: &mut Tx<'_>) -> Result<()> {
    sqlx::query!("select set_config('llovizna.words_later', 'yes', true)").fetch_one(&mut **tx).await?;
    Ok(())
}

/// Note down whom `import` made.
pub(super) async fn put_aside(tx: &mut Tx<'_>, import: ImportId) -> Result<()> {
    sqlx::query!(
        "insert into contact_words_pending (first_id, last_id)
         select min(id), max(id) from contacts where import_id = $1 having count(*) > 0",
        import.0
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Sort in whoever was put aside. Until then they are found all the same, one by one. True: there was somebody.
///
/// # Errors
/// When the database fails; what was sorted in until then stays so.
pub async fn tidy(db: &PgPool) -> Result<bool> {
    let mut some = false;
    loop {
        let mut tx = db.begin().await?;
        let next = sqlx::query!(
            "select id, first_id, last_id from contact_words_pending order by id limit 1 for update skip locked"
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(next) = next else { return Ok(some) };
        some = true;
        let last = sqlx::query_scalar!(
            r#"with page as (
                   select id, search_key from contacts where id between $1 and $2 order by id limit $3
               ), put as (
                   insert into contact_words (contact_id, words) select id, search_key from page
                   on conflict (contact_id) do nothing
               )
               select max(id) from page having count(*) = $3"#,
            next.first_id,
            next.last_id,
            PAGE
        )
        .fetch_optional(&mut *tx)
        .await?
        .flatten();
        match last {
            Some(last) => {
                sqlx::query!(
                    "update contact_words_pending set first_id = $2 where id = $1",
                    next.id,
                    last + 1
                )
                .execute(&mut *tx)
                .await?;
            }
            None => {
                sqlx::query!("delete from contact_words_pending where id = $1", next.id)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        tx.commit().await?;
    }
}
