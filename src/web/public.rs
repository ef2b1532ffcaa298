//! What recipients see: unsubscribing and preferences. No session, no cookie, no
//! script needed; GET changes nothing, since mail scanners follow every link.

use super::{
    form::{Errors, Form},
    html::{self, Answer},
    public_held,
    rhythm_form::RhythmForm,
    routes::Route,
    shell::Theme,
};
use crate::{
    channels::Channel,
    chile::time,
    deliverability::one_click,
    error::Error,
    messaging::{
        kinds::{MessageType, OriginKind},
        links::{self, Choice, Holder, Known},
    },
    settings::{self, Business},
    state::AppState,
};
use askama::Template;
use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse as _,
};
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::public_get("/baja/{token}", ask),
        Route::public_post("/baja/{token}", unsubscribe),
        Route::public_get("/preferencias/{token}", show),
        Route::public_post("/preferencias/{token}", save),
        public_held::route(),
    ]
}

#[derive(Template)]
#[template(path = "public/unsubscribe.html")]
struct UnsubscribePage {
    theme: Theme,
    token: String,
    business: Business,
    /// The address, with its middle hidden: links are forwarded.
    address: String,
    done: bool,
    is_test: bool,
}

#[derive(Template)]
#[template(path = "public/preferences.html")]
struct PreferencesPage {
    theme: Theme,
    token: String,
    business: Business,
    address: String,
    subscribed: bool,
    rows: Vec<KindRow>,
    /// How often, and until when none; none: not in the address book.
    rhythm: Option<RhythmForm>,
    errors: Errors,
    saved: bool,
    is_test: bool,
}

/// A link that is not one of ours, or was cut in copying: the recipient is told how else to leave, and is not led to the panel.
#[derive(Template)]
#[template(path = "public/broken.html")]
struct BrokenPage {
    theme: Theme,
    business: Business,
}

struct KindRow {
    explained: &'static str,
    boxes: Vec<KindBox>,
}

struct KindBox {
    name: String,
    channel: Channel,
    allowed: bool,
}

/// Whose the link is; none: nobody's.
pub(super) async fn holder_of(state: &AppState, token: &str) -> Result<Option<(Holder, Business)>, Error> {
    let Some(token) = links::decode(token) else { return Ok(None) };
    let mut db = state.db.acquire().await?;
    let holder = match links::holder(&mut db, token).await {
        Err(Error::NotFound) => return Ok(None),
        found => found?,
    };
    let business = settings::load(&mut *db, &state.config.first_values).await?;
    Ok(Some((holder, business)))
}

pub(super) async fn broken(state: &AppState, headers: &HeaderMap) -> Answer {
    let business = settings::load(&state.db, &state.config.first_values).await?;
    html::with_status(StatusCode::NOT_FOUND, &BrokenPage { theme: Theme::of(headers), business })
}

async fn ask(State(state): State<AppState>, headers: HeaderMap, Path(token): Path<String>) -> Answer {
    let Some((holder, business)) = holder_of(&state, &token).await? else {
        return broken(&state, &headers).await;
    };
    html::page(&UnsubscribePage {
        theme: Theme::of(&headers),
        token,
        business,
        address: masked(&holder.destination),
        done: holder.unsubscribed,
        is_test: holder.origin == OriginKind::Test,
    })
}

/// RFC 8058: any POST to the link unsubscribes, whatever its body, without cookies and without a redirect.
async fn unsubscribe(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(token): Path<String>,
    _body: Bytes,
) -> Answer {
    if token == one_click::TOKEN {
        return Ok(one_click::ANSWER.into_response());
    }
    let Some((holder, business)) = holder_of(&state, &token).await? else {
        return broken(&state, &headers).await;
    };
    let mut tx = state.db.begin().await?;
    links::unsubscribe(&mut tx, state.clock.now(), &holder).await?;
    tx.commit().await?;
    html::page(&UnsubscribePage {
        theme: Theme::of(&headers),
        token,
        business,
        address: masked(&holder.destination),
        done: true,
        is_test: holder.origin == OriginKind::Test,
    })
}

/// `c•••@sur.example`.
pub(super) fn masked(address: &str) -> String {
    if let Some((local, domain)) = address.split_once('@') {
        format!("{}•••@{domain}", local.chars().next().unwrap_or('•'))
    } else {
        let tail: String = address.chars().skip(address.chars().count().saturating_sub(3)).collect();
        format!("•••{tail}")
    }
}

/// A kind that may be declined, in the person's words.
fn explained(kind: MessageType) -> &'static str {
    match kind {
        MessageType::Promocional => "Ofertas y descuentos",
        MessageType::Newsletter => "Noticias y novedades",
        MessageType::Birthday => "Un saludo en tu cumpleaños",
        MessageType::Reactivation => "Invitaciones a volver",
        MessageType::VipEarlyAccess => "Lo nuevo antes que nadie, para clientes VIP",
        MessageType::FollowUp => "Seguimiento después de conversar con nosotros",
        MessageType::Workflow => "Series de mensajes, como la bienvenida",
        MessageType::SatisfactionSurvey => "Preguntas sobre cómo te atendimos",
        MessageType::BookingReminder => "Recordatorios de tus reservas",
        MessageType::BookingConfirmation | MessageType::Transactional | MessageType::Other => "",
    }
}

/// The boxes that the page shows: only what is sent, so that nobody is asked about messages that do not exist.
fn offered<'a>(state: &'a AppState, known: &'a Known) -> impl Iterator<Item = (Channel, MessageType)> + 'a {
    let channels = known.channels.iter().filter(|it| state.senders.contains_key(it));
    MessageType::asked_about().flat_map(move |kind| channels.clone().map(move |channel| (*channel, kind)))
}

fn name_of(channel: Channel, kind: MessageType) -> String {
    format!("{}.{}", channel.code(), kind.code())
}

async fn preferences_page(
    state: &AppState,
    headers: &HeaderMap,
    token: String,
    (holder, business): (Holder, Business),
    saved: bool,
) -> Result<PreferencesPage, Error> {
    let mut db = state.db.acquire().await?;
    let known = links::choices(&mut db, &holder).await?;
    let mut rows: Vec<KindRow> = Vec::new();
    for (channel, kind) in offered(state, &known) {
        let allowed = known.subscribed && !known.declined.contains(&(channel, kind));
        let it = KindBox { name: name_of(channel, kind), channel, allowed };
        match rows.last_mut().filter(|row| row.explained == explained(kind)) {
            Some(row) => row.boxes.push(it),
            None => rows.push(KindRow { explained: explained(kind), boxes: vec![it] }),
        }
    }
    Ok(PreferencesPage {
        theme: Theme::of(headers),
        token,
        business,
        address: masked(&holder.destination),
        subscribed: known.subscribed,
        rows,
        rhythm: holder.contact.map(|_| RhythmForm::of(known.rhythm, time::local_date(state.clock.now()))),
        errors: Errors::default(),
        saved,
        is_test: holder.origin == OriginKind::Test,
    })
}

async fn show(State(state): State<AppState>, headers: HeaderMap, Path(token): Path<String>) -> Answer {
    let Some(found) = holder_of(&state, &token).await? else {
        return broken(&state, &headers).await;
    };
    html::page(&preferences_page(&state, &headers, token, found, false).await?)
}

/// The boxes that are ticked: `subscribed`, and `CHANNEL.KIND` of each kind.
#[derive(Deserialize)]
struct Ticked(Vec<(String, String)>);

async fn save(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(token): Path<String>,
    Form(Ticked(fields)): Form<Ticked>,
) -> Answer {
    let Some((holder, business)) = holder_of(&state, &token).await? else {
        return broken(&state, &headers).await;
    };
    let now = state.clock.now();
    let ticked = |name: &str| fields.iter().any(|(key, _)| key == name);
    let mut tx = state.db.begin().await?;
    if !ticked("subscribed") {
        // A no is a no, whatever else the form says.
        links::unsubscribe(&mut tx, now, &holder).await?;
        tx.commit().await?;
        return saved(&state, &headers, token).await;
    }
    let known = links::choices(&mut tx, &holder).await?;
    let today = time::local_date(now);
    let form = RhythmForm::read(&fields);
    let rhythm = match form.as_ref().map(|it| it.rhythm(known.rhythm, today)).transpose() {
        Ok(rhythm) => rhythm,
        Err(error) => {
            drop(tx);
            let errors = Errors::from_error(error)?;
            let mut page = preferences_page(&state, &headers, token, (holder, business), false).await?;
            // As it was ticked: what is sent next must not say yes where a no was meant.
            page.subscribed = true;
            for it in page.rows.iter_mut().flat_map(|row| &mut row.boxes) {
                it.allowed = ticked(&it.name);
            }
            let rhythm = form.map(|it| it.beside(known.rhythm, today));
            return html::invalid(&PreferencesPage { rhythm, errors, ..page });
        }
    };
    let choices: Vec<Choice> = offered(&state, &known)
        .map(|(channel, kind)| Choice { channel, kind, allowed: ticked(&name_of(channel, kind)) })
        .collect();
    // Whoever had left saw no box ticked: coming back without ticking any takes nothing else away.
    if known.subscribed || choices.iter().any(|it| it.allowed) {
        links::choose(&mut tx, now, &holder, &choices).await?;
    }
    links::resubscribe(&mut tx, now, &holder).await?;
    if let Some(rhythm) = rhythm {
        links::pace(&mut tx, now, &holder, rhythm).await?;
    }
    tx.commit().await?;
    saved(&state, &headers, token).await
}

/// The page after what it said was kept.
async fn saved(state: &AppState, headers: &HeaderMap, token: String) -> Answer {
    let Some(found) = holder_of(state, &token).await? else {
        return broken(state, headers).await;
    };
    html::page(&preferences_page(state, headers, token, found, true).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_middle() {
        assert_eq!(masked("camila@sur.example"), "c•••@sur.example");
        assert_eq!(masked("+56987654321"), "•••321");
        assert_eq!(masked(""), "•••");
    }
}
