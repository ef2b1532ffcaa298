//! Contacts of whom nothing is known but an email address, many at a time.

use super::contact::search_key;
use crate::{
    access::{Actor, Permission},
    audit,
    db::Tx,
    error::Result,
    ids::ContactId,
};
use chrono::{DateTime, Utc};
use serde_json::json;

/// Make a contact of each of `emails` that nobody has; gives who they are. They agreed to nothing yet.
///
/// # Errors
/// [`crate::error::Error::Forbidden`], or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    emails: &[String],
) -> Result<Vec<ContactId>> {
    actor.require(Permission::EditContacts)?;
    let keys: Vec<String> = emails.iter().map(|it| search_key("", "", Some(it), None)).collect();
    let made = sqlx::query!(
        r#"insert into contacts (email, search_key, created_at, updated_at)
           select email, key, $3, $3 from unnest($1::text[], $2::text[]) u (email, key)
           on conflict (email) do nothing returning id, email as "email!""#,
        emails,
        &keys,
        now
    )
    .fetch_all(&mut **tx)
    .await?;
    let told: Vec<_> = made
        .iter()
        .map(|it| audit::Told { id: it.id, before: None, after: Some(json!({ "email": it.email })) })
        .collect();
    audit::record_each(tx, now, actor, "contact.create", "contact", &told).await?;
    Ok(made.into_iter().map(|it| ContactId(it.id)).collect())
}
