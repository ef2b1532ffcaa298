//! What hangs on a contact and goes over to the one it is joined into: notes of
//! calls, past purchases, tasks, interests, refusals, the card on the board.

use crate::{db::Tx, error::Result, ids::ContactId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What went over, so that undoing gives it back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Moved {
    interactions: Vec<i64>,
    history_entries: Vec<i64>,
    tasks: Vec<i64>,
    pub(super) interests: Vec<i64>,
    pub(super) declined: Vec<Kind>,
    /// Kinds to which the kept one had said yes, since when.
    #[serde(default)]
    pub(super) turned: Vec<Turned>,
    /// Who was said to be somebody else than the one that goes.
    #[serde(default)]
    pub(super) told_apart: Vec<i64>,
    /// That a person had said that the two were two.
    #[serde(default)]
    pub(super) said_two: Option<serde_json::Value>,
    /// Channels on which the other's no was written down.
    #[serde(default)]
    pub(super) noes: Vec<String>,
    joined_before: Vec<i64>,
    pub(super) card: bool,
    pub(super) left_card: Option<serde_json::Value>,
}

/// What `kept` has no more of what a joining had brought.
#[derive(Debug, Default)]
pub(super) struct Parted {
    pub(super) interests: Vec<i64>,
    pub(super) told_apart: Vec<i64>,
    pub(super) card: bool,
}

/// Give what is `gone`'s to `kept`.
pub(super) async fn move_over(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    kept: ContactId,
    gone: ContactId,
) -> Result<Moved> {
    let interactions = sqlx::query_scalar!(
        "update interactions set contact_id = $1 where contact_id = $2 returning id",
        kept.0,
        gone.0
    )
    .fetch_all(&mut **tx)
    .await?;
    let history_entries = sqlx::query_scalar!(
        "update history_entries set contact_id = $1 where contact_id = $2 returning id",
        kept.0,
        gone.0
    )
    .fetch_all(&mut **tx)
    .await?;
    let tasks = sqlx::query_scalar!(
        "update tasks set contact_id = $1 where contact_id = $2 returning id",
        kept.0,
        gone.0
    )
    .fetch_all(&mut **tx)
    .await?;
    let interests = sqlx::query_scalar!(
        "insert into contact_interests (contact_id, interest_id, at)
         select $1, interest_id, at from contact_interests where contact_id = $2
         on conflict do nothing returning interest_id",
        kept.0,
        gone.0
    )
    .fetch_all(&mut **tx)
    .await?;
    let (declined, turned) = decline(tx, now, kept, gone).await?;
    let (said_two, told_apart) = tell_apart(tx, kept, gone).await?;
    // Whoever had been joined into the one that goes is now the other's, so that nobody is two steps away.
    let joined_before = sqlx::query_scalar!(
        "update contacts set merged_into = $1 where merged_into = $2 returning id",
        kept.0,
        gone.0
    )
    .fetch_all(&mut **tx)
    .await?;
    let moved = sqlx::query!(
        "update pipeline_cards set contact_id = $1
         where contact_id = $2 and not exists (select from pipeline_cards where contact_id = $1)",
        kept.0,
        gone.0
    )
    .execute(&mut **tx)
    .await?;
    let left_card = sqlx::query_scalar!(
        r#"delete from pipeline_cards c where contact_id = $1 returning to_jsonb(c) as "card!""#,
        gone.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(Moved {
        interactions,
        history_entries,
        tasks,
        interests,
        declined,
        turned,
        told_apart,
        said_two,
        noes: Vec::new(),
        joined_before,
        card: moved.rows_affected() > 0,
        left_card,
    })
}

/// A kind of message on a channel, by their codes.
type Kind = (String, String);

/// The same, and since when it had been a yes.
type Turned = (String, String, DateTime<Utc>);

/// A no to a kind of message is a no, whichever of the two said it. Gives what was said anew for `kept`, and what had
/// been a yes.
async fn decline(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    kept: ContactId,
    gone: ContactId,
) -> Result<(Vec<Kind>, Vec<Turned>)> {
    let turned = sqlx::query!(
        "with yes as (
             select k.communication_type, k.message_type, k.updated_at
             from contact_preferences k join contact_preferences g
                 on g.contact_id = $2 and g.communication_type = k.communication_type and g.message_type = k.message_type
             where k.contact_id = $1 and k.allowed and not g.allowed
         ), turned as (
             update contact_preferences k set allowed = false, updated_at = $3 from yes
             where k.contact_id = $1 and k.communication_type = yes.communication_type and k.message_type = yes.message_type
         )
         select communication_type, message_type, updated_at from yes",
        kept.0,
        gone.0,
        now
    )
    .fetch_all(&mut **tx)
    .await?;
    let declined = sqlx::query!(
        "insert into contact_preferences (contact_id, communication_type, message_type, allowed, updated_at)
         select $1, communication_type, message_type, false, $3
         from contact_preferences where contact_id = $2 and not allowed
         on conflict (contact_id, communication_type, message_type) do nothing
         returning communication_type, message_type",
        kept.0,
        gone.0,
        now
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok((
        declined.into_iter().map(|it| (it.communication_type, it.message_type)).collect(),
        turned.into_iter().map(|it| (it.communication_type, it.message_type, it.updated_at)).collect(),
    ))
}

/// Pairs with the one that goes are asked no more; whom a person said to be somebody else is somebody else
/// than `kept` too. Gives the pair of the two where they were said to be two, and whom else `kept` is not.
async fn tell_apart(
    tx: &mut Tx<'_>,
    kept: ContactId,
    gone: ContactId,
) -> Result<(Option<serde_json::Value>, Vec<i64>)> {
    let said_two = sqlx::query_scalar!(
        r#"with asked_no_more as (
               delete from duplicate_candidates
               where (first_id = $1 or second_id = $1) and (dismissed_at is null or first_id = $2 or second_id = $2)
               returning *
           )
           select to_jsonb(pair) as "pair!" from asked_no_more pair where dismissed_at is not null"#,
        gone.0,
        kept.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    let told_apart = sqlx::query_scalar!(
        r#"with others as (
               select case when first_id = $1 then second_id else first_id end as other, reason, found_at, dismissed_at, dismissed_by
               from duplicate_candidates where first_id = $1 or second_id = $1
           ), told as (
               insert into duplicate_candidates as d (first_id, second_id, reason, found_at, dismissed_at, dismissed_by)
               select least(other, $2), greatest(other, $2), reason, found_at, dismissed_at, dismissed_by from others
               on conflict (first_id, second_id) do update
                   set dismissed_at = excluded.dismissed_at, dismissed_by = excluded.dismissed_by
               where d.dismissed_at is null
               returning first_id, second_id
           )
           select case when first_id = $2 then second_id else first_id end as "other!" from told"#,
        gone.0,
        kept.0
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok((said_two, told_apart))
}

/// Give back to `gone` what was its own and still is `kept`'s since they were joined at `at`. Gives what `kept` lost by it.
pub(super) async fn move_back(
    tx: &mut Tx<'_>,
    (kept, gone): (ContactId, ContactId),
    at: DateTime<Utc>,
    moved: &Moved,
) -> Result<Parted> {
    sqlx::query!(
        "update interactions set contact_id = $2 where contact_id = $1 and id = any($3)",
        kept.0,
        gone.0,
        &moved.interactions
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "update history_entries set contact_id = $2 where contact_id = $1 and id = any($3)",
        kept.0,
        gone.0,
        &moved.history_entries
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "update tasks set contact_id = $2 where contact_id = $1 and id = any($3)",
        kept.0,
        gone.0,
        &moved.tasks
    )
    .execute(&mut **tx)
    .await?;
    let interests = sqlx::query_scalar!(
        "delete from contact_interests where contact_id = $1 and interest_id = any($2) returning interest_id",
        kept.0,
        &moved.interests
    )
    .fetch_all(&mut **tx)
    .await?;
    // Before the preferences: their no is not of somebody who stays.
    sqlx::query!(
        "update contacts set merged_into = $2 where merged_into = $1 and id = any($3)",
        kept.0,
        gone.0,
        &moved.joined_before
    )
    .execute(&mut **tx)
    .await?;
    part_preferences(tx, (kept, gone), at, moved).await?;
    let told_apart = sqlx::query_scalar!(
        r#"delete from duplicate_candidates
           where dismissed_at is not null and (first_id = $1 and second_id = any($2) or second_id = $1 and first_id = any($2))
           returning case when first_id = $1 then second_id else first_id end as "other!""#,
        kept.0,
        &moved.told_apart
    )
    .fetch_all(&mut **tx)
    .await?;
    if let Some(pair) = &moved.said_two {
        sqlx::query!(
            "insert into duplicate_candidates as d (first_id, second_id, reason, found_at, dismissed_at, dismissed_by)
             select first_id, second_id, reason, found_at, dismissed_at, (select id from staff_users where id = dismissed_by)
             from jsonb_populate_record(null::duplicate_candidates, $1)
             on conflict (first_id, second_id) do update set dismissed_at = excluded.dismissed_at, dismissed_by = excluded.dismissed_by
             where d.dismissed_at is null",
            pair
        )
        .execute(&mut **tx)
        .await?;
    }
    let mut left = false;
    if moved.card {
        let card =
            sqlx::query!("update pipeline_cards set contact_id = $2 where contact_id = $1", kept.0, gone.0);
        left = card.execute(&mut **tx).await?.rows_affected() > 0;
    }
    if let Some(card) = &moved.left_card {
        put_card(tx, gone, card).await?;
    }
    Ok(Parted { interests, told_apart, card: left })
}

/// Put a card that a joining had taken off the board back, for `contact`.
pub(super) async fn put_card(tx: &mut Tx<'_>, contact: ContactId, card: &serde_json::Value) -> Result<()> {
    sqlx::query!(
        // A column that was removed meanwhile takes no deal along: it stands in the first.
        "insert into pipeline_cards (contact_id, stage_id, value, follow_up_on, moved_at)
         select $2, stage.id, card.value, card.follow_up_on, card.moved_at
         from jsonb_populate_record(null::pipeline_cards, $1) card
         cross join lateral (select id from pipeline_stages order by id <> card.stage_id, position limit 1) stage
         on conflict do nothing",
        card,
        contact.0
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What the joining wrote goes, unless it was said again since, or by somebody else who is still joined; what was
/// refused since is refused by both.
async fn part_preferences(
    tx: &mut Tx<'_>,
    (kept, gone): (ContactId, ContactId),
    at: DateTime<Utc>,
    moved: &Moved,
) -> Result<()> {
    sqlx::query!(
        "insert into contact_preferences (contact_id, communication_type, message_type, allowed, updated_at)
         select $2, communication_type, message_type, false, updated_at
         from contact_preferences p
         where contact_id = $1 and not allowed and updated_at > $3
             -- What another brought who was joined since is that one's.
             and not exists (select from contact_merges m where m.kept_id = $1 and m.undone_at is null and m.merged_at = p.updated_at
                 and (m.moved->'declined' @> jsonb_build_array(jsonb_build_array(communication_type, message_type))
                     or exists (select from jsonb_array_elements(m.moved->'turned') t
                         where t->>0 = communication_type and t->>1 = message_type)))
         on conflict (contact_id, communication_type, message_type)
         do update set allowed = false, updated_at = excluded.updated_at",
        kept.0,
        gone.0,
        at
    )
    .execute(&mut **tx)
    .await?;
    let (channels, kinds): (Vec<String>, Vec<String>) = moved.declined.iter().cloned().unzip();
    sqlx::query!(
        "delete from contact_preferences p using unnest($2::text[], $3::text[]) as d (channel, kind)
         where p.contact_id = $1 and p.communication_type = d.channel and p.message_type = d.kind and not p.allowed
             and p.updated_at <= $4
             and not exists (select from contact_preferences o join contacts c on c.id = o.contact_id
                 where c.merged_into = $1 and o.communication_type = d.channel and o.message_type = d.kind and not o.allowed)",
        kept.0,
        &channels,
        &kinds,
        at
    )
    .execute(&mut **tx)
    .await?;
    for (channel, kind, since) in &moved.turned {
        sqlx::query!(
            "update contact_preferences set allowed = true, updated_at = $4
             where contact_id = $1 and communication_type = $2 and message_type = $3 and not allowed and updated_at = $5
                 and not exists (select from contact_preferences o join contacts c on c.id = o.contact_id
                     where c.merged_into = $1 and o.communication_type = $2 and o.message_type = $3 and not o.allowed)",
            kept.0,
            channel,
            kind,
            since,
            at
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
