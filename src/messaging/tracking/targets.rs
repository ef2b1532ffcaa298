//! Where the links of each version lead, under the numbers that sent messages carry: written once, when a version first
//! leaves with our links, and never changed, so that they lead there for years, whatever we learn to read in a text since.

use crate::{db::Tx, error::Result, ids::TemplateId};
use sqlx::PgExecutor;
use std::collections::HashMap;

/// The numbers of `targets` in the version `template`; those that have none yet are given one.
///
/// # Errors
/// When the database fails.
pub async fn number(
    tx: &mut Tx<'_>,
    template: TemplateId,
    targets: &[String],
) -> Result<HashMap<String, i32>> {
    if targets.is_empty() {
        return Ok(HashMap::new());
    }
    // Two runs that number the same version at once agree on what the first one wrote; what the second could not is
    // left without a number, and leads straight there.
    sqlx::query!(
        "insert into message_links (template_id, number, target)
         select $1, known.last + row_number() over (order by given.place), given.target
         from unnest($2::text[]) with ordinality as given (target, place),
             (select coalesce(max(number), 0)::int as last from message_links where template_id = $1) known
         where not exists (select from message_links where template_id = $1 and target = given.target)
         on conflict do nothing",
        template.0,
        targets
    )
    .execute(&mut **tx)
    .await?;
    let rows = sqlx::query!("select number, target from message_links where template_id = $1", template.0)
        .fetch_all(&mut **tx)
        .await?;
    Ok(rows.into_iter().map(|it| (it.target, it.number)).collect())
}

/// Where the link `number` of the version `template` leads; none: there is no such link.
///
/// # Errors
/// When the database fails.
pub async fn of(db: impl PgExecutor<'_>, template: TemplateId, number: i32) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "select target from message_links where template_id = $1 and number = $2",
        template.0,
        number
    )
    .fetch_optional(db)
    .await?)
}
