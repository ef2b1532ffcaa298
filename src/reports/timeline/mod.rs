//! Everything that happened with one contact, newest first, from every table that
//! knows of it: each is read by its own index, a page at a time, and then merged.

mod sources;

use crate::{
    channels::Channel,
    contacts::{
        lifecycle::Cause,
        merge,
        rhythm::Rhythm,
        vocabulary::{Basis, HistoryKind, InteractionKind, Lifecycle},
    },
    error::Result,
    ids::{ContactId, ImportId, InteractionId, MessageId, StaffId, TaskId},
    messaging::kinds::{BlockReason, DeferReason, Status},
};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

/// Where entries come from. The order breaks ties between entries of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Purchases, visits, enrolments.
    History,
    /// What was agreed to and withdrawn.
    Consent,
    /// How often they want promotions, and pauses.
    Rhythm,
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
    pub const ALL: [Kind; 8] = [
        Kind::Interaction,
        Kind::Message,
        Kind::History,
        Kind::Stage,
        Kind::Lifecycle,
        Kind::Task,
        Kind::Consent,
        Kind::Rhythm,
    ];

    /// As in an address.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Kind::History => "history",
            Kind::Consent => "consents",
            Kind::Rhythm => "rhythms",
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
            Kind::Rhythm => "Frecuencia",
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
    /// Said how often they want promotions, and until when none.
    Rhythm {
        /// On which channel.
        channel: Channel,
        /// What they asked for.
        rhythm: Rhythm,
        /// The proof.
        source: String,
        /// The day on which somebody on the staff was told.
        asked_on: Option<NaiveDate>,
        /// Who on the staff wrote it down.
        by: Option<String>,
        /// The message whose link was used.
        message: Option<MessageId>,
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

/// A page of the timeline, and where the next one starts. Of whoever was joined into the contact, too.
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
    let people = merge::all_of(db, contact).await?;
    for kind in Kind::ALL.into_iter().filter(|it| only.is_none_or(|only| only == *it)) {
        let (at, id) = Cursor::bound(below, kind);
        for contact in people.iter().copied() {
            entries.extend(match kind {
                Kind::Interaction => sources::interactions(db, contact, at, id, limit).await?,
                Kind::Message => sources::messages(db, contact, at, id, limit).await?,
                Kind::History => sources::history(db, contact, at, id, limit).await?,
                Kind::Lifecycle => sources::lifecycle(db, contact, at, id, limit).await?,
                Kind::Stage => sources::stages(db, contact, at, id, limit).await?,
                Kind::Task => sources::tasks(db, contact, at, id, limit).await?,
                Kind::Consent => sources::consents(db, contact, at, id, limit).await?,
                Kind::Rhythm => sources::rhythms(db, contact, at, id, limit).await?,
            });
        }
    }
    entries.sort_by_key(|it| std::cmp::Reverse(it.cursor()));
    let more = entries.len() > size;
    entries.truncate(size);
    let next = entries.last().filter(|_| more).map(Entry::cursor);
    Ok((entries, next))
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
