//! The team: accounts, what each may do, and one's own.

use super::{
    filters,
    flash::{self, Flash},
    form::{Errors, Form},
    html::{self, Answer},
    routes::Route,
    session::Signed,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission, Role},
    accounts::{
        login, password,
        session::{self, Listed},
        staff::{self, NewStaff, StaffUser},
    },
    error::{Error, Result},
    ids::StaffId,
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    use Permission::{ManageStaff, View};
    vec![
        Route::get("/staff", ManageStaff, list),
        Route::post("/staff", ManageStaff, create),
        Route::get("/staff/new", ManageStaff, new),
        Route::get("/staff/{id}", ManageStaff, show),
        Route::post("/staff/{id}", ManageStaff, update),
        Route::get("/staff/{id}/edit", ManageStaff, edit),
        Route::post("/staff/{id}/password", ManageStaff, reset_password),
        Route::delete("/staff/{id}/lock", ManageStaff, unlock),
        Route::post("/staff/{id}/deactivation", ManageStaff, deactivate),
        Route::delete("/staff/{id}/deactivation", ManageStaff, activate),
        Route::get("/profile", View, profile),
        Route::post("/profile", View, rename),
        Route::post("/profile/password", View, change_password),
        Route::delete("/profile/sessions", View, end_others),
        Route::delete("/profile/sessions/{id}", View, end_session),
    ]
}

#[derive(Template)]
#[template(path = "staff/list.html")]
struct ListPage {
    shell: Shell,
    now: DateTime<Utc>,
    users: Vec<StaffUser>,
}

async fn list(State(state): State<AppState>, shell: Shell) -> Answer {
    let users = staff::list(&state.db).await?;
    html::page(&ListPage { shell, now: state.clock.now(), users })
}

#[derive(Template)]
#[template(path = "staff/form.html")]
struct FormPage {
    shell: Shell,
    id: Option<StaffId>,
    form: StaffForm,
    roles: Vec<Role>,
    errors: Errors,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StaffForm {
    email: String,
    name: String,
    role: String,
    password: String,
}

impl StaffForm {
    fn role(&self) -> Result<Role> {
        Role::from_code(&self.role).ok_or_else(|| Error::invalid("role", "Elige un rol."))
    }
}

/// The roles that this person may give.
fn roles_for(shell: &Shell) -> Vec<Role> {
    Role::ALL.into_iter().filter(|it| *it != Role::SuperAdmin || shell.role == Role::SuperAdmin).collect()
}

async fn new(shell: Shell) -> Answer {
    let roles = roles_for(&shell);
    let form = StaffForm { role: Role::Staff.code().to_owned(), ..StaffForm::default() };
    html::page(&FormPage { shell, id: None, form, roles, errors: Errors::default() })
}

/// Shown once, right after it was made: it is kept nowhere.
#[derive(Template)]
#[template(path = "staff/password.html")]
struct PasswordPage {
    shell: Shell,
    id: StaffId,
    name: String,
    email: String,
    password: String,
    is_new: bool,
}

async fn create(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(mut form): Form<StaffForm>,
) -> Answer {
    let generated = form.password.is_empty().then(password::generate);
    let made = async {
        let role = form.role()?;
        let mut tx = state.db.begin().await?;
        let new = NewStaff {
            email: form.email.clone(),
            name: form.name.clone(),
            role,
            password: generated.clone().unwrap_or_else(|| form.password.clone()),
        };
        let id = staff::create(&mut tx, state.clock.now(), &actor, new).await?;
        tx.commit().await?;
        Ok::<_, Error>(id)
    };
    match made.await {
        Ok(id) => match generated {
            Some(password) => html::page(&PasswordPage {
                shell,
                id,
                name: form.name,
                email: form.email.trim().to_lowercase(),
                password,
                is_new: true,
            }),
            None => {
                Ok(Flash::good(format!("{} ya puede entrar con su correo.", form.name.trim())).to("/staff"))
            }
        },
        Err(error) => {
            let errors = Errors::from_error(error)?;
            let roles = roles_for(&shell);
            form.password.clear();
            html::invalid(&FormPage { shell, id: None, form, roles, errors })
        }
    }
}

#[derive(Template)]
#[template(path = "staff/show.html")]
struct ShowPage {
    shell: Shell,
    now: DateTime<Utc>,
    user: StaffUser,
    is_own: bool,
    /// Whether this person may change the account.
    may_change: bool,
    /// Until when nobody can sign in to it.
    locked_until: Option<DateTime<Utc>>,
}

async fn show(State(state): State<AppState>, actor: Actor, shell: Shell, Path(id): Path<i64>) -> Answer {
    let user = staff::find(&state.db, StaffId(id)).await?;
    let is_own = actor.staff_id() == Some(user.id);
    let may_change = user.role != Role::SuperAdmin || shell.role == Role::SuperAdmin;
    let now = state.clock.now();
    let locked_until = login::locked_until(&state.db, now, &state.config, &user.email).await?;
    html::page(&ShowPage { shell, now, user, is_own, may_change, locked_until })
}

async fn edit(State(state): State<AppState>, shell: Shell, Path(id): Path<i64>) -> Answer {
    let user = staff::find(&state.db, StaffId(id)).await?;
    let roles = roles_for(&shell);
    if !roles.contains(&user.role) {
        return Err(Error::Forbidden.into());
    }
    let form = StaffForm {
        email: user.email,
        name: user.name,
        role: user.role.code().to_owned(),
        password: String::new(),
    };
    html::page(&FormPage { shell, id: Some(user.id), form, roles, errors: Errors::default() })
}

async fn update(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(mut form): Form<StaffForm>,
) -> Answer {
    let id = StaffId(id);
    let changed = async {
        let role = form.role()?;
        let mut tx = state.db.begin().await?;
        staff::update(&mut tx, state.clock.now(), &actor, id, &form.name, role).await?;
        Ok::<_, Error>(tx.commit().await?)
    };
    let path = format!("/staff/{id}");
    match changed.await {
        Ok(()) if actor.staff_id() == Some(id) => Ok(Flash::good("Cambios guardados.").to("/")),
        Ok(()) => Ok(Flash::good("Cambios guardados.").to(&path)),
        Err(Error::Refused(sentence)) => Ok(Flash::bad(sentence).to(&path)),
        Err(error) => {
            let errors = Errors::from_error(error)?;
            let roles = roles_for(&shell);
            form.email = staff::find(&state.db, id).await?.email;
            html::invalid(&FormPage { shell, id: Some(id), form, roles, errors })
        }
    }
}

async fn reset_password(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
) -> Answer {
    let id = StaffId(id);
    let mut tx = state.db.begin().await?;
    let (user, password) =
        staff::reset_password(&mut tx, state.clock.now(), &actor, &state.config, id).await?;
    tx.commit().await?;
    html::page(&PasswordPage { shell, id, name: user.name, email: user.email, password, is_new: false })
}

async fn unlock(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    let id = StaffId(id);
    let mut tx = state.db.begin().await?;
    staff::unlock(&mut tx, state.clock.now(), &actor, &state.config, id).await?;
    tx.commit().await?;
    Ok(Flash::good("La entrada quedó desbloqueada: ya puede intentarlo de nuevo.")
        .to(&format!("/staff/{id}")))
}

async fn deactivate(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    set_active(&state, &actor, StaffId(id), false).await
}

async fn activate(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    set_active(&state, &actor, StaffId(id), true).await
}

async fn set_active(state: &AppState, actor: &Actor, id: StaffId, active: bool) -> Answer {
    let changed = async {
        let mut tx = state.db.begin().await?;
        staff::set_active(&mut tx, state.clock.now(), actor, id, active).await?;
        Ok::<_, Error>(tx.commit().await?)
    };
    let done = if active {
        Flash::good("La cuenta está activa: ya puede entrar.")
    } else {
        Flash::good("La cuenta quedó desactivada y sus sesiones se cerraron.")
            .undo(format!("/staff/{id}/deactivation?_method=DELETE"))
    };
    flash::done_or_refused(changed.await, done, &format!("/staff/{id}"))
}

#[derive(Template)]
#[template(path = "staff/profile.html")]
struct ProfilePage {
    shell: Shell,
    now: DateTime<Utc>,
    name: String,
    errors: Errors,
    sessions: Vec<Listed>,
    this_session: i64,
}

async fn profile_page(
    state: &AppState,
    own: &session::Session,
    shell: Shell,
    name: String,
    errors: Errors,
) -> Answer {
    let now = state.clock.now();
    let sessions = session::list(&state.db, now, own.staff).await?;
    let failed = errors.any();
    let page = ProfilePage { shell, now, name, errors, sessions, this_session: own.id };
    if failed { html::invalid(&page) } else { html::page(&page) }
}

async fn profile(State(state): State<AppState>, Signed(own): Signed, shell: Shell) -> Answer {
    profile_page(&state, &own, shell, own.name.clone(), Errors::default()).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NameForm {
    name: String,
}

async fn rename(
    State(state): State<AppState>,
    Signed(own): Signed,
    actor: Actor,
    shell: Shell,
    Form(form): Form<NameForm>,
) -> Answer {
    let changed = async {
        let mut tx = state.db.begin().await?;
        staff::rename_own(&mut tx, state.clock.now(), &actor, &form.name).await?;
        Ok::<_, Error>(tx.commit().await?)
    };
    match changed.await {
        Ok(()) => Ok(Flash::good("Tu nombre quedó guardado.").to("/profile")),
        Err(error) => profile_page(&state, &own, shell, form.name, Errors::from_error(error)?).await,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PasswordForm {
    current_password: String,
    password: String,
    password_again: String,
}

async fn change_password(
    State(state): State<AppState>,
    Signed(own): Signed,
    actor: Actor,
    shell: Shell,
    Form(form): Form<PasswordForm>,
) -> Answer {
    let changed = async {
        if form.password != form.password_again {
            return Err(Error::invalid(
                "password_again",
                "No es igual a la contraseña nueva: escríbela otra vez.",
            ));
        }
        let mut tx = state.db.begin().await?;
        let now = state.clock.now();
        let (current, fresh) = (&form.current_password, &form.password);
        let ended = staff::change_own_password(&mut tx, now, &actor, current, fresh, own.id).await?;
        tx.commit().await?;
        Ok(ended)
    };
    match changed.await {
        Ok(0) => Ok(Flash::good("Tu contraseña cambió.").to("/profile")),
        Ok(_) => {
            Ok(Flash::good("Tu contraseña cambió y cerramos tus sesiones en otros equipos.").to("/profile"))
        }
        Err(error) => profile_page(&state, &own, shell, own.name.clone(), Errors::from_error(error)?).await,
    }
}

async fn end_session(State(state): State<AppState>, Signed(own): Signed, Path(id): Path<i64>) -> Answer {
    let mut tx = state.db.begin().await?;
    let ended = session::end(&mut tx, own.staff, id).await?;
    tx.commit().await?;
    if !ended {
        return Err(Error::NotFound.into());
    }
    Ok(say_ended())
}

async fn end_others(State(state): State<AppState>, Signed(own): Signed) -> Answer {
    let mut tx = state.db.begin().await?;
    session::end_all(&mut tx, own.staff, Some(own.id)).await?;
    tx.commit().await?;
    Ok(say_ended())
}

fn say_ended() -> Response {
    Flash::good("Sesión cerrada en el otro equipo.").to("/profile")
}

/// A browser's long name of itself, as a person would say it.
pub(super) fn browser_name(user_agent: &str) -> String {
    let browser = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]
    .iter()
    .find(|(mark, _)| user_agent.contains(mark))
    .map_or("Otro navegador", |(_, name)| name);
    let system = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    ]
    .iter()
    .find(|(mark, _)| user_agent.contains(mark))
    .map(|(_, name)| *name);
    system.map_or_else(|| browser.to_owned(), |system| format!("{browser} en {system}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_named_as_people_name_it() {
        let check = |agent: &str, expected: &str| assert_eq!(browser_name(agent), expected);
        check(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0",
            "Edge en Windows",
        );
        check(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari en iPhone",
        );
        check("curl/8.1", "Otro navegador");
    }
}
