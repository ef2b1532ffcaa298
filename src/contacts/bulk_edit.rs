//! One change to a page of people at once, with how each stood before, and the way
//! back for those whom nobody changed since. Knows no job that drives it.

use super::{
    lifecycle::{self, Cause},
    pipeline,
    vocabulary::Lifecycle,
};
use crate::{
    access::{Actor, Permission},
    db::Tx,
    error::Result,
    ids::{InterestId, StaffId, StageId},
};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeSet;

/// People with how each stood before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stood {
    /// Rows.
    pub ids: Vec<i64>,
    /// How each stood.
    pub before: Vec<Value>,
}

impl FromIterator<(i64, Value)> for Stood {
    fn from_iter<I: IntoIterator<Item = (i64, Value)>>(all: I) -> Stood {
        let (ids, before) = all.into_iter().unzip();
        Stood { ids, before }
    }
}

/// What people are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A tag.
    Tag(InterestId),
    /// One tag less.
    Untag(InterestId),
    /// Somebody who looks after them; none: nobody.
    Owner(Option<StaffId>),
    /// How far the relationship has come.
    Lifecycle(Lifecycle),
    /// A place on the board: the row of the stage.
    Stage(i64),
}

/// Give `contacts` the edit; gives whom it changed, and how they stood. The caller audits.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden), or the database's: among them that what they are given is gone.
pub async fn apply(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    edit: Edit,
    contacts: &[i64],
) -> Result<Stood> {
    actor.require(Permission::EditContacts)?;
    match edit {
        Edit::Tag(interest) => {
            let tagged = super::interests::attach(tx, now, actor, contacts, interest).await?;
            Ok(tagged.into_iter().map(|id| (id, Value::Null)).collect())
        }
        Edit::Untag(interest) => untag(tx, contacts, interest).await,
        Edit::Owner(owner) => hand_over(tx, now, contacts, owner).await,
        Edit::Lifecycle(to) => {
            let stood = sqlx::query!(
                r#"select id, to_jsonb(lifecycle) as "before!" from contacts
                   where id = any($1) and lifecycle <> $2 order by id for no key update"#,
                contacts,
                to.code()
            )
            .fetch_all(&mut **tx)
            .await?;
            lifecycle::move_to(tx, now, actor, contacts, to, Cause::Hand, Some("Cambio masivo")).await?;
            Ok(stood.into_iter().map(|it| (it.id, it.before)).collect())
        }
        Edit::Stage(stage) => put_on_stage(tx, now, actor, contacts, StageId(stage)).await,
    }
}

async fn untag(tx: &mut Tx<'_>, contacts: &[i64], interest: InterestId) -> Result<Stood> {
    let stood = sqlx::query!(
        r#"delete from contact_interests where contact_id = any($1) and interest_id = $2
           returning contact_id, to_jsonb(at) as "before!""#,
        contacts,
        interest.0
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(stood.into_iter().map(|it| (it.contact_id, it.before)).collect())
}

async fn hand_over(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    contacts: &[i64],
    owner: Option<StaffId>,
) -> Result<Stood> {
    let stood = sqlx::query!(
        r#"with moving as (
               select id, owner_id from contacts where id = any($1) and owner_id is distinct from $2 order by id for no key update
           ), moved as (
               update contacts c set owner_id = $2, updated_at = $3 from moving m where c.id = m.id
           )
           select id as "id!", coalesce(to_jsonb(owner_id), 'null') as "before!" from moving"#,
        contacts,
        owner.map(|it| it.0),
        now
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(stood.into_iter().map(|it| (it.id, it.before)).collect())
}

async fn put_on_stage(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contacts: &[i64],
    stage: StageId,
) -> Result<Stood> {
    let stood = sqlx::query!(
        r#"select c.id, jsonb_build_object('stage', p.stage_id, 'moved_at', p.moved_at, 'put_at', $2::timestamptz) as "before!"
           from contacts c left join pipeline_cards p on p.contact_id = c.id
           where c.id = any($1) order by c.id for no key update of c"#,
        contacts,
        now
    )
    .fetch_all(&mut **tx)
    .await?;
    let moved: BTreeSet<i64> =
        pipeline::move_to(tx, now, actor, contacts, stage).await?.into_iter().collect();
    Ok(stood.into_iter().filter(|it| moved.contains(&it.id)).map(|it| (it.id, it.before)).collect())
}

/// Take the edit back from those who still stand as it left them; gives who they are.
///
/// # Errors
/// As for [`apply`].
pub async fn restore(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    edit: Edit,
    stood: &Stood,
) -> Result<Vec<i64>> {
    actor.require(Permission::EditContacts)?;
    match edit {
        Edit::Tag(interest) => super::interests::detach(tx, actor, &stood.ids, interest).await,
        Edit::Untag(interest) => Ok(sqlx::query_scalar!(
            "insert into contact_interests (contact_id, interest_id, at)
             select c.id, i.id, (u.before #>> '{}')::timestamptz from unnest($1::bigint[], $2::jsonb[]) u (id, before)
             join contacts c on c.id = u.id join interests i on i.id = $3 order by c.id
             on conflict do nothing returning contact_id",
            &stood.ids,
            &stood.before,
            interest.0
        )
        .fetch_all(&mut **tx)
        .await?),
        Edit::Owner(owner) => Ok(sqlx::query_scalar!(
            "with moving as (
                 select c.id, s.id as owner_id from unnest($1::bigint[], $2::jsonb[]) u (id, before)
                 join contacts c on c.id = u.id
                 left join staff_users s on s.id = (u.before #>> '{}')::bigint
                 where c.owner_id is not distinct from $3 order by c.id for no key update of c
             )
             update contacts c set owner_id = m.owner_id, updated_at = $4 from moving m where c.id = m.id returning c.id",
            &stood.ids,
            &stood.before,
            owner.map(|it| it.0),
            now
        )
        .fetch_all(&mut **tx)
        .await?),
        Edit::Lifecycle(from) => move_back(tx, now, actor, from, stood).await,
        Edit::Stage(stage) => put_back(tx, now, actor, stage, stood).await,
    }
}

async fn move_back(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    from: Lifecycle,
    stood: &Stood,
) -> Result<Vec<i64>> {
    let unmoved = sqlx::query_scalar!(
        "select id from contacts where id = any($1) and lifecycle = $2 order by id for no key update",
        &stood.ids,
        from.code()
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut back = Vec::new();
    for to in Lifecycle::ALL {
        let there: Vec<i64> = stood
            .ids
            .iter()
            .zip(&stood.before)
            .filter(|(id, before)| before.as_str() == Some(to.code()) && unmoved.contains(id))
            .map(|(id, _)| *id)
            .collect();
        back.extend(
            lifecycle::move_to(tx, now, actor, &there, *to, Cause::Undone, Some("Cambio masivo")).await?,
        );
    }
    Ok(back)
}

async fn put_back(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    stage: i64,
    stood: &Stood,
) -> Result<Vec<i64>> {
    // A stage that is gone by now takes nobody back: they stay where they are. Nor does a card
    // go on which somebody wrote since what the deal may bring, or when to follow it up.
    Ok(sqlx::query_scalar!(
        r#"with moving as (
               select p.contact_id, u.before ->> 'moved_at' as moved_at, s.id as stage_id, s.name
               from unnest($1::bigint[], $2::jsonb[]) u (id, before)
               join pipeline_cards p on p.contact_id = u.id
               left join pipeline_stages s on s.id = (u.before ->> 'stage')::bigint
               where p.stage_id = $3 and (u.before ->> 'put_at' is null or p.moved_at = (u.before ->> 'put_at')::timestamptz)
                   and case when u.before ->> 'stage' is null then p.value = 0 and p.follow_up_on is null
                       else s.id is not null end
               order by p.contact_id for update of p
           ), moved as (
               update pipeline_cards p set stage_id = m.stage_id, moved_at = m.moved_at::timestamptz
               from moving m where p.contact_id = m.contact_id and m.stage_id is not null
           ), taken as (
               delete from pipeline_cards p using moving m where p.contact_id = m.contact_id and m.stage_id is null
           ), told as (
               insert into pipeline_moves (contact_id, from_stage, to_stage, staff_user_id, at)
               select m.contact_id, f.name, m.name, $4, $5 from moving m join pipeline_stages f on f.id = $3
           )
           select contact_id as "id!" from moving"#,
        &stood.ids,
        &stood.before,
        stage,
        actor.staff_id().map(|it| it.0),
        now
    )
    .fetch_all(&mut **tx)
    .await?)
}
