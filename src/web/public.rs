//! What recipients see: unsubscribing and preferences. No session, no cookie, no
//! script needed; GET changes nothing, since mail scanners follow every link.

use super::{
    form::Form,
    html::{self, Answer},
    routes::Route,
    shell::Theme,
};
use crate::{
    channels::Channel,
    error::Error,
    messaging::{
        kinds::{MessageType, OriginKind},
        links::{self, Choice, Holder},
    },
    settings::{self, Business},
    state::AppState,
};
use askama::Template;
use axum::{
    body::Bytes,
    extract::{Path, State},
    http::HeaderMap,
};
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::public_get("/baja/{token}", ask),
        Route::public_post("/baja/{token}", unsubscribe),
        Route::public_get("/preferencias/{token}", show),
        Route::public_post("/preferencias/{token}", save),
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
    channels: Vec<Channel>,
    saved: bool,
    is_test: bool,
}

struct KindRow {
    kind: MessageType,
    explained: &'static str,
    boxes: Vec<KindBox>,
}

struct KindBox {
    name: String,
    channel: Channel,
    allowed: bool,
}

async fn holder_of(state: &AppState, token: &str) -> Result<(Holder, Business), Error> {
    let token = links::decode(token).ok_or(Error::NotFound)?;
    let mut db = state.db.acquire().await?;
    let holder = links::holder(&mut db, token).await?;
    let business = settings::load(&mut *db, &state.config.first_values).await?;
    Ok((holder, business))
}

async fn ask(State(state): State<AppState>, headers: HeaderMap, Path(token): Path<String>) -> Answer {
    let (holder, business) = holder_of(&state, &token).await?;
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
    let (holder, business) = holder_of(&state, &token).await?;
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
fn masked(address: &str) -> String {
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
        MessageType::FollowUp => "Seguimiento después de conversar con nosotros",
        MessageType::Workflow => "Series de mensajes, como la bienvenida",
        MessageType::SatisfactionSurvey => "Preguntas sobre cómo te atendimos",
        MessageType::BookingReminder => "Recordatorios de tus reservas",
        MessageType::BookingConfirmation | MessageType::Transactional | MessageType::Other => "",
    }
}

async fn preferences_page(
    state: &AppState,
    headers: &HeaderMap,
    token: String,
    saved: bool,
) -> Result<PreferencesPage, Error> {
    let (holder, business) = holder_of(state, &token).await?;
    let mut db = state.db.acquire().await?;
    let known = links::choices(&mut db, &holder).await?;
    let row = |kind: &MessageType| KindRow {
        kind: *kind,
        explained: explained(*kind),
        boxes: known
            .channels
            .iter()
            .map(|channel| KindBox {
                name: format!("{}.{}", channel.code(), kind.code()),
                channel: *channel,
                allowed: !known.declined.contains(&(*channel, *kind)),
            })
            .collect(),
    };
    Ok(PreferencesPage {
        theme: Theme::of(headers),
        token,
        business,
        address: masked(&holder.destination),
        subscribed: known.subscribed,
        rows: if known.channels.is_empty() {
            Vec::new()
        } else {
            MessageType::DECLINABLE.iter().map(row).collect()
        },
        channels: known.channels,
        saved,
        is_test: holder.origin == OriginKind::Test,
    })
}

async fn show(State(state): State<AppState>, headers: HeaderMap, Path(token): Path<String>) -> Answer {
    html::page(&preferences_page(&state, &headers, token, false).await?)
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
    let (holder, _) = holder_of(&state, &token).await?;
    let now = state.clock.now();
    let ticked = |name: &str| fields.iter().any(|(key, _)| key == name);
    let mut tx = state.db.begin().await?;
    let known = links::choices(&mut tx, &holder).await?;
    let mut choices = Vec::new();
    for channel in &known.channels {
        for kind in MessageType::DECLINABLE {
            let allowed = ticked(&format!("{}.{}", channel.code(), kind.code()));
            choices.push(Choice { channel: *channel, kind: *kind, allowed });
        }
    }
    links::choose(&mut tx, now, &holder, &choices).await?;
    if ticked("subscribed") {
        links::resubscribe(&mut tx, now, &holder).await?;
    } else {
        links::unsubscribe(&mut tx, now, &holder).await?;
    }
    tx.commit().await?;
    html::page(&preferences_page(&state, &headers, token, true).await?)
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
