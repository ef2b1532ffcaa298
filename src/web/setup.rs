//! The first-run wizard: who the business is, who runs it, and whether email works.

use super::{
    csrf::Guest,
    error::Trouble,
    flash::Flash,
    form::{Errors, Form},
    html::{self, Answer},
    routes::Route,
    session::{self, Client},
    settings::email::Server,
    shell::{Shell, Theme},
};
use crate::{
    access::{Actor, Permission, Role},
    accounts::{session as sessions, setup, staff},
    audit::{self, Change},
    error::{Error, FieldError, Result},
    settings::{self, Business, Subject},
    state::AppState,
};
use askama::Template;
use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::guest_get("/setup", show),
        Route::guest_post("/setup", finish),
        Route::get("/setup/email", Permission::EditSettings, email),
    ]
}

#[derive(Template)]
#[template(path = "setup/show.html")]
struct SetupPage {
    csrf: String,
    theme: Theme,
    form: SetupForm,
    errors: Errors,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct SetupForm {
    token: String,
    business_name: String,
    legal_name: String,
    rut: String,
    address: String,
    business_email: String,
    name: String,
    email: String,
    password: String,
    password_again: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Link {
    token: String,
}

async fn show(
    State(state): State<AppState>,
    Extension(guest): Extension<Guest>,
    headers: HeaderMap,
    Query(link): Query<Link>,
) -> Answer {
    if let Some(answer) = closed(&state, &link.token).await? {
        return Ok(answer);
    }
    let business: Business = settings::load(&state.db, &state.config.first_values).await?;
    let form = SetupForm {
        token: link.token,
        business_name: business.name,
        address: business.address,
        business_email: business.email,
        ..SetupForm::default()
    };
    html::page(&SetupPage { csrf: guest.token, theme: Theme::of(&headers), form, errors: Errors::default() })
}

/// What to say to someone whose link does not open the wizard.
async fn closed(state: &AppState, token: &str) -> Result<Option<Response>> {
    if setup::is_open(&state.db, &state.config, token).await? {
        return Ok(None);
    }
    if !staff::is_nobody(&state.db).await? {
        return Ok(Some(Redirect::to("/login").into_response()));
    }
    let sentence = "Este enlace no sirve para la puesta en marcha. Usa el que Llovizna escribió al iniciar, entero y sin cambios.";
    Ok(Some(Trouble::new(StatusCode::FORBIDDEN, sentence).into_response()))
}

async fn finish(
    State(state): State<AppState>,
    Extension(guest): Extension<Guest>,
    client: Client,
    headers: HeaderMap,
    Form(mut form): Form<SetupForm>,
) -> Answer {
    if let Some(answer) = closed(&state, &form.token).await? {
        return Ok(answer);
    }
    match install(&state, &form, &client).await {
        Ok(token) => {
            let mut response = Redirect::to("/setup/email").into_response();
            let name = session::session_cookie_name(&state.config);
            session::add_lasting_cookie(&mut response, &session::cookie(&state.config, name, token));
            Ok(response)
        }
        Err(error) => {
            let errors = Errors::from_error(error)?;
            form.password.clear();
            form.password_again.clear();
            html::invalid(&SetupPage { csrf: guest.token, theme: Theme::of(&headers), form, errors })
        }
    }
}

/// The fields in the order of the form, which what is wrong is told in.
const FIELDS: [&str; 9] = [
    "business_name",
    "legal_name",
    "rut",
    "address",
    "business_email",
    "name",
    "email",
    "password",
    "password_again",
];

/// Everything or nothing: the business, the account, and its first session.
async fn install(state: &AppState, form: &SetupForm, client: &Client) -> Result<String> {
    let business = Business {
        name: form.business_name.clone(),
        legal_name: form.legal_name.clone(),
        rut: form.rut.clone(),
        address: form.address.clone(),
        email: form.business_email.clone(),
        ..Business::default()
    };
    let mut wrong = Vec::new();
    for (field, text, message) in [
        (
            "address",
            &form.address,
            "Escribe la dirección, con la comuna: la ley pide que tus mensajes la lleven.",
        ),
        ("business_email", &form.business_email, "Escribe un correo donde te puedan responder."),
    ] {
        if text.trim().is_empty() {
            wrong.push(FieldError::new(field, message));
        }
    }
    let business = match business.checked() {
        Ok(it) => Some(it),
        Err(Error::Invalid(fields)) => {
            wrong.extend(fields.into_iter().map(|it| match it.field {
                "name" => FieldError { field: "business_name", ..it },
                "email" => FieldError { field: "business_email", ..it },
                _ => it,
            }));
            None
        }
        Err(error) => return Err(error),
    };
    let now = state.clock.now();
    let mut tx = state.db.begin().await?;
    let made =
        setup::first_account(&mut tx, now, form.email.clone(), form.name.clone(), form.password.clone());
    let id = match made.await {
        Ok(id) => Some(id),
        Err(Error::Invalid(fields)) => {
            wrong.extend(fields);
            None
        }
        Err(error) => return Err(error),
    };
    if form.password != form.password_again {
        wrong.push(FieldError::new(
            "password_again",
            "No es igual a la contraseña de arriba: escríbela otra vez.",
        ));
    }
    wrong.sort_by_key(|it| FIELDS.iter().position(|field| *field == it.field));
    let (Some(business), Some(id), true) = (business, id, wrong.is_empty()) else {
        return Err(Error::Invalid(wrong));
    };
    settings::save(&mut tx, now, Some(id), &business).await?;
    let actor = Actor::Staff { id, name: form.name.trim().to_owned(), role: Role::SuperAdmin };
    let change = Change {
        action: "settings.update",
        subject_kind: Business::NAME,
        after: serde_json::to_value(&business).ok(),
        ..Change::default()
    };
    audit::record(&mut tx, now, &actor, change).await?;
    let token = sessions::start(&mut tx, now, id, &client.user_agent).await?;
    tx.commit().await?;
    Ok(token)
}

#[derive(Template)]
#[template(path = "setup/email.html")]
struct EmailStep {
    csrf: String,
    theme: Theme,
    email: String,
    flash: Option<Flash>,
    server: Option<Server>,
}

async fn email(State(state): State<AppState>, shell: Shell) -> Answer {
    html::page(&EmailStep {
        csrf: shell.csrf,
        theme: shell.theme,
        email: shell.email,
        flash: shell.flash,
        server: Server::of(&state.config),
    })
}
