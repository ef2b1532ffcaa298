//! What each table knows of one contact, read by its own index: the newest `limit`
//! rows before an instant and, at that instant, before an id.

use super::{Entry, Kind, What};
use crate::{
    channels::Channel,
    chile::time,
    contacts::{
        lifecycle::Cause,
        rhythm::Rhythm,
        vocabulary::{Basis, HistoryKind, InteractionKind, Lifecycle},
    },
    error::Result,
    ids::{ContactId, ImportId, MessageId, StaffId},
    messaging::kinds::{BlockReason, DeferReason, Status},
};
use chrono::{DateTime, NaiveTime, Utc};
use sqlx::PgConnection;

pub(super) async fn interactions(
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
pub(super) async fn messages(
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
pub(super) async fn history(
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

pub(super) async fn lifecycle(
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

pub(super) async fn stages(
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

pub(super) async fn tasks(
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

pub(super) async fn consents(
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

/// What was said of somebody with joined cards stands on each of them, and is shown once.
pub(super) async fn rhythms(
    db: &mut PgConnection,
    contact: ContactId,
    at: DateTime<Utc>,
    id: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select r.id, r.communication_type, r.min_days, r.paused_until, r.source, r.asked_on, r.communication_log_id, r.at,
               s.name as "by?"
           from contact_rhythms r left join staff_users s on s.id = r.staff_user_id
           where r.contact_id = $1 and (r.at, r.id) < ($2, $3) and not exists (
               select from contacts c join contact_rhythms other on other.contact_id = c.merged_into
               where c.id = $1 and other.communication_type = r.communication_type and other.at = r.at)
           order by r.at desc, r.id desc limit $4"#,
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
                kind: Kind::Rhythm,
                id: it.id,
                what: What::Rhythm {
                    channel: Channel::from_code(&it.communication_type)?,
                    rhythm: Rhythm {
                        min_days: it.min_days.and_then(|days| u32::try_from(days).ok()),
                        paused_until: it.paused_until,
                    },
                    source: it.source,
                    asked_on: it.asked_on,
                    by: it.by,
                    message: it.communication_log_id.map(MessageId),
                },
            })
        })
        .collect())
}
