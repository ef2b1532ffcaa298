//! Whom a campaign is for: people of segments and lists, or contacts who work at
//! a company, chosen by industry, comuna or import. Counts them, pages through them, and foretells who the gate
//! would leave out and why; the gate itself decides when they are queued.

use crate::{
    channels::Channel,
    chile::time,
    contacts::named::named,
    error::Result,
    ids::{CampaignId, ContactId},
    messaging::{foresight, kinds::MessageType},
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
use sqlx::{PgConnection, Postgres, QueryBuilder};
use std::collections::HashMap;

pub use crate::{
    contacts::named::Named,
    messaging::foresight::{Otherwise, Person, Preview, Which},
};

/// Who belongs to an audience. Within one field any fits, between fields all must; an empty one asks nothing.
/// Without segments and lists, only people who work at a company do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Industries of the company, as written there.
    pub industries: Vec<String>,
    /// CUT codes of the comuna of the company or, where that is not known, of the person.
    pub comunas: Vec<String>,
    /// Imports of people that made or changed the person, and imports of companies that made the company.
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
    /// The industries whose people get another text.
    pub otherwise: &'a [Otherwise],
    /// When it is asked: days relative to it are counted from there.
    pub now: DateTime<Utc>,
}

impl<'a> Question<'a> {
    /// What is asked of each person, whoever they are.
    fn of_each(&self) -> foresight::Question<'a> {
        foresight::Question {
            now: self.now,
            channel: self.channel,
            message_type: self.message_type,
            required: self.required,
            otherwise: self.otherwise,
        }
    }
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
            // A file of people names where they work: whoever else works there is none of them.
            query.push(") or k.import_id in (select id from imports where kind = 'companies' and id = any (");
            query.push_bind(ids.clone());
            query.push(")) or exists (select 1 from import_changes i where i.subject_kind = 'contact' and i.subject_id = c.id and i.import_id = any (");
            query.push_bind(ids.clone()).push(")))");
        }
    }
}

/// The audience with the gate's verdict on each; see [`foresight::verdicts`].
pub(super) async fn verdicts(
    db: &mut PgConnection,
    question: Question<'_>,
) -> Result<QueryBuilder<Postgres>> {
    let chosen = Chosen::read(db, question.now, question.rule).await?;
    Ok(foresight::verdicts(question.of_each(), |query| chosen.push(query, question.rule)))
}

/// Foretell what would become of the audience if it were queued now.
///
/// # Errors
/// When the database fails.
pub async fn preview(db: &mut PgConnection, question: Question<'_>) -> Result<Preview> {
    let query = verdicts(db, question).await?;
    foresight::preview(db, query).await
}

/// People of an audience with ids above `after` and not among `without`, at most `limit`, by id.
///
/// # Errors
/// When the database fails.
pub async fn people(
    db: &mut PgConnection,
    question: Question<'_>,
    which: Which,
    without: &[ContactId],
    after: Option<ContactId>,
    limit: i64,
) -> Result<Vec<Person>> {
    let query = verdicts(db, question).await?;
    foresight::people(db, query, which, without, after, limit).await
}

/// The same of those among `ids`.
///
/// # Errors
/// When the database fails.
pub async fn among(db: &mut PgConnection, question: Question<'_>, ids: &[ContactId]) -> Result<Vec<Person>> {
    let query = verdicts(db, question).await?;
    foresight::among(db, query, ids).await
}

/// The same of `ids`, whether they are of the audience by now or not.
///
/// # Errors
/// When the database fails.
pub async fn of_ids(db: &mut PgConnection, question: Question<'_>, ids: &[ContactId]) -> Result<Vec<Person>> {
    let given: Vec<i64> = ids.iter().map(|it| it.0).collect();
    let query = foresight::verdicts(question.of_each(), |query| {
        query.push("c.id = any (").push_bind(given).push(")");
    });
    foresight::among(db, query, ids).await
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

/// Pairs of an audience that may be one person and wait to be compared.
///
/// # Errors
/// When the database fails.
pub async fn pairs(db: &mut PgConnection, now: DateTime<Utc>, rule: &Rule) -> Result<i64> {
    let chosen = Chosen::read(db, now, rule).await?;
    let mut query =
        QueryBuilder::new("select count(*) from duplicate_candidates d where d.dismissed_at is null");
    for side in ["d.first_id", "d.second_id"] {
        query.push(
            " and exists (select from contacts c left join companies k on k.id = c.company_id where c.id = ",
        );
        query.push(side).push(" and ");
        chosen.push(&mut query, rule);
        query.push(")");
    }
    Ok(query.build_query_scalar().fetch_one(db).await?)
}

/// Industries of an audience with their people, the largest first, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn industries(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    rule: &Rule,
    limit: i64,
) -> Result<Vec<Choice>> {
    let chosen = Chosen::read(db, now, rule).await?;
    let mut query = QueryBuilder::new(
        "select k.industry, count(*) from contacts c left join companies k on k.id = c.company_id where k.industry <> '' and ",
    );
    chosen.push(&mut query, rule);
    query.push(" group by k.industry order by count(*) desc, k.industry limit ").push_bind(limit);
    let rows: Vec<(String, i64)> = query.build_query_as().fetch_all(db).await?;
    Ok(rows.into_iter().map(|(value, people)| Choice { value, people }).collect())
}

/// How many of an audience work in each of `industries`; none: nobody.
///
/// # Errors
/// When the database fails.
pub async fn of_industries(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    rule: &Rule,
    industries: &[&str],
) -> Result<HashMap<String, i64>> {
    let chosen = Chosen::read(db, now, rule).await?;
    let mut query = QueryBuilder::new(
        "select k.industry, count(*) from contacts c join companies k on k.id = c.company_id where k.industry = any (",
    );
    query.push_bind(industries.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()).push(") and ");
    chosen.push(&mut query, rule);
    query.push(" group by k.industry");
    let rows: Vec<(String, i64)> = query.build_query_as().fetch_all(db).await?;
    Ok(rows.into_iter().collect())
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
    let ids: Vec<i64> = ids.into_iter().map(|it| it.0).collect();
    named(db, &ids).await
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
    named(db, &ids).await
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
    /// It means those who work at the companies that it made.
    pub of_companies: bool,
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
    /// Lists: row, name, members as far as they are counted.
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
        r#"select id, filename, created_at, kind = 'companies' as "of_companies!" from imports
           where status = 'DONE' and kind in ('companies', 'contacts') order by id desc limit 100"#
    )
    .fetch_all(&mut *db)
    .await?;
    let segments = segment::list(&mut *db).await?.into_iter().map(|it| (it.id.0, it.name)).collect();
    let lists = list::all(&mut *db).await?.into_iter().map(|it| (it.id.0, it.name, it.members)).collect();
    Ok(Choices { industries, comunas, imports, segments, lists })
}
