//! How far the relationship with a contact has come, and every move with its date
//! and cause. After a contact is made, `contacts.lifecycle` is written here, and by imports and joinings in bulk, which
//! keep their moves the same way; what counts as activity is `metrics`'.

use super::{merge, vocabulary::Lifecycle};
use crate::{
    access::{Actor, Permission},
    audit,
    config::FirstValues,
    db::Tx,
    error::Result,
    ids::ContactId,
    settings::{self, Relationship},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgExecutor;

/// Why a contact moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody on the staff said so.
    Hand,
    /// A file said so.
    Import,
    /// A change in bulk, or an import, was taken back.
    Undone,
    /// Bought for the first time.
    FirstPurchase,
    /// Came for the first time.
    FirstVisit,
    /// Enrolled for the first time.
    FirstEnrolment,
    /// The purchases that had made a customer are gone.
    HistoryRemoved,
    /// Nothing happened for too long.
    Inactivity,
    /// Something happened again.
    Activity,
    /// Two contacts became one.
    Merge,
}

impl Cause {
    const ALL: [Cause; 10] = [
        Cause::Hand,
        Cause::Import,
        Cause::Undone,
        Cause::FirstPurchase,
        Cause::FirstVisit,
        Cause::FirstEnrolment,
        Cause::HistoryRemoved,
        Cause::Inactivity,
        Cause::Activity,
        Cause::Merge,
    ];

    /// As stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Cause::Hand => "HAND",
            Cause::Import => "IMPORT",
            Cause::Undone => "UNDONE",
            Cause::FirstPurchase => "FIRST_PURCHASE",
            Cause::FirstVisit => "FIRST_VISIT",
            Cause::FirstEnrolment => "FIRST_ENROLMENT",
            Cause::HistoryRemoved => "HISTORY_REMOVED",
            Cause::Inactivity => "INACTIVITY",
            Cause::Activity => "ACTIVITY",
            Cause::Merge => "MERGE",
        }
    }

    /// From the stored code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Cause> {
        Cause::ALL.into_iter().find(|it| it.code() == code)
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Cause::Hand => "A mano",
            Cause::Import => "Por una importación",
            Cause::Undone => "Se deshizo un cambio",
            Cause::FirstPurchase => "Primera compra",
            Cause::FirstVisit => "Primera visita",
            Cause::FirstEnrolment => "Primera inscripción",
            Cause::HistoryRemoved => "Se quitaron sus compras",
            Cause::Inactivity => "Sin actividad",
            Cause::Activity => "Volvió a tener actividad",
            Cause::Merge => "Por una fusión",
        }
    }
}

/// Move those of `contacts` that stand elsewhere to `to`; gives who moved. The
/// caller audits: it knows what was asked for.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden), or the database's.
pub async fn move_to(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contacts: &[i64],
    to: Lifecycle,
    cause: Cause,
    detail: Option<&str>,
) -> Result<Vec<i64>> {
    actor.require(Permission::EditContacts)?;
    Ok(sqlx::query_scalar!(
        "with moving as (
             select id, lifecycle from contacts where id = any($1) and lifecycle <> $2 and merged_into is null order by id for update
         ), moved as (
             update contacts c set lifecycle = $2, updated_at = $3 from moving m where c.id = m.id
             returning c.id, m.lifecycle as before
         )
         insert into lifecycle_changes (contact_id, from_lifecycle, to_lifecycle, cause, detail, staff_user_id, at)
         select id, before, $2, $4, $5, $6, $3 from moved returning contact_id",
        contacts,
        to.code(),
        now,
        cause.code(),
        detail,
        actor.staff_id().map(|it| it.0),
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Move one contact by hand; false: they stood there already.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden); as for every change to one contact; or the database's.
pub async fn set(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    to: Lifecycle,
) -> Result<bool> {
    merge::hold(tx, contact).await?;
    let before = sqlx::query_scalar!("select lifecycle from contacts where id = $1", contact.0)
        .fetch_one(&mut **tx)
        .await?;
    let moved = !move_to(tx, now, actor, &[contact.0], to, Cause::Hand, None).await?.is_empty();
    if moved {
        let change = audit::Change {
            action: "contact.lifecycle",
            subject_kind: "contact",
            subject_id: Some(contact.0),
            before: Some(json!({ "lifecycle": before })),
            after: Some(json!({ "lifecycle": to })),
        };
        audit::record(tx, now, actor, change).await?;
    }
    Ok(moved)
}

/// Activity before this instant no longer counts as being in touch.
///
/// # Errors
/// When the database fails.
pub(super) async fn cutoff(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> Result<(DateTime<Utc>, u32)> {
    let days = settings::load::<Relationship>(db, &FirstValues::default()).await?.inactive_after_days;
    Ok((now - TimeDelta::days(i64::from(days)), days))
}

/// Leads and prospects among `contacts`, whose history just grew, are customers from now on.
pub(super) async fn make_customers(tx: &mut Tx<'_>, now: DateTime<Utc>, contacts: &[i64]) -> Result<()> {
    if contacts.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "with moving as (
             select id, lifecycle from contacts where id = any($1) and lifecycle in ('LEAD', 'PROSPECTO')
         ), moved as (
             update contacts c set lifecycle = 'CLIENTE', updated_at = $2 from moving m where c.id = m.id
             returning c.id, m.lifecycle as before
         )
         insert into lifecycle_changes (contact_id, from_lifecycle, to_lifecycle, cause, detail, at)
         select m.id, m.before, 'CLIENTE', 'FIRST_' || h.kind,
             nullif(concat_ws(', ', nullif(h.item, ''), to_char(h.occurred_on, 'DD-MM-YYYY')), ''), $2
         from moved m cross join lateral (
             select kind, item, occurred_on from history_entries
             where contact_id = m.id order by occurred_on, id limit 1
         ) h",
        contacts,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Inactive contacts among `contacts`, with whom something just happened, are
/// customers if they ever bought, else what they were. What happened long ago and
/// is only now written down brings nobody back.
pub(super) async fn bring_back(tx: &mut Tx<'_>, now: DateTime<Utc>, contacts: &[i64]) -> Result<()> {
    if contacts.is_empty() {
        return Ok(());
    }
    let (cutoff, _) = cutoff(&mut **tx, now).await?;
    sqlx::query!(
        "with moving as (
             select c.id, case when m.visits + m.purchases + m.enrolments > 0 then 'CLIENTE'
                 else coalesce(nullif(last.from_lifecycle, 'INACTIVO'), 'LEAD') end as to_lifecycle
             from contacts c
             join contact_metrics m on m.contact_id = c.id
             left join lateral (
                 select from_lifecycle from lifecycle_changes
                 where contact_id = c.id and to_lifecycle = 'INACTIVO' order by at desc, id desc limit 1
             ) last on true
             where c.id = any($1) and c.lifecycle = 'INACTIVO' and m.last_activity_at >= $3
         ), moved as (
             update contacts c set lifecycle = m.to_lifecycle, updated_at = $2 from moving m where c.id = m.id
             returning c.id, c.lifecycle as after
         )
         insert into lifecycle_changes (contact_id, from_lifecycle, to_lifecycle, cause, at)
         select id, 'INACTIVO', after, 'ACTIVITY', $2 from moved",
        contacts,
        now,
        cutoff
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Customers among `contacts` whom a history made that is gone now, as when its
/// import is undone, are again what they were before it.
pub(super) async fn unmake_customers(tx: &mut Tx<'_>, now: DateTime<Utc>, contacts: &[i64]) -> Result<()> {
    if contacts.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "with moving as (
             select c.id, last.from_lifecycle as to_lifecycle
             from contacts c
             join lateral (
                 select from_lifecycle, to_lifecycle, cause from lifecycle_changes
                 where contact_id = c.id order by at desc, id desc limit 1
             ) last on last.to_lifecycle = 'CLIENTE'
                 and last.cause in ('FIRST_PURCHASE', 'FIRST_VISIT', 'FIRST_ENROLMENT')
             where c.id = any($1) and c.lifecycle = 'CLIENTE'
         ), moved as (
             update contacts c set lifecycle = m.to_lifecycle, updated_at = $2 from moving m where c.id = m.id
             returning c.id, c.lifecycle as after
         )
         insert into lifecycle_changes (contact_id, from_lifecycle, to_lifecycle, cause, at)
         select id, 'CLIENTE', after, 'HISTORY_REMOVED', $2 from moved",
        contacts,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
