//! Joinings into the same one that came after one that is taken back: what they found there of the one who parts they
//! forget, so that taking them back too leaves nothing of that one behind. Interests, a deal, a no that a later one has
//! as well stay, and came with that one from now on; facts go back to what they were before.

use super::{
    belongings::{self, Moved, Parted},
    consents,
    facts::{self, Facts},
};
use crate::{
    contacts::consent,
    db::Tx,
    error::{Error, Result},
    ids::ContactId,
};
use chrono::{DateTime, Utc};
use serde_json::json;

/// A joining that was taken back.
#[derive(Clone, Copy)]
pub(super) struct TakenBack<'a> {
    pub(super) id: i64,
    /// Who parts.
    pub(super) gone: ContactId,
    pub(super) at: DateTime<Utc>,
    /// The last word in the ledger that it wrote.
    pub(super) last_word: i64,
    /// Of the one that stayed: before it and after it.
    pub(super) facts: (&'a Facts, &'a Facts),
    pub(super) moved: &'a Moved,
}

/// Have the later joinings into `kept` forget `it`, by which `kept` lost what `parted` names.
///
/// # Errors
/// When the database fails, or a later joining can't be read.
pub(super) async fn forward(
    tx: &mut Tx<'_>,
    kept: ContactId,
    it: TakenBack<'_>,
    mut parted: Parted,
) -> Result<()> {
    let later = sqlx::query!(
        "select id, gone_id, before_kept, before_gone, after_kept, moved, merged_at from contact_merges
         where kept_id = $1 and id > $2 and undone_at is null order by id for update",
        kept.0,
        it.id
    )
    .fetch_all(&mut **tx)
    .await?;
    let unreadable = |id| move |_| Error::Internal(format!("merge {id} can't be read"));
    let mut changes = facts::Changes::between(it.facts.0, it.facts.1).map_err(unreadable(it.id))?;
    let mut noes = noes_that_stand(tx, kept, it).await?;
    for channel in consents::CHANNELS {
        // Who refused since has no yes to go back to, whoever parts; and that no is nobody else's.
        if consents::refused_since(tx, kept, channel, it.last_word).await?.is_some() {
            changes.leave_basis(channel);
            noes.channels.retain(|it| it != channel);
        }
    }
    for later in later {
        let (id, gone) = (later.id, ContactId(later.gone_id));
        let mut moved: Moved = serde_json::from_value(later.moved).map_err(unreadable(id))?;
        let (mut before, mut after) =
            (facts::read(id, later.before_kept)?, facts::read(id, later.after_kept)?);
        let of_gone = facts::read(id, later.before_gone)?;
        changes.take_out(&mut before, &mut after).map_err(unreadable(id))?;
        if it.moved.told_apart.contains(&gone.0) {
            // That the two were two had been said of the one who parts.
            moved.said_two = None;
        }
        if it.moved.said_two.is_some() {
            // Nor is it any more what the later one brought.
            moved.told_apart.retain(|other| *other != it.gone.0);
        }
        bring_anew(tx, (kept, gone), &mut moved, &mut parted).await?;
        refuse_anew(tx, (kept, gone, &of_gone), later.merged_at, &mut moved, &mut noes).await?;
        for channel in &moved.noes {
            *after.basis(channel) = None;
        }
        sqlx::query!(
            "update contact_merges set before_kept = $2, after_kept = $3, moved = $4 where id = $1",
            id,
            json!(before),
            json!(after),
            json!(moved)
        )
        .execute(&mut **tx)
        .await?;
        leave_out(tx, id, kept, &facts::dropped([&before, &of_gone], &after)).await?;
    }
    Ok(())
}

/// The noes of `kept` that a joining wrote down and that its taking back left, for somebody joined says no too.
#[derive(Default)]
struct Noes {
    /// Promotions on a channel.
    channels: Vec<String>,
    /// A kind of message on a channel; since when it had been a yes, if it had.
    kinds: Vec<(String, String, Option<DateTime<Utc>>)>,
}

async fn noes_that_stand(tx: &mut Tx<'_>, kept: ContactId, it: TakenBack<'_>) -> Result<Noes> {
    let mut noes = Noes::default();
    for channel in &it.moved.noes {
        if consent::said_no(tx, kept, channel).await? {
            noes.channels.push(channel.clone());
        }
    }
    let declined = it.moved.declined.iter().cloned().map(|(channel, kind)| (channel, kind, None));
    let turned = it.moved.turned.iter().cloned().map(|(channel, kind, since)| (channel, kind, Some(since)));
    for no in declined.chain(turned) {
        // Said again since, it is the person's own.
        let stands = sqlx::query_scalar!(
            r#"select exists (select from contact_preferences
                   where contact_id = $1 and communication_type = $2 and message_type = $3
                     and not allowed and updated_at = $4) as "stands!""#,
            kept.0,
            no.0,
            no.1,
            it.at
        )
        .fetch_one(&mut **tx)
        .await?;
        if stands {
            noes.kinds.push(no);
        }
    }
    Ok(noes)
}

/// What `kept` lost, and `gone` had as well, came with `gone`.
async fn bring_anew(
    tx: &mut Tx<'_>,
    (kept, gone): (ContactId, ContactId),
    moved: &mut Moved,
    parted: &mut Parted,
) -> Result<()> {
    let interests = sqlx::query_scalar!(
        "insert into contact_interests (contact_id, interest_id, at)
         select $1, interest_id, at from contact_interests where contact_id = $2 and interest_id = any($3)
         on conflict do nothing returning interest_id",
        kept.0,
        gone.0,
        &parted.interests
    )
    .fetch_all(&mut **tx)
    .await?;
    parted.interests.retain(|it| !interests.contains(it));
    moved.interests.extend(interests);
    let told_apart = sqlx::query_scalar!(
        r#"insert into duplicate_candidates (first_id, second_id, reason, found_at, dismissed_at, dismissed_by)
           select least(other, $1), greatest(other, $1), reason, found_at, dismissed_at, dismissed_by
           from duplicate_candidates, lateral (select case when first_id = $2 then second_id else first_id end as other) the
           where (first_id = $2 or second_id = $2) and dismissed_at is not null and other = any($3)
           on conflict do nothing
           returning case when first_id = $1 then second_id else first_id end as "other!""#,
        kept.0,
        gone.0,
        &parted.told_apart
    )
    .fetch_all(&mut **tx)
    .await?;
    parted.told_apart.retain(|it| !told_apart.contains(it));
    moved.told_apart.extend(told_apart);
    if parted.card
        && let Some(card) = moved.left_card.take()
    {
        belongings::put_card(tx, kept, &card).await?;
        (moved.card, parted.card) = (true, false);
    }
    Ok(())
}

/// A no that stands because `gone` said it too is `gone`'s, joined at `at`.
async fn refuse_anew(
    tx: &mut Tx<'_>,
    (kept, gone, facts): (ContactId, ContactId, &Facts),
    at: DateTime<Utc>,
    moved: &mut Moved,
    noes: &mut Noes,
) -> Result<()> {
    if !noes.channels.is_empty() {
        let theirs = consents::noes(tx, &[(gone, facts)]).await?;
        let (given, left) =
            std::mem::take(&mut noes.channels).into_iter().partition(|it| theirs.contains(&it.as_str()));
        moved.noes.extend::<Vec<String>>(given);
        noes.channels = left;
    }
    let mut left = Vec::new();
    for (channel, kind, since) in std::mem::take(&mut noes.kinds) {
        let given = sqlx::query!(
            "update contact_preferences k set updated_at = $5
             where contact_id = $1 and communication_type = $3 and message_type = $4
               and exists (select from contact_preferences g where g.contact_id = $2 and g.communication_type = $3
                   and g.message_type = $4 and not g.allowed)",
            kept.0,
            gone.0,
            channel,
            kind,
            at
        )
        .execute(&mut **tx)
        .await?
        .rows_affected()
            > 0;
        match since {
            _ if !given => left.push((channel, kind, since)),
            Some(since) => moved.turned.push((channel, kind, since)),
            None => moved.declined.push((channel, kind)),
        }
    }
    noes.kinds = left;
    Ok(())
}

/// The addresses that the joining `id` left out are these: mail from them is still known as `kept`'s.
///
/// # Errors
/// When the database fails.
pub(super) async fn leave_out(tx: &mut Tx<'_>, id: i64, kept: ContactId, addresses: &[String]) -> Result<()> {
    sqlx::query!("delete from former_addresses where merge_id = $1 and address <> all ($2)", id, addresses)
        .execute(&mut **tx)
        .await?;
    sqlx::query!(
        "insert into former_addresses (address, merge_id, contact_id)
         select address, $2, $3 from unnest($1::text[]) as left_out (address) on conflict do nothing",
        addresses,
        id,
        kept.0
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
