//! Signing in and out.

use super::{
    csrf::Guest,
    form::Form,
    html::{self, Answer},
    routes::Route,
    session::{self, Client, Found, Signed},
    shell::Theme,
};
use crate::{
    access::Permission,
    accounts::{
        login::{self, Attempt, Credentials},
        session as sessions, staff,
    },
    state::AppState,
};
use askama::Template;
use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect},
};
use axum_extra::extract::CookieJar;
use chrono_tz::America::Santiago;
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::guest_get("/login", show),
        Route::guest_post("/login", sign_in),
        Route::post("/logout", Permission::View, sign_out),
    ]
}

#[derive(Template)]
#[template(path = "login/show.html")]
struct LoginPage {
    csrf: String,
    theme: Theme,
    email: String,
    next: String,
    notice: Option<&'static str>,
    problem: Option<String>,
    is_first_run: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Why {
    next: String,
    reason: String,
}

async fn show(
    State(state): State<AppState>,
    Extension(guest): Extension<Guest>,
    jar: CookieJar,
    headers: HeaderMap,
    Query(why): Query<Why>,
) -> Answer {
    if let Found::Live(..) = session::find(&state, &jar).await? {
        return Ok(Redirect::to(session::local_path(&why.next).unwrap_or("/")).into_response());
    }
    let notice = match why.reason.as_str() {
        "expired" => Some("Tu sesión terminó por seguridad. Entra de nuevo y sigues donde estabas."),
        "unsaved" => Some(
            "Tu sesión terminó antes de que guardaras: lo último que enviaste no se guardó. Entra de nuevo y repítelo.",
        ),
        "out" => Some("Saliste de tu cuenta."),
        _ => None,
    };
    html::page(&LoginPage {
        csrf: guest.token,
        theme: Theme::of(&headers),
        email: String::new(),
        next: why.next,
        notice,
        problem: None,
        is_first_run: staff::is_nobody(&state.db).await?,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LoginForm {
    email: String,
    password: String,
    next: String,
}

async fn sign_in(
    State(state): State<AppState>,
    Extension(guest): Extension<Guest>,
    client: Client,
    jar: CookieJar,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Answer {
    let now = state.clock.now();
    let who = Credentials {
        email: &form.email,
        password: &form.password,
        ip: client.ip,
        user_agent: &client.user_agent,
    };
    let (status, problem) = match login::attempt(&state.db, now, &state.config, who).await? {
        Attempt::Done { token, .. } => {
            // A cookie held from before is not continued: the session is another one.
            if let Found::Live(old, _) = session::find(&state, &jar).await? {
                let mut tx = state.db.begin().await?;
                sessions::end(&mut tx, old.staff, old.id).await?;
                tx.commit().await?;
            }
            let next = session::local_path(&form.next).filter(|it| !it.starts_with("/login")).unwrap_or("/");
            let mut response = Redirect::to(next).into_response();
            let name = session::session_cookie_name(&state.config);
            session::add_lasting_cookie(&mut response, &session::cookie(&state.config, name, token));
            return Ok(response);
        }
        Attempt::Wrong => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "El correo o la contraseña no son correctos. Revísalos y vuelve a intentarlo.".to_owned(),
        ),
        Attempt::Wait { until, is_account } => (
            StatusCode::TOO_MANY_REQUESTS,
            format!(
                "Hubo demasiados intentos seguidos y, por seguridad, la entrada queda en pausa {} minutos como máximo. \
                 Vuelve a intentarlo desde las {}.{}",
                login::WINDOW.num_minutes(),
                // Rounded up: told 10:15, one may at 10:15.
                (until + chrono::TimeDelta::seconds(59)).with_timezone(&Santiago).format("%H:%M"),
                if is_account {
                    " Si no puedes esperar, pídele a quien administra el equipo que la desbloquee en Equipo."
                } else {
                    ""
                }
            ),
        ),
    };
    let page = LoginPage {
        csrf: guest.token,
        theme: Theme::of(&headers),
        email: form.email,
        next: form.next,
        notice: None,
        problem: Some(problem),
        is_first_run: staff::is_nobody(&state.db).await?,
    };
    let mut response = html::with_status(status, &page)?;
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("900"));
    }
    Ok(response)
}

async fn sign_out(State(state): State<AppState>, Signed(own): Signed) -> Answer {
    let mut tx = state.db.begin().await?;
    sessions::end(&mut tx, own.staff, own.id).await?;
    tx.commit().await?;
    let mut response = Redirect::to("/login?reason=out").into_response();
    let name = session::session_cookie_name(&state.config);
    session::add_cookie(&mut response, &session::removal(&state.config, name));
    Ok(response)
}
