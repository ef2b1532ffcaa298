//! A campaign's text tried out before it leaves: filled for one person, and sent
//! to the member of the staff who asks.

use super::{campaign, own_texts, variants, wordings::Wordings};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    config::Config,
    db::Tx,
    error::{Error, FieldError, Result},
    ids::{CampaignId, ContactId, MessageId, TemplateId},
    messaging::{
        compose::Sender,
        gate::{self, Asked},
        kinds::MessageType,
        outbox::{self, Draft, Origin},
        sms,
        template::{self, RenderError, Rendered, Source},
        values::{self, Links, Recipient, VARIABLES},
    },
    settings::{self, Business, EmailChannel},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

/// A text filled for one person.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Who sends, as the mailbox shows it.
    pub from: String,
    /// Who gets it, as shown.
    pub to: String,
    /// The message; else why there is none, in Spanish.
    pub message: std::result::Result<Rendered, String>,
}

/// Fill `source`, which travels by `channel`, for `contact`, or for an invented person.
///
/// # Errors
/// [`Error::NotFound`] for a contact that is not there, [`Error::Invalid`] for a text with faults, or the database's.
pub async fn preview(
    db: &mut PgConnection,
    config: &Config,
    channel: Channel,
    source: &Source,
    contact: Option<ContactId>,
) -> Result<Preview> {
    let business: Business = settings::load(&mut *db, &config.first_values).await?;
    let email: EmailChannel = settings::load(&mut *db, &config.first_values).await?;
    let sender = Sender::of_email(config, &business, &email);
    let compiled = template::compile(source).map_err(Error::Invalid)?;
    let (recipient, to) = match contact {
        None => (
            Recipient::sample(),
            if channel == Channel::Email { "ejemplo@empresa.example" } else { "+56 9 8765 4321" }.to_owned(),
        ),
        Some(id) => {
            let asked = Asked {
                contact: Some(id),
                destination: None,
                kind: MessageType::Other,
                is_test: true,
                asked_for: None,
            };
            let facts = gate::facts(db, channel, &[asked], None).await?;
            let facts = facts.into_iter().next().filter(|it| it.person.is_some()).ok_or(Error::NotFound)?;
            (
                facts.recipient,
                facts.destination.unwrap_or_else(|| {
                    if channel == Channel::Email { "sin correo" } else { "sin celular" }.to_owned()
                }),
            )
        }
    };
    let links = if channel == Channel::Email { links(config) } else { sms::sample_links(&config.public_url) };
    let message = match compiled.render(&values::of(&recipient, &business, &links)) {
        Ok(it) if channel == Channel::Sms => Ok(Rendered { plain: sms::as_sent(source, &it.plain), ..it }),
        Ok(it) => Ok(it),
        Err(error) => Err(why(&error)),
    };
    let name = format!("{} {}", recipient.first_name, recipient.last_name);
    let to = match name.trim() {
        "" => to,
        name => format!("{name} <{to}>"),
    };
    Ok(Preview { from: format!("{} <{}>", sender.from_name, sender.from_email), to, message })
}

/// Where the links lead of a text that is only looked at.
pub(super) fn links(config: &Config) -> Links {
    Links {
        unsubscribe: format!("{}/baja/ejemplo", config.public_url),
        preferences: format!("{}/preferencias/ejemplo", config.public_url),
        ..Links::default()
    }
}

fn why(error: &RenderError) -> String {
    match error {
        RenderError::Missing(name) => {
            let label = VARIABLES.iter().find(|it| it.name == name).map_or(name.as_str(), |it| it.label);
            format!(
                "Falta un dato: {} ({{{{ {name} }}}}). Este mensaje no saldría. Complétalo, o escribe un valor de reemplazo: {{{{ {name} | default(\"…\") }}}}.",
                label.to_lowercase()
            )
        }
        RenderError::Broken(_) => {
            "El texto tiene un error y no se puede completar: revisa sus etiquetas.".to_owned()
        }
    }
}

/// Queue a test of the text in force, or of the one at `place` among several, to `address`, the asker's own. It leaves by
/// the same queue and the same channel, whatever the window and the caps; the caller drains it at once.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] when there is no text, or the database's.
pub async fn send(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    id: CampaignId,
    place: i16,
    address: &str,
) -> Result<MessageId> {
    actor.require(Permission::SendTests)?;
    let campaign = campaign::get(tx, id).await?;
    let business: Business = settings::load(&mut **tx, &config.first_values).await?;
    let wordings = Wordings::of(tx, id).await?;
    let texts = wordings.all(&campaign.source);
    let text = texts.into_iter().find(|it| it.place == place).ok_or(Error::NotFound)?;
    let template = wordings.template(tx, &campaign, place).await?;
    let (template, required) = ready(&text.source, template, &business)?;
    let draft = Draft {
        origin: Origin::Campaign(id),
        channel: campaign.channel,
        message_type: campaign.message_type,
        template,
        required: &required,
        scheduled_at: now,
    };
    let message = outbox::enqueue_test(tx, now, actor, id, &draft, address).await?;
    let change = audit::Change {
        action: "campaign.test",
        subject_kind: "campaign",
        subject_id: Some(id.0),
        before: None,
        after: Some(json!({ "message": message, "text": text.name })),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(message)
}

/// How far the latest test of a text came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// None has left.
    Untried,
    /// It came back.
    Returned,
    /// It left; nobody knows whether it arrived.
    Left,
    /// A person says so, or it was opened or answered, or the provider says that it was delivered.
    Received,
}

/// How far the latest test of the text `template` of the campaign `id` came.
///
/// # Errors
/// When the database fails.
pub async fn arrival(db: &mut PgConnection, id: CampaignId, template: Option<TemplateId>) -> Result<Arrival> {
    let last = sqlx::query!(
        r#"select l.status, exists (select from trial_receipts r
               where r.campaign_id = l.campaign_id and r.template_id = l.template_id) as "received!"
           from communication_logs l
           where l.campaign_id = $1 and l.origin = 'TEST' and l.template_id is not distinct from $2 and l.sent_at is not null
           order by l.id desc limit 1"#,
        id.0,
        template.map(|it| it.0)
    )
    .fetch_optional(db)
    .await?;
    Ok(match last {
        None => Arrival::Untried,
        Some(it) if it.status == "BOUNCED" => Arrival::Returned,
        Some(it) if it.received || it.status != "SENT" => Arrival::Received,
        Some(_) => Arrival::Left,
    })
}

/// A person says that the tests of the texts in force arrived. Gives of how many texts that is news.
///
/// # Errors
/// [`Error::Forbidden`], or the database's.
pub async fn received(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: CampaignId) -> Result<u64> {
    actor.require(Permission::SendTests)?;
    let mut texts: Vec<i64> = campaign::get(tx, id).await?.template.map(|it| it.0).into_iter().collect();
    texts.extend(variants::templates(tx, id).await?.into_iter().map(|it| it.0));
    texts.extend(own_texts::of(tx, id).await?.into_iter().map(|it| it.template.0));
    let new = sqlx::query!(
        "insert into trial_receipts (campaign_id, template_id, received_at, staff_user_id)
         select distinct $1::bigint, l.template_id, $3::timestamptz, $4::bigint from communication_logs l
         where l.campaign_id = $1 and l.origin = 'TEST' and l.template_id = any($2) and l.sent_at is not null
         on conflict do nothing",
        id.0,
        &texts,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if new > 0 {
        let change = audit::Change {
            action: "campaign.test_received",
            subject_kind: "campaign",
            subject_id: Some(id.0),
            ..audit::Change::default()
        };
        audit::record(tx, now, actor, change).await?;
    }
    Ok(new)
}

fn ready(
    source: &Source,
    template: Option<TemplateId>,
    business: &Business,
) -> Result<(TemplateId, Vec<&'static str>)> {
    let (Some(template), false) =
        (template, source.subject.trim().is_empty() || source.body.trim().is_empty())
    else {
        return Err(Error::refused(
            "No se envió la prueba: primero escribe el asunto y el cuerpo de la campaña, y guárdalos.",
        ));
    };
    let faults = |it: Vec<FieldError>| {
        let all: Vec<String> = it.into_iter().map(|it| it.message).collect();
        Error::refused(format!("No se envió la prueba. {}", all.join(" ")))
    };
    let compiled = template::compile(source).map_err(faults)?;
    let links = Links { unsubscribe: "u".into(), preferences: "p".into(), ..Links::default() };
    match compiled.render(&values::of(&Recipient::sample(), business, &links)) {
        Ok(_) => Ok((template, compiled.required())),
        Err(error) => Err(Error::refused(format!("No se envió la prueba. {}", why(&error)))),
    }
}
