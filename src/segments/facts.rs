//! The facts of one contact that rules can ask about, read from the tables. Reads
//! only; what they mean is `evaluate`'s.

use super::evaluate::{Employer, Facts, Letter};
use crate::{
    channels::Channel,
    contacts::merge,
    error::{Error, Result},
    ids::ContactId,
};
use chrono::NaiveDate;
use sqlx::PgConnection;

/// Messages looked at: nobody has had more.
const MOST_MESSAGES: i64 = 10_000;

/// The facts of `contact`.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn of(db: &mut PgConnection, contact: ContactId) -> Result<Facts> {
    let it = sqlx::query!(
        r#"select c.search_key, c.email, c.phone, c.lifecycle, c.source, c.owner_id, c.job_title, c.comuna, c.birth_date, c.created_at,
                  c.email_basis is not null as "email_basis!", c.sms_basis is not null as "sms_basis!",
                  c.whatsapp_basis is not null as "whatsapp_basis!",
                  k.name_key as "name_key?", k.industry as "industry?", k.comuna as "company_comuna?", k.rut as "company_rut?", k.owner_id as "company_owner?",
                  p.stage_id as "stage_id?", p.follow_up_on as "follow_up_on?",
                  coalesce(m.visits, 0) as "visits!", coalesce(m.purchases, 0) as "purchases!",
                  coalesce(m.enrolments, 0) as "enrolments!", coalesce(m.spent, 0) as "spent!",
                  m.last_visit_on as "last_visit_on?", m.last_purchase_on as "last_purchase_on?",
                  m.last_activity_at as "last_activity_at?"
           from contacts c
           left join companies k on k.id = c.company_id
           left join pipeline_cards p on p.contact_id = c.id
           left join contact_metrics m on m.contact_id = c.id
           where c.id = $1"#,
        contact.0
    )
    .fetch_optional(&mut *db)
    .await?
    .ok_or(Error::NotFound)?;
    let people: Vec<i64> = merge::all_of(db, contact).await?.into_iter().map(|it| it.0).collect();
    let excluded = sqlx::query_scalar!(
        "select distinct communication_type from suppressions
         where lifted_at is null and (
             (communication_type = 'EMAIL' and (destination = $1 or destination is null
                 and address_hash = suppression_hash((select key from suppression_key), $1)))
             or (communication_type <> 'EMAIL' and (destination = $2 or destination is null
                 and address_hash = suppression_hash((select key from suppression_key), $2))))",
        it.email,
        it.phone
    )
    .fetch_all(&mut *db)
    .await?;
    let reach = [
        (Channel::Email, it.email.is_some() && it.email_basis),
        // Fixed lines get no messages.
        (Channel::Sms, it.phone.as_deref().is_some_and(|it| it.starts_with("+569")) && it.sms_basis),
        (Channel::Whatsapp, it.phone.is_some() && it.whatsapp_basis),
    ];
    Ok(Facts {
        reach: reach
            .into_iter()
            .filter(|(channel, may)| *may && excluded.iter().all(|it| it != channel.code()))
            .map(|it| it.0)
            .collect(),
        search_key: it.search_key,
        email: it.email,
        phone: it.phone,
        lifecycle: it.lifecycle,
        source: it.source,
        owner: it.owner_id,
        job_title: it.job_title,
        stage: it.stage_id,
        follow_up: it.follow_up_on,
        comuna: it.comuna,
        birth_date: it.birth_date,
        created_at: it.created_at,
        company: it.name_key.map(|name_key| Employer {
            name_key,
            rut: it.company_rut,
            industry: it.industry,
            comuna: it.company_comuna,
            owner: it.company_owner,
        }),
        visits: i64::from(it.visits),
        purchases: i64::from(it.purchases),
        enrolments: i64::from(it.enrolments),
        spent: it.spent,
        last_visit: it.last_visit_on,
        last_purchase: it.last_purchase_on,
        last_activity: it.last_activity_at,
        interests: sqlx::query_scalar!(
            "select interest_id from contact_interests where contact_id = $1 order by 1",
            contact.0
        )
        .fetch_all(&mut *db)
        .await?,
        imports: sqlx::query_scalar!(
            r#"select import_id as "id!" from contacts where id = any($1) and import_id is not null
               union select import_id from import_changes where subject_kind = 'contact' and subject_id = any($1)
               order by 1"#,
            &people
        )
        .fetch_all(&mut *db)
        .await?,
        lists: sqlx::query_scalar!(
            "select list_id from list_members where contact_id = $1 order by 1",
            contact.0
        )
        .fetch_all(&mut *db)
        .await?,
        items: items(db, contact).await?,
        messages: messages(db, &people).await?,
    })
}

/// What they bought, visited or enrolled in, each with the last day.
async fn items(db: &mut PgConnection, contact: ContactId) -> Result<Vec<(String, NaiveDate)>> {
    let rows = sqlx::query!(
        r#"select item, max(occurred_on) as "on!" from history_entries where contact_id = $1 group by item order by item"#,
        contact.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|it| (it.item, it.on)).collect())
}

async fn messages(db: &mut PgConnection, people: &[i64]) -> Result<Vec<Letter>> {
    Ok(sqlx::query_as!(
        Letter,
        r#"select campaign_id as campaign, sent_at, opened_at, clicked_at, replied_at, status = 'BOUNCED' as "bounced!"
           from communication_logs where contact_id = any($1) and origin <> 'TEST' order by id desc limit $2"#,
        people,
        MOST_MESSAGES
    )
    .fetch_all(db)
    .await?)
}
