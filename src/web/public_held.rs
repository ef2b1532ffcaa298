//! "Qué guardamos de ti": what is held on the recipient of a message, for who holds its link. Links are forwarded, so
//! it says what there is and since when, and shows no datum whole: who asks the business for a copy is known by it.

use super::{
    filters,
    html::{self, Answer},
    public::{broken, holder_of, masked},
    routes::Route,
    shell::Theme,
};
use crate::{
    chile::{format, phone::Phone, time},
    contacts::{
        consent::{self, Entry},
        contact::{self, Contact},
        interests, metrics,
        rhythm::{self, Rhythm},
    },
    error::Result,
    ids::ContactId,
    messaging::{links::Holder, story},
    settings::Business,
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::HeaderMap,
};
use chrono::NaiveDate;
use sqlx::PgConnection;

/// Entries of the ledger that are shown, and messages that are counted.
const SHOWN: i64 = 20;
const COUNTED: i64 = 10_000;

pub(super) fn route() -> Route {
    Route::public_get("/preferencias/{token}/datos", show)
}

#[derive(Template)]
#[template(path = "public/held.html")]
struct HeldPage {
    theme: Theme,
    token: String,
    business: Business,
    address: String,
    /// What is held: label, and what of it may be seen.
    facts: Vec<(&'static str, String)>,
    ledger: Vec<Entry>,
    rhythm: Rhythm,
    today: NaiveDate,
}

async fn show(State(state): State<AppState>, headers: HeaderMap, Path(token): Path<String>) -> Answer {
    let Some((holder, business)) = holder_of(&state, &token).await? else {
        return broken(&state, &headers).await;
    };
    let mut db = state.db.acquire().await?;
    let (facts, ledger, rhythm) = match holder.contact {
        Some(contact) => (
            facts(&mut db, contact).await?,
            consent::ledger(&mut *db, contact, SHOWN).await?,
            rhythm::of(&mut db, holder.channel, contact).await?,
        ),
        None => (of_address(&holder), Vec::new(), Rhythm::default()),
    };
    html::page(&HeldPage {
        theme: Theme::of(&headers),
        address: masked(&holder.destination),
        token,
        business,
        facts,
        ledger,
        rhythm,
        today: time::local_date(state.clock.now()),
    })
}

/// Someone outside the address book: nothing but where the message went.
fn of_address(holder: &Holder) -> Vec<(&'static str, String)> {
    vec![("Dirección", masked(&holder.destination))]
}

async fn facts(db: &mut PgConnection, id: ContactId) -> Result<Vec<(&'static str, String)>> {
    let contact = contact::get(&mut *db, id).await?;
    let metrics = metrics::of(&mut *db, id).await?;
    let interests = interests::of(&mut *db, id).await?.len();
    let filter = story::Filter { contact: Some(id), left: true, ..story::Filter::default() };
    let messages = story::count(db, &filter, COUNTED).await?;
    let mut facts = own(&contact);
    let mut counted = |label, count: i64, one: &str, many: &str| {
        if count > 0 {
            facts.push((label, format::count(count, one, many)));
        }
    };
    counted("Intereses", i64::try_from(interests).unwrap_or(i64::MAX), "anotado", "anotados");
    counted("Visitas", metrics.visits.into(), "registrada", "registradas");
    counted(
        "Mensajes",
        messages,
        "con la prueba de lo que se te envió",
        "con la prueba de lo que se te envió",
    );
    let since = format::date(time::local_date(contact.created_at));
    facts.push(("De dónde", format!("{}, desde el {since}", contact.source.label())));
    Ok(facts)
}

/// What the contact's row says, each datum half hidden.
fn own(contact: &Contact) -> Vec<(&'static str, String)> {
    let kept = |it: &Option<String>| it.as_ref().map(|_| "guardado".to_owned());
    let name = [&contact.first_name, &contact.last_name].map(|it| initial(it)).join(" ");
    let all = [
        ("Nombre", Some(name.trim().to_owned()).filter(|it| !it.is_empty())),
        ("Correo", contact.email.as_deref().map(masked)),
        ("Teléfono", contact.phone.as_deref().map(|it| masked(&Phone::show(it)))),
        ("Empresa", kept(&contact.company)),
        ("Cargo", kept(&contact.job_title)),
        ("Comuna", kept(&contact.comuna)),
        ("Nacimiento", contact.birth_date.map(|_| "guardado".to_owned())),
        ("Notas", kept(&contact.notes).map(|_| "de nuestro equipo".to_owned())),
    ];
    all.into_iter().filter_map(|(label, it)| Some((label, it?))).collect()
}

/// `C•••`.
fn initial(name: &str) -> String {
    name.trim().chars().next().map_or_else(String::new, |it| format!("{it}•••"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_by_its_first_letter() {
        assert_eq!(initial("Ñandú"), "Ñ•••");
        assert_eq!(initial("  "), "");
    }
}
