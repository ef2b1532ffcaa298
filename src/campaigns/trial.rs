//! A campaign's text tried out before it leaves: filled for one person, and sent
//! to the member of the staff who asks.

use super::{campaign, variants};
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
    place: usize,
    address: &str,
) -> Result<MessageId> {
    actor.require(Permission::SendTests)?;
    let campaign = campaign::get(tx, id).await?;
    let business: Business = settings::load(&mut **tx, &config.first_values).await?;
    let plan = variants::plan(tx, id).await?;
    let source = plan.sources(&campaign.source).into_iter().nth(place).ok_or(Error::NotFound)?;
    let template = match place {
        0 => campaign.template,
        _ => variants::templates(tx, id).await?.get(place - 1).copied(),
    };
    let (template, required) = ready(&source, template, &business)?;
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
        after: Some(json!({ "message": message, "text": variants::letter(place) })),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(message)
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
