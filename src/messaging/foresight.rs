//! What the gate would say of many people, foretold by one query; the gate itself
//! decides when they are queued.

use super::{
    gate,
    kinds::{BlockReason, MessageType},
};
use crate::{
    channels::Channel,
    error::Result,
    ids::{CompanyId, ContactId},
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _, postgres::PgRow};
use std::collections::BTreeMap;

/// What the gate asks of a message, as far as it can be foretold for many people.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// As of when.
    pub now: DateTime<Utc>,
    /// How it travels.
    pub channel: Channel,
    /// What it is for.
    pub message_type: MessageType,
    /// Personal variables that the text can't do without.
    pub required: &'a [&'a str],
    /// The industries whose people get another text.
    pub otherwise: &'a [Otherwise],
}

/// What the text of one industry can't do without, which is another than that of everybody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otherwise {
    /// As companies have it.
    pub industry: String,
    /// Personal variables.
    pub required: Vec<&'static str>,
}

/// Where a variable that a text can't do without is lacking, in the order in which the gate looks.
const LACKING: &[(&str, &str)] = &[
    ("first_name", "btrim(c.first_name) = ''"),
    ("last_name", "btrim(c.last_name) = ''"),
    ("company", "btrim(coalesce(k.name, '')) = ''"),
    ("job_title", "btrim(coalesce(c.job_title, '')) = ''"),
    ("comuna", "coalesce(c.comuna, k.comuna) is null"),
    ("industry", "btrim(coalesce(k.industry, '')) = ''"),
];

/// `with verdicts as (...)`: people with the gate's verdict on each, in the gate's order
/// ([`super::gate::eligible`]; a test of campaigns holds the two together). `whom` pushes
/// conditions on `contacts c left join companies k`. Addresses of email are unique among contacts, so nobody shares one here.
#[must_use]
pub fn verdicts(
    question: Question<'_>,
    whom: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> QueryBuilder<Postgres> {
    let (address, basis) = match question.channel {
        Channel::Email => ("c.email", "c.email_basis"),
        Channel::Sms => ("c.phone", "c.sms_basis"),
        Channel::Whatsapp => ("c.phone", "c.whatsapp_basis"),
    };
    let promotional = question.message_type.is_promotional();
    let mut query = QueryBuilder::new(
        "with verdicts as (
             select c.id, c.first_name, c.last_name, c.company_id, coalesce(k.name, '') as company, a.address, m.missing,
                    case when a.address is null then 'NO_ADDRESS'
                         when s.destination is not null then 'SUPPRESSED'
                         -- Both questions are asked once, not for each person.
                         when exists (select 1 from suppressions where destination is null and lifted_at is null)
                              and suppression_hash((select key from suppression_key), a.address) in (
                                  select address_hash from suppressions
                                  where destination is null and lifted_at is null and communication_type = ",
    );
    query.push_bind(question.channel.code()).push(if promotional { "" } else { " and scope = 'ALL'" });
    query.push(") then 'SUPPRESSED' when ");
    query.push(if promotional { basis } else { "true" });
    query.push(
        " is null then 'NO_CONSENT'
                         when p.contact_id is not null then 'PREFERENCE'
                         when w.contact_id is not null then 'PAUSED'
                         when m.missing is not null then 'MISSING_VARIABLE' end as reason
             from contacts c
             left join companies k on k.id = c.company_id
             cross join lateral (select nullif(",
    );
    query.push(address).push(", '') as address) a cross join lateral (select case");
    for (name, lacks) in LACKING {
        push_lacking(&mut query, &question, name, lacks);
    }
    query.push(" when false then '' end as missing) m left join (select distinct destination from suppressions where communication_type = ");
    query.push_bind(question.channel.code()).push(" and destination is not null and lifted_at is null");
    query.push(if promotional { "" } else { " and scope = 'ALL'" });
    query.push(") s on s.destination = a.address left join contact_preferences p on p.contact_id = c.id and not p.allowed and p.communication_type = ");
    query.push_bind(question.channel.code()).push(" and p.message_type = ");
    query.push_bind(question.message_type.code());
    query.push(" left join (select distinct coalesce(r.merged_into, r.id) as contact_id from (select distinct on (contact_id) contact_id, paused_until from contact_rhythms where communication_type = ");
    query.push_bind(question.channel.code()).push(" order by contact_id, id desc) last join contacts r on r.id = last.contact_id where last.paused_until > ");
    query.push_bind(gate::patience(question.now)).push(if promotional { "" } else { " and false" });
    query.push(") w on w.contact_id = c.id where ");
    whom(&mut query);
    query.push(")");
    query
}

/// ` when <lacks> then <name>` for those whose text can't do without it.
fn push_lacking(
    query: &mut QueryBuilder<Postgres>,
    question: &Question<'_>,
    name: &'static str,
    lacks: &'static str,
) {
    let is_usual = question.required.contains(&name);
    let differ = question.otherwise.iter().filter(|it| it.required.contains(&name) != is_usual);
    let differ: Vec<String> = differ.map(|it| it.industry.clone()).collect();
    if !is_usual && differ.is_empty() {
        return;
    }
    query.push(" when ").push(lacks);
    if !differ.is_empty() {
        query.push(" and coalesce(k.industry, '') ").push(if is_usual { "<> all (" } else { "= any (" });
        query.push_bind(differ).push(")");
    }
    query.push(" then ").push_bind(name);
}

/// How many people are asked about, and what would become of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Preview {
    /// People in all.
    pub total: u64,
    /// Those who would be queued.
    pub reachable: u64,
    /// Those who would be left out, by reason.
    pub left_out: BTreeMap<BlockReason, u64>,
    /// Those who lack a datum that the text needs, by variable.
    pub gaps: BTreeMap<String, u64>,
}

impl Preview {
    /// `count` people with one verdict.
    fn add(&mut self, reason: Option<&str>, missing: Option<String>, count: i64) {
        let count = u64::try_from(count).unwrap_or_default();
        self.total += count;
        match reason.and_then(BlockReason::from_code) {
            None => self.reachable += count,
            Some(reason) => *self.left_out.entry(reason).or_default() += count,
        }
        if let Some(name) = missing {
            *self.gaps.entry(name).or_default() += count;
        }
    }
}

/// What the verdicts come to, and the first `named` of those who would be left out, by id: each verdict is given once.
///
/// # Errors
/// When the database fails.
pub async fn foretell(
    db: &mut PgConnection,
    mut query: QueryBuilder<Postgres>,
    named: i64,
) -> Result<(Preview, Vec<Person>)> {
    query.push(
        " select null::bigint as id, '' as first_name, '' as last_name, null::bigint as company_id, '' as company,
                 null as address, reason, case when reason = 'MISSING_VARIABLE' then missing end as missing,
                 count(*) as count
          from verdicts group by 7, 8
          union all (select id, first_name, last_name, company_id, company, address, reason, missing, 1
                     from verdicts where reason is not null order by id limit ",
    );
    query.push_bind(named).push(")");
    let (mut preview, mut people) = (Preview::default(), Vec::new());
    for row in query.build().fetch_all(db).await? {
        if row.try_get::<Option<i64>, _>("id")?.is_some() {
            people.push(person(&row)?);
        } else {
            let reason: Option<String> = row.try_get("reason")?;
            preview.add(reason.as_deref(), row.try_get("missing")?, row.try_get("count")?);
        }
    }
    people.sort_unstable_by_key(|it| it.id);
    Ok((preview, people))
}

/// What the verdicts come to.
///
/// # Errors
/// When the database fails.
pub async fn preview(db: &mut PgConnection, mut query: QueryBuilder<Postgres>) -> Result<Preview> {
    query.push(
        " select reason, case when reason = 'MISSING_VARIABLE' then missing end as missing, count(*) as count
          from verdicts group by 1, 2",
    );
    let rows: Vec<(Option<String>, Option<String>, i64)> = query.build_query_as().fetch_all(db).await?;
    let mut preview = Preview::default();
    for (reason, missing, count) in rows {
        preview.add(reason.as_deref(), missing, count);
    }
    Ok(preview)
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Row.
    pub id: ContactId,
    /// First and last name; may be empty.
    pub name: String,
    /// Where they work.
    pub company_id: Option<CompanyId>,
    /// Its name; empty: a private person.
    pub company: String,
    /// Address on the channel.
    pub address: Option<String>,
    /// Why they would be left out.
    pub reason: Option<BlockReason>,
    /// The variable that they lack.
    pub missing: Option<String>,
}

impl Person {
    /// Their name, or what else they are known by.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.name.is_empty() { self.address.as_deref().unwrap_or("(sin nombre)") } else { &self.name }
    }
}

/// Which people to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those who would be queued.
    Reachable,
    /// Those who would be left out for one reason.
    LeftOut(BlockReason),
}

/// Those with ids above `after` and not among `without`, at most `limit`, by id.
///
/// # Errors
/// When the database fails.
pub async fn people(
    db: &mut PgConnection,
    mut query: QueryBuilder<Postgres>,
    which: Which,
    without: &[ContactId],
    after: Option<ContactId>,
    limit: i64,
) -> Result<Vec<Person>> {
    query.push(PERSON).push(" where id > ");
    query.push_bind(after.map_or(0, |it| it.0));
    match which {
        Which::All => {}
        Which::Reachable => drop(query.push(" and reason is null")),
        Which::LeftOut(reason) => drop(query.push(" and reason = ").push_bind(reason.code())),
    }
    if !without.is_empty() {
        let ids: Vec<i64> = without.iter().map(|it| it.0).collect();
        query.push(" and id <> all (").push_bind(ids).push(")");
    }
    query.push(" order by id limit ").push_bind(limit);
    Ok(query.build().try_map(|it| person(&it)).fetch_all(db).await?)
}

/// The same of those among `ids`.
///
/// # Errors
/// When the database fails.
pub async fn among(
    db: &mut PgConnection,
    mut query: QueryBuilder<Postgres>,
    ids: &[ContactId],
) -> Result<Vec<Person>> {
    let ids: Vec<i64> = ids.iter().map(|it| it.0).collect();
    query.push(PERSON).push(" where id = any (").push_bind(ids).push(") order by id");
    Ok(query.build().try_map(|it| person(&it)).fetch_all(db).await?)
}

const PERSON: &str =
    " select id, first_name, last_name, company_id, company, address, reason, missing from verdicts";

fn person(it: &PgRow) -> sqlx::Result<Person> {
    let reason: Option<String> = it.try_get("reason")?;
    let reason = reason.as_deref().and_then(BlockReason::from_code);
    let (first, last): (String, String) = (it.try_get("first_name")?, it.try_get("last_name")?);
    let missing: Option<String> = it.try_get("missing")?;
    Ok(Person {
        id: ContactId(it.try_get("id")?),
        name: format!("{first} {last}").trim().to_owned(),
        company_id: it.try_get::<Option<i64>, _>("company_id")?.map(CompanyId),
        company: it.try_get("company")?,
        address: it.try_get("address")?,
        missing: missing.filter(|_| reason == Some(BlockReason::MissingVariable)),
        reason,
    })
}
