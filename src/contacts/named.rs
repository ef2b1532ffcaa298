//! People by name alone, to choose somebody whom a text is tried on.

use crate::{error::Result, ids::ContactId};
use sqlx::PgConnection;

/// Somebody to try a text on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Row.
    pub id: ContactId,
    /// First and last name, or what else they are known by.
    pub name: String,
    /// Where they work; empty: a private person.
    pub company: String,
}

/// Those of `ids`, by id.
///
/// # Errors
/// When the database fails.
pub async fn named(db: &mut PgConnection, ids: &[i64]) -> Result<Vec<Named>> {
    let rows = sqlx::query!(
        r#"select c.id, coalesce(nullif(btrim(c.first_name || ' ' || c.last_name), ''), c.email, c.phone, '(sin nombre)') as "name!",
               coalesce(k.name, '') as "company!"
           from contacts c left join companies k on k.id = c.company_id where c.id = any ($1) order by c.id"#,
        ids
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| Named { id: ContactId(it.id), name: it.name, company: it.company })
        .collect())
}
