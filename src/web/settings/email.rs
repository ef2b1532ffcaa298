//! How email leaves: the sender's address, the daily cap, and a way to try it.

use super::{
    Shell, ceiling, filters,
    flash::Flash,
    form::{Errors, Form},
    html::{self, Answer},
    warm_up_curve::{self, Curve},
};
use crate::{
    access::{Actor, Permission},
    audit::{self, Change},
    channels::{self, Accepted, Channel, Email, Outgoing, SendError, callbacks, feedback::Source},
    config::{Config, Imap, SmtpTls},
    error::{Error, Result},
    messaging::{
        compose::Sender,
        inbound::{ledger, mailbox},
        pace::{self, Slowed},
        sending, suppression,
        warm_up::{self, Day},
    },
    settings::{self, Business, EmailChannel},
    state::AppState,
    web::routes::Route,
};
use askama::Template;
use axum::{extract::State, response::Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;
use std::time::Duration;
use tokio::time::error::Elapsed;

/// A mail server that does not answer in this time does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Days of the warm-up that are shown.
const DAYS: i64 = 14;

pub(super) fn routes() -> Vec<Route> {
    use Permission::{EditSettings, SendTests};
    vec![
        Route::get("/settings/email", EditSettings, show),
        Route::post("/settings/email", EditSettings, save),
        Route::post("/settings/email/check", EditSettings, check),
        Route::post("/settings/email/test", SendTests, test),
    ]
}

/// What the environment says of the mail server, without its password.
pub(in crate::web) struct Server {
    /// `smtp.proveedor.cl:587`.
    pub address: String,
    /// How the line is protected, in words.
    pub protection: &'static str,
    /// Who we sign in as.
    pub user: Option<String>,
    /// Domain of the DKIM signature.
    pub dkim: Option<String>,
}

impl Server {
    /// None: no server is set, and email lands in the built-in outbox.
    pub(in crate::web) fn of(config: &Config) -> Option<Server> {
        let smtp = config.smtp.as_ref()?;
        Some(Server {
            address: format!("{}:{}", smtp.host, smtp.port),
            protection: match smtp.tls {
                SmtpTls::StartTls => "cifrada (STARTTLS)",
                SmtpTls::Tls => "cifrada (TLS)",
                SmtpTls::None => "sin cifrar",
            },
            user: smtp.credentials.as_ref().map(|it| it.0.clone()),
            dkim: config.dkim.as_ref().map(|it| it.domain.clone()),
        })
    }
}

/// A provider, or the mailbox, that may tell what became of messages.
struct Teller {
    label: &'static str,
    is_connected: bool,
    /// Environment variable that connects it.
    variable: &'static str,
    /// The address to paste at the provider's; which mailbox it is.
    address: String,
    /// When it told something last; when the mailbox was read last.
    last: Option<DateTime<Utc>>,
}

async fn tellers(state: &AppState, db: &mut PgConnection) -> Result<Vec<Teller>> {
    let mut found = Vec::new();
    for source in Source::PROVIDERS {
        found.push(Teller {
            label: source.label(),
            is_connected: callbacks::is_connected(&state.config.callbacks, source),
            variable: callbacks::variable(source),
            address: callback_address(&state.config.public_url, source),
            last: ledger::last_of(&mut *db, source).await?,
        });
    }
    let imap = state.config.imap.as_ref();
    found.push(Teller {
        label: Source::Mailbox.label(),
        is_connected: imap.is_some(),
        variable: callbacks::variable(Source::Mailbox),
        address: imap.map(Imap::name).unwrap_or_default(),
        last: match imap {
            Some(imap) => mailbox::last_read(&mut *db, imap).await?,
            None => None,
        },
    });
    // Those in use first.
    found.sort_by_key(|it| !it.is_connected);
    Ok(found)
}

/// The address that a provider calls, with a place for the secret where it signs nothing.
fn callback_address(public_url: &str, source: Source) -> String {
    let address = format!("{public_url}/webhooks/email/{}", source.path());
    match source {
        Source::Postmark => address.replacen("://", "://llovizna:TU_CLAVE@", 1),
        Source::Brevo => format!("{address}?token=TU_CLAVE"),
        _ => address,
    }
}

#[derive(Template)]
#[template(path = "settings/email.html")]
struct EmailPage {
    shell: Shell,
    form: EmailForm,
    errors: Errors,
    server: Option<Server>,
    /// The address that messages leave from as things stand.
    sender: String,
    /// The last days of the warm-up, newest first.
    days: Vec<Day>,
    /// The warm-up as a drawing; none: it has not begun.
    curve: Option<Curve>,
    /// What may leave today; none: no cap.
    cap_today: Option<u32>,
    /// Servers asked to go slowly.
    slowed: Option<Slowed>,
    tellers: Vec<Teller>,
    /// Providers reach the panel from outside.
    is_public: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EmailForm {
    from_name: String,
    from_email: String,
    reply_to: String,
    daily_cap: String,
    warm_up: String,
    warm_up_ceiling: String,
    per_minute: String,
    tracks: String,
}

impl EmailForm {
    fn warms_up(&self) -> bool {
        !self.warm_up.is_empty()
    }

    fn tracks(&self) -> bool {
        !self.tracks.is_empty()
    }

    fn of(channel: &EmailChannel) -> EmailForm {
        EmailForm {
            from_name: channel.from_name.clone(),
            from_email: channel.from_email.clone(),
            reply_to: channel.reply_to.clone(),
            daily_cap: channel.daily_cap.map(|it| it.to_string()).unwrap_or_default(),
            warm_up: ticked(channel.warm_up),
            tracks: ticked(channel.tracks),
            warm_up_ceiling: channel.warm_up_ceiling.map(|it| it.to_string()).unwrap_or_default(),
            per_minute: channel.per_minute.map(|it| it.to_string()).unwrap_or_default(),
        }
    }

    /// `channel` with what the form says.
    fn apply(&self, channel: EmailChannel) -> Result<EmailChannel> {
        let mut wrong = Vec::new();
        let mut number = |field, text: &str| ceiling::read(field, text, &mut wrong);
        let daily_cap = number("daily_cap", &self.daily_cap);
        let warm_up_ceiling = number("warm_up_ceiling", &self.warm_up_ceiling);
        let per_minute = number("per_minute", &self.per_minute);
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        EmailChannel {
            from_name: self.from_name.clone(),
            from_email: self.from_email.clone(),
            reply_to: self.reply_to.clone(),
            daily_cap,
            warm_up: self.warms_up(),
            warm_up_ceiling,
            per_minute,
            tracks: self.tracks(),
            ..channel
        }
        .checked()
    }
}

/// A box as a form sends it.
fn ticked(is_on: bool) -> String {
    if is_on { "on".to_owned() } else { String::new() }
}

async fn show(State(state): State<AppState>, shell: Shell) -> Answer {
    let channel: EmailChannel = settings::load(&state.db, &state.config.first_values).await?;
    page(&state, shell, EmailForm::of(&channel), Errors::default()).await
}

async fn page(state: &AppState, shell: Shell, form: EmailForm, errors: Errors) -> Answer {
    let failed = errors.any();
    let server = Server::of(&state.config);
    let sender = sender(state).await?.from_email;
    let mut db = state.db.acquire().await?;
    let channel: EmailChannel = settings::load(&mut *db, &state.config.first_values).await?;
    let days = if channel.warm_up { warm_up::days(&mut db, Channel::Email, DAYS).await? } else { Vec::new() };
    let sending = sending::of(&mut *db, &state.config.first_values, Channel::Email).await?;
    let cap_today = sending.cap_today(&mut db, state.clock.now(), Channel::Email).await?;
    let curve = sending
        .growth
        .zip(cap_today)
        .filter(|_| !days.is_empty())
        .map(|(plan, today)| warm_up_curve::of(plan, &days, today));
    let slowed = pace::slowed(&mut db, Channel::Email).await?;
    let tellers = tellers(state, &mut db).await?;
    let is_public = state.config.is_https();
    let page =
        EmailPage { shell, form, errors, server, sender, days, curve, cap_today, slowed, tellers, is_public };
    if failed { html::invalid(&page) } else { html::page(&page) }
}

async fn save(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<EmailForm>,
) -> Answer {
    match super::change_channel(&state, &actor, |channel| form.apply(channel)).await {
        Ok(()) => Ok(Flash::good("El canal de correo quedó guardado.").to("/settings/email")),
        Err(error) => page(&state, shell, form, Errors::from_error(error)?).await,
    }
}

/// Where the answer is shown: the settings, or the last step of the set-up.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TestForm {
    to: String,
    back: String,
}

impl TestForm {
    fn answer(&self, flash: Flash) -> Response {
        flash.to(if self.back == "setup" { "/setup/email" } else { "/settings/email" })
    }
}

async fn check(State(state): State<AppState>, Form(form): Form<TestForm>) -> Answer {
    let Some(provider) = state.senders.get(&Channel::Email) else {
        return Ok(form.answer(Flash::bad("El canal de correo no está disponible.")));
    };
    let said = tokio::time::timeout(PATIENCE, provider.check()).await;
    let flash = match said {
        Ok(Ok(said)) if provider.is_real() => Flash::good(format!("El servidor de correo respondió: {said}")),
        Ok(Ok(said)) => Flash::plain(said),
        Ok(Err(reason)) => Flash::bad(format!("No se pudo usar el servidor de correo. {reason}")),
        Err(_) => Flash::bad(
            "El servidor de correo no respondió en 20 segundos. Revisa EMAIL_HOST y EMAIL_PORT, y que tu red permita esa salida.",
        ),
    };
    Ok(form.answer(flash))
}

async fn test(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<TestForm>,
) -> Answer {
    let own = shell.email.to_lowercase();
    let to = if form.to.trim().is_empty() { own.clone() } else { form.to.trim().to_lowercase() };
    if !settings::is_address(&to) {
        return Ok(
            form.answer(Flash::bad("No enviamos la prueba: escribe un correo como nombre@negocio.cl."))
        );
    }
    // Others' addresses are for who answers for the channel.
    if to != own && !actor.may(Permission::EditSettings) {
        return Err(Error::Forbidden.into());
    }
    if !suppression::of(&mut *state.db.acquire().await?, Channel::Email, &to).await?.is_empty() {
        return Ok(form.answer(Flash::bad(
            "No enviamos la prueba: esa dirección está en la lista de exclusión. Prueba con otra.",
        )));
    }
    let sender = sender(&state).await?;
    if sender.from_email.is_empty() {
        return Ok(form.answer(Flash::bad(
            "No enviamos la prueba: falta el correo del remitente. Escríbelo aquí o en los datos de tu negocio.",
        )));
    }
    let Some(provider) = state.senders.get(&Channel::Email) else {
        return Ok(form.answer(Flash::bad("El canal de correo no está disponible.")));
    };
    let now = state.clock.now();
    let text = "Esta es una prueba enviada desde los ajustes de Llovizna. Si la lees, el correo funciona.";
    let message = Outgoing::Email(Email {
        message: 0,
        date: now,
        message_id: format!("prueba.{}@{}", uuid::Uuid::now_v7().simple(), sender.domain()),
        from_name: sender.from_name,
        from_email: sender.from_email,
        reply_to: sender.reply_to,
        to_email: to,
        subject: "Prueba de correo de Llovizna".to_owned(),
        html: format!("<p>{text}</p>"),
        plain: text.to_owned(),
        auto_submitted: true,
        ..Email::default()
    });
    let sent = tokio::time::timeout(PATIENCE, provider.send(&message)).await;
    let mut tx = state.db.begin().await?;
    let change = Change { action: "settings.email_test", subject_kind: "email", ..Change::default() };
    audit::record(&mut tx, now, &actor, change).await?;
    tx.commit().await?;
    Ok(form.answer(told(sent, provider.is_real())))
}

/// What came of a test, for the person who asked for it.
fn told(sent: Result<Result<Accepted, SendError>, Elapsed>, is_real: bool) -> Flash {
    match sent {
        Ok(Ok(_)) if !is_real => {
            Flash::plain("La prueba quedó en la bandeja de salida; nada salió a internet.")
        }
        Ok(Ok(accepted)) => {
            Flash::good(format!("El servidor aceptó la prueba: {}. Revisa la casilla.", accepted.answer))
        }
        Ok(Err(
            SendError::Temporary { answer }
            | SendError::Unavailable { answer }
            | SendError::Sender { answer }
            | SendError::Policy { answer }
            | SendError::Recipient { answer, .. },
        )) => Flash::bad(format!("La prueba no salió. {}", channels::said(&answer))),
        Ok(Err(SendError::Uncertain { answer })) => Flash::bad(format!(
            "La conexión se cortó justo al final ({answer}): revisa la casilla antes de probar otra vez."
        )),
        // We hung up; the server may have had all of it by then.
        Err(_) => Flash::bad(
            "El servidor de correo no respondió en 20 segundos: no sabemos si la prueba salió. Revisa la casilla antes de probar otra vez.",
        ),
    }
}

/// Who messages leave from as things stand.
async fn sender(state: &AppState) -> Result<Sender> {
    let first = &state.config.first_values;
    let business: Business = settings::load(&state.db, first).await?;
    let channel: EmailChannel = settings::load(&state.db, first).await?;
    Ok(Sender::of_email(&state.config, &business, &channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_did_not_answer_in_time_may_have_taken_the_test() {
        let never = std::future::pending();
        let flash = told(tokio::time::timeout(Duration::ZERO, never).await, true);
        assert!(flash.text.contains("no sabemos si la prueba salió"), "{}", flash.text);
    }
}
