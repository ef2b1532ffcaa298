//! The facts of a contact on their page, each changed where it is read: a press makes
//! it a field, Enter or leaving saves it, Escape leaves it. Without JavaScript the
//! same press leads to the form, at that field.

use crate::{
    access::{Actor, Permission},
    accounts::staff::{self, StaffUser},
    chile::{comunas, format, phone::Phone, time},
    contacts::{
        address::EmailAddress,
        company::Outcome,
        contact::{self, Contact, Draft},
        fact::{self, Fact},
        vocabulary::Source,
    },
    error::{Error, Result},
    ids::ContactId,
    state::AppState,
    web::{
        badges::Badge,
        filters,
        flash::Flash,
        form::{Errors, Form},
        guard,
        html::{self, Answer},
        shell::Shell,
    },
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
    response::{IntoResponse as _, Redirect},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// What a fact says, in words.
#[derive(Default)]
struct Said {
    text: String,
    /// Where it leads; empty: nowhere.
    link: String,
    /// What is said beside it.
    beside: String,
}

/// A fact that is being changed.
struct Field {
    typed: Draft,
    /// What it said when the field was opened.
    seen: Vec<String>,
    owners: Vec<StaffUser>,
    /// What is wrong, or what somebody else wrote meanwhile; empty: nothing yet.
    problem: String,
    /// Whose the address is that was typed.
    other: Option<(ContactId, String)>,
}

/// A fact as it is read, or as a field.
#[derive(Template)]
#[template(path = "contacts/fact.html")]
pub(super) struct FactPart {
    contact: ContactId,
    pub fact: Fact,
    said: Said,
    may_edit: bool,
    csrf: String,
    field: Option<Field>,
}

impl FactPart {
    fn read(contact: &Contact, fact: Fact, now: DateTime<Utc>, shell: &Shell) -> FactPart {
        FactPart {
            contact: contact.id,
            fact,
            said: said(contact, fact, now),
            may_edit: shell.may(Permission::EditContacts),
            csrf: shell.csrf.clone(),
            field: None,
        }
    }

    /// All of them; those that say nothing only for who may change that.
    pub(super) fn all(contact: &Contact, now: DateTime<Utc>, shell: &Shell) -> Vec<FactPart> {
        let mut all: Vec<FactPart> =
            Fact::ALL.into_iter().map(|it| FactPart::read(contact, it, now, shell)).collect();
        all.retain(|it| it.may_edit || !it.said.text.is_empty());
        all
    }

    pub(super) fn is_notes(&self) -> bool {
        self.fact == Fact::Notes
    }

    /// The field of the form where who has no JavaScript changes it.
    fn anchor(&self) -> &'static str {
        self.fact.fields()[0]
    }
}

fn said(contact: &Contact, fact: Fact, now: DateTime<Utc>) -> Said {
    let plain = |text: &Option<String>| Said { text: text.clone().unwrap_or_default(), ..Said::default() };
    match fact {
        Fact::Name => {
            let name = format!("{} {}", contact.first_name, contact.last_name);
            Said { text: name.trim().to_owned(), ..Said::default() }
        }
        Fact::Email => Said {
            link: contact.email.as_ref().map(|it| format!("mailto:{it}")).unwrap_or_default(),
            ..plain(&contact.email)
        },
        Fact::Phone => Said {
            text: contact.phone.as_deref().map(Phone::show).unwrap_or_default(),
            link: contact.phone.as_ref().map(|it| format!("tel:{it}")).unwrap_or_default(),
            ..Said::default()
        },
        Fact::Company => Said {
            link: contact.company_id.map(|it| format!("/companies/{it}")).unwrap_or_default(),
            ..plain(&contact.company)
        },
        Fact::JobTitle => plain(&contact.job_title),
        Fact::Comuna => {
            let comuna = contact.comuna.as_deref().and_then(comunas::by_code);
            Said {
                text: comuna.map(|it| it.name.to_owned()).unwrap_or_default(),
                beside: comuna.map(|it| it.region.name.to_owned()).unwrap_or_default(),
                ..Said::default()
            }
        }
        Fact::BirthDate => {
            let years = contact.birth_date.and_then(|born| time::local_date(now).years_since(born));
            Said {
                text: contact.birth_date.map(format::date).unwrap_or_default(),
                beside: years.map(|it| format::count(i64::from(it), "año", "años")).unwrap_or_default(),
                ..Said::default()
            }
        }
        Fact::Source => Said { text: contact.source.label().to_owned(), ..Said::default() },
        Fact::Owner => plain(&contact.owner),
        Fact::Notes => plain(&contact.notes),
    }
}

/// How to reach a contact, and how far they have come: the line below their name.
#[derive(Template)]
#[template(path = "contacts/lead.html")]
pub(super) struct LeadPart {
    contact: Contact,
    lifecycle: Badge,
    /// It takes the place of the one on the page.
    swaps: bool,
}

impl LeadPart {
    pub(super) fn of(contact: &Contact) -> LeadPart {
        LeadPart { lifecycle: super::lifecycle(contact.lifecycle), contact: contact.clone(), swaps: false }
    }
}

/// What the page is told after a change: the fact, and what else says it.
#[derive(Template)]
#[template(path = "contacts/fact_saved.html")]
struct SavedPart {
    fact: FactPart,
    lead: LeadPart,
    name: String,
    changed_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// It is left as it was.
    left: String,
}

fn fact_of(code: &str) -> Result<Fact> {
    Fact::from_code(code).ok_or(Error::NotFound)
}

/// The fact as a field; or, left alone, as it is read.
pub(super) async fn edit(
    State(state): State<AppState>,
    shell: Shell,
    headers: HeaderMap,
    Path((id, code)): Path<(i64, String)>,
    Query(asked): Query<Asked>,
) -> Answer {
    let (fact, now) = (fact_of(&code)?, state.clock.now());
    let contact = contact::get(&state.db, ContactId(id)).await?;
    let part = FactPart::read(&contact, fact, now, &shell);
    if !guard::is_htmx(&headers) {
        let form = format!("/contacts/{id}/edit#field-{}", part.anchor());
        return Ok(Redirect::to(&form).into_response());
    }
    if !asked.left.is_empty() {
        return html::page(&part);
    }
    let stands = contact.draft();
    let field = Field {
        seen: fact.texts(&stands),
        typed: stands,
        owners: owners(&state, fact, &contact).await?,
        problem: String::new(),
        other: None,
    };
    html::page(&FactPart { field: Some(field), ..part })
}

/// Who may look after a contact: those at work, and who does.
async fn owners(state: &AppState, fact: Fact, contact: &Contact) -> Result<Vec<StaffUser>> {
    if fact != Fact::Owner {
        return Ok(Vec::new());
    }
    let mut owners = staff::list(&state.db).await?;
    owners.retain(|it| it.active || contact.owner_id == Some(it.id));
    Ok(owners)
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct FactForm {
    #[serde(flatten)]
    draft: Draft,
    seen: String,
    /// Of a fact of two fields, what the second said.
    seen_more: String,
}

pub(super) async fn save(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    headers: HeaderMap,
    Path((id, code)): Path<(i64, String)>,
    Form(form): Form<FactForm>,
) -> Answer {
    let (fact, now) = (fact_of(&code)?, state.clock.now());
    let mut seen = vec![form.seen, form.seen_more];
    seen.truncate(fact.fields().len());
    let saved = async {
        let mut tx = state.db.begin().await?;
        let outcome = fact::change(&mut tx, now, &actor, ContactId(id), fact, &seen, &form.draft).await?;
        // What is not saved makes no company either.
        if outcome == Outcome::Saved {
            tx.commit().await?;
        }
        Ok::<_, Error>(outcome)
    };
    let (problem, seen) = match saved.await {
        Ok(outcome @ (Outcome::Saved | Outcome::Unchanged)) if !guard::is_htmx(&headers) => {
            let flash = if outcome == Outcome::Saved {
                Flash::good("Cambios guardados.")
            } else {
                Flash::plain("No había nada que cambiar.")
            };
            return Ok(flash.to(&format!("/contacts/{id}")));
        }
        Ok(Outcome::Saved | Outcome::Unchanged) => {
            let contact = contact::get(&state.db, ContactId(id)).await?;
            return html::page(&SavedPart {
                fact: FactPart::read(&contact, fact, now, &shell),
                lead: LeadPart { swaps: true, ..LeadPart::of(&contact) },
                name: contact.full_name(),
                changed_at: contact.updated_at,
                now,
            });
        }
        Ok(Outcome::Stale) => (None, None),
        Err(error) => {
            let errors = Errors::from_error(error)?;
            let reasons: Vec<_> = errors.iter().map(|it| it.message.as_str()).collect();
            (Some(reasons.join(" ")), Some(seen))
        }
    };
    let is_refused = problem.is_some();
    let contact = contact::get(&state.db, ContactId(id)).await?;
    let part = FactPart::read(&contact, fact, now, &shell);
    let problem = problem.unwrap_or_else(|| {
        let stands = &part.said.text;
        let stands = if stands.is_empty() { "está vacío".to_owned() } else { format!("dice «{stands}»") };
        format!(
            "Otra persona lo cambió mientras escribías: ahora {stands}. Lo tuyo aún no se guarda; \
             guarda otra vez para dejarlo."
        )
    });
    let other = match form.draft.email.parse::<EmailAddress>() {
        Ok(email) if fact == Fact::Email && is_refused => {
            contact::by_email(&state.db, email.as_str()).await?
        }
        _ => None,
    };
    let field = Field {
        other: other.filter(|it| it.0 != contact.id),
        typed: form.draft,
        // Saving again is then a choice made with open eyes.
        seen: seen.unwrap_or_else(|| fact.texts(&contact.draft())),
        owners: owners(&state, fact, &contact).await?,
        problem,
    };
    html::invalid(&FactPart { field: Some(field), ..part })
}
