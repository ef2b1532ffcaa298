//! What pages tell of joinings: who was joined, how much hangs on each, and what was left out.

use super::{
    consents::CHANNELS,
    facts::{self, Facts},
};
use crate::{
    error::{Error, Result},
    ids::ContactId,
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// A joining, as its page tells it.
#[derive(Clone, Debug)]
pub struct Record {
    /// Row.
    pub id: i64,
    /// Who was joined into the contact.
    pub gone: ContactId,
    /// What that one was called.
    pub name: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub by: Option<String>,
}

/// What was joined into `contact` and not taken back, newest first.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut PgConnection, contact: ContactId) -> Result<Vec<Record>> {
    let rows = sqlx::query!(
        r#"select m.id, m.gone_id, m.merged_at, s.name as "by?",
               coalesce(nullif(trim(coalesce(m.before_gone->>'first_name', '') || ' ' || coalesce(m.before_gone->>'last_name', '')), ''),
                   m.before_gone->>'email', m.before_gone->>'phone', '') as "name!"
           from contact_merges m left join staff_users s on s.id = m.merged_by
           where m.kept_id = $1 and m.undone_at is null order by m.id desc limit 20"#,
        contact.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| Record {
            id: it.id,
            gone: ContactId(it.gone_id),
            name: it.name,
            at: it.merged_at,
            by: it.by,
        })
        .collect())
}

/// What a joining left out: it stands in the joining alone, and comes back with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Emails and telephones that nobody has now.
    pub addresses: Vec<String>,
    /// Notes of the other.
    pub notes: bool,
    /// Codes of the channels on which one of the two could be sent promotions, and no more.
    pub bases: Vec<&'static str>,
}

impl LeftOut {
    /// Everything was taken over.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == LeftOut::default()
    }
}

/// What the joining `id` left out.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn left_out(db: &mut PgConnection, id: i64) -> Result<LeftOut> {
    let it =
        sqlx::query!("select before_kept, before_gone, after_kept from contact_merges where id = $1", id)
            .fetch_optional(db)
            .await?
            .ok_or(Error::NotFound)?;
    let read = |it| facts::read(id, it);
    let (kept, gone, after): (Facts, Facts, Facts) =
        (read(it.before_kept)?, read(it.before_gone)?, read(it.after_kept)?);
    let had = |it: &Facts, channel| it.basis_of(channel).is_some();
    Ok(LeftOut {
        addresses: facts::dropped([&kept, &gone], &after),
        notes: gone.notes().is_some_and(|it| !after.notes().is_some_and(|all| all.contains(it))),
        bases: CHANNELS
            .into_iter()
            .filter(|it| (had(&kept, it) || had(&gone, it)) && !had(&after, it))
            .collect(),
    })
}

/// How much hangs on a contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Messages asked for.
    pub messages: i64,
    /// Calls, meetings, notes.
    pub interactions: i64,
    /// Past purchases, visits, enrolments.
    pub history: i64,
    /// Tasks.
    pub tasks: i64,
    /// Interests.
    pub interests: i64,
}

/// How much hangs on `contact`.
///
/// # Errors
/// When the database fails.
pub async fn weight(db: &mut PgConnection, contact: ContactId) -> Result<Weight> {
    Ok(sqlx::query_as!(
        Weight,
        r#"select (select count(*) from communication_logs where contact_id = $1) as "messages!",
               (select count(*) from interactions where contact_id = $1) as "interactions!",
               (select count(*) from history_entries where contact_id = $1) as "history!",
               (select count(*) from tasks where contact_id = $1) as "tasks!",
               (select count(*) from contact_interests where contact_id = $1) as "interests!""#,
        contact.0
    )
    .fetch_one(db)
    .await?)
}
