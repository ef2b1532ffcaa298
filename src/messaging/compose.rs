//! From a text and a recipient to a message ready for the channel.

use super::{
    kinds::{MessageType, OriginKind},
    links,
    template::Rendered,
    values::{Links, Recipient},
};
use crate::{
    channels::Email,
    config::Config,
    settings::{Business, EmailChannel},
};
use chrono::{DateTime, Utc};
use ring::digest;
use uuid::Uuid;

/// Who sends, and where links lead: the same for all messages of a run.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The business.
    pub business: Business,
    /// Name shown.
    pub from_name: String,
    /// Sender's address.
    pub from_email: String,
    /// Where replies go.
    pub reply_to: Option<String>,
    /// Base of public links.
    pub public_url: String,
}

impl Sender {
    /// The sender of email: the panel's choice, else `DEFAULT_FROM_EMAIL`, else the business's own address.
    #[must_use]
    pub fn of_email(config: &Config, business: &Business, email: &EmailChannel) -> Sender {
        let (default_name, default_email) =
            config.default_from.as_deref().map(split_mailbox).unwrap_or_default();
        Sender {
            from_name: first_of([&email.from_name, &default_name, &business.name]),
            from_email: first_of([&email.from_email, &default_email, &business.email]),
            reply_to: Some(email.reply_to.trim().to_owned()).filter(|it| !it.is_empty()),
            public_url: config.public_url.clone(),
            business: business.clone(),
        }
    }

    /// Domain of the sender's address.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.from_email.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
    }

    /// The public links of a message.
    #[must_use]
    pub fn links(&self, token: Uuid) -> Links {
        links::of(&self.public_url, token)
    }

    /// The same, with the links and the picture by which the message named `code` tells of openings and clicks.
    #[must_use]
    pub fn tracked_links(&self, token: Uuid, code: &str) -> Links {
        Links {
            click: format!("{}/c/{code}.", self.public_url),
            open: format!("{}/o/{code}.gif", self.public_url),
            ..self.links(token)
        }
    }
}

fn first_of(choices: [&String; 3]) -> String {
    choices.into_iter().find(|it| !it.trim().is_empty()).map(|it| it.trim().to_owned()).unwrap_or_default()
}

/// `Name <a@b.cl>` or `a@b.cl` to name and address.
fn split_mailbox(text: &str) -> (String, String) {
    match text.rsplit_once('<') {
        Some((name, rest)) => (
            name.trim().trim_matches('"').to_owned(),
            rest.trim_end().trim_end_matches('>').trim().to_owned(),
        ),
        None => (String::new(), text.trim().to_owned()),
    }
}

/// What identifies one message.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Row.
    pub id: i64,
    /// Public token.
    pub token: Uuid,
    /// Campaign, where there is one.
    pub campaign: Option<i64>,
    /// Who asked.
    pub origin: OriginKind,
    /// What for.
    pub kind: MessageType,
}

/// Message-ID: the same for each try of one message, and telling nothing of the
/// public token, since replies carry it to third parties.
#[must_use]
pub fn message_id(token: Uuid, domain: &str) -> String {
    let hash = digest::digest(&digest::SHA256, &[b"message-id:".as_slice(), token.as_bytes()].concat());
    format!("{}@{domain}", hex::encode(&hash.as_ref()[..16]))
}

/// SHA-256 of a text, as the log keeps it: its HTML part behind its length, then its plain part.
#[must_use]
pub fn digest(html: &str, plain: &str) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&(html.len() as u64).to_be_bytes());
    context.update(html.as_bytes());
    context.update(plain.as_bytes());
    context.finish().as_ref().to_vec()
}

/// An email to `destination`.
#[must_use]
pub fn email(
    sender: &Sender,
    message: &Identity,
    destination: &str,
    recipient: &Recipient,
    rendered: Rendered,
    now: DateTime<Utc>,
) -> Email {
    let promotional = message.kind.is_promotional();
    let domain = sender.domain();
    let subject = if message.origin == OriginKind::Test {
        format!("[Prueba] {}", rendered.subject)
    } else {
        rendered.subject
    };
    Email {
        message: message.id,
        date: now,
        from_name: sender.from_name.clone(),
        from_email: sender.from_email.clone(),
        reply_to: sender.reply_to.clone(),
        to_name: format!("{} {}", recipient.first_name, recipient.last_name).trim().to_owned(),
        to_email: destination.to_owned(),
        subject,
        html: rendered.html,
        plain: rendered.plain,
        message_id: message_id(message.token, domain),
        unsubscribe_url: promotional.then(|| sender.links(message.token).unsubscribe),
        list_id: promotional.then(|| format!("{} <promociones.{domain}>", sender.business.name)),
        // Gmail's feedback loop: coarse on purpose, nothing of the person.
        feedback_id: promotional.then(|| {
            let campaign = message.campaign.map_or_else(|| "0".to_owned(), |it| it.to_string());
            format!("c{campaign}:{domain}:{}:llovizna", message.kind.code().to_ascii_lowercase())
        }),
        auto_submitted: !promotional,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> Sender {
        let config = Config::read(|name| match name {
            "PUBLIC_URL" => Some("https://crm.example".into()),
            "DEFAULT_FROM_EMAIL" => Some("Ventas <ventas@sur.example>".into()),
            _ => None,
        });
        let business =
            Business { name: "Sur".into(), email: "hola@sur.example".into(), ..Business::default() };
        Sender::of_email(&config.unwrap(), &business, &EmailChannel::default())
    }

    fn message(kind: MessageType, origin: OriginKind) -> Email {
        let identity = Identity { id: 7, token: Uuid::from_u128(9), campaign: Some(3), origin, kind };
        let rendered = Rendered { subject: "Hola".into(), html: "h".into(), plain: "p".into() };
        email(&sender(), &identity, "a@b.cl", &Recipient::default(), rendered, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn the_environment_names_the_sender_until_the_panel_does() {
        let it = sender();
        assert_eq!(
            (it.from_name.as_str(), it.from_email.as_str(), it.domain()),
            ("Ventas", "ventas@sur.example", "sur.example")
        );
    }

    #[test]
    fn promotions_carry_the_list_headers_and_service_messages_do_not() {
        let promo = message(MessageType::Promocional, OriginKind::Campaign);
        assert!(promo.unsubscribe_url.is_some_and(|it| it.starts_with("https://crm.example/baja/")));
        assert!(promo.list_id.is_some() && promo.feedback_id.is_some() && !promo.auto_submitted);
        let service = message(MessageType::Transactional, OriginKind::Transactional);
        assert!(service.unsubscribe_url.is_none() && service.list_id.is_none() && service.auto_submitted);
    }

    #[test]
    fn a_test_says_so_in_its_subject() {
        assert_eq!(message(MessageType::Promocional, OriginKind::Test).subject, "[Prueba] Hola");
    }

    #[test]
    fn the_message_id_is_stable_and_does_not_hold_the_token() {
        let token = Uuid::new_v4();
        let id = message_id(token, "a.cl");
        assert_eq!(id, message_id(token, "a.cl"));
        assert!(!id.contains(&token.simple().to_string()));
    }
}
