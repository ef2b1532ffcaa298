//! Everything that happened with one contact, newest first, from every table that
//! knows of it: each is read by its own index, a page at a time, and then merged.

use crate::{
    channels::Channel,
    chile::time,
    contacts::{
        lifecycle::Cause,
        vocabulary::{Basis, HistoryKind, InteractionKind, Lifecycle},
    },
    error::Result,
    ids::{ContactId, ImportId, InteractionId, MessageId, StaffId, TaskId},
    messaging::kinds::{BlockReason, DeferReason, Status},
};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use sqlx::PgConnection;

/// Where entries come from. The order breaks ties between entries of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Purchases, visits, enrolments.
    History,
    /// What was agreed to and withdrawn.
    Consent,
    /// Moves of the lifecycle.
    Lifecycle,
    /// Moves on the board.
    Stage,
    /// Tasks that were done.
    Task,
    /// Messages, with what became of them.
    Message,
    /// Calls, meetings, letters, notes.
    Interaction,
}

impl Kind {
    /// Every one, in the order in which they are offered.
    pub const ALL: [Kind; 7] = [
        Kind::Interaction,
        Kind::Message,
        Kind::History,
        Kind::Stage,
        Kind::Lifecycle,
        Kind::Task,
        Kind::Consent,
    ];

    /// As in an address.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Kind::History => "history",
            Kind::Consent => "consents",
            Kind::Lifecycle => "lifecycle",
            Kind::Stage => "stages",
            Kind::Task => "tasks",
            Kind::Message => "messages",
            Kind::Interaction => "interactions",
        }
    }

    /// From an address.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|it| it.code() == code)
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Kind::History => "Compras y visitas",
            Kind::Consent => "Permisos",
            Kind::Lifecycle => "Estado",
            Kind::Stage => "Embudo",
            Kind::Task => "Tareas hechas",
            Kind::Message => "Mensajes",
            Kind::Interaction => "Bitácora",
        }
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum What {
    /// Staff wrote it into the log.
    Interaction {
        /// What it was.
        kind: InteractionKind,
        /// In a line.
        summary: String,
        /// In full.
        detail: Option<String>,
        /// Who wrote it.
        by: Option<(StaffId, String)>,
        /// When it was written down.
        written_at: DateTime<Utc>,
    },
    /// A message, and what became of it.
    Message {
        /// By which channel.
        channel: Channel,
        /// Subject, once filled.
        subject: Option<String>,
        /// Campaign that asked for it.
        campaign: Option<String>,
        /// State.
        status: Status,
        /// Why it waits.
        defer_reason: Option<DeferReason>,
        /// Why it was refused.
        block_reason: Option<BlockReason>,
        /// When they first opened, followed or answered it.
        answered_at: Option<DateTime<Utc>>,
    },
    /// Bought, came, enrolled.
    History {
        /// Which.
        kind: HistoryKind,
        /// The day.
        on: NaiveDate,
        /// What.
        item: String,
        /// Whole pesos.
        amount: i64,
        /// How many.
        quantity: i32,
        /// The file that says so.
        import: Option<ImportId>,
    },
    /// Moved in the lifecycle.
    Lifecycle {
        /// From.
        from: Lifecycle,
        /// To.
        to: Lifecycle,
        /// Why.
        cause: Cause,
        /// In words.
        detail: Option<String>,
        /// Who on the staff did it.
        by: Option<String>,
    },
    /// Moved on the board.
    Stage {
        /// From this stage; none: put on the board.
        from: Option<String>,
        /// To this stage; none: taken off it.
        to: Option<String>,
        /// Who on the staff did it.
        by: Option<String>,
    },
    /// A task was done.
    Task {
        /// What was to be done.
        title: String,
        /// Who on the staff did it.
        by: Option<String>,
    },
    /// Agreed to promotions, or withdrew.
    Consent {
        /// On which channel.
        channel: Channel,
        /// On this basis; none: withdrew.
        basis: Option<Basis>,
        /// What an import had stated was taken back with it: neither a yes nor a no.
        is_reversed: bool,
        /// The proof.
        source: String,
        /// Who on the staff wrote it down.
        by: Option<String>,
        /// The file that says so.
        import: Option<ImportId>,
    },
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: DateTime<Utc>,
    /// Where it comes from.
    pub kind: Kind,
    /// Row there.
    pub id: i64,
    /// What.
    pub what: What,
}

impl Entry {
    /// The log entry, if it is one.
    #[must_use]
    pub fn interaction(&self) -> Option<InteractionId> {
        (self.kind == Kind::Interaction).then_some(InteractionId(self.id))
    }

    /// The message, if it is one.
    #[must_use]
    pub fn message(&self) -> Option<MessageId> {
        (self.kind == Kind::Message).then_some(MessageId(self.id))
    }

    /// The task, if it is one.
    #[must_use]
    pub fn task(&self) -> Option<TaskId> {
        (self.kind == Kind::Task).then_some(TaskId(self.id))
    }

    /// Where the page after this entry starts.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { at: self.at, kind: self.kind, id: self.id }
    }
}

/// The entry below which to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    at: DateTime<Utc>,
    kind: Kind,
    id: i64,
}

impl Cursor {
    /// From an address.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Cursor> {
        let mut parts = code.split('.');
        let at = DateTime::from_timestamp_micros(parts.next()?.parse().ok()?)?;
        let kind = Kind::from_code(parts.next()?)?;
        let id = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Cursor { at, kind, id })
    }

    /// As in an address.
    #[must_use]
    pub fn code(self) -> String {
        format!("{}.{}.{}", self.at.timestamp_micros(), self.kind.code(), self.id)
    }

    /// Rows of `kind` must come before this: an instant and, at that instant, an id.
    fn bound(this: Option<Cursor>, kind: Kind) -> (DateTime<Utc>, i64) {
        match this {
            None => (DateTime::<Utc>::MAX_UTC.min(far()), i64::MAX),
            Some(it) if kind == it.kind => (it.at, it.id),
            Some(it) if kind < it.kind => (it.at, i64::MAX),
            Some(it) => (it.at, i64::MIN),
        }
    }
}

/// Later than anything that Postgres holds for us.
fn far() -> DateTime<Utc> {
    DateTime::from_timestamp(32_503_680_000, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// A page of the timeline, and where the next one starts.
///
/// # Errors
/// When the database fails.
pub async fn page(
    db: &mut PgConnection,
    contact: ContactId,
    only: Option<Kind>,
    below: Option<Cursor>,
    size: usize,
) -> Result<(Vec<Entry>, Option<Cursor>)> {
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let mut entries = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|it| only.is_none_or(|only| only == *it)) {
        let (at, id) = Cursor::bound(below, kind);
        entries.extend(match kind {
            Kind::Interaction => interactions(db, contact, at, id, limit).await?,
            Kind::Message => messages(db, contact, at, id, limit).await?,
            Kind::History => history(db, contact, at, id, limit).await?,
            Kind::Lifecycle => lifecycle(db, contact, at, id, limit).await?,
            Kind::Stage => stages(db, contact, at, id, limit).await?,
            Kind::Task => tasks(db, contact, at, id, limit).await?,
            Kind::Consent => consents(db, contact, at, id, limit).await?,
        });
    }
    entries.sort_by_key(|it| std::cmp::Reverse(it.cursor()));
    let more = entries.len() > size;
    entries.truncate(size);
    let next = entries.last().filter(|_| more).map(Entry::cursor);
    Ok((entries, next))
}

async fn interactions(
    db: &mut PgConnection,
    contact: ContactId,
    at: DateTime<Utc>,
    id: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select i.id, i.kind, i.summary, i.detail, i.at, i.created_at, i.staff_user_id, s.name as "by?"
           from interactions i left join staff_users s on s.id = i.staff_user_id
           where i.contact_id = $1 and (i.at, i.id) < ($2, $3) order by i.at desc, i.id desc limit $4"#,
        contact.0,
        at,
        id,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| Entry {
            at: it.at,
            kind: Kind::Interaction,
            id: it.id,
            what: What::Interaction {
                kind: InteractionKind::from_code(&it.kind).unwrap_or(InteractionKind::Note),
                summary: it.summary,
                detail: it.detail,
                by: it.staff_user_id.map(StaffId).zip(it.by),
                written_at: it.created_at,
            },
        })
        .collect())
}

/// One person's messages are few, since caps hold them down: sorting them by when they left costs little.
async fn messages(
    db: &mut PgConnection,
    contact: ContactId,
    at: DateTime<Utc>,
    id: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select l.id, l.communication_type, l.subject, l.status, l.defer_reason, l.block_reason,
               coalesce(l.sent_at, l.created_at) as "at!", least(l.opened_at, l.clicked_at, l.replied_at) as answered_at,
               k.name as "campaign?"
           from communication_logs l left join campaigns k on k.id = l.campaign_id
           where l.contact_id = $1 and (coalesce(l.sent_at, l.created_at), l.id) < ($2, $3)
           order by coalesce(l.sent_at, l.created_at) desc, l.id desc limit $4"#,
        contact.0,
        at,
        id,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Entry {
                at: it.at,
                kind: Kind::Message,
                id: it.id,
                what: What::Message {
                    channel: Channel::from_code(&it.communication_type)?,
                    subject: it.subject,
                    campaign: it.campaign,
                    status: Status::from_code(&it.status)?,
                    defer_reason: it.defer_reason.as_deref().and_then(DeferReason::from_code),
                    block_reason: it.block_reason.as_deref().and_then(BlockReason::from_code),
                    answered_at: it.answered_at,
                },
            })
        })
        .collect())
}

/// An entry of the history has a day and no hour: it stands at noon.
async fn history(
    db: &mut PgConnection,
    contact: ContactId,
    at: DateTime<Utc>,
    id: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    let noon = |day| time::at_local(day, NaiveTime::from_hms_opt(12, 0, 0).unwrap_or(NaiveTime::MIN));
    let day = time::local_date(at);
    let id = match noon(day).cmp(&at) {
        std::cmp::Ordering::Less => i64::MAX,
        std::cmp::Ordering::Equal => id,
        std::cmp::Ordering::Greater => i64::MIN,
    };
    let rows = sqlx::query!(
        "select id, kind, occurred_on, item, amount, quantity, import_id from history_entries
         where contact_id = $1 and (occurred_on, id) < ($2, $3) order by occurred_on desc, id desc limit $4",
        contact.0,
        day,
        id,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Entry {
                at: noon(it.occurred_on),
                kind: Kind::History,
                id: it.id,
                what: What::History {
                    kind: HistoryKind::from_code(&it.kind)?,
                    on: it.occurred_on,
                    item: it.item,
                    amount: it.amount,
                    quantity: it.quantity,
                    import: it.import_id.map(ImportId),
                },
            })
        })
        .collect())
}

async fn lifecycle(
    db: &mut PgConnection,
    contact: ContactId,
    at: DateTime<Utc>,
    id: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select l.id, l.from_lifecycle, l.to_lifecycle, l.cause, l.detail, l.at, s.name as "by?"
           from lifecycle_changes l left join staff_users s on s.id = l.staff_user_id
           where l.contact_id = $1 and (l.at, l.id) < ($2, $3) order by l.at desc, l.id desc limit $4"#,
        contact.0,
        at,
        id,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Entry {
                at: it.at,
                kind: Kind::Lifecycle,
                id: it.id,
                what: What::Lifecycle {
                    from: Lifecycle::from_code(&it.from_lifecycle)?,
                    to: Lifecycle::from_code(&it.to_lifecycle)?,
                    cause: Cause::from_code(&it.cause)?,
                    detail: it.detail,
                    by: it.by,
                },
            })
        })
        .collect())
}

async fn stages(
    db: &mut PgConnection,
    contact: ContactId,
    at: DateTime<Utc>,
    id: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select m.id, m.from_stage, m.to_stage, m.at, s.name as "by?"
           from pipeline_moves m left join staff_users s on s.id = m.staff_user_id
           where m.contact_id = $1 and (m.at, m.id) < ($2, $3) order by m.at desc, m.id desc limit $4"#,
        contact.0,
        at,
        id,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| Entry {
            at: it.at,
            kind: Kind::Stage,
            id: it.id,
            what: What::Stage { from: it.from_stage, to: it.to_stage, by: it.by },
        })
        .collect())
}

async fn tasks(
    db: &mut PgConnection,
    contact: ContactId,
    at: DateTime<Utc>,
    id: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select t.id, t.title, t.done_at as "at!", s.name as "by?"
           from tasks t left join staff_users s on s.id = t.done_by
           where t.contact_id = $1 and t.done_at is not null and (t.done_at, t.id) < ($2, $3)
           order by t.done_at desc, t.id desc limit $4"#,
        contact.0,
        at,
        id,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| Entry {
            at: it.at,
            kind: Kind::Task,
            id: it.id,
            what: What::Task { title: it.title, by: it.by },
        })
        .collect())
}

async fn consents(
    db: &mut PgConnection,
    contact: ContactId,
    at: DateTime<Utc>,
    id: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select e.id, e.communication_type, e.basis, e.source, e.import_id, e.at, s.name as "by?"
           from consent_events e left join staff_users s on s.id = e.staff_user_id
           where e.contact_id = $1 and (e.at, e.id) < ($2, $3) order by e.at desc, e.id desc limit $4"#,
        contact.0,
        at,
        id,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Entry {
                at: it.at,
                kind: Kind::Consent,
                id: it.id,
                what: What::Consent {
                    channel: Channel::from_code(&it.communication_type)?,
                    basis: Basis::from_code(&it.basis),
                    is_reversed: it.basis == "REVERSED",
                    source: it.source,
                    by: it.by,
                    import: it.import_id.map(ImportId),
                },
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_lead_back_to_themselves() {
        let cursor = Cursor {
            at: DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap(),
            kind: Kind::Stage,
            id: 7,
        };
        assert_eq!(Cursor::from_code(&cursor.code()), Some(cursor));
        for wrong in ["", "1.stages", "x.stages.1", "1.nothing.1", "1.stages.1.2"] {
            assert_eq!(Cursor::from_code(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn at_one_instant_the_order_of_kinds_decides_what_is_still_to_come() {
        let at = DateTime::from_timestamp(0, 0).unwrap();
        let cursor = Some(Cursor { at, kind: Kind::Stage, id: 7 });
        assert_eq!(Cursor::bound(cursor, Kind::Stage), (at, 7));
        assert_eq!(Cursor::bound(cursor, Kind::Lifecycle), (at, i64::MAX), "sorts below: still to come");
        assert_eq!(Cursor::bound(cursor, Kind::Message), (at, i64::MIN), "sorts above: shown already");
    }
}
