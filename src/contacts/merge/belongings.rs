//! What hangs on a contact and goes over to the one it is joined into: notes of
//! calls, past purchases, tasks, interests, refusals, the card on the board.

use crate::{db::Tx, error::Result, ids::ContactId};
use serde::{Deserialize, Serialize};

/// What went over, so that undoing gives it back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Moved {
    interactions: Vec<i64>,
    history_entries: Vec<i64>,
    tasks: Vec<i64>,
    interests: Vec<i64>,
    declined: Vec<(String, String)>,
    joined_before: Vec<i64>,
    card: bool,
    left_card: Option<serde_json::Value>,
}

/// Give what is `gone`'s to `kept`.
pub(super) async fn move_over(tx: &mut Tx<'_>, kept: ContactId, gone: ContactId) -> Result<Moved> {
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
    // A no is a no, whichever of the two said it; what was a yes is turned, and told apart when it is given back.
    let declined = sqlx::query!(
        "insert into contact_preferences (contact_id, communication_type, message_type, allowed, updated_at)
         select $1, communication_type, message_type, false, updated_at
         from contact_preferences where contact_id = $2 and not allowed
         on conflict (contact_id, communication_type, message_type)
         do update set allowed = false where contact_preferences.allowed
         returning communication_type, message_type",
        kept.0,
        gone.0
    )
    .fetch_all(&mut **tx)
    .await?
    .into_iter()
    .map(|it| (it.communication_type, it.message_type))
    .collect();
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
        joined_before,
        card: moved.rows_affected() > 0,
        left_card,
    })
}

/// Give back to `gone` what was its own and still is `kept`'s.
pub(super) async fn move_back(
    tx: &mut Tx<'_>,
    kept: ContactId,
    gone: ContactId,
    moved: &Moved,
) -> Result<()> {
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
    sqlx::query!(
        "delete from contact_interests where contact_id = $1 and interest_id = any($2)",
        kept.0,
        &moved.interests
    )
    .execute(&mut **tx)
    .await?;
    let (channels, kinds): (Vec<String>, Vec<String>) = moved.declined.iter().cloned().unzip();
    sqlx::query!(
        "delete from contact_preferences p using unnest($2::text[], $3::text[]) as d (channel, kind)
         where p.contact_id = $1 and p.communication_type = d.channel and p.message_type = d.kind and not p.allowed",
        kept.0,
        &channels,
        &kinds
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "update contacts set merged_into = $2 where merged_into = $1 and id = any($3)",
        kept.0,
        gone.0,
        &moved.joined_before
    )
    .execute(&mut **tx)
    .await?;
    if moved.card {
        sqlx::query!("update pipeline_cards set contact_id = $2 where contact_id = $1", kept.0, gone.0)
            .execute(&mut **tx)
            .await?;
    }
    if let Some(card) = &moved.left_card {
        sqlx::query!(
            "insert into pipeline_cards select (jsonb_populate_record(null::pipeline_cards, $1)).* on conflict do nothing",
            card
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
