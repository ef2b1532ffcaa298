//! What two agreed to who become one, and who become two again: a no of either is
//! the no of both, and a yes stays with the address it was given for, and with its proof.

use super::facts::{self, Facts};
use crate::{access::Actor, contacts::consent, db::Tx, error::Result, ids::ContactId};
use chrono::{DateTime, Utc};

/// The channels by their codes.
pub(super) const CHANNELS: [&str; 3] = ["EMAIL", "SMS", "WHATSAPP"];

/// Who writes, when, and why.
#[derive(Clone, Copy)]
pub(super) struct Hand<'a> {
    pub(super) now: DateTime<Utc>,
    pub(super) actor: &'a Actor,
    pub(super) why: &'static str,
}

/// The channels on which one of `people` said no: by the ledger, or by an address that is excluded. That mail came back
/// from an address says nothing of what the person wants.
pub(super) async fn noes(tx: &mut Tx<'_>, people: &[(ContactId, &Facts)]) -> Result<Vec<&'static str>> {
    let mut noes = Vec::new();
    for channel in CHANNELS {
        let addresses: Vec<String> =
            people.iter().filter_map(|(_, it)| it.address(channel).map(str::to_owned)).collect();
        let mut no = sqlx::query_scalar!(
            r#"select exists (select from suppressions
                   where communication_type = $1 and lifted_at is null and reason <> 'HARD_BOUNCE'
                     and (destination = any($2) or destination is null and address_hash in (
                         select suppression_hash((select key from suppression_key), address)
                         from unnest($2) as its (address)))) as "excluded!""#,
            channel,
            &addresses
        )
        .fetch_one(&mut **tx)
        .await?;
        for (who, _) in people {
            no = no || consent::said_no(tx, *who, channel).await?;
        }
        if no {
            noes.push(channel);
        }
    }
    Ok(noes)
}

/// The channels on which somebody said no who is still joined into `kept`.
async fn noes_of_others(tx: &mut Tx<'_>, kept: ContactId) -> Result<Vec<&'static str>> {
    let joined = sqlx::query!(
        "select id, gone_id, before_gone from contact_merges where kept_id = $1 and undone_at is null order by id",
        kept.0
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut others = Vec::new();
    for it in joined {
        others.push((ContactId(it.gone_id), facts::read(it.id, it.before_gone)?));
    }
    noes(tx, &others.iter().map(|(id, it)| (*id, it)).collect::<Vec<_>>()).await
}

/// The last word that any of the two said until now.
pub(super) async fn last(tx: &mut Tx<'_>, kept: ContactId, gone: ContactId) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select coalesce(max(id), 0) as "id!" from consent_events where contact_id = any($1)"#,
        &[kept.0, gone.0]
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// Tell in the ledger of `kept` what joining did to their bases; gives the channels on which it wrote a no.
pub(super) async fn tell_joined(
    tx: &mut Tx<'_>,
    hand: Hand<'_>,
    (kept, before): (ContactId, &Facts),
    gone: ContactId,
    after: &Facts,
    noes: &[&'static str],
) -> Result<Vec<String>> {
    let mut written = Vec::new();
    for channel in CHANNELS {
        if noes.contains(&channel) {
            // Also where there was no yes: the next file that brings one must find the no.
            if !consent::said_no(tx, kept, channel).await? {
                tell(tx, hand, kept, channel, "WITHDRAWN", hand.why).await?;
                written.push(channel.to_owned());
            }
            continue;
        }
        let same = before.basis_of(channel) == after.basis_of(channel);
        match after.basis_of(channel) {
            Some(basis) if !same || before.address(channel) != after.address(channel) => {
                copy_proof(tx, hand, kept, channel, basis, (gone, i64::MAX)).await?;
            }
            // Who lost a basis with an address said no to nothing.
            None if !same => tell(tx, hand, kept, channel, "REVERSED", hand.why).await?,
            _ => (),
        }
    }
    Ok(written)
}

/// A joining that is taken back.
pub(super) struct Joining<'a> {
    pub(super) kept: ContactId,
    pub(super) gone: ContactId,
    /// The last word before it, and the last that it wrote.
    pub(super) words: (i64, i64),
    /// Channels on which it wrote the other's no.
    pub(super) noes: &'a [String],
}

/// Part the consent of two who were one: `kept` and `gone` are what each will be. A no since
/// they were joined is of both, whatever they were called; a yes since then is of the one that stayed.
pub(super) async fn part(
    tx: &mut Tx<'_>,
    hand: Hand<'_>,
    it: &Joining<'_>,
    current: &Facts,
    (kept, gone): (&mut Facts, &mut Facts),
) -> Result<()> {
    let others = noes_of_others(tx, it.kept).await?;
    for channel in CHANNELS {
        let refused = refused_since(tx, it.kept, channel, it.words.1).await?;
        if let Some(source) = &refused {
            *gone.basis(channel) = None;
            if !consent::said_no(tx, it.gone, channel).await? {
                tell(tx, hand, it.gone, channel, "WITHDRAWN", source).await?;
            }
            if consent::said_no(tx, it.kept, channel).await? {
                *kept.basis(channel) = None;
                continue;
            }
        }
        // Nor does one who parts take along the no of those who stay.
        if others.contains(&channel) && current.basis_of(channel).is_none() {
            *kept.basis(channel) = None;
            continue;
        }
        let of_other =
            it.noes.iter().any(|no| no == channel) && consent::said_no(tx, it.kept, channel).await?;
        if of_other {
            tell(tx, hand, it.kept, channel, "REVERSED", hand.why).await?;
        }
        let same = current.basis_of(channel) == kept.basis_of(channel);
        match kept.basis_of(channel) {
            Some(basis) if !same || current.address(channel) != kept.address(channel) => {
                copy_proof(tx, hand, it.kept, channel, basis, (it.kept, it.words.0)).await?;
            }
            None if !same => tell(tx, hand, it.kept, channel, "REVERSED", hand.why).await?,
            _ => (),
        }
    }
    Ok(())
}

/// The words of the last no of `contact` above the entry `since` that was not itself taken back at once.
pub(super) async fn refused_since(
    tx: &mut Tx<'_>,
    contact: ContactId,
    channel: &str,
    since: i64,
) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "select source from (
             select id, basis, source, lead(basis) over (order by id) as next from consent_events
             where contact_id = $1 and communication_type = $2 and id > $3
                 -- What another brought who was joined since is that one's.
                 and not exists (select from contact_merges m where m.kept_id = $1 and m.undone_at is null
                     and consent_events.id > m.consent_before and consent_events.id <= m.consent_after)
         ) said
         where basis = 'WITHDRAWN' and next is distinct from 'REVERSED' order by id desc limit 1",
        contact.0,
        channel,
        since
    )
    .fetch_optional(&mut **tx)
    .await?)
}

async fn tell(
    tx: &mut Tx<'_>,
    hand: Hand<'_>,
    contact: ContactId,
    channel: &str,
    basis: &str,
    source: &str,
) -> Result<()> {
    sqlx::query!(
        "insert into consent_events (contact_id, communication_type, basis, source, staff_user_id, at)
         values ($1, $2, $3, $4, $5, $6)",
        contact.0,
        channel,
        basis,
        source,
        hand.actor.staff_id().map(|it| it.0),
        hand.now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A yes of `from.0`, said up to the entry `from.1`, stands in the ledger of `contact` with its own proof.
async fn copy_proof(
    tx: &mut Tx<'_>,
    hand: Hand<'_>,
    contact: ContactId,
    channel: &str,
    basis: &str,
    from: (ContactId, i64),
) -> Result<()> {
    sqlx::query!(
        "insert into consent_events (contact_id, communication_type, basis, source, obtained_on, staff_user_id, at)
         select $1, $2, $3, coalesce(proof.source, $4),
             coalesce(proof.obtained_on, (proof.at at time zone 'America/Santiago')::date), $5::bigint, $6
         from (values (1)) as one left join (
             select source, obtained_on, at from consent_events
             where contact_id = $7 and communication_type = $2 and basis = $3 and id <= $8
                 -- What a joining wrote that was taken back proves nothing of theirs.
                 and not exists (select from contact_merges m where m.kept_id = $7 and m.undone_at is not null
                     and consent_events.id > m.consent_before and consent_events.id <= m.consent_after)
             order by id desc limit 1
         ) proof on true",
        contact.0,
        channel,
        basis,
        hand.why,
        hand.actor.staff_id().map(|it| it.0),
        hand.now,
        from.0.0,
        from.1
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
