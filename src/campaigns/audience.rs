//! Whom a campaign is for: people of segments and lists, or contacts who work at
//! a company, chosen by industry, comuna or import. Counts them, pages through them, and foretells who the gate
//! would leave out and why; the gate itself decides when they are queued.

use crate::{
    channels::Channel,
    chile::time,
    error::Result,
    ids::{CampaignId, CompanyId, ContactId},
    messaging::{
        gate,
        kinds::{BlockReason, MessageType},
    },
    segments::{
        compile::{self, Context},
        evaluate::Library,
        field::{Field, Op},
        list, members,
        rule::{Condition, Group},
        segment,
    },
};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _, postgres::PgRow};
use std::collections::BTreeMap;

/// Who belongs to an audience. Within one field any fits, between fields all must; an empty one asks nothing.
/// Without segments and lists, only people who work at a company do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Industries of the company, as written there.
    pub industries: Vec<String>,
    /// CUT codes of the comuna of the company or, where that is not known, of the person.
    pub comunas: Vec<String>,
    /// Imports that made or changed the person, or made the company.
    pub import_ids: Vec<i64>,
    /// Segments that hold the person when they are queued.
    pub segment_ids: Vec<i64>,
    /// Lists that the person is on.
    pub list_ids: Vec<i64>,
}

impl Rule {
    /// Whether it takes everyone who works at a company.
    #[must_use]
    pub fn is_everyone(&self) -> bool {
        *self == Rule::default()
    }
}

/// What the gate asks of a message, as far as it can be foretold for a whole audience.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Whom it is for.
    pub rule: &'a Rule,
    /// How it travels.
    pub channel: Channel,
    /// What it is for.
    pub message_type: MessageType,
    /// Personal variables that the text can't do without.
    pub required: &'a [&'a str],
    /// When it is asked: days relative to it are counted from there.
    pub now: DateTime<Utc>,
}

impl Rule {
    /// Its segments and lists as one rule of `segments`.
    #[must_use]
    pub fn chosen(&self) -> Group {
        let named = [(Field::Segment, &self.segment_ids), (Field::List, &self.list_ids)];
        Group::all(named.into_iter().filter(|it| !it.1.is_empty()).map(|(field, ids)| {
            let values = ids.iter().map(i64::to_string).collect();
            Condition { op: Op::Is, values, ..Condition::new(field) }
        }))
    }
}

/// The rule's segments and lists as one rule of `segments`, with the rules that it asks about.
struct Chosen {
    rule: Group,
    library: Library,
    today: NaiveDate,
}

impl Chosen {
    async fn read(db: &mut PgConnection, now: DateTime<Utc>, rule: &Rule) -> Result<Chosen> {
        let chosen = rule.chosen();
        let library = members::library(db, &chosen).await?;
        Ok(Chosen { rule: chosen, library, today: time::local_date(now) })
    }

    /// Conditions on `contacts c left join companies k`.
    fn push(&self, query: &mut QueryBuilder<Postgres>, rule: &Rule) {
        query.push("c.merged_into is null and ");
        if self.rule.items.is_empty() {
            // Without segments and lists, campaigns are for people at companies.
            query.push("k.id is not null");
        } else {
            compile::push(query, &self.rule, Context { library: &self.library, today: self.today });
        }
        if !rule.industries.is_empty() {
            query.push(" and k.industry = any (").push_bind(rule.industries.clone()).push(")");
        }
        if !rule.comunas.is_empty() {
            query.push(" and coalesce(k.comuna, c.comuna) = any (").push_bind(rule.comunas.clone()).push(")");
        }
        if !rule.import_ids.is_empty() {
            let ids = &rule.import_ids;
            query.push(" and (c.import_id = any (").push_bind(ids.clone());
            query.push(") or k.import_id = any (").push_bind(ids.clone());
            query.push(") or exists (select 1 from import_changes i where i.subject_kind = 'contact' and i.subject_id = c.id and i.import_id = any (");
            query.push_bind(ids.clone()).push(")))");
        }
    }
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

/// `with verdicts as (...)`: the audience with the gate's verdict on each, in the
/// gate's order (`messaging::gate::eligible`; a test holds the two together).
/// Addresses of email are unique among contacts, so nobody shares one here.
pub(super) async fn verdicts(
    db: &mut PgConnection,
    question: Question<'_>,
) -> Result<QueryBuilder<Postgres>> {
    let chosen = Chosen::read(db, question.now, question.rule).await?;
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
    for (name, lacks) in LACKING.iter().filter(|it| question.required.contains(&it.0)) {
        query.push(" when ").push(*lacks).push(" then ").push_bind(*name);
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
    chosen.push(&mut query, question.rule);
    query.push(")");
    Ok(query)
}

/// How many people an audience holds, and what would become of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Preview {
    /// People in the audience.
    pub total: u64,
    /// Those who would be queued.
    pub reachable: u64,
    /// Those who would be left out, by reason.
    pub left_out: BTreeMap<BlockReason, u64>,
    /// Those who lack a datum that the text needs, by variable.
    pub gaps: BTreeMap<String, u64>,
}

impl Preview {
    /// People who would be left out.
    #[must_use]
    pub fn blocked(&self) -> u64 {
        self.total - self.reachable
    }
}

/// Foretell what would become of the audience if it were queued now.
///
/// # Errors
/// When the database fails.
pub async fn preview(db: &mut PgConnection, question: Question<'_>) -> Result<Preview> {
    let mut query = verdicts(db, question).await?;
    query.push(
        " select reason, case when reason = 'MISSING_VARIABLE' then missing end as missing, count(*) as count
          from verdicts group by 1, 2",
    );
    let rows: Vec<(Option<String>, Option<String>, i64)> = query.build_query_as().fetch_all(db).await?;
    let mut preview = Preview::default();
    for (reason, missing, count) in rows {
        let count = u64::try_from(count).unwrap_or_default();
        preview.total += count;
        match reason.as_deref().and_then(BlockReason::from_code) {
            None => preview.reachable += count,
            Some(reason) => *preview.left_out.entry(reason).or_default() += count,
        }
        if let Some(name) = missing {
            *preview.gaps.entry(name).or_default() += count;
        }
    }
    Ok(preview)
}

/// One person of an audience.
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

/// Which people of an audience to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those who would be queued.
    Reachable,
    /// Those who would be left out for one reason.
    LeftOut(BlockReason),
}

/// People of an audience with ids above `after`, at most `limit`, by id.
///
/// # Errors
/// When the database fails.
pub async fn people(
    db: &mut PgConnection,
    question: Question<'_>,
    which: Which,
    after: Option<ContactId>,
    limit: i64,
) -> Result<Vec<Person>> {
    let mut query = verdicts(db, question).await?;
    query.push(PERSON).push(" where id > ");
    query.push_bind(after.map_or(0, |it| it.0));
    match which {
        Which::All => {}
        Which::Reachable => drop(query.push(" and reason is null")),
        Which::LeftOut(reason) => drop(query.push(" and reason = ").push_bind(reason.code())),
    }
    query.push(" order by id limit ").push_bind(limit);
    Ok(query.build().try_map(|it| person(&it)).fetch_all(db).await?)
}

/// The same of those among `ids`.
///
/// # Errors
/// When the database fails.
pub async fn among(db: &mut PgConnection, question: Question<'_>, ids: &[ContactId]) -> Result<Vec<Person>> {
    let ids: Vec<i64> = ids.iter().map(|it| it.0).collect();
    let mut query = verdicts(db, question).await?;
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

/// Ids of the audience above `after`, in order, at most `limit`, whoever the gate thinks of them.
///
/// # Errors
/// When the database fails.
pub async fn page(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    rule: &Rule,
    after: i64,
    limit: i64,
) -> Result<Vec<ContactId>> {
    let chosen = Chosen::read(db, now, rule).await?;
    let mut query = QueryBuilder::new(
        "select c.id from contacts c left join companies k on k.id = c.company_id where c.id > ",
    );
    query.push_bind(after).push(" and ");
    chosen.push(&mut query, rule);
    query.push(" order by c.id limit ").push_bind(limit);
    let ids: Vec<i64> = query.build_query_scalar().fetch_all(db).await?;
    Ok(ids.into_iter().map(ContactId).collect())
}

/// Somebody to try a text on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Row.
    pub id: ContactId,
    /// First and last name; may be empty.
    pub name: String,
    /// Where they work; empty: a private person.
    pub company: String,
}

/// The first `limit` people of an audience, whoever the gate thinks of them.
///
/// # Errors
/// When the database fails.
pub async fn first_of(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    rule: &Rule,
    limit: i64,
) -> Result<Vec<Named>> {
    let ids = page(&mut *db, now, rule, 0, limit).await?;
    named(db, ids.into_iter().map(|it| it.0).collect()).await
}

/// `limit` people to whom `campaign` has a message, those before the others to whom it left or may leave.
///
/// # Errors
/// When the database fails.
pub async fn first_written_to(db: &mut PgConnection, campaign: CampaignId, limit: i64) -> Result<Vec<Named>> {
    let ids = sqlx::query_scalar!(
        r#"select contact_id as "id!" from communication_logs
           where campaign_id = $1 and origin = 'CAMPAIGN' and contact_id is not null order by status desc, id desc limit $2"#,
        campaign.0,
        limit
    )
    .fetch_all(&mut *db)
    .await?;
    named(db, ids).await
}

async fn named(db: &mut PgConnection, ids: Vec<i64>) -> Result<Vec<Named>> {
    let rows = sqlx::query!(
        r#"select c.id, btrim(c.first_name || ' ' || c.last_name) as "name!", coalesce(k.name, '') as "company!"
           from contacts c left join companies k on k.id = c.company_id where c.id = any ($1) order by c.id"#,
        &ids
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| Named { id: ContactId(it.id), name: it.name, company: it.company })
        .collect())
}

/// Something that an audience can be chosen by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// As kept in the rule.
    pub value: String,
    /// People behind it.
    pub people: i64,
}

/// An import that an audience can be chosen by.
#[derive(Clone, Debug)]
pub struct ImportChoice {
    /// Row.
    pub id: i64,
    /// Name of the file.
    pub filename: String,
    /// When it was uploaded.
    pub created_at: DateTime<Utc>,
}

/// All that an audience can be chosen by.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Industries in use.
    pub industries: Vec<Choice>,
    /// Comunas in use, by code.
    pub comunas: Vec<Choice>,
    /// The last hundred finished imports.
    pub imports: Vec<ImportChoice>,
    /// Segments, those of people first: row and name.
    pub segments: Vec<(i64, String)>,
    /// Lists: row, name, members.
    pub lists: Vec<(i64, String, i64)>,
}

/// What an audience can be chosen by.
///
/// # Errors
/// When the database fails.
pub async fn choices(db: &mut PgConnection) -> Result<Choices> {
    let industries = sqlx::query_as!(
        Choice,
        r#"select k.industry as "value!", count(*) as "people!" from contacts c join companies k on k.id = c.company_id
           where k.industry <> '' group by k.industry order by count(*) desc, k.industry limit 500"#
    )
    .fetch_all(&mut *db)
    .await?;
    let comunas = sqlx::query_as!(
        Choice,
        r#"select coalesce(k.comuna, c.comuna) as "value!", count(*) as "people!"
           from contacts c join companies k on k.id = c.company_id
           where coalesce(k.comuna, c.comuna) is not null group by 1 order by count(*) desc, 1 limit 400"#
    )
    .fetch_all(&mut *db)
    .await?;
    let imports = sqlx::query_as!(
        ImportChoice,
        "select id, filename, created_at from imports
         where status = 'DONE' and kind in ('companies', 'contacts') order by id desc limit 100"
    )
    .fetch_all(&mut *db)
    .await?;
    let segments = segment::list(&mut *db).await?.into_iter().map(|it| (it.id.0, it.name)).collect();
    let lists = list::all(&mut *db).await?.into_iter().map(|it| (it.id.0, it.name, it.members)).collect();
    Ok(Choices { industries, comunas, imports, segments, lists })
}
