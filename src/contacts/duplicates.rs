//! Who may be here twice: pairs of contacts with one telephone, or with near names
//! at one company. Looked for in bulk; what to do about a pair is [`merge`](super::merge)'s.

use super::contact::full_name;
use crate::{
    access::{Actor, Permission},
    audit,
    db::Tx,
    error::{Error, Result},
    ids::ContactId,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

/// People of one telephone, of one company, or of one name or word of it at a larger company, who are compared with
/// each other. More of them share a switchboard or a very common name, and their pairs would drown the rest.
const CROWD: i64 = 40;

/// Why two contacts may be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// One mobile number.
    SamePhone,
    /// One name at one company.
    SameName,
    /// Names that differ in a letter or two, or of which one holds all of the other, at one company.
    NearName,
}

impl Reason {
    /// From the stored code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Reason> {
        match code {
            "SAME_PHONE" => Some(Reason::SamePhone),
            "SAME_NAME_AND_COMPANY" => Some(Reason::SameName),
            "NEAR_NAME_AND_COMPANY" => Some(Reason::NearName),
            _ => None,
        }
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Reason::SamePhone => "Mismo celular",
            Reason::SameName => "Mismo nombre y empresa",
            Reason::NearName => "Nombre parecido y misma empresa",
        }
    }
}

/// Look through the whole address book: new pairs are added, pairs that are none any more
/// go, and what a person said of a pair stays. Gives how many pairs wait for a decision.
///
/// # Errors
/// When the database fails; nothing changed then.
pub async fn look(db: &PgPool, now: DateTime<Utc>) -> Result<u64> {
    let mut tx = db.begin().await?;
    sqlx::query!("set local work_mem = '64MB'").execute(&mut *tx).await?;
    sqlx::query!(
        "create temp table found_pairs on commit drop as select first_id, second_id, reason from duplicate_candidates limit 0"
    )
    .execute(&mut *tx)
    .await?;
    for statement in [BY_PHONE, EMPLOYED, AMONG_FEW, NAMESAKES, BY_WORD] {
        sqlx::query(statement).persistent(false).bind(CROWD).execute(&mut *tx).await?;
    }
    sqlx::query(
        "insert into duplicate_candidates (first_id, second_id, reason, found_at)
         select distinct on (first_id, second_id) first_id, second_id, reason, $1 from found_pairs
         order by first_id, second_id, reason desc
         on conflict (first_id, second_id) do update set reason = excluded.reason
         where duplicate_candidates.reason <> excluded.reason",
    )
    .persistent(false)
    .bind(now)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "delete from duplicate_candidates d where dismissed_at is null and not exists (
             select from found_pairs f where f.first_id = d.first_id and f.second_id = d.second_id)",
    )
    .persistent(false)
    .execute(&mut *tx)
    .await?;
    let open = sqlx::query_scalar!(
        r#"select count(*) as "open!" from duplicate_candidates where dismissed_at is null"#
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(u64::try_from(open).unwrap_or_default())
}

/// A mobile is one person's; a fixed line is shared.
const BY_PHONE: &str = "insert into found_pairs (first_id, second_id, reason)
     with shared as (
        select phone, array_agg(id order by id) as ids from contacts
        where phone like '+569%' group by phone having count(*) between 2 and $1
     )
     select a.id, b.id, 'SAME_PHONE' from shared
     cross join unnest(ids) with ordinality as a (id, place) cross join unnest(ids) with ordinality as b (id, place)
     where a.place < b.place";

/// Names are compared within a company, where a likeness means something: who works where, by what name, and whether
/// they are too many there to compare each with each.
const EMPLOYED: &str = "create temp table employed on commit drop as
     select id, company_id, name, array_remove(string_to_array(name, ' '), '') as words,
            count(*) over (partition by company_id) > $1 as is_crowd
     from (select id, company_id,
                  trim(lower(translate(first_name || ' ' || last_name, 'ÁÉÍÓÚÜÑáéíóúüñ', 'AEIOUUNaeiouun'))) as name
           from contacts where company_id is not null) it
     where length(name) > 3";

/// Whether the names of `a` and `b` may be one person's.
macro_rules! alike {
    () => {
        "(a.name = b.name or similarity(a.name, b.name) >= 0.6
          or (cardinality(a.words) > 1 and a.words <@ b.words) or (cardinality(b.words) > 1 and b.words <@ a.words))"
    };
}

/// How alike they are.
macro_rules! likeness {
    () => {
        "case when a.name = b.name then 'SAME_NAME_AND_COMPANY' else 'NEAR_NAME_AND_COMPANY' end"
    };
}

const AMONG_FEW: &str = concat!(
    "insert into found_pairs (first_id, second_id, reason)
     select a.id, b.id, ",
    likeness!(),
    " from employed a join employed b on b.company_id = a.company_id and b.id > a.id
     where not a.is_crowd and $1::bigint > 0 and ",
    alike!()
);

/// Where many work, who bears a name that few bear.
const NAMESAKES: &str = "insert into found_pairs (first_id, second_id, reason)
     with shared as (
        select array_agg(id order by id) as ids from employed
        where is_crowd group by company_id, name having count(*) between 2 and $1
     )
     select a.id, b.id, 'SAME_NAME_AND_COMPANY' from shared
     cross join unnest(ids) with ordinality as a (id, place) cross join unnest(ids) with ordinality as b (id, place)
     where a.place < b.place";

/// Where many work, who shares a word of the name that few share: a slip of the keyboard spares the other words.
const BY_WORD: &str = concat!(
    "insert into found_pairs (first_id, second_id, reason)
     with worded as (
        select distinct id, company_id, word from employed cross join unnest(words) word where is_crowd and length(word) > 2
     ), shared as (
        select array_agg(id order by id) as ids from worded group by company_id, word having count(*) between 2 and $1
     ), pairs as (
        select distinct x.id as first_id, y.id as second_id from shared
        cross join unnest(ids) with ordinality as x (id, place) cross join unnest(ids) with ordinality as y (id, place)
        where x.place < y.place
     )
     select a.id, b.id, ",
    likeness!(),
    " from pairs join employed a on a.id = first_id join employed b on b.id = second_id where ",
    alike!()
);

/// One of a pair, in a list.
#[derive(Clone, Debug)]
pub struct Side {
    /// Row.
    pub id: ContactId,
    /// What to call them.
    pub name: String,
    /// Email address.
    pub email: Option<String>,
    /// E.164.
    pub phone: Option<String>,
    /// Where they work.
    pub company: Option<String>,
}

/// Two contacts that may be one.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The older.
    pub first: Side,
    /// The newer.
    pub second: Side,
    /// Why.
    pub reason: Reason,
}

impl Pair {
    /// Both, the older first.
    #[must_use]
    pub fn sides(&self) -> [&Side; 2] {
        [&self.first, &self.second]
    }
}

/// At most `limit` pairs that wait for a decision, after the pair `after`, in a fixed order.
///
/// # Errors
/// When the database fails.
pub async fn open(
    db: &mut PgConnection,
    after: Option<(ContactId, ContactId)>,
    limit: i64,
) -> Result<Vec<Pair>> {
    let (first, second) = after.map_or((i64::MAX, i64::MAX), |(a, b)| (a.0, b.0));
    let rows = sqlx::query!(
        r#"select d.reason,
               a.id as a_id, a.first_name as a_first, a.last_name as a_last, a.email as a_email, a.phone as a_phone, ka.name as "a_company?",
               b.id as b_id, b.first_name as b_first, b.last_name as b_last, b.email as b_email, b.phone as b_phone, kb.name as "b_company?"
           from (select * from duplicate_candidates where dismissed_at is null and (first_id, second_id) < ($1, $2)
                 order by first_id desc, second_id desc limit $3) d
           join contacts a on a.id = d.first_id left join companies ka on ka.id = a.company_id
           join contacts b on b.id = d.second_id left join companies kb on kb.id = b.company_id
           order by d.first_id desc, d.second_id desc"#,
        first,
        second,
        limit
    )
    .fetch_all(db)
    .await?;
    let side = |id, first: &str, last: &str, email: Option<String>, phone: Option<String>, company| Side {
        id: ContactId(id),
        name: full_name(first, last, email.as_deref(), phone.as_deref()),
        email,
        phone,
        company,
    };
    Ok(rows
        .into_iter()
        .map(|it| Pair {
            first: side(it.a_id, &it.a_first, &it.a_last, it.a_email, it.a_phone, it.a_company),
            second: side(it.b_id, &it.b_first, &it.b_last, it.b_email, it.b_phone, it.b_company),
            reason: Reason::from_code(&it.reason).unwrap_or(Reason::NearName),
        })
        .collect())
}

/// How many pairs wait for a decision, counted up to `most`.
///
/// # Errors
/// When the database fails.
pub async fn count(db: &mut PgConnection, most: i64) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "open!" from (select from duplicate_candidates where dismissed_at is null limit $1) counted"#,
        most
    )
    .fetch_one(db)
    .await?)
}

/// Who else `contact` may be, and why.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut PgConnection, contact: ContactId) -> Result<Vec<(Side, Reason)>> {
    let rows = sqlx::query!(
        r#"select d.reason as "reason!", c.id, c.first_name, c.last_name, c.email, c.phone, k.name as "company?"
           from (select second_id as other, reason from duplicate_candidates where first_id = $1 and dismissed_at is null
                 union all
                 select first_id, reason from duplicate_candidates where second_id = $1 and dismissed_at is null) d
           join contacts c on c.id = d.other left join companies k on k.id = c.company_id
           order by c.id limit 10"#,
        contact.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| {
            let name = full_name(&it.first_name, &it.last_name, it.email.as_deref(), it.phone.as_deref());
            let side =
                Side { id: ContactId(it.id), name, email: it.email, phone: it.phone, company: it.company };
            (side, Reason::from_code(&it.reason).unwrap_or(Reason::NearName))
        })
        .collect())
}

/// A person says that two contacts are two people; or takes it back.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`] when they are no pair; or the database's.
pub async fn dismiss(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    (a, b): (ContactId, ContactId),
    are_two: bool,
) -> Result<()> {
    actor.require(Permission::EditContacts)?;
    let (first, second) = (a.0.min(b.0), a.0.max(b.0));
    let done = sqlx::query!(
        "update duplicate_candidates set dismissed_at = case when $3 then $4::timestamptz end,
             dismissed_by = case when $3 then $5::bigint end
         where first_id = $1 and second_id = $2",
        first,
        second,
        are_two,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound);
    }
    let change = audit::Change {
        action: if are_two { "duplicate.dismiss" } else { "duplicate.reopen" },
        subject_kind: "contact",
        subject_id: Some(first),
        before: None,
        after: Some(json!({ "other": second })),
    };
    audit::record(tx, now, actor, change).await
}

/// Why these two stand together; none: nobody found them alike.
///
/// # Errors
/// When the database fails.
pub async fn reason(db: &mut PgConnection, a: ContactId, b: ContactId) -> Result<Option<Reason>> {
    let code = sqlx::query_scalar!(
        "select reason from duplicate_candidates where first_id = $1 and second_id = $2",
        a.0.min(b.0),
        a.0.max(b.0)
    )
    .fetch_optional(db)
    .await?;
    Ok(code.as_deref().and_then(Reason::from_code))
}
