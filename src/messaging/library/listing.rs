//! The templates of the library in lists.

use super::{Kind, known, travels};
use crate::{channels::Channel, error::Result, ids::LibraryId, messaging::template};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// A line of the list.
#[derive(Clone, Debug)]
pub struct Line {
    /// Row.
    pub id: LibraryId,
    /// Name.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// How its messages travel.
    pub channel: Channel,
    /// Subject of the version in force; where there is none, how its text begins.
    pub begins: String,
    /// Its number.
    pub version: i32,
    /// How its body is written.
    pub format: template::BodyFormat,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Templates for `channels` of `kinds` with an id below `before`, newest first, at most `limit`: those in use, or those put away.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: impl PgExecutor<'_>,
    channels: &[Channel],
    kinds: &[Kind],
    archived: bool,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Line>> {
    let rows = sqlx::query!(
        r#"select l.id, l.name, l.kind, l.updated_at, t.version, t.body_format, t.communication_type,
                  case t.communication_type when 'EMAIL' then t.subject else left(t.body, 120) end as "begins!"
           from library_templates l join message_templates t on t.id = l.template_id
           where l.kind = any ($1) and (l.archived_at is not null) = $2
             and l.id < coalesce($3, 9223372036854775807) and t.communication_type = any ($5)
           order by l.id desc limit $4"#,
        &codes(kinds),
        archived,
        before,
        limit,
        &channels.iter().map(|it| it.code().to_owned()).collect::<Vec<_>>()
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|it| {
            Ok(Line {
                id: LibraryId(it.id),
                name: it.name,
                kind: known(&it.kind)?,
                channel: travels(&it.communication_type)?,
                begins: it.begins,
                version: it.version,
                format: template::BodyFormat::from_code(&it.body_format),
                updated_at: it.updated_at,
            })
        })
        .collect()
}

fn codes(kinds: &[Kind]) -> Vec<String> {
    kinds.iter().map(|it| it.code().to_owned()).collect()
}

/// Those in use for `channel` of one of `kinds`, by name: row, kind, name.
///
/// # Errors
/// When the database fails.
pub async fn choices(
    db: impl PgExecutor<'_>,
    channel: Channel,
    kinds: &[Kind],
) -> Result<Vec<(LibraryId, Kind, String)>> {
    let rows = sqlx::query!(
        "select l.id, l.kind, l.name
         from library_templates l join message_templates t on t.id = l.template_id
         where l.archived_at is null and l.kind = any ($1) and t.communication_type = $2
         order by lower(l.name), l.id limit 500",
        &codes(kinds),
        channel.code()
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|it| Ok((LibraryId(it.id), known(&it.kind)?, it.name))).collect()
}
