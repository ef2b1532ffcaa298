//! What would become of one person if a campaign were started now, or did: whether they belong to its audience, whether
//! they have their message, and what the gate says.

use super::{audience, campaign::Campaign, contest, wordings::Wordings};
use crate::{
    config::Config,
    contacts::merge,
    error::Result,
    ids::{ContactId, MessageId},
    messaging::{
        kinds::{OriginKind, Status},
        why::{self, Answer, Frame, Question},
    },
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// A campaign and one person.
#[derive(Clone, Debug)]
pub struct OnOne {
    /// They are of its audience as it stands.
    pub belongs: bool,
    /// Their message of it, where they have one.
    pub message: Option<(MessageId, Status)>,
    /// Its texts are being compared: one of its messages may have to wait for the one that is chosen.
    pub may_wait: bool,
    /// The text that they got or would get, as a sentence calls it, where industries have texts of their own.
    pub text: Option<String>,
    /// What the gate says of one that would leave now.
    pub answer: Answer,
}

/// Ask it of `campaign` and `contact`.
///
/// # Errors
/// When the database fails.
pub async fn of(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    config: &Config,
    campaign: &Campaign,
    contact: ContactId,
) -> Result<OnOne> {
    let next = audience::page(&mut *db, now, &campaign.audience, contact.0 - 1, 1).await?;
    let wordings = Wordings::of(&mut *db, campaign.id).await?;
    let needs = wordings.needs(&campaign.source);
    let industry = industry(&mut *db, contact).await?;
    let frame = Frame::open(&mut *db, now, &config.first_values, campaign.channel)
        .await?
        .capped(campaign.daily_cap.map(|cap| (campaign.id, cap)));
    let question = Question {
        kind: campaign.message_type,
        origin: OriginKind::Campaign,
        required: needs.of(industry.as_deref()),
        hours: campaign.business_hours.as_ref(),
    };
    let may_wait = contest::rest(&mut *db, campaign.id).await?.is_some();
    let message = message(&mut *db, campaign, contact).await?;
    let text = (!wordings.own.is_empty()).then(|| {
        // What it drew stands with the message; until it is let go the industry of that moment counts.
        let drawn = message.and_then(|it| it.2);
        wordings.phrase(drawn.unwrap_or_else(|| wordings.place_of(industry.as_deref())))
    });
    let [answer] = why::ask(db, now, &frame, contact, [question]).await?;
    let message = message.map(|it| (it.0, it.1));
    Ok(OnOne { belongs: next.first() == Some(&contact), message, may_wait, text, answer })
}

/// That of their company.
async fn industry(db: &mut PgConnection, contact: ContactId) -> Result<Option<String>> {
    let found = sqlx::query_scalar!(
        "select k.industry from contacts c join companies k on k.id = c.company_id where c.id = $1",
        contact.0
    );
    Ok(found.fetch_optional(db).await?.flatten())
}

async fn message(
    db: &mut PgConnection,
    campaign: &Campaign,
    contact: ContactId,
) -> Result<Option<(MessageId, Status, Option<i16>)>> {
    let people: Vec<i64> = merge::all_of(&mut *db, contact).await?.into_iter().map(|it| it.0).collect();
    let row = sqlx::query!(
        "select id, status, variant from communication_logs
         where campaign_id = $1 and contact_id = any($2) and origin = 'CAMPAIGN' order by id desc limit 1",
        campaign.id.0,
        &people
    )
    .fetch_optional(db)
    .await?;
    Ok(row.and_then(|it| Some((MessageId(it.id), Status::from_code(&it.status)?, it.variant))))
}
