//! What people on the staff changed, in words.

use super::{
    audit_words, filters,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    accounts::staff::{self, StaffUser},
    audit::{self, Entry, Filter, Place},
    ids::StaffId,
    state::AppState,
};
use askama::Template;
use axum::extract::{Query, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

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
        label: noun(&code).to_owned(),
        chosen: code == query.kind,
        code,
    });
    html::page(&AuditPage {
        now: state.clock.now(),
        shell,
        lines: entries.into_iter().map(line).collect(),
        people: staff::list(&state.db).await?,
        staff: filter.staff,
        kinds: kinds.collect(),
        is_filtered: filter.staff.is_some() || filter.subject_kind.is_some() || filter.subject_id.is_some(),
        newer,
        older,
    })
}

fn line(entry: Entry) -> Line {
    let link = entry.subject_id.and_then(|id| page_of(&entry.subject_kind, id));
    let (what, subject) = phrase(&entry.action, &entry.subject_kind, entry.subject_id);
    Line {
        at: entry.at,
        what,
        fields: differences(entry.before.as_ref(), entry.after.as_ref()),
        actor: entry.actor,
        link,
        subject,
    }
}

/// What was done, and to what: `cambió las preferencias del`, `contacto 7`.
fn phrase(action: &str, kind: &str, id: Option<i64>) -> (String, String) {
    let (mut what, subject) = (verb(action), with_article(kind));
    let subject = match subject.strip_prefix("el ") {
        // «de el» is written «del».
        Some(noun) if what.ends_with(" de") => {
            what.push('l');
            noun
        }
        _ => subject,
    };
    (what, id.map_or_else(|| subject.to_owned(), |id| format!("{subject} {id}")))
}

/// The page of a row.
fn page_of(kind: &str, id: i64) -> Option<String> {
    let folder = match kind {
        "staff" => "staff",
        "contact" => "contacts",
        "company" => "companies",
        "campaign" => "campaigns",
        "import" => "imports",
        "message" => "messages",
        "segment" => "segments",
        "list" => "lists",
        _ => return None,
    };
    Some(format!("/{folder}/{id}"))
}

/// A noun as people read it.
fn noun(kind: &str) -> &str {
    match kind {
        "staff" => "Persona del equipo",
        "contact" => "Contacto",
        "company" => "Empresa",
        "campaign" => "Campaña",
        "import" => "Importación",
        "message" | "communication_log" => "Mensaje",
        "segment" => "Segmento",
        "list" => "Lista",
        "value_segments" => "Segmentos de valor",
        "suppression" => "Lista de exclusión",
        "frequency_cap" => "Tope de frecuencia",
        "holiday" => "Feriado",
        "business" => "Datos del negocio",
        "email" => "Canal de correo",
        "job" => "Trabajo programado",
        other => other,
    }
}

/// A noun as the object of a sentence.
fn with_article(kind: &str) -> &str {
    match kind {
        "staff" => "la cuenta",
        "contact" => "el contacto",
        "company" => "la empresa",
        "campaign" => "la campaña",
        "import" => "la importación",
        "message" | "communication_log" => "el mensaje",
        "segment" => "el segmento",
        "list" => "la lista",
        "value_segments" => "los segmentos de valor",
        "suppression" => "la exclusión",
        "frequency_cap" => "el tope de frecuencia",
        "holiday" => "el feriado",
        "business" => "los datos del negocio",
        "email" => "el canal de correo",
        "job" => "el trabajo programado",
        other => other,
    }
}

/// What was done, as people read it, up to its object.
fn verb(action: &str) -> String {
    let (kind, verb) = action.split_once('.').unwrap_or(("", action));
    match (kind, verb) {
        ("staff", "reset_password") => "creó una contraseña nueva para".to_owned(),
        ("staff", "change_password") => "cambió la contraseña de".to_owned(),
        ("staff", "rename") => "cambió el nombre de".to_owned(),
        ("staff", "deactivate") => "desactivó".to_owned(),
        ("staff", "activate") => "activó".to_owned(),
        ("settings", "email_test") => "envió una prueba por".to_owned(),
        ("campaign", "test") => "envió un mensaje de prueba de".to_owned(),
        ("campaign", "retry_failed") => "reintentó los mensajes fallidos de".to_owned(),
        ("message", "decide") => "decidió sobre".to_owned(),
        ("preferences", _) => "cambió las preferencias de".to_owned(),
        ("quiet_hours", _) => "cambió las horas sin mensajes de".to_owned(),
        ("consent", "withdraw") => "retiró el consentimiento de".to_owned(),
        ("consent", _) => "registró el consentimiento de".to_owned(),
        ("import", "correct") => "corrigió filas de".to_owned(),
        ("list", "add") => "agregó personas a".to_owned(),
        ("list", "remove") => "quitó a alguien de".to_owned(),
        (_, "restore") => "recuperó".to_owned(),
        (_, "create" | "add") => "agregó".to_owned(),
        (_, "update" | "edit") => "cambió".to_owned(),
        (_, "delete" | "remove") => "quitó".to_owned(),
        (_, "launch") => "inició".to_owned(),
        (_, "pause") => "puso en pausa".to_owned(),
        (_, "resume") => "reanudó".to_owned(),
        (_, "cancel") => "canceló".to_owned(),
        (_, "finish") => "terminó".to_owned(),
        (_, "apply" | "confirm") => "confirmó".to_owned(),
        (_, "upload") => "subió".to_owned(),
        (_, "undo") => "deshizo".to_owned(),
        (_, "lift") => "levantó".to_owned(),
        (_, "retry") => "reintentó".to_owned(),
        (_, "run") => "ejecutó".to_owned(),
        _ => action.replace(['.', '_'], " "),
    }
}

/// The fields whose values differ, in the order of their names.
fn differences(before: Option<&Value>, after: Option<&Value>) -> Vec<Field> {
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
            name: field_name(name).to_owned(),
            before: old.get(name).and_then(|it| said(name, it)),
            after: new.get(name).and_then(|it| said(name, it)),
        })
        .filter(|it| it.before != it.after)
        .collect()
}

/// The value of a field in words; nothing for nothing.
fn said(name: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Bool(true) => "sí".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => audit_words::value(name, text),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => {
            items.iter().map(|it| said(name, it).unwrap_or_default()).collect::<Vec<_>>().join(", ")
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, it)| format!("{}: {}", field_name(name), said(name, it).unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", "),
    };
    if text.is_empty() {
        return None;
    }
    let short: String = text.chars().take(300).collect();
    Some(if short.len() < text.len() { format!("{short}…") } else { short })
}

/// A field as people read it.
fn field_name(name: &str) -> &str {
    match name {
        "name" => "nombre",
        "first_name" => "nombre de pila",
        "last_name" => "apellido",
        "legal_name" => "razón social",
        "email" => "correo",
        "phone" => "teléfono",
        "address" => "dirección",
        "website" => "sitio web",
        "rut" => "RUT",
        "role" => "rol",
        "active" => "activa",
        "industry" => "rubro",
        "comuna" => "comuna",
        "notes" => "notas",
        "day" => "día",
        "closed" => "sin envíos",
        "daily_cap" => "tope diario",
        "business_hours" => "horario",
        "days" => "días",
        "opens" => "desde",
        "closes" => "hasta",
        "skip_holidays" => "sin feriados",
        "from_name" => "nombre del remitente",
        "from_email" => "correo del remitente",
        "reply_to" => "responder a",
        "subject" => "asunto",
        "body" => "texto",
        "footer" => "pie",
        "audience" => "público",
        "batch_size" => "tamaño del lote",
        "status" => "estado",
        "reason" => "motivo",
        "max_messages" => "mensajes",
        "job_title" => "cargo",
        "company_id" => "empresa",
        "birth_date" => "cumpleaños",
        "filename" => "archivo",
        "communication_type" => "canal",
        "message_type" => "tipo de mensaje",
        "basis" | "consent_basis" => "base",
        "consent_source" => "cómo se obtuvo",
        "source" => "origen",
        "obtained_on" => "obtenido el",
        "lifecycle" => "etapa",
        "owner_id" => "responsable",
        "refused" => "no quiere recibir",
        "quiet_from" => "sin mensajes desde",
        "quiet_until" => "sin mensajes hasta",
        "scope" => "alcance",
        "kind" => "tipo",
        "bytes" => "tamaño en bytes",
        "mapping" => "columnas",
        "sheet" => "hoja",
        "cancel_requested" => "cancelación pedida",
        "counts" => "filas",
        "messages" => "mensajes",
        "message" => "mensaje",
        "queued" => "en cola",
        "reachable" => "pueden recibirla",
        "template_id" => "versión del texto",
        "spacing_seconds" => "segundos entre mensajes",
        "body_format" => "formato",
        "industries" => "rubros",
        "comunas" => "comunas",
        "import_ids" => "importaciones",
        "rows" => "leídas",
        "created" => "nuevas",
        "updated" => "cambiadas",
        "unchanged" => "sin cambios",
        "duplicates" => "repetidas",
        "rejected" => "rechazadas",
        other => other,
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
        );
        let told: Vec<_> =
            fields.iter().map(|it| (it.name.as_str(), it.before.as_deref(), it.after.as_deref())).collect();
        assert_eq!(
            told,
            [("activa", Some("sí"), Some("no")), ("rol", Some("Equipo"), Some("Administrador"))]
        );
    }

    #[test]
    fn a_change_reads_as_a_spanish_sentence() {
        let told = |action: &str, kind: &str| {
            let (what, subject) = phrase(action, kind, Some(7));
            format!("{what} {subject}")
        };
        assert_eq!(told("consent.withdraw", "contact"), "retiró el consentimiento del contacto 7");
        assert_eq!(told("consent.grant", "contact"), "registró el consentimiento del contacto 7");
        assert_eq!(told("preferences.update", "contact"), "cambió las preferencias del contacto 7");
        assert_eq!(told("settings.email_test", "email"), "envió una prueba por el canal de correo 7");
        assert_eq!(
            told("campaign.retry_failed", "campaign"),
            "reintentó los mensajes fallidos de la campaña 7"
        );
        assert_eq!(told("contact.update", "contact"), "cambió el contacto 7");
    }

    #[test]
    fn codes_are_told_as_the_panel_calls_them() {
        let after = json!({
            "communication_type": "EMAIL", "basis": "CONSENT", "obtained_on": "2026-11-21", "lifecycle": "CLIENTE",
            "status": "APPLYING", "scope": "PROMOTIONAL", "refused": ["NEWSLETTER", "BIRTHDAY"],
        });
        let told = differences(None, Some(&after));
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
    fn an_action_nobody_named_is_still_readable() {
        assert_eq!(verb("contact.mark_read"), "contact mark read");
        assert_eq!(verb("campaign.launch"), "inició");
    }
}
