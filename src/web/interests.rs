//! The page of the interests: their names and categories, who has them, two that mean the same joined into one.

use super::{
    flash::{self, Flash},
    form::{Errors, Form},
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    chile::format,
    contacts::interests::catalogue::{self, ENOUGH, Entry},
    error::{Error, Result},
    ids::InterestId,
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, State};
use serde::Deserialize;

/// Where the forms stand.
const PAGE: &str = "/interests";

pub(super) fn routes() -> Vec<Route> {
    use Permission::{EditContacts, View};
    vec![
        Route::get(PAGE, View, list),
        Route::post("/interests/joined", EditContacts, join),
        Route::post("/interests/{id}", EditContacts, update),
        Route::delete("/interests/{id}", EditContacts, remove),
    ]
}

/// The interests under one heading.
struct Category {
    name: String,
    entries: Vec<Entry>,
}

#[derive(Template)]
#[template(path = "interests/list.html")]
struct InterestsPage {
    shell: Shell,
    categories: Vec<Category>,
    /// What was typed and not saved, and where.
    typed: Option<(InterestId, InterestForm)>,
    errors: Errors,
}

impl InterestsPage {
    fn new(shell: Shell, entries: Vec<Entry>) -> InterestsPage {
        let mut categories: Vec<Category> = Vec::new();
        for entry in entries {
            let name = entry.interest.category.clone();
            if let Some(category) = categories.last_mut().filter(|it| it.name == name) {
                category.entries.push(entry);
            } else {
                categories.push(Category { name, entries: vec![entry] });
            }
        }
        InterestsPage { shell, categories, typed: None, errors: Errors::default() }
    }

    fn may_edit(&self) -> bool {
        self.shell.may(Permission::EditContacts)
    }

    fn all(&self) -> impl Iterator<Item = &Entry> {
        self.categories.iter().flat_map(|it| &it.entries)
    }

    fn typed_at(&self, entry: &Entry) -> Option<&InterestForm> {
        self.typed.as_ref().filter(|it| it.0 == entry.interest.id).map(|it| &it.1)
    }

    fn name_of<'a>(&'a self, entry: &'a Entry) -> &'a str {
        self.typed_at(entry).map_or(&entry.interest.name, |it| &it.name)
    }

    fn category_of<'a>(&'a self, entry: &'a Entry) -> &'a str {
        self.typed_at(entry).map_or(&entry.interest.category, |it| &it.category)
    }

    #[expect(clippy::unused_self, reason = "templates call methods with what their loops hold")]
    fn people(&self, entry: &Entry) -> String {
        format::count_up_to(entry.people, ENOUGH, "contacto", "contactos")
    }
}

async fn list(State(state): State<AppState>, shell: Shell) -> Answer {
    html::page(&InterestsPage::new(shell, catalogue::all(&state.db).await?))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InterestForm {
    name: String,
    category: String,
    /// What they were when the form was drawn.
    seen_name: String,
    seen_category: String,
}

async fn update(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<InterestId>,
    Form(form): Form<InterestForm>,
) -> Answer {
    let seen = (form.seen_name.as_str(), form.seen_category.as_str());
    let changed: Result<()> = async {
        let mut tx = state.db.begin().await?;
        let now = state.clock.now();
        catalogue::update(&mut tx, now, &actor, id, seen, &form.name, &form.category).await?;
        Ok(tx.commit().await?)
    }
    .await;
    match changed {
        Err(Error::Invalid(fields)) => {
            let page = InterestsPage::new(shell, catalogue::all(&state.db).await?);
            html::invalid(&InterestsPage { typed: Some((id, form)), errors: Errors(fields), ..page })
        }
        other => flash::done_or_refused(other, Flash::good("El interés quedó guardado."), PAGE),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JoinForm {
    from: String,
    into: String,
}

async fn join(State(state): State<AppState>, actor: Actor, Form(form): Form<JoinForm>) -> Answer {
    let (Ok(from), Ok(into)) = (form.from.parse(), form.into.parse()) else {
        return Ok(Flash::bad("Elige los dos intereses. No se cambió nada.").to(PAGE));
    };
    let joined: Result<u64> = async {
        let mut tx = state.db.begin().await?;
        let moved =
            catalogue::join(&mut tx, state.clock.now(), &actor, InterestId(from), InterestId(into)).await?;
        tx.commit().await?;
        Ok(moved)
    }
    .await;
    let done = match joined.as_ref() {
        Ok(0) | Err(_) => "Quedaron juntos: quienes tenían el primero ya tenían el segundo.".to_owned(),
        Ok(1) => "Quedaron juntos: 1 contacto pasó al segundo.".to_owned(),
        Ok(many) => format!(
            "Quedaron juntos: {} contactos pasaron al segundo.",
            format::number(i64::try_from(*many).unwrap_or(i64::MAX))
        ),
    };
    flash::done_or_refused(joined.map(drop), Flash::good(done), PAGE)
}

async fn remove(State(state): State<AppState>, actor: Actor, Path(id): Path<InterestId>) -> Answer {
    let removed: Result<()> = async {
        let mut tx = state.db.begin().await?;
        catalogue::remove(&mut tx, state.clock.now(), &actor, id).await?;
        Ok(tx.commit().await?)
    }
    .await;
    flash::done_or_refused(removed, Flash::good("El interés se quitó."), PAGE)
}
