//! What an import changes in people and companies who were there before, field by field: foreseen
//! while it waits to be confirmed, looked back at once it is written.

use super::{Consent, Import, Kind, Status};
use crate::{
    chile::{comunas, format, phone::Phone, rut::Rut, text::fold},
    contacts::{
        bulk::OnDuplicate,
        vocabulary::{Lifecycle, Source},
    },
    error::Result,
};
use serde_json::Value;
use sqlx::PgPool;
use std::collections::HashMap;

/// How much of a text is shown, in characters.
const SHOWN: usize = 80;

/// A field that changes. Empty: there was nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As people call the field.
    pub label: &'static str,
    /// What stood there.
    pub before: String,
    /// What stands there then.
    pub after: String,
}

/// Fields of a contact that a file may bring, as stored, with their names.
const OF_CONTACTS: &[(&str, &str)] = &[
    ("first_name", "Nombre"),
    ("last_name", "Apellidos"),
    ("email", "Correo"),
    ("phone", "Teléfono"),
    ("job_title", "Cargo"),
    ("company_name", "Empresa"),
    ("birth_date", "Fecha de nacimiento"),
    ("comuna", "Comuna"),
    ("source", "Origen"),
    ("lifecycle", "Etapa"),
    ("owner", "Responsable"),
    ("interests", "Intereses"),
    ("notes", "Notas"),
    ("email_basis", "Permiso para promociones"),
];

/// Those of a company.
const OF_COMPANIES: &[(&str, &str)] = &[
    ("name", "Nombre"),
    ("rut", "RUT"),
    ("industry", "Rubro"),
    ("comuna", "Comuna"),
    ("address", "Dirección"),
    ("website", "Sitio web"),
    ("phone", "Teléfono"),
    ("email", "Correo"),
    ("notes", "Notas"),
];

/// Those of the company where a person works.
const OF_EMPLOYERS: &[(&str, &str)] = &[
    ("rut", "RUT de la empresa"),
    ("industry", "Rubro de la empresa"),
    ("comuna", "Comuna de la empresa"),
    ("address", "Dirección de la empresa"),
    ("website", "Sitio web de la empresa"),
];

/// What changes in each of these rows of `import`, as far as it can be told. Who was changed again after the
/// import says no more what it changed.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &PgPool, import: &Import, rows: &[i32]) -> Result<HashMap<i32, Vec<Change>>> {
    match (import.kind, import.status) {
        (Kind::Contacts, Status::Ready | Status::Applying) => foreseen_in_contacts(db, import, rows).await,
        (Kind::Companies, Status::Ready | Status::Applying) => foreseen_in_companies(db, import, rows).await,
        (Kind::Contacts, Status::Done) => written_to_contacts(db, import, rows).await,
        (Kind::Companies, Status::Done) => written_to_companies(db, import, rows).await,
        _ => Ok(HashMap::new()),
    }
}

async fn foreseen_in_contacts(
    db: &PgPool,
    import: &Import,
    rows: &[i32],
) -> Result<HashMap<i32, Vec<Change>>> {
    let found = sqlx::query!(
        r#"select r.row_number, to_jsonb(r) || jsonb_build_object('company_name', coalesce(meant.name, r.company_name),
                'owner', (select name from staff_users where id = r.owner_id)) as "said!",
            to_jsonb(c) || jsonb_build_object('company_name', k.name,
                'owner', (select name from staff_users where id = c.owner_id),
                'interests', (select string_agg(i.name, ', ' order by i.key)
                    from contact_interests t join interests i on i.id = t.interest_id where t.contact_id = c.id)) as "now!",
            (select coalesce(array_agg(i.key), '{}')
                from contact_interests t join interests i on i.id = t.interest_id where t.contact_id = c.id) as "has!",
            r.interests as "wants: Vec<String>", to_jsonb(k) as employer
         from import_rows r
         join contacts c on c.id = r.subject_id
         left join companies k on k.id = c.company_id
         left join companies meant on meant.rut = r.rut
         where r.import_id = $1 and r.row_number = any ($2) and r.verdict = 'UPDATED'"#,
        import.id.0,
        rows,
    )
    .fetch_all(db)
    .await?;
    Ok(found
        .into_iter()
        .map(|it| {
            let mut said = it.said;
            said["interests"] = joined_interests(&it.now, &it.has, it.wants.unwrap_or_default()).into();
            (it.row_number, foreseen_in_contact(import, &said, &it.now, it.employer.as_ref()))
        })
        .collect())
}

/// What somebody is interested in, once what the row says is added.
fn joined_interests(now: &Value, has: &[String], wants: Vec<String>) -> String {
    let has_already = Some(text(now, "interests").to_owned()).filter(|it| !it.is_empty());
    let added = wants.into_iter().filter(|it| !has.contains(&fold(it)));
    has_already.into_iter().chain(added).collect::<Vec<_>>().join(", ")
}

fn foreseen_in_contact(import: &Import, said: &Value, now: &Value, employer: Option<&Value>) -> Vec<Change> {
    let way = import.on_duplicate;
    let mut after = now.clone();
    for (field, _) in OF_CONTACTS {
        let way = match *field {
            // A known address stays, whatever the file says.
            "email" if way == OnDuplicate::Overwrite => OnDuplicate::Fill,
            "source" | "lifecycle" if way == OnDuplicate::Fill => OnDuplicate::Skip,
            // Nobody loses one by a file: what it says is what they have and more.
            "interests" if way == OnDuplicate::Fill => OnDuplicate::Overwrite,
            // One that several companies bear tells none of them.
            "company_name" if text(said, "note").contains("con distinto RUT") => OnDuplicate::Skip,
            "company_name" if is_same_company(said, employer) => OnDuplicate::Skip,
            "email_basis" => OnDuplicate::Skip,
            _ => way,
        };
        take(&mut after, now, said, field, way);
    }
    if said["accepts"] == Value::Bool(false) {
        after["email_basis"] = Value::Null;
    }
    let own = differences(OF_CONTACTS, now, &after);
    if !own.is_empty() {
        return own;
    }
    if let Some(employer) = employer.filter(|it| is_same_company(said, Some(it))) {
        let mut after = employer.clone();
        for (field, _) in OF_EMPLOYERS {
            let way = if *field == "rut" && way != OnDuplicate::Skip { OnDuplicate::Fill } else { way };
            take(&mut after, employer, said, field, way);
        }
        let theirs = differences(OF_EMPLOYERS, employer, &after);
        if !theirs.is_empty() {
            return theirs;
        }
    }
    // Nothing else is left that would make the row one with changes.
    if let Some(consent) = import.consent.as_ref().filter(|_| said["accepts"] == Value::Bool(true)) {
        after["email_basis"] = Value::String(consent.basis.clone());
    }
    differences(OF_CONTACTS, now, &after)
}

async fn foreseen_in_companies(
    db: &PgPool,
    import: &Import,
    rows: &[i32],
) -> Result<HashMap<i32, Vec<Change>>> {
    let found = sqlx::query!(
        r#"select r.row_number, to_jsonb(r) || jsonb_build_object('name', r.company_name) as "said!", to_jsonb(c) as "now!"
         from import_rows r
         join companies c on c.id = r.subject_id
         where r.import_id = $1 and r.row_number = any ($2) and r.verdict = 'UPDATED'"#,
        import.id.0,
        rows,
    )
    .fetch_all(db)
    .await?;
    let changes = |said: &Value, now: &Value| {
        let mut after = now.clone();
        for (field, _) in OF_COMPANIES {
            let way = match *field {
                "rut" => OnDuplicate::Fill,
                "name" if text(said, "rut") != text(now, "rut") || text(said, "rut").is_empty() => {
                    OnDuplicate::Skip
                }
                _ => import.on_duplicate,
            };
            take(&mut after, now, said, field, way);
        }
        differences(OF_COMPANIES, now, &after)
    };
    Ok(found.into_iter().map(|it| (it.row_number, changes(&it.said, &it.now))).collect())
}

async fn written_to_contacts(
    db: &PgPool,
    import: &Import,
    rows: &[i32],
) -> Result<HashMap<i32, Vec<Change>>> {
    let found = sqlx::query!(
        r#"select r.row_number,
            b.before || jsonb_build_object('company_name',
                (select k.name from companies k where k.id = (b.before->>'company_id')::bigint),
                'owner', (select name from staff_users where id = (b.before->>'owner_id')::bigint),
                'interests', (select string_agg(t.name, ', ' order by t.key)
                    from contact_interests x join interests t on t.id = x.interest_id
                    where x.contact_id = c.id and x.import_id is distinct from i.id)) as "before!",
            to_jsonb(c) || jsonb_build_object('company_name',
                (select k.name from companies k where k.id = c.company_id),
                'owner', (select name from staff_users where id = c.owner_id),
                'interests', (select string_agg(t.name, ', ' order by t.key)
                    from contact_interests x join interests t on t.id = x.interest_id where x.contact_id = c.id)) as "after!"
         from import_rows r
         join imports i on i.id = r.import_id
         join import_changes b on b.import_id = r.import_id and b.subject_kind = 'contact' and b.subject_id = r.subject_id
         join contacts c on c.id = r.subject_id and c.updated_at = i.applied_at
         where r.import_id = $1 and r.row_number = any ($2) and r.verdict = 'UPDATED'"#,
        import.id.0,
        rows,
    )
    .fetch_all(db)
    .await?;
    Ok(found.into_iter().map(|it| (it.row_number, differences(OF_CONTACTS, &it.before, &it.after))).collect())
}

async fn written_to_companies(
    db: &PgPool,
    import: &Import,
    rows: &[i32],
) -> Result<HashMap<i32, Vec<Change>>> {
    let found = sqlx::query!(
        r#"select r.row_number, b.before, to_jsonb(c) as "after!"
         from import_rows r
         join imports i on i.id = r.import_id
         join import_changes b on b.import_id = r.import_id and b.subject_kind = 'company' and b.subject_id = r.subject_id
         join companies c on c.id = r.subject_id and c.updated_at = i.applied_at
         where r.import_id = $1 and r.row_number = any ($2) and r.verdict = 'UPDATED'"#,
        import.id.0,
        rows,
    )
    .fetch_all(db)
    .await?;
    Ok(found
        .into_iter()
        .map(|it| (it.row_number, differences(OF_COMPANIES, &it.before, &it.after)))
        .collect())
}

/// Put into `after` what `field` becomes when the row says `said`.
fn take(after: &mut Value, now: &Value, said: &Value, field: &str, way: OnDuplicate) {
    let wins = match way {
        OnDuplicate::Skip => false,
        OnDuplicate::Fill => text(now, field).is_empty(),
        OnDuplicate::Overwrite => true,
    };
    if wins && !text(said, field).is_empty() {
        after[field] = said[field].clone();
    }
}

/// Whether the row means the company where its person works.
fn is_same_company(said: &Value, employer: Option<&Value>) -> bool {
    let Some(employer) = employer else { return false };
    match (text(said, "rut"), text(employer, "rut")) {
        (said, known) if !said.is_empty() && !known.is_empty() => said == known,
        _ => text(said, "company_key") == text(employer, "name_key"),
    }
}

fn differences(fields: &[(&str, &'static str)], before: &Value, after: &Value) -> Vec<Change> {
    let changed = fields.iter().filter(|(field, _)| text(before, field) != text(after, field));
    changed
        .map(|&(field, label)| Change { label, before: shown(field, before), after: shown(field, after) })
        .collect()
}

fn text<'v>(record: &'v Value, field: &str) -> &'v str {
    record[field].as_str().unwrap_or_default()
}

/// What stands in `field`, as people read it.
fn shown(field: &str, record: &Value) -> String {
    let stored = text(record, field);
    match field {
        _ if stored.is_empty() => String::new(),
        "phone" => Phone::show(stored),
        "rut" => Rut::show(stored),
        "comuna" => comunas::name(stored).to_owned(),
        "birth_date" => stored.parse().map_or_else(|_| stored.to_owned(), format::date),
        "source" => Source::from_code(stored).map_or_else(|| stored.to_owned(), |it| it.label().to_owned()),
        "lifecycle" => {
            Lifecycle::from_code(stored).map_or_else(|| stored.to_owned(), |it| it.label().to_owned())
        }
        "email_basis" => Consent::label(stored).to_owned(),
        _ if stored.chars().count() > SHOWN => stored.chars().take(SHOWN).chain(['…']).collect(),
        _ => stored.to_owned(),
    }
}
