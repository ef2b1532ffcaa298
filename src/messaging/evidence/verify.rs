//! Whether the log is still what was sealed. Reads only, a page at a time, and names the first row that is not.

use super::digest::{self, DIGEST, Event, Key};
use crate::{
    db::Tx,
    error::{Error, Result},
};
use futures_util::TryStreamExt as _;
use sqlx::PgPool;
use std::collections::BTreeMap;

/// Seals checked by one query.
const SEALS: i64 = 20;

/// Messages checked by one query.
const MESSAGES: i64 = 20_000;

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The head of the chain as it was kept elsewhere: must still be part of it.
    pub head: Option<Vec<u8>>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Seals that fit.
    pub seals: u64,
    /// Events that fit their seal.
    pub events: u64,
    /// Messages that fit their events.
    pub messages: u64,
    /// Events that are not sealed yet: nothing can be said of them.
    pub unsealed: u64,
    /// Seals that another `SECRET_KEY` signed: the chain holds, who made it can't be told.
    pub foreign: u64,
    /// Hash of the newest seal.
    pub head: Option<Vec<u8>>,
    /// The first thing that does not fit.
    pub broken: Option<Broken>,
}

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Position of the seal.
    pub seal: Option<i64>,
    /// The event.
    pub event: Option<i64>,
    /// The message.
    pub message: Option<i64>,
    /// What it is.
    pub fault: Fault,
}

/// In what way something does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A seal is missing, or was put in.
    SealMissing,
    /// A seal is not what it was.
    SealChanged,
    /// A seal was not signed by us.
    SealForged,
    /// An event is gone.
    EventMissing,
    /// An event was put in afterwards.
    EventAdded,
    /// An event is not what it was.
    EventChanged,
    /// The message of an event is gone.
    MessageMissing,
    /// A message is not what it was when it left or ended, or the text that it was made from is not.
    MessageChanged,
    /// A message is in a state to which no event brought it, waits for what none told, or has moments that none knows.
    StatusChanged,
    /// The head that was kept elsewhere is not part of the chain: its end was cut off, or all of it made anew.
    HeadMissing,
}

impl Fault {
    /// As other programs read it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Fault::SealMissing => "SEAL_MISSING",
            Fault::SealChanged => "SEAL_CHANGED",
            Fault::SealForged => "SEAL_FORGED",
            Fault::EventMissing => "EVENT_MISSING",
            Fault::EventAdded => "EVENT_ADDED",
            Fault::EventChanged => "EVENT_CHANGED",
            Fault::MessageMissing => "MESSAGE_MISSING",
            Fault::MessageChanged => "MESSAGE_CHANGED",
            Fault::StatusChanged => "STATUS_CHANGED",
            Fault::HeadMissing => "HEAD_MISSING",
        }
    }

    /// In Spanish, without a full stop.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Fault::SealMissing => "falta un sello de la cadena, o alguien puso otro",
            Fault::SealChanged => "el sello fue modificado",
            Fault::SealForged => "el sello no lo firmó este programa",
            Fault::EventMissing => "el evento fue borrado",
            Fault::EventAdded => "el evento se agregó después, por fuera del programa",
            Fault::EventChanged => "el evento fue modificado",
            Fault::MessageMissing => "el mensaje fue borrado",
            Fault::MessageChanged => "el mensaje, o el texto con que se hizo, fue modificado después",
            Fault::StatusChanged => "el estado del mensaje no corresponde a sus eventos",
            Fault::HeadMissing => {
                "el sello que guardaste ya no está en la cadena: se cortó su final o se rehízo entera"
            }
        }
    }
}

/// Check everything, as it stands at one moment.
///
/// # Errors
/// When the database fails.
pub async fn all(db: &PgPool, key: &Key, question: &Question) -> Result<Report> {
    let mut tx = db.begin().await?;
    // What is written meanwhile must not look as if it had been put in behind the seals.
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let mut report = Report::default();
    let broken = match chain(&mut tx, key, &mut report).await? {
        None => messages(&mut tx, &mut report).await?,
        broken => broken,
    };
    report.broken = match (broken, &question.head) {
        (None, Some(head)) if !has_head(&mut tx, head).await? => {
            Some(Broken { seal: None, event: None, message: None, fault: Fault::HeadMissing })
        }
        (broken, _) => broken,
    };
    Ok(report)
}

async fn has_head(tx: &mut Tx<'_>, head: &[u8]) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from evidence_seals where hash = $1 or (position = 1 and previous = $1)) as "found!""#,
        head
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(found)
}

/// A seal as it stands.
struct Seal {
    position: i64,
    last_event: i64,
    event_ids: Vec<i64>,
    digests: Vec<u8>,
    previous: Vec<u8>,
    hash: Vec<u8>,
    key_fingerprint: Vec<u8>,
    signature: Vec<u8>,
}

/// Where the chain has been followed to.
struct Place {
    position: i64,
    last_event: i64,
    hash: Vec<u8>,
}

async fn chain(tx: &mut Tx<'_>, key: &Key, report: &mut Report) -> Result<Option<Broken>> {
    let fingerprint = key.fingerprint();
    let mut place = Place { position: 0, last_event: 0, hash: digest::ORIGIN.to_vec() };
    loop {
        let seals = sqlx::query_as!(
            Seal,
            "select position, last_event, event_ids, digests, previous, hash, key_fingerprint, signature
             from evidence_seals where position > $1 order by position limit $2",
            place.position,
            SEALS
        )
        .fetch_all(&mut **tx)
        .await?;
        if seals.is_empty() {
            break;
        }
        let after = place.last_event;
        for seal in &seals {
            if let Some(fault) = link(seal, &place, key, &fingerprint) {
                return Ok(Some(Broken { seal: Some(seal.position), event: None, message: None, fault }));
            }
            report.foreign += u64::from(seal.key_fingerprint != fingerprint);
            report.seals += 1;
            place = Place { position: seal.position, last_event: seal.last_event, hash: seal.hash.clone() };
        }
        if let Some(broken) = events(tx, after, &seals, report).await? {
            return Ok(Some(broken));
        }
    }
    let unsealed = sqlx::query_scalar!(
        r#"select count(*) as "count!" from communication_events where id > $1"#,
        place.last_event
    )
    .fetch_one(&mut **tx)
    .await?;
    report.unsealed = u64::try_from(unsealed).unwrap_or_default();
    report.head = (report.seals > 0).then_some(place.hash);
    Ok(None)
}

fn link(seal: &Seal, place: &Place, key: &Key, fingerprint: &[u8]) -> Option<Fault> {
    if seal.position != place.position + 1 || seal.previous != place.hash {
        return Some(Fault::SealMissing);
    }
    let hash = digest::seal(&seal.previous, seal.position, seal.last_event, &seal.event_ids, &seal.digests);
    if seal.hash != hash || seal.last_event < place.last_event {
        return Some(Fault::SealChanged);
    }
    (seal.key_fingerprint == fingerprint && !key.has_signed(&seal.hash, &seal.signature))
        .then_some(Fault::SealForged)
}

/// What a sealed event must be.
struct Expected<'s> {
    seal: i64,
    digest: &'s [u8],
}

/// The events of `seals`, each against its digest and, where it says that a message left, against that message.
async fn events(tx: &mut Tx<'_>, after: i64, seals: &[Seal], report: &mut Report) -> Result<Option<Broken>> {
    let mut expected: BTreeMap<i64, Expected<'_>> = BTreeMap::new();
    for seal in seals {
        let digests = seal.digests.chunks_exact(DIGEST);
        for (id, digest) in seal.event_ids.iter().zip(digests) {
            expected.insert(*id, Expected { seal: seal.position, digest });
        }
    }
    let through = seals.last().map_or(after, |it| it.last_event);
    let mut rows = sqlx::query!(
        r#"select e.id, e.communication_log_id, e.at, e.kind, e.reason, e.until, e.attempt, e.answer, e.drip_run_id,
                  e.staff_user_id, e.facts, l.id is null as "gone!",
                  e.facts is not null and e.kind in ('SENT', 'CONFIRMED')
                      and not coalesce(message_is_as_proven(l, e.facts), false) as "altered!"
           from communication_events e left join communication_logs l on l.id = e.communication_log_id
           where e.id > $1 and e.id <= $2 order by e.id"#,
        after,
        through
    )
    .fetch(&mut **tx);
    let mut missing = expected.keys().copied().collect::<Vec<_>>().into_iter().peekable();
    let gone = |id: i64| Broken {
        seal: expected.get(&id).map(|it| it.seal),
        event: Some(id),
        message: None,
        fault: Fault::EventMissing,
    };
    while let Some(row) = rows.try_next().await? {
        let (is_gone, is_altered) = (row.gone, row.altered);
        let event = Event {
            id: row.id,
            communication_log_id: row.communication_log_id,
            at: row.at,
            kind: row.kind,
            reason: row.reason,
            until: row.until,
            attempt: row.attempt,
            answer: row.answer,
            drip_run_id: row.drip_run_id,
            staff_user_id: row.staff_user_id,
            facts: row.facts,
        };
        if let Some(id) = missing.next_if(|it| *it < event.id) {
            return Ok(Some(gone(id)));
        }
        let it = expected.get(&event.id);
        let fault = match it {
            None => Some(Fault::EventAdded),
            Some(it) if it.digest != event.digest() => Some(Fault::EventChanged),
            Some(_) if is_gone => Some(Fault::MessageMissing),
            Some(_) if is_altered => Some(Fault::MessageChanged),
            Some(_) => None,
        };
        if let Some(fault) = fault {
            return Ok(Some(Broken {
                seal: it.map(|it| it.seal),
                event: Some(event.id),
                message: Some(event.communication_log_id),
                fault,
            }));
        }
        missing.next();
        report.events += 1;
    }
    Ok(missing.next().map(gone))
}

/// Each message is where its last event brought it, and what it was then, where it ended without leaving. Of arrivals and
/// answers only that there were any is compared: their events say when we heard of it.
async fn messages(tx: &mut Tx<'_>, report: &mut Report) -> Result<Option<Broken>> {
    let mut last = 0;
    loop {
        let page = sqlx::query!(
            r#"with page as (
                   select l as whole, l.* from communication_logs l where id > $1 order by id limit $2
               )
               select max(page.id) as last, count(*) as "count!",
                      min(page.id) filter (where not coalesce(fits.fits, false)) as misplaced,
                      min(page.id) filter (where not coalesce(fits.proven, true)) as altered
               from page left join lateral (
                   select e.kind in ('SENT', 'CONFIRMED') or e.facts is null or message_is_as_proven(page.whole, e.facts) as proven, case
                       when e.kind in ('QUEUED', 'DEFERRED', 'RETRY', 'REQUEUED')
                           then page.status in ('PENDING', 'SENDING') and page.sent_at is null and case
                               when page.status = 'SENDING' then true
                               when e.kind = 'DEFERRED'
                                   then page.defer_reason is not distinct from e.reason and page.next_attempt_at is not distinct from e.until
                               when e.kind = 'RETRY'
                                   then page.attempts = e.attempt and page.defer_reason is not distinct from 'RETRY' and page.next_attempt_at is not distinct from e.until
                                       and page.error is not distinct from e.answer
                               when e.kind = 'QUEUED' then page.defer_reason is null and page.next_attempt_at = page.scheduled_at
                               -- What a run gave back untouched and without an hour keeps the one that it had.
                               else page.defer_reason is null and (page.next_attempt_at = coalesce(e.until, e.at)
                                   or (e.until is null and e.drip_run_id is not null))
                           end
                       when e.kind in ('SENT', 'CONFIRMED')
                           then page.sent_at is not null
                               and page.defer_reason is null and (page.error is null or page.status = 'BOUNCED')
                               and (e.attempt is null or page.attempts = e.attempt)
                               and row(page.status collate "C", page.delivered_at is null, page.replied_at is null, page.opened_at,
                                    page.clicked_at, page.machine_opened_at, page.machine_clicked_at, page.unsubscribed_at) is not distinct from (
                                   select row(coalesce(max(kind) filter (where kind = 'REPLIED'), max(kind) filter (where kind = 'CLICKED'),
                                              max(kind) filter (where kind = 'OPENED'), max(kind) filter (where kind = 'BOUNCED'),
                                              max(kind) filter (where kind = 'DELIVERED'), 'SENT') collate "C",
                                          not coalesce(bool_or(kind = 'DELIVERED'), false),
                                          not coalesce(bool_or(kind = 'REPLIED'), false),
                                          min(at) filter (where kind in ('OPENED', 'CLICKED')),
                                          min(at) filter (where kind = 'CLICKED'),
                                          min(at) filter (where kind = 'MACHINE_OPENED'),
                                          min(at) filter (where kind = 'MACHINE_CLICKED'),
                                          (select max(at) from communication_events
                                           where communication_log_id = page.id and kind = 'UNSUBSCRIBED'))
                                   -- What was told before is of a copy that left before, and moved nothing.
                                   from communication_events where communication_log_id = page.id and id > e.id)
                       else page.status = e.kind and page.sent_at is null and page.defer_reason is null
                           and (e.kind <> 'BLOCKED' or page.block_reason is not distinct from e.reason)
                           and (e.kind <> 'FAILED' or page.error is not distinct from e.answer)
                   end as fits
                   from communication_events e
                   where e.communication_log_id = page.id
                       -- What came back says nothing of how it left, and that it might leave changes nothing.
                       and e.kind not in ('ALLOWED', 'UNSUBSCRIBED', 'DELIVERED', 'DELAYED', 'BOUNCED', 'COMPLAINED', 'OPENED', 'CLICKED',
                           'REPLIED', 'AUTO_REPLIED', 'MACHINE_OPENED', 'MACHINE_CLICKED')
                   order by e.id desc limit 1
               ) fits on true"#,
            last,
            MESSAGES
        )
        .fetch_one(&mut **tx)
        .await?;
        let Some(through) = page.last else { return Ok(None) };
        let misplaced = page.misplaced.map(|id| (id, Fault::StatusChanged));
        let altered = page.altered.map(|id| (id, Fault::MessageChanged));
        if let Some((id, fault)) = misplaced.into_iter().chain(altered).min_by_key(|it| it.0) {
            return Ok(Some(Broken { seal: None, event: None, message: Some(id), fault }));
        }
        report.messages += u64::try_from(page.count).unwrap_or_default();
        last = through;
    }
}

/// The hash of a seal as people keep it.
///
/// # Errors
/// [`Error::Refused`] when it is none.
pub fn head_from_text(text: &str) -> Result<Vec<u8>> {
    hex::decode(text.trim()).ok().filter(|it| it.len() == 32).ok_or_else(|| {
        Error::refused("El sello debe ser el texto de 64 letras y números que mostró «audit verify».")
    })
}
