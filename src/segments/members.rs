//! Who belongs to a rule: how many, a page of them, whether one does. The rules of
//! other segments that it asks about are read first.

use super::{
    compile::{self, Context},
    evaluate::{DEEPEST, Library},
    field::Field,
    rule::Group,
};
use crate::{
    chile::time,
    contacts::contact::full_name,
    error::{Error, Result},
    ids::ContactId,
};
use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection, Postgres, QueryBuilder, Row as _, Transaction};
use std::collections::BTreeSet;

/// Longest that a count may take while somebody waits for it, in milliseconds.
const PATIENCE: u32 = 5_000;

/// Most conditions that a rule may come to together with the rules that it asks about:
/// Postgres takes 65 535 values at most.
const MOST_CONDITIONS: usize = 1_000;

/// The rules of all segments that `rule` asks about, and those that they ask about.
///
/// # Errors
/// [`Error::Refused`] when they come back to themselves or to more than can be asked at once; the database's.
pub async fn library(db: &mut PgConnection, rule: &Group) -> Result<Library> {
    let known = read(db, rule).await?;
    if !can_be_asked(rule, &known) {
        return Err(Error::refused(
            "Este segmento combina demasiados segmentos, o uno que vuelve a él mismo, y no se puede calcular. \
             Edítalo y quita alguna de sus condiciones «está en el segmento».",
        ));
    }
    Ok(known)
}

/// Whether `rule` comes to an end, and to no more than can be asked at once.
pub(super) fn can_be_asked(rule: &Group, known: &Library) -> bool {
    fn spend(rule: &Group, known: &Library, depth: usize, left: &mut usize) -> bool {
        rule.conditions().into_iter().all(|it| {
            let Some(rest) = left.checked_sub(1) else { return false };
            *left = rest;
            let ids = it.values.iter().filter_map(|id| id.trim().parse::<i64>().ok());
            it.field != Field::Segment
                || depth < DEEPEST
                    && ids.filter_map(|id| known.get(&id)).all(|inner| spend(inner, known, depth + 1, left))
        })
    }
    let mut left = MOST_CONDITIONS;
    spend(rule, known, 0, &mut left)
}

/// The rules that `rule` asks about, whether they come to an end or not.
pub(super) async fn read(db: &mut PgConnection, rule: &Group) -> Result<Library> {
    let mut known = Library::new();
    let mut wanted: BTreeSet<i64> = rule.segments();
    while !wanted.is_empty() {
        let ids: Vec<i64> = wanted.iter().copied().collect();
        let rows = sqlx::query!("select id, rule from segments where id = any ($1)", &ids)
            .fetch_all(&mut *db)
            .await?;
        wanted.clear();
        for row in rows {
            let rule: Group = serde_json::from_value(row.rule)
                .map_err(|_| Error::Internal(format!("segment {} holds a rule that is not one", row.id)))?;
            wanted.extend(rule.segments());
            known.insert(row.id, rule);
        }
        wanted.retain(|it| !known.contains_key(it));
    }
    Ok(known)
}

/// How many contacts `rule` describes, those that were joined into others aside; none: counting would take too long to wait for.
///
/// # Errors
/// When the database fails.
pub async fn count(db: &mut PgConnection, now: DateTime<Utc>, rule: &Group) -> Result<Option<i64>> {
    let library = library(db, rule).await?;
    let context = Context { library: &library, today: time::local_date(now) };
    let mut query = QueryBuilder::new("select count(*) from contacts c where c.merged_into is null and ");
    compile::push(&mut query, rule, context);
    // Lookups over a million people are hashed in memory rather than made one by one.
    let mut tx = hurried(db).await?;
    let counted = query.build_query_scalar::<i64>().fetch_one(&mut *tx).await;
    // The limits end with the transaction.
    tx.rollback().await?;
    unless_late(counted)
}

/// A transaction in which nothing takes longer than somebody waits for.
async fn hurried(db: &mut PgConnection) -> Result<Transaction<'_, Postgres>> {
    let mut tx = db.begin().await?;
    let mut limits = QueryBuilder::<Postgres>::new(
        "select set_config('work_mem', '64MB', true), set_config('statement_timeout', ",
    );
    limits.push_bind(PATIENCE.to_string()).push(", true)");
    limits.build().execute(&mut *tx).await?;
    Ok(tx)
}

/// None: it took too long.
fn unless_late<T>(answer: sqlx::Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(it) => Ok(Some(it)),
        Err(sqlx::Error::Database(it)) if it.code().as_deref() == Some("57014") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// One of those whom a rule describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Row.
    pub id: ContactId,
    /// What to call them.
    pub name: String,
    /// Email address.
    pub email: Option<String>,
    /// E.164.
    pub phone: Option<String>,
    /// Name of their company.
    pub company: Option<String>,
}

/// Contacts that `rule` describes, the newest first, with ids below `before`, at most `limit`;
/// none: finding them would take too long to wait for.
///
/// # Errors
/// When the database fails.
pub async fn newest(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    rule: &Group,
    before: Option<ContactId>,
    limit: i64,
) -> Result<Option<Vec<Member>>> {
    let library = library(db, rule).await?;
    let context = Context { library: &library, today: time::local_date(now) };
    let mut query = QueryBuilder::new(
        "select c.id, c.first_name, c.last_name, c.email, c.phone, k.name as company
         from contacts c left join companies k on k.id = c.company_id
         where c.merged_into is null and ",
    );
    compile::push(&mut query, rule, context);
    if let Some(before) = before {
        query.push(" and c.id < ").push_bind(before.0);
    }
    query.push(" order by c.id desc limit ").push_bind(limit);
    let mut tx = hurried(db).await?;
    let found = query.build().fetch_all(&mut *tx).await;
    tx.rollback().await?;
    let Some(rows) = unless_late(found)? else { return Ok(None) };
    let member = |it: &sqlx::postgres::PgRow| -> sqlx::Result<Member> {
        let (first, last): (String, String) = (it.try_get("first_name")?, it.try_get("last_name")?);
        let (email, phone): (Option<String>, Option<String>) = (it.try_get("email")?, it.try_get("phone")?);
        Ok(Member {
            id: ContactId(it.try_get("id")?),
            name: full_name(&first, &last, email.as_deref(), phone.as_deref()),
            email,
            phone,
            company: it.try_get("company")?,
        })
    };
    Ok(Some(rows.iter().map(member).collect::<sqlx::Result<_>>()?))
}

/// Ids that `rule` describes above `after`, in order, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn page(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    rule: &Group,
    after: ContactId,
    limit: i64,
) -> Result<Vec<ContactId>> {
    let library = library(db, rule).await?;
    let context = Context { library: &library, today: time::local_date(now) };
    let mut query = QueryBuilder::new("select c.id from contacts c where c.merged_into is null and c.id > ");
    query.push_bind(after.0).push(" and ");
    compile::push(&mut query, rule, context);
    query.push(" order by c.id limit ").push_bind(limit);
    let ids: Vec<i64> = query.build_query_scalar().fetch_all(db).await?;
    Ok(ids.into_iter().map(ContactId).collect())
}
