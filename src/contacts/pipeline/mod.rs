//! The board on which staff moves leads forward: who stands where, what the deal
//! may bring and when to follow up. The columns themselves are `stages`'.

pub mod stages;

use super::{
    check::{self, Check},
    company::Outcome,
    contact_filter::Owner,
};
use crate::{
    access::{Actor, Permission},
    audit,
    chile::{format, pesos},
    db::{
        Tx,
        keyset::{Edge, Key},
    },
    error::{Error, Result},
    ids::{CompanyId, ContactId, StageId},
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgExecutor;

/// Most pesos of a deal: beyond, somebody slipped.
const RICHEST: i64 = 100_000_000_000;

/// What a card says beside its stage, as it is typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// Whole pesos, with or without dots; empty: 0.
    pub value: String,
    /// Day of the next follow-up; empty: none.
    pub follow_up_on: String,
}

/// What a card says beside its stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Details {
    /// Whole pesos.
    pub value: i64,
    /// Day of the next follow-up.
    pub follow_up_on: Option<NaiveDate>,
}

impl Draft {
    /// What was typed.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that is wrong.
    pub fn check(&self) -> Result<Details> {
        let mut check = Check::default();
        let value = if self.value.trim().is_empty() { Some(0) } else { pesos::whole(&self.value) };
        let value = value.filter(|it| (0..=RICHEST).contains(it));
        if value.is_none() {
            check.wrong("value", "Escribe el valor en pesos, como 250.000.");
        }
        let follow_up_on = check.date("follow_up_on", &self.follow_up_on);
        check.done()?;
        Ok(Details { value: value.unwrap_or_default(), follow_up_on })
    }
}

/// A contact on the board.
#[derive(Clone, Debug)]
pub struct Card {
    /// Who.
    pub contact_id: ContactId,
    /// Their name.
    pub name: String,
    /// Where they work.
    pub company: Option<(CompanyId, String)>,
    /// Who looks after them.
    pub owner: Option<String>,
    /// Where they stand.
    pub stage_id: StageId,
    /// Whole pesos that the deal may bring.
    pub value: i64,
    /// Day of the next follow-up.
    pub follow_up_on: Option<NaiveDate>,
    /// Since when they stand there.
    pub moved_at: DateTime<Utc>,
}

impl Card {
    /// Where the cards of its stage go on.
    #[must_use]
    pub fn edge(&self) -> Edge {
        Edge { id: self.contact_id.0, key: Key::At(Some(self.moved_at)) }
    }
}

impl Details {
    /// As it would be typed.
    #[must_use]
    pub fn draft(&self) -> Draft {
        Draft {
            value: if self.value == 0 { String::new() } else { format::number(self.value) },
            follow_up_on: self.follow_up_on.map(|it| it.to_string()).unwrap_or_default(),
        }
    }
}

macro_rules! cards {
    ($from:literal $(, $value:expr)*) => {
        sqlx::query_as!(
            CardRow,
            r#"with page as (
                   select * from "# + $from + r#"
                   where p.stage_id = $1
                       and ($4::timestamptz is null or (p.moved_at <= $4 and (p.moved_at < $4 or p.contact_id > $2)))
                   order by p.moved_at desc, p.contact_id limit $3
               )
               select p.contact_id, p.stage_id, p.value, p.follow_up_on, p.moved_at, c.first_name, c.last_name, c.email,
                   c.phone, c.company_id, k.name as "company?", s.name as "owner?"
               from page p
               join contacts c on c.id = p.contact_id
               left join companies k on k.id = c.company_id
               left join staff_users s on s.id = c.owner_id
               order by p.moved_at desc, p.contact_id"#
            $(, $value)*
        )
    };
}

/// A card as it is read.
struct CardRow {
    contact_id: i64,
    stage_id: i64,
    value: i64,
    follow_up_on: Option<NaiveDate>,
    moved_at: DateTime<Utc>,
    first_name: String,
    last_name: String,
    email: Option<String>,
    phone: Option<String>,
    company_id: Option<i64>,
    company: Option<String>,
    owner: Option<String>,
}

/// The cards of a stage, of the people whom `owner` looks after or of all, latest moved first, below the card
/// that was `after`.
///
/// # Errors
/// When the database fails.
pub async fn cards(
    db: impl PgExecutor<'_>,
    stage: StageId,
    owner: Option<Owner>,
    after: Option<&Edge>,
    limit: i64,
) -> Result<Vec<Card>> {
    let (moved_at, below) = match after {
        Some(Edge { id, key: Key::At(Some(at)) }) => (Some(*at), Some(*id)),
        _ => (None, None),
    };
    // Those of one person are put together before they are ordered: whose are few would else be sought among all. Nobody's
    // are all but the ones that somebody has.
    let rows = match owner {
        None => cards!("pipeline_cards p", stage.0, below, limit, moved_at).fetch_all(db).await?,
        Some(Owner::Staff(id)) => {
            cards!(
                "(select p.* from contacts c join pipeline_cards p on p.contact_id = c.id
                  where c.owner_id = $5 and p.stage_id = $1 offset 0) p",
                stage.0,
                below,
                limit,
                moved_at,
                id.0
            )
            .fetch_all(db)
            .await?
        }
        Some(Owner::Nobody) => {
            cards!(
                "(select * from pipeline_cards p where not exists (
                      select from contacts c where c.id = p.contact_id and c.owner_id is not null)) p",
                stage.0,
                below,
                limit,
                moved_at
            )
            .fetch_all(db)
            .await?
        }
    };
    Ok(rows
        .into_iter()
        .map(|it| Card {
            contact_id: ContactId(it.contact_id),
            name: super::contact::full_name(
                &it.first_name,
                &it.last_name,
                it.email.as_deref(),
                it.phone.as_deref(),
            ),
            company: it.company_id.map(CompanyId).zip(it.company),
            owner: it.owner,
            stage_id: StageId(it.stage_id),
            value: it.value,
            follow_up_on: it.follow_up_on,
            moved_at: it.moved_at,
        })
        .collect())
}

/// Where `contact` stands and what their card says; none: not on the board.
///
/// # Errors
/// When the database fails.
pub async fn card(db: impl PgExecutor<'_>, contact: ContactId) -> Result<Option<(StageId, Details)>> {
    let found = sqlx::query!(
        "select stage_id, value, follow_up_on from pipeline_cards where contact_id = $1",
        contact.0
    )
    .fetch_optional(db)
    .await?;
    Ok(found.map(|it| (StageId(it.stage_id), Details { value: it.value, follow_up_on: it.follow_up_on })))
}

/// Put `contacts` into `stage`, on the board or from another stage; gives who moved. The
/// caller audits: it knows what was asked for.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`] for a stage that is gone, or the database's.
pub async fn move_to(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contacts: &[i64],
    stage: StageId,
) -> Result<Vec<i64>> {
    actor.require(Permission::EditContacts)?;
    // Held against being removed meanwhile.
    let name = sqlx::query_scalar!("select name from pipeline_stages where id = $1 for key share", stage.0)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(Error::NotFound)?;
    Ok(sqlx::query_scalar!(
        "with moving as (
             select c.id, s.name as before
             from contacts c
             left join pipeline_cards p on p.contact_id = c.id
             left join pipeline_stages s on s.id = p.stage_id
             where c.id = any($1) and c.merged_into is null and p.stage_id is distinct from $2
             order by c.id for no key update of c
         ), put as (
             insert into pipeline_cards (contact_id, stage_id, moved_at) select id, $2, $3 from moving
             on conflict (contact_id) do update set stage_id = $2, moved_at = $3
         )
         insert into pipeline_moves (contact_id, from_stage, to_stage, staff_user_id, at)
         select id, before, $4, $5, $3 from moving returning contact_id",
        contacts,
        stage.0,
        now,
        name,
        actor.staff_id().map(|it| it.0)
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Put one contact into `stage`; false: they stood there.
///
/// # Errors
/// As for [`move_to`].
pub async fn put(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    stage: StageId,
) -> Result<bool> {
    super::merge::hold(tx, contact).await?;
    let before = card(&mut **tx, contact).await?.map(|it| it.0);
    let moved = !move_to(tx, now, actor, &[contact.0], stage).await?.is_empty();
    if moved {
        let (before, after) = (before.map(|it| json!({ "stage_id": it })), json!({ "stage_id": stage }));
        record(tx, now, actor, "pipeline.move", contact, before, Some(after)).await?;
    }
    Ok(moved)
}

/// Take one contact off the board; gives where they stood and what their card said, none: they were not on it.
///
/// # Errors
/// [`Error::Forbidden`], or the database's.
pub async fn take_off(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
) -> Result<Option<(StageId, Details)>> {
    actor.require(Permission::EditContacts)?;
    super::merge::hold(tx, contact).await?;
    let gone = sqlx::query!(
        "with gone as (
             delete from pipeline_cards where contact_id = $1 returning contact_id, stage_id, value, follow_up_on
         ), told as (
             insert into pipeline_moves (contact_id, from_stage, staff_user_id, at)
             select g.contact_id, s.name, $2, $3 from gone g join pipeline_stages s on s.id = g.stage_id
         )
         select stage_id, value, follow_up_on from gone",
        contact.0,
        actor.staff_id().map(|it| it.0),
        now
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(gone) = gone else { return Ok(None) };
    let before = json!({ "stage_id": gone.stage_id, "value": gone.value, "follow_up_on": gone.follow_up_on });
    record(tx, now, actor, "pipeline.remove", contact, Some(before), None).await?;
    let details = Details { value: gone.value, follow_up_on: gone.follow_up_on };
    Ok(Some((StageId(gone.stage_id), details)))
}

/// Put one contact back into `stage` with what their card said; false: they stand on the board already, and nothing
/// is changed.
///
/// # Errors
/// As for [`move_to`].
pub async fn put_back(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    stage: StageId,
    details: Details,
) -> Result<bool> {
    actor.require(Permission::EditContacts)?;
    if card(&mut **tx, contact).await?.is_some() {
        return Ok(false);
    }
    put(tx, now, actor, contact, stage).await?;
    edit(tx, now, actor, contact, Details::default(), details).await?;
    Ok(true)
}

/// Change what the card of `contact` says, which said `seen` when it was read.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`] when they are not on the board; or the database's.
pub async fn edit(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    seen: Details,
    details: Details,
) -> Result<Outcome> {
    actor.require(Permission::EditContacts)?;
    super::merge::hold(tx, contact).await?;
    let (_, before) = card(&mut **tx, contact).await?.ok_or(Error::NotFound)?;
    if before == details {
        return Ok(Outcome::Unchanged);
    }
    if before != seen {
        return Ok(Outcome::Stale);
    }
    sqlx::query!(
        "update pipeline_cards set value = $2, follow_up_on = $3 where contact_id = $1",
        contact.0,
        details.value,
        details.follow_up_on
    )
    .execute(&mut **tx)
    .await?;
    let (before, after) = check::changed(&json!(before), &json!(details));
    record(tx, now, actor, "pipeline.edit", contact, Some(before), Some(after)).await?;
    Ok(Outcome::Saved)
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    contact: ContactId,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Result<()> {
    let change =
        audit::Change { action, subject_kind: "contact", subject_id: Some(contact.0), before, after };
    audit::record(tx, now, actor, change).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pesos_are_read_as_people_write_them() {
        let value =
            |text: &str| Draft { value: text.to_owned(), ..Draft::default() }.check().ok().map(|it| it.value);
        assert_eq!(value(""), Some(0));
        assert_eq!(value("$ 1.250.000"), Some(1_250_000));
        assert_eq!(value("250000"), Some(250_000));
        assert_eq!(value("15990.50"), Some(15_990));
        assert_eq!(value("mucho"), None);
        assert_eq!(value("-1"), None);
        assert_eq!(value("999999999999"), None);
    }
}
