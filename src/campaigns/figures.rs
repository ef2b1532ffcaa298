//! What became of a campaign's messages: how far they got, when, at which mail services, and which links were followed.
//! Summed from what each statement that moved some wrote down about it (`campaign_figures`, kept by the database
//! itself); what counts as what is said there, and in `messaging::story` for the people behind each number.

use crate::{
    error::Result,
    ids::{CampaignId, TemplateId},
    messaging::kinds::Milestone,
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use std::collections::BTreeMap;

/// Mail services that are shown, at most.
pub const DOMAINS: usize = 10;

/// What is told of the whole, of each hour, of each mail service and of each text.
pub const TOLD: [Milestone; 7] = [
    Milestone::Sent,
    Milestone::Delivered,
    Milestone::Opened,
    Milestone::Clicked,
    Milestone::Replied,
    Milestone::Bounced,
    Milestone::Unsubscribed,
];

/// Links that are shown, at most.
const LINKS: i64 = 20;

/// Differences that are added up at once, at most.
const AT_ONCE: i64 = 100_000;

/// So many are added up while a long run still goes on.
const MANY: i64 = 2_000;

/// Messages that got somewhere, by where.
pub type Counts = BTreeMap<Milestone, i64>;

/// The figures of one campaign.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Hours in which anything happened, by their start, in order.
    pub hours: BTreeMap<DateTime<Utc>, Counts>,
    /// Domains of recipients, those with most messages first.
    pub domains: Vec<(String, Counts)>,
    /// Texts by their place, where the campaign tries several: whoever drew them, in the sample or as one of the rest.
    pub texts: BTreeMap<i16, Counts>,
    /// There are more domains than are shown.
    pub more_domains: bool,
    /// Links that people followed, the most followed first.
    pub links: Vec<Link>,
}

/// A link that people followed.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where it leads, as it was written.
    pub target: String,
    /// One version of the text that has it.
    pub template: TemplateId,
    /// Its number there.
    pub number: i32,
    /// People who followed it.
    pub people: i64,
}

impl Figures {
    /// Messages that got to `milestone`.
    #[must_use]
    pub fn total(&self, milestone: Milestone) -> i64 {
        self.hours.values().filter_map(|it| it.get(&milestone)).sum()
    }
}

/// The figures of the campaign `id`.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut PgConnection, id: CampaignId) -> Result<Figures> {
    let mut figures = Figures::default();
    let hours = sqlx::query!(
        r#"select what, hour as "hour!", sum(messages)::bigint as "count!" from campaign_figures
           where campaign_id = $1 and hour is not null group by what, hour having sum(messages) <> 0"#,
        id.0
    )
    .fetch_all(&mut *db)
    .await?;
    for it in hours {
        let Some(what) = Milestone::from_code(&it.what) else { continue };
        figures.hours.entry(it.hour).or_default().insert(what, it.count);
    }
    figures.texts = texts(&mut *db, id).await?;
    figures.domains = domains(&mut *db, id).await?;
    figures.more_domains = figures.domains.len() > DOMAINS;
    figures.domains.truncate(DOMAINS);
    figures.links = links(db, id).await?;
    Ok(figures)
}

async fn texts(db: impl PgExecutor<'_>, id: CampaignId) -> Result<BTreeMap<i16, Counts>> {
    let rows = sqlx::query!(
        r#"select variant as "place!", what, sum(messages)::bigint as "count!" from campaign_figures
           where campaign_id = $1 and variant is not null group by variant, what having sum(messages) <> 0"#,
        id.0
    )
    .fetch_all(db)
    .await?;
    let mut found: BTreeMap<i16, Counts> = BTreeMap::new();
    for it in rows {
        let Some(what) = Milestone::from_code(&it.what) else { continue };
        found.entry(it.place).or_default().insert(what, it.count);
    }
    Ok(found)
}

/// The domains with most messages, one more than are shown, with what is told of them.
async fn domains(db: impl PgExecutor<'_>, id: CampaignId) -> Result<Vec<(String, Counts)>> {
    let rows = sqlx::query!(
        r#"with biggest as (
               -- Some twenty thousand domains are not much to add up, but for one thing and not for all of them.
               select domain, sum(messages) as sent from campaign_figures
               where campaign_id = $1 and what = 'SENT' and domain is not null and domain <> ''
               group by domain order by sent desc, domain limit $2
           )
           select f.domain as "domain!", f.what, sum(f.messages)::bigint as "count!"
           from campaign_figures f join biggest b using (domain)
           where f.campaign_id = $1 and f.what = any($3) and f.domain = any(array(select domain from biggest))
           group by f.domain, f.what, b.sent order by b.sent desc, f.domain"#,
        id.0,
        i64::try_from(DOMAINS + 1).unwrap_or_default(),
        &TOLD.map(|it| it.code().to_owned())
    )
    .fetch_all(db)
    .await?;
    let mut found: Vec<(String, Counts)> = Vec::new();
    for it in rows {
        let Some(what) = Milestone::from_code(&it.what) else { continue };
        if found.last().is_none_or(|(domain, _)| *domain != it.domain) {
            found.push((it.domain, Counts::new()));
        }
        if let Some((_, counts)) = found.last_mut() {
            counts.insert(what, it.count);
        }
    }
    Ok(found)
}

async fn links(db: impl PgExecutor<'_>, id: CampaignId) -> Result<Vec<Link>> {
    let rows = sqlx::query!(
        r#"select k.target, (array_agg(c.template_id order by c.template_id))[1] as "template!",
               (array_agg(c.number order by c.template_id))[1] as "number!", sum(c.people)::bigint as "people!"
           from (
               select template_id, number, count(*) as people from link_clicks
               where campaign_id = $1 group by template_id, number
           ) c join message_links k on k.template_id = c.template_id and k.number = c.number
           group by k.target order by 4 desc, k.target limit $2"#,
        id.0,
        LINKS
    )
    .fetch_all(db)
    .await?;
    let link =
        |target, template, number, people| Link { target, template: TemplateId(template), number, people };
    Ok(rows.into_iter().map(|it| link(it.target, it.template, it.number, it.people)).collect())
}

/// Add up what has gathered, once it is much: a long run must not make the page of its campaign slow.
///
/// # Errors
/// When the database fails.
pub async fn fold_many(db: &PgPool) -> Result<()> {
    let many = sqlx::query_scalar!(
        r#"select exists (select from campaign_figures where not folded offset $1) as "many!""#,
        MANY
    )
    .fetch_one(db)
    .await?;
    if many { fold(db).await } else { Ok(()) }
}

/// Add up what has gathered of each campaign, so that reading a sum stays short. May run beside senders; what another
/// transaction is adding up is left to it.
///
/// # Errors
/// When the database fails.
pub async fn fold(db: impl PgExecutor<'_>) -> Result<()> {
    sqlx::query!(
        "with gone as (
             delete from campaign_figures where ctid = any(array(
                 select ctid from campaign_figures where not folded limit $1 for update skip locked))
             returning campaign_id, what, hour, domain, variant, messages
         )
         insert into campaign_figures as f (campaign_id, what, hour, domain, variant, messages, folded)
         select campaign_id, what, hour, domain, variant, sum(messages), true from gone
         group by campaign_id, what, hour, domain, variant having sum(messages) <> 0
         order by campaign_id, what, hour, domain, variant
         on conflict (campaign_id, what, hour, domain, variant) where folded do update set messages = f.messages + excluded.messages",
        AT_ONCE
    )
    .execute(db)
    .await?;
    Ok(())
}
