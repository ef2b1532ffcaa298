//! What people on the staff changed, in words.

use super::{
    audit_fields, audit_words, filters,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    accounts::staff::{self, StaffUser},
    audit::{self, Entry, Filter, Place},
    chile::{business_hours::BusinessHours, format},
    contacts::{company, pipeline::stages},
    error::Result,
    ids::StaffId,
    scheduler::jobs,
    state::AppState,
};
use askama::Template;
use axum::extract::{Query, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashMap};

/// Changes of one page.
const PAGE: usize = 50;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/audit", Permission::ViewAudit, list)]
}

/// Filters arrive as text, since an empty choice sends an empty field.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AuditQuery {
    staff: String,
    kind: String,
    id: String,
    before: String,
    after: String,
}

impl AuditQuery {
    /// The address of the page at `place`, with the same filters.
    fn link(&self, place: &str, id: i64) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("staff", &self.staff), ("kind", &self.kind), ("id", &self.id)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.append_pair(place, &id.to_string());
        format!("/audit?{}", query.finish())
    }
}

/// One change, in words.
struct Line {
    at: DateTime<Utc>,
    actor: String,
    what: String,
    /// The row's page, where it has one.
    link: Option<String>,
    subject: String,
    fields: Vec<Field>,
}

/// One field that changed.
struct Field {
    name: String,
    before: Option<String>,
    after: Option<String>,
}

/// A noun to filter by.
struct Kind {
    code: String,
    label: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "audit/list.html")]
struct AuditPage {
    shell: Shell,
    now: DateTime<Utc>,
    lines: Vec<Line>,
    people: Vec<StaffUser>,
    staff: Option<StaffId>,
    kinds: Vec<Kind>,
    is_filtered: bool,
    newer: String,
    older: String,
}

impl AuditPage {
    fn is_chosen(&self, person: &StaffUser) -> bool {
        self.staff == Some(person.id)
    }
}

async fn list(State(state): State<AppState>, shell: Shell, Query(query): Query<AuditQuery>) -> Answer {
    let filter = Filter {
        staff: query.staff.parse().ok().map(StaffId),
        subject_kind: Some(query.kind.as_str()).filter(|it| !it.is_empty()),
        subject_id: query.id.parse().ok(),
    };
    let place = match (query.before.parse(), query.after.parse()) {
        (Ok(id), _) => Place::OlderThan(id),
        (_, Ok(id)) => Place::NewerThan(id),
        _ => Place::Newest,
    };
    // One more than is shown tells whether there is more in that direction.
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let mut entries = audit::list(&state.db, &filter, place, limit).await?;
    let more = entries.len() > PAGE;
    let has_newer = match place {
        Place::Newest => false,
        Place::OlderThan(_) => true,
        Place::NewerThan(_) => more,
    };
    let has_older = matches!(place, Place::NewerThan(_)) || more;
    if more {
        if matches!(place, Place::NewerThan(_)) {
            entries.remove(0);
        } else {
            entries.truncate(PAGE);
        }
    }
    let link = |wanted: bool, name: &str, entry: Option<&Entry>| {
        entry.filter(|_| wanted).map(|it| query.link(name, it.id)).unwrap_or_default()
    };
    let newer = link(has_newer, "after", entries.first());
    let older = link(has_older, "before", entries.last());
    let kinds = audit::kinds(&state.db).await?.into_iter().map(|code| Kind {
        label: audit_words::noun(&code).to_owned(),
        chosen: code == query.kind,
        code,
    });
    let people = staff::list(&state.db).await?;
    let names = Names::load(&mut *state.db.acquire().await?, &entries, &people).await?;
    html::page(&AuditPage {
        now: state.clock.now(),
        shell,
        lines: entries.into_iter().map(|it| line(it, &names)).collect(),
        people,
        staff: filter.staff,
        kinds: kinds.collect(),
        is_filtered: filter.staff.is_some() || filter.subject_kind.is_some() || filter.subject_id.is_some(),
        newer,
        older,
    })
}

/// What rows are called, by the field that tells them and their id.
#[derive(Default)]
struct Names(HashMap<(&'static str, i64), String>);

/// The table that `field` tells a row of; none: its number is a number.
fn table_of(field: &str) -> Option<&'static str> {
    Some(match field {
        "company" | "company_id" => "company",
        "stage" | "stage_id" => "stage",
        "owner" | "owner_id" => "staff",
        _ => return None,
    })
}

impl Names {
    /// The names of all that `entries` tell by their ids.
    async fn load(db: &mut PgConnection, entries: &[Entry], people: &[StaffUser]) -> Result<Names> {
        let mut companies = BTreeSet::new();
        for value in entries.iter().flat_map(|it| [&it.before, &it.after]).flatten() {
            told_companies(value, &mut companies);
        }
        let companies: Vec<i64> = companies.into_iter().collect();
        let mut names: HashMap<_, _> =
            people.iter().map(|it| (("staff", it.id.0), it.name.clone())).collect();
        for (id, name) in company::names(&mut *db, &companies).await? {
            names.insert(("company", id.0), name);
        }
        for (id, name) in stages::names(&mut *db).await? {
            names.insert(("stage", id.0), name);
        }
        Ok(Names(names))
    }

    /// The number `id` of `field` in words: a name, or the number of what has none any more.
    fn of(&self, field: &str, id: i64) -> Option<String> {
        let table = table_of(field)?;
        Some(self.0.get(&(table, id)).map_or_else(|| format!("n.º {id}"), Clone::clone))
    }
}

/// Add the ids of companies that `value` tells, however deep.
fn told_companies(value: &Value, found: &mut BTreeSet<i64>) {
    match value {
        Value::Object(fields) => {
            for (name, it) in fields {
                match it.as_i64() {
                    Some(id) if table_of(name) == Some("company") => drop(found.insert(id)),
                    _ => told_companies(it, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|it| told_companies(it, found)),
        _ => {}
    }
}

fn line(entry: Entry, names: &Names) -> Line {
    let link = entry.subject_id.and_then(|id| page_of(&entry.subject_kind, id));
    let (what, subject) = audit_words::phrase(&entry.action, &entry.subject_kind, entry.subject_id);
    Line {
        at: entry.at,
        what,
        fields: differences(entry.before.as_ref(), entry.after.as_ref(), names),
        subject: match particulars(&entry) {
            Some(it) => format!("{subject} ({it})"),
            None => subject,
        },
        actor: entry.actor,
        link,
    }
}

/// Which one it was, of what has no page that its number leads to: a job by its title, a cap by what it counts.
fn particulars(entry: &Entry) -> Option<String> {
    let document = entry.after.as_ref().or(entry.before.as_ref())?;
    if entry.subject_kind == "job" {
        return document.as_str().and_then(jobs::find).map(|it| it.label.to_owned());
    }
    let field = |name: &str| Some(audit_fields::value(name, document.get(name)?.as_str()?));
    if entry.subject_kind != "frequency_cap" {
        return None;
    }
    let channel = field("communication_type")?;
    let kind = field("message_type").unwrap_or_else(|| "todos los promocionales".to_owned());
    Some(format!("{channel}, {kind}"))
}

/// The page of a row.
fn page_of(kind: &str, id: i64) -> Option<String> {
    let folder = match kind {
        "staff" => "staff",
        "contact" => "contacts",
        "company" => "companies",
        "campaign" => "campaigns",
        "import" => "imports",
        "bulk_action" => "bulk-actions",
        "message" => "messages",
        "segment" => "segments",
        "list" => "lists",
        _ => return None,
    };
    Some(format!("/{folder}/{id}"))
}

/// The fields whose values differ, in the order of their names.
fn differences(before: Option<&Value>, after: Option<&Value>, called: &Names) -> Vec<Field> {
    let empty = serde_json::Map::new();
    let object = |it: Option<&Value>| it.and_then(Value::as_object).cloned().unwrap_or_else(|| empty.clone());
    let (old, new) = (object(before), object(after));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| Field {
            // A campaign's `source` is its text, a person's is where they came from.
            name: match new.get(name).or(old.get(name)) {
                Some(Value::Object(_)) if *name == "source" => "contenido".to_owned(),
                _ => audit_fields::field_name(name).to_owned(),
            },
            before: old.get(name).and_then(|it| said(name, it, called)),
            after: new.get(name).and_then(|it| said(name, it, called)),
        })
        .filter(|it| it.before != it.after)
        .collect()
}

/// The value of a field in words; nothing for nothing.
fn said(name: &str, value: &Value, called: &Names) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Bool(true) => "sí".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => audit_fields::value(name, text),
        Value::Number(number) => {
            number.as_i64().and_then(|id| called.of(name, id)).unwrap_or_else(|| number.to_string())
        }
        Value::Array(items) => {
            items.iter().map(|it| said(name, it, called).unwrap_or_default()).collect::<Vec<_>>().join(", ")
        }
        Value::Object(_) if name == "business_hours" => serde_json::from_value(value.clone())
            .map_or_else(|_| value.to_string(), |it: BusinessHours| it.describe()),
        Value::Object(_) if name == "rule" => {
            let conditions = i64::try_from(conditions(value)).unwrap_or(i64::MAX);
            format::count(conditions, "condición", "condiciones")
        }
        Value::Object(fields) => fields
            .iter()
            .filter_map(|(name, it)| {
                Some(format!("{}: {}", audit_fields::field_name(name), said(name, it, called)?))
            })
            .collect::<Vec<_>>()
            .join(", "),
    };
    if text.is_empty() {
        return None;
    }
    let short: String = text.chars().take(300).collect();
    Some(if short.len() < text.len() { format!("{short}…") } else { short })
}

/// Conditions of a segment's rule, however deep.
fn conditions(rule: &Value) -> usize {
    match rule {
        Value::Object(fields) => {
            usize::from(fields.contains_key("field")) + fields.values().map(conditions).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(conditions).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_changed_is_told() {
        let fields = differences(
            Some(&json!({ "name": "Ana", "role": "STAFF", "active": true })),
            Some(&json!({ "name": "Ana", "role": "ADMIN", "active": false, "notes": "" })),
            &Names::default(),
        );
        let told: Vec<_> =
            fields.iter().map(|it| (it.name.as_str(), it.before.as_deref(), it.after.as_deref())).collect();
        assert_eq!(
            told,
            [("activa", Some("sí"), Some("no")), ("rol", Some("Equipo"), Some("Administrador"))]
        );
    }

    #[test]
    fn hours_are_told_as_their_own_page_words_them() {
        let after = json!({ "business_hours": {
            "days": [true, true, true, true, true, false, false], "opens": "09:00:00", "closes": "18:00:00",
            "skip_holidays": true,
        }});
        let told = differences(None, Some(&after), &Names::default());
        assert_eq!(told[0].after.as_deref(), Some("lunes a viernes de 09:00 a 18:00, salvo feriados"));
    }

    #[test]
    fn codes_are_told_as_the_panel_calls_them() {
        let after = json!({
            "communication_type": "EMAIL", "basis": "CONSENT", "obtained_on": "2026-11-21", "lifecycle": "CLIENTE",
            "status": "APPLYING", "scope": "PROMOTIONAL", "refused": ["NEWSLETTER", "BIRTHDAY"],
        });
        let told = differences(None, Some(&after), &Names::default());
        let told: Vec<_> = told.iter().map(|it| (it.name.as_str(), it.after.as_deref().unwrap())).collect();
        assert_eq!(
            told,
            [
                ("base", "Consentimiento"),
                ("canal", "Correo"),
                ("etapa", "Cliente"),
                ("obtenido el", "21-11-2026"),
                ("no quiere recibir", "Boletín, Cumpleaños"),
                ("alcance", "Promociones"),
                ("estado", "Guardando"),
            ]
        );
    }

    #[test]
    fn rows_are_told_by_their_names() {
        let names = Names(HashMap::from([
            (("company", 61), "Salmones Quellón".to_owned()),
            (("stage", 1), "Nuevo".to_owned()),
        ]));
        let (before, after) = (
            json!({ "stage_id": 1, "position": 1 }),
            json!({ "stage_id": 2, "position": 2, "kept": { "company_id": 61 } }),
        );
        let told = differences(Some(&before), Some(&after), &names);
        let told: Vec<_> =
            told.iter().map(|it| (it.name.as_str(), it.before.as_deref(), it.after.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("ficha que queda", None, Some("empresa: Salmones Quellón")),
                ("lugar", Some("1"), Some("2")),
                ("etapa", Some("Nuevo"), Some("n.º 2")),
            ]
        );
        let mut found = BTreeSet::new();
        told_companies(&after, &mut found);
        assert_eq!(found, BTreeSet::from([61]));
    }
}
