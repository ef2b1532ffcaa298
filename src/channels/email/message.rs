//! An email as bytes (RFC 5322, MIME): headers, and the text and HTML as
//! alternatives. Nothing that a person typed can add a header: control
//! characters become spaces and lengths are bounded. It knows no SMTP.

use super::quoted_printable;
use crate::channels::{Email, SendError};
use lettre::{
    Address, Message,
    message::{
        Body, Mailbox, MessageBuilder, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
};

/// Carries the Message-ID a second time: some providers put their own in its place, and reports quote the headers.
pub(crate) const OWN_HEADER: &str = "X-Llovizna-Message";

/// What SMTP needs of an email.
#[derive(Debug)]
pub(super) struct Built {
    /// Envelope sender.
    pub(super) from: String,
    /// Envelope recipient.
    pub(super) to: String,
    /// Message-ID without angle brackets.
    pub(super) message_id: String,
    /// Headers and body, CRLF line ends.
    pub(super) bytes: Vec<u8>,
}

/// Longest name shown beside an address, in characters.
const NAME_LIMIT: usize = 100;
/// Longest subject, in characters.
const SUBJECT_LIMIT: usize = 300;
/// Longest other header, in bytes: a line may hold 998 (RFC 5322 2.1.1).
const HEADER_LIMIT: usize = 900;

/// Build `email`.
///
/// # Errors
/// [`SendError::Sender`] when the fault is in what we set up, and
/// [`SendError::Recipient`] when the recipient's address can't be one.
pub(super) fn build(email: &Email) -> Result<Built, SendError> {
    let sender = |answer: &str| SendError::Sender { answer: answer.to_owned() };
    let from =
        address(&email.from_email).ok_or_else(|| sender("La dirección del remitente no es válida."))?;
    let to = address(&email.to_email).ok_or_else(|| SendError::Recipient {
        answer: "La dirección del destinatario no es una a la que se pueda escribir.".to_owned(),
        dead: false,
    })?;
    if !is_message_id(&email.message_id) {
        return Err(sender("El identificador del mensaje no es válido."));
    }
    let mut builder = Message::builder()
        .date(email.date.into())
        .from(mailbox(&email.from_name, &from))
        .to(mailbox(&email.to_name, &to))
        .subject(one_line(&email.subject, SUBJECT_LIMIT))
        .message_id(Some(format!("<{}>", email.message_id)));
    if let Some(reply_to) = &email.reply_to {
        let reply_to = address(reply_to)
            .ok_or_else(|| sender("La dirección de respuesta del remitente no es válida."))?;
        builder = builder.reply_to(Mailbox::new(None, reply_to));
    }
    let own = HeaderName::new_from_ascii_str(OWN_HEADER);
    builder = builder.raw_header(HeaderValue::new(own, email.message_id.clone()));
    for (name, value) in list_headers(email)? {
        builder = builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
    }
    let message = with_body(builder, email)?;
    Ok(Built {
        from: from.to_string(),
        to: to.to_string(),
        message_id: email.message_id.clone(),
        bytes: message.formatted(),
    })
}

/// The headers of `email` as people may read them, in order: what the built-in outbox keeps.
///
/// # Errors
/// As of [`build`].
pub(crate) fn readable_headers(email: &Email) -> Result<Vec<(String, String)>, SendError> {
    let shown = |name: &str, address: &str| {
        let name = one_line(name, NAME_LIMIT);
        if name.is_empty() { address.to_owned() } else { format!("{name} <{address}>") }
    };
    let mut headers = vec![
        ("Date", email.date.to_rfc2822()),
        ("From", shown(&email.from_name, &email.from_email)),
        ("To", shown(&email.to_name, &email.to_email)),
        ("Subject", one_line(&email.subject, SUBJECT_LIMIT)),
        ("Message-ID", format!("<{}>", email.message_id)),
    ];
    headers.extend(email.reply_to.clone().map(|it| ("Reply-To", it)));
    headers.extend(list_headers(email)?);
    Ok(headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The headers that mail programs and large receivers ask of bulk mail.
fn list_headers(email: &Email) -> Result<Vec<(&'static str, String)>, SendError> {
    let mut headers = Vec::new();
    if let Some(url) = &email.unsubscribe_url {
        let is_plain = url.bytes().all(|it| it.is_ascii_graphic() && !matches!(it, b'<' | b'>' | b','));
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        if !is_plain || !is_web || url.len() > HEADER_LIMIT {
            return Err(SendError::Sender {
                answer: "El enlace de baja no es válido: revisa PUBLIC_URL.".to_owned(),
            });
        }
        headers.push(("List-Unsubscribe", format!("<{url}>")));
        headers.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        headers.push(("Precedence", "bulk".to_owned()));
    }
    if let Some(list) = &email.list_id {
        headers.push(("List-Id", list_id(list)));
    }
    if let Some(feedback) = &email.feedback_id {
        headers.push(("Feedback-ID", one_line(feedback, 200)));
    }
    if email.auto_submitted {
        headers.push(("Auto-Submitted", "auto-generated".to_owned()));
    }
    Ok(headers)
}

/// `Name <id.domain>` with the name quoted where it holds more than words.
fn list_id(text: &str) -> String {
    let text = one_line(text, 250);
    let Some((name, id)) = text.rsplit_once('<') else {
        return text;
    };
    let name = name.trim();
    let is_words = name.chars().all(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
    if is_words || !name.is_ascii() {
        return format!("{name} <{id}");
    }
    format!("\"{}\" <{id}", name.replace(['"', '\\'], ""))
}

fn with_body(builder: MessageBuilder, email: &Email) -> Result<Message, SendError> {
    let part = |text: &str, kind: ContentType| {
        let encoding = ContentTransferEncoding::QuotedPrintable;
        let body = Body::dangerous_pre_encoded(quoted_printable::encode(text), encoding);
        SinglePart::builder().header(kind).body(body)
    };
    let plain = || part(&email.plain, ContentType::TEXT_PLAIN);
    let html = || part(&email.html, ContentType::TEXT_HTML);
    let built = match (email.plain.trim().is_empty(), email.html.trim().is_empty()) {
        (true, true) => {
            return Err(SendError::Sender { answer: "El mensaje no tiene contenido.".to_owned() });
        }
        (true, false) => builder.singlepart(html()),
        (false, true) => builder.singlepart(plain()),
        (false, false) => builder.multipart(MultiPart::alternative().singlepart(plain()).singlepart(html())),
    };
    built.map_err(|_| SendError::Sender { answer: "El mensaje no se pudo armar.".to_owned() })
}

/// An address that can travel: ASCII, its domain in punycode.
fn address(text: &str) -> Option<Address> {
    let (user, domain) = text.trim().rsplit_once('@')?;
    let url::Host::Domain(domain) = url::Host::parse(domain).ok()? else {
        return None;
    };
    let is_plain = |it: &str| it.bytes().all(|it| it.is_ascii_graphic() && !matches!(it, b'<' | b'>'));
    if !is_plain(user) || !is_plain(&domain) || user.len() > 64 || domain.len() > 255 {
        return None;
    }
    Address::new(user, domain).ok()
}

fn mailbox(name: &str, address: &Address) -> Mailbox {
    let name = one_line(name, NAME_LIMIT);
    Mailbox::new(Some(name).filter(|it| !it.is_empty()), address.clone())
}

/// `text` on one line of at most `limit` characters: runs of blanks, line ends
/// and other control characters become one space.
fn one_line(text: &str, limit: usize) -> String {
    let blank = |it: char| it.is_whitespace() || it.is_control() || matches!(it, '\u{2028}' | '\u{2029}');
    let words: Vec<&str> = text.split(blank).filter(|it| !it.is_empty()).collect();
    words.join(" ").chars().take(limit).collect::<String>().trim_end().to_owned()
}

fn is_message_id(text: &str) -> bool {
    let is_plain = |it: &str| {
        !it.is_empty() && it.bytes().all(|it| it.is_ascii_graphic() && !matches!(it, b'<' | b'>' | b'@'))
    };
    text.len() <= 250 && text.split_once('@').is_some_and(|(left, right)| is_plain(left) && is_plain(right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};

    fn email() -> Email {
        Email {
            message: 7,
            date: Utc.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap(),
            from_name: "Turismo Ñirehue Ltda.".to_owned(),
            from_email: "ventas@nirehue.cl".to_owned(),
            to_name: "María Soto".to_owned(),
            to_email: "maria@ejemplo.cl".to_owned(),
            subject: "Cabañas con tinaja: 20 % de descuento".to_owned(),
            html: "<p>Hola, María</p>".to_owned(),
            plain: "Hola, María".to_owned(),
            message_id: "7.abc@nirehue.cl".to_owned(),
            ..Email::default()
        }
    }

    fn text(email: &Email) -> String {
        String::from_utf8(build(email).unwrap().bytes).unwrap()
    }

    fn headers(text: &str) -> &str {
        text.split_once("\r\n\r\n").unwrap().0
    }

    #[test]
    fn a_message_has_both_alternatives_and_the_asked_headers() {
        let mut email = email();
        email.unsubscribe_url = Some("https://crm.nirehue.cl/u/abc".to_owned());
        email.list_id = Some("Turismo Ñirehue <lista.nirehue.cl>".to_owned());
        email.feedback_id = Some("c7:nirehue:promo:llovizna".to_owned());
        let text = text(&email);
        for line in [
            "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n",
            "To: =?utf-8?b?TWFyw61hIFNvdG8=?= <maria@ejemplo.cl>\r\n",
            "Message-ID: <7.abc@nirehue.cl>\r\n",
            "List-Unsubscribe: <https://crm.nirehue.cl/u/abc>\r\n",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
            "Feedback-ID: c7:nirehue:promo:llovizna\r\n",
            "Precedence: bulk\r\n",
            "MIME-Version: 1.0\r\n",
            "Content-Type: multipart/alternative;",
            "Hola, Mar=C3=ADa",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(text.is_ascii());
        assert!(text.find("text/plain").unwrap() < text.find("text/html").unwrap());
    }

    #[test]
    fn nothing_typed_can_add_a_header() {
        let mut email = email();
        for evil in ["a\r\nBcc: x@y.cl", "a\nBcc: x@y.cl", "a\rBcc: x@y.cl", "a\u{2028}\r\n\r\nBcc: x@y.cl"] {
            email.subject = evil.to_owned();
            email.from_name = evil.to_owned();
            email.to_name = evil.to_owned();
            email.feedback_id = Some(evil.to_owned());
            email.list_id = Some(evil.to_owned());
            let text = text(&email);
            assert!(!headers(&text).lines().any(|it| it.starts_with("Bcc")), "{text}");
        }
    }

    #[test]
    fn addresses_that_could_break_out_are_refused() {
        for evil in
            ["a@b.cl\r\nRCPT TO:<x@y.cl>", "a b@c.cl", "a@b.cl>", "<a@b.cl", "@b.cl", "a@", "", "á@b.cl"]
        {
            let mut email = email();
            email.to_email = evil.to_owned();
            assert!(matches!(build(&email), Err(SendError::Recipient { dead: false, .. })), "{evil}");
            let mut email = super::tests::email();
            email.from_email = evil.to_owned();
            assert!(matches!(build(&email), Err(SendError::Sender { .. })), "{evil}");
        }
    }

    #[test]
    fn a_domain_with_accents_travels_in_punycode() {
        let mut email = email();
        email.to_email = "hola@ñandú.cl".to_owned();
        assert_eq!(build(&email).unwrap().to, "hola@xn--and-6ma2c.cl");
    }

    #[test]
    fn long_headers_are_bounded_and_folded() {
        let mut email = email();
        email.subject = "ñ".repeat(40_000);
        email.to_name = "palabra ".repeat(40_000);
        email.from_name = "ñandú ".repeat(40_000);
        let text = text(&email);
        assert!(headers(&text).lines().all(|it| it.len() < 200), "{text}");
    }

    #[test]
    fn an_empty_message_is_never_sent() {
        let mut email = email();
        email.plain = " \n".to_owned();
        assert!(!text(&email).contains("multipart"));
        email.html = String::new();
        assert!(matches!(build(&email), Err(SendError::Sender { .. })));
    }

    #[test]
    fn a_list_name_with_dots_is_quoted() {
        assert_eq!(list_id("Agencia S.A. <l.agencia.cl>"), "\"Agencia S.A.\" <l.agencia.cl>");
        assert_eq!(list_id("Agencia Sur <l.agencia.cl>"), "Agencia Sur <l.agencia.cl>");
    }
}
