//! Whom a campaign is for: contacts who work at a company, chosen by industry,
//! comuna or import. Counts them, pages through them, and foretells who the gate
//! would leave out and why; the gate itself decides when they are queued.

use crate::{
    channels::Channel,
    chile::time,
    error::Result,
    ids::{CompanyId, ContactId},
    messaging::{
        kinds::{BlockReason, MessageType},
        limits,
    },
};
use chrono::{DateTime, Days, Utc};
use sqlx::{PgConnection, PgExecutor};
use std::collections::BTreeMap;

/// Who belongs to an audience. Within one list any fits, between lists all must; an empty list asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Industries of the company, as written there.
    pub industries: Vec<String>,
    /// CUT codes of the comuna of the company or, where that is not known, of the person.
    pub comunas: Vec<String>,
    /// Imports that made or changed the person, or made the company.
    pub import_ids: Vec<i64>,
}

impl Rule {
    /// Whether it takes everyone who works at a company.
    #[must_use]
    pub fn is_everyone(&self) -> bool {
        self.industries.is_empty() && self.comunas.is_empty() && self.import_ids.is_empty()
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
}

/// The audience with the gate's verdict on each, in the gate's order
/// (`messaging::gate::eligible`; a test holds the two together). Addresses of
/// email are unique among contacts, so nobody shares one here.
/// Parameters 1 to 7: industries, comunas, imports, channel, kind, promotional, required.
macro_rules! over_verdicts {
    ($tail:literal, $question:expr $(, $more:expr)*) => {
        sqlx::query!(
            "with verdicts as (
                 select c.id, c.first_name, c.last_name, c.company_id, k.name as company, a.address, m.missing,
                        case when a.address is null then 'NO_ADDRESS'
                             when s.destination is not null then 'SUPPRESSED'
                             -- Both questions are asked once, not for each person.
                             when exists (select 1 from suppressions where destination is null and lifted_at is null)
                                 and suppression_hash((select key from suppression_key), a.address) in (
                                     select address_hash from suppressions
                                     where communication_type = $4 and destination is null and lifted_at is null
                                       and (scope = 'ALL' or $6)) then 'SUPPRESSED'
                             when $6 and case $4 when 'EMAIL' then c.email_basis when 'SMS' then c.sms_basis
                                                 else c.whatsapp_basis end is null then 'NO_CONSENT'
                             when p.contact_id is not null then 'PREFERENCE'
                             when m.missing is not null then 'MISSING_VARIABLE' end as reason
                 from contacts c
                 join companies k on k.id = c.company_id
                 cross join lateral (select nullif(case $4 when 'EMAIL' then c.email else c.phone end, '') as address) a
                 cross join lateral (
                     select case when 'first_name' = any($7) and btrim(c.first_name) = '' then 'first_name'
                                 when 'last_name' = any($7) and btrim(c.last_name) = '' then 'last_name'
                                 when 'company' = any($7) and btrim(k.name) = '' then 'company'
                                 when 'job_title' = any($7) and btrim(coalesce(c.job_title, '')) = '' then 'job_title'
                                 when 'comuna' = any($7) and coalesce(c.comuna, k.comuna) is null then 'comuna'
                                 when 'industry' = any($7) and btrim(coalesce(k.industry, '')) = '' then 'industry'
                            end as missing
                 ) m
                 left join (
                     select distinct destination from suppressions
                     where communication_type = $4 and destination is not null and lifted_at is null
                       and (scope = 'ALL' or $6)
                 ) s on s.destination = a.address
                 left join contact_preferences p
                     on p.contact_id = c.id and p.communication_type = $4 and p.message_type = $5 and not p.allowed
                 where (cardinality($1::text[]) = 0 or k.industry = any($1))
                   and (cardinality($2::text[]) = 0 or coalesce(k.comuna, c.comuna) = any($2))
                   and (cardinality($3::bigint[]) = 0 or c.import_id = any($3) or k.import_id = any($3)
                        or exists (select 1 from import_changes i
                                   where i.import_id = any($3) and i.subject_kind = 'contact' and i.subject_id = c.id))
             )" + $tail,
            &$question.rule.industries,
            &$question.rule.comunas,
            &$question.rule.import_ids,
            $question.channel.code(),
            $question.message_type.code(),
            $question.message_type.is_promotional(),
            &$question.required.iter().map(|it| (*it).to_owned()).collect::<Vec<String>>()
            $(, $more)*
        )
    };
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
pub async fn preview(db: impl PgExecutor<'_>, question: Question<'_>) -> Result<Preview> {
    let rows = over_verdicts!(
        r#" select reason, case when reason = 'MISSING_VARIABLE' then missing end as missing, count(*) as "count!"
            from verdicts group by 1, 2"#,
        question
    )
    .fetch_all(db)
    .await?;
    let mut preview = Preview::default();
    for row in rows {
        let count = u64::try_from(row.count).unwrap_or_default();
        preview.total += count;
        match row.reason.as_deref().and_then(BlockReason::from_code) {
            None => preview.reachable += count,
            Some(reason) => *preview.left_out.entry(reason).or_default() += count,
        }
        if let Some(name) = row.missing {
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
    pub company_id: CompanyId,
    /// Its name.
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
    db: impl PgExecutor<'_>,
    question: Question<'_>,
    which: Which,
    after: Option<ContactId>,
    limit: i64,
) -> Result<Vec<Person>> {
    let (which, reason) = match which {
        Which::All => ("all", None),
        Which::Reachable => ("reachable", None),
        Which::LeftOut(reason) => ("left out", Some(reason.code())),
    };
    let rows = over_verdicts!(
        r#" select id, first_name, last_name, company_id as "company_id!", company, address, reason, missing
            from verdicts
            where id > $8 and case $9::text when 'all' then true when 'reachable' then reason is null else reason = $10 end
            order by id limit $11"#,
        question,
        after.map_or(0, |it| it.0),
        which,
        reason,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| {
            let reason = it.reason.as_deref().and_then(BlockReason::from_code);
            Person {
                id: ContactId(it.id),
                name: format!("{} {}", it.first_name, it.last_name).trim().to_owned(),
                company_id: CompanyId(it.company_id),
                company: it.company,
                address: it.address,
                missing: it.missing.filter(|_| reason == Some(BlockReason::MissingVariable)),
                reason,
            }
        })
        .collect())
}

/// Ids of the audience above `after`, in order, at most `limit`, whoever the gate thinks of them.
///
/// # Errors
/// When the database fails.
pub async fn page(db: impl PgExecutor<'_>, rule: &Rule, after: i64, limit: i64) -> Result<Vec<ContactId>> {
    let ids = sqlx::query_scalar!(
        "select c.id from contacts c join companies k on k.id = c.company_id
         where c.id > $4
           and (cardinality($1::text[]) = 0 or k.industry = any($1))
           and (cardinality($2::text[]) = 0 or coalesce(k.comuna, c.comuna) = any($2))
           and (cardinality($3::bigint[]) = 0 or c.import_id = any($3) or k.import_id = any($3)
                or exists (select 1 from import_changes i
                           where i.import_id = any($3) and i.subject_kind = 'contact' and i.subject_id = c.id))
         order by c.id limit $5",
        &rule.industries,
        &rule.comunas,
        &rule.import_ids,
        after,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(ContactId).collect())
}

/// How many who would be queued have had as many messages as a frequency cap
/// allows, and so would wait for it.
///
/// # Errors
/// When the database fails.
pub async fn capped(db: &mut PgConnection, now: DateTime<Utc>, question: Question<'_>) -> Result<u64> {
    let caps = limits::of_channel(&mut *db, question.channel).await?;
    let (mut since, mut most, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
    for cap in caps.iter().filter(|it| it.covers(question.message_type)) {
        let first_day = time::local_date(now) - Days::new(u64::from(cap.days.saturating_sub(1)));
        since.push(time::start_of_day(first_day));
        most.push(i64::from(cap.max_messages));
        kinds.push(cap.message_type.map_or(String::new(), |it| it.code().to_owned()));
    }
    if since.is_empty() {
        return Ok(0);
    }
    let count = over_verdicts!(
        r#" select count(*) as "count!" from verdicts where reason is null and id in (
                select l.contact_id
                from unnest($8::timestamptz[], $9::bigint[], $10::text[]) with ordinality as cap (since, most, kind, place)
                join communication_logs l on l.communication_type = $4 and l.sent_at >= cap.since and l.origin <> 'TEST'
                     and case when cap.kind = '' then l.message_type = any($11) else l.message_type = cap.kind end
                where l.contact_id is not null
                group by l.contact_id, cap.place, cap.most having count(*) >= cap.most
            )"#,
        question,
        &since,
        &most,
        &kinds,
        &MessageType::promotional_codes()
    )
    .fetch_one(db)
    .await?
    .count;
    Ok(u64::try_from(count).unwrap_or_default())
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
    Ok(Choices { industries, comunas, imports })
}
