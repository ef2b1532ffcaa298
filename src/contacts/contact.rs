//! One contact: made, read, changed. Lists are `contact_list`'s, what they agreed
//! to is `consent`'s.

use super::{
    check::{self, Check},
    company::{self, Outcome},
    lifecycle::{self, Cause},
    merge,
    vocabulary::{Basis, Lifecycle, Source},
};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    chile::{phone::Phone, text, time},
    db::Tx,
    error::{Error, OnConstraint as _, Result},
    ids::{CompanyId, ContactId, ImportId, StaffId},
};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgExecutor;

/// The key by which a contact is searched and sorted: name first, then email and phone.
#[must_use]
pub fn search_key(first_name: &str, last_name: &str, email: Option<&str>, phone: Option<&str>) -> String {
    text::fold(&format!(
        "{first_name} {last_name} {} {}",
        email.unwrap_or_default(),
        phone.unwrap_or_default()
    ))
}

/// A contact as it is typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// First name.
    pub first_name: String,
    /// Last names.
    pub last_name: String,
    /// Email address.
    pub email: String,
    /// Telephone in any spelling.
    pub phone: String,
    /// Company by name, RUT or both; made where there is none; empty: a private person.
    pub company: String,
    /// Job title.
    pub job_title: String,
    /// Day of birth.
    pub birth_date: String,
    /// CUT code or name of the comuna.
    pub comuna: String,
    /// Code of the source; empty: other.
    pub source: String,
    /// Code of the lifecycle; empty: lead.
    pub lifecycle: String,
    /// Row of the person on the staff who looks after them; empty: nobody.
    pub owner_id: String,
    /// Anything else.
    pub notes: String,
}

/// A contact's facts, checked and in normal form; the company still in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Details {
    first_name: String,
    last_name: String,
    email: Option<String>,
    phone: Option<String>,
    #[serde(skip)]
    company: String,
    job_title: Option<String>,
    birth_date: Option<NaiveDate>,
    comuna: Option<String>,
    source: Source,
    lifecycle: Lifecycle,
    owner_id: Option<i64>,
    notes: Option<String>,
}

impl Draft {
    /// The facts in normal form. `now` bounds the day of birth.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that is wrong.
    pub fn check(&self, now: DateTime<Utc>) -> Result<Details> {
        let mut check = Check::default();
        let details = Details {
            first_name: check.short("first_name", &self.first_name),
            last_name: check.short("last_name", &self.last_name),
            email: check.email("email", &self.email),
            phone: check.phone("phone", &self.phone),
            company: check.short("company", &self.company),
            job_title: check.optional("job_title", &self.job_title),
            birth_date: check.date("birth_date", &self.birth_date),
            comuna: check.comuna("comuna", &self.comuna),
            source: check.one_of("source", &self.source, Source::from_code, Source::Other),
            lifecycle: check.one_of("lifecycle", &self.lifecycle, Lifecycle::from_code, Lifecycle::Lead),
            owner_id: self.owner_id.trim().parse().ok(),
            notes: check.long("notes", &self.notes),
        };
        if self.email.trim().is_empty() && self.phone.trim().is_empty() {
            check.wrong("email", "Escribe un correo o un teléfono: hace falta al menos uno.");
        }
        if self.email.trim().is_empty() && details.first_name.is_empty() && details.last_name.is_empty() {
            check.wrong("first_name", "Escribe el nombre: sin correo, nada más lo distingue.");
        }
        if let Some(born) = details.birth_date {
            let today = time::local_date(now);
            if born > today || NaiveDate::from_ymd_opt(1900, 1, 1).is_some_and(|it| born < it) {
                check.wrong("birth_date", "Revisa el año de nacimiento.");
            }
        }
        check.done()?;
        Ok(details)
    }
}

/// A contact as it stands.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Row.
    pub id: ContactId,
    /// Where they work.
    pub company_id: Option<CompanyId>,
    /// Its name.
    pub company: Option<String>,
    /// Its RUT as stored.
    pub company_rut: Option<String>,
    /// First name; may be empty.
    pub first_name: String,
    /// Last names; may be empty.
    pub last_name: String,
    /// Email address.
    pub email: Option<String>,
    /// E.164.
    pub phone: Option<String>,
    /// Job title.
    pub job_title: Option<String>,
    /// Day of birth.
    pub birth_date: Option<NaiveDate>,
    /// CUT code.
    pub comuna: Option<String>,
    /// Where they came from.
    pub source: Source,
    /// How far the relationship has come.
    pub lifecycle: Lifecycle,
    /// Who looks after them.
    pub owner_id: Option<StaffId>,
    /// That person's name.
    pub owner: Option<String>,
    /// Notes.
    pub notes: Option<String>,
    /// Basis for promotions by email.
    pub email_basis: Option<Basis>,
    /// Basis for promotions by SMS.
    pub sms_basis: Option<Basis>,
    /// Basis for promotions by WhatsApp.
    pub whatsapp_basis: Option<Basis>,
    /// Local times between which they want no promotions.
    pub quiet: Option<(NaiveTime, NaiveTime)>,
    /// The import that made them.
    pub import_id: Option<ImportId>,
    /// Since when they are here.
    pub created_at: DateTime<Utc>,
    /// Last change: what an edit must have seen.
    pub updated_at: DateTime<Utc>,
}

/// First and last name, or the address of who has none.
#[must_use]
pub fn full_name(first_name: &str, last_name: &str, email: Option<&str>, phone: Option<&str>) -> String {
    let name = format!("{first_name} {last_name}");
    match (name.trim(), email, phone) {
        ("", Some(email), _) => email.to_owned(),
        ("", None, Some(phone)) => Phone::show(phone),
        (name, _, _) => name.to_owned(),
    }
}

impl Contact {
    /// What to call them.
    #[must_use]
    pub fn full_name(&self) -> String {
        full_name(&self.first_name, &self.last_name, self.email.as_deref(), self.phone.as_deref())
    }

    /// Basis for promotions on `channel`.
    #[must_use]
    pub fn basis(&self, channel: Channel) -> Option<Basis> {
        match channel {
            Channel::Email => self.email_basis,
            Channel::Sms => self.sms_basis,
            Channel::Whatsapp => self.whatsapp_basis,
        }
    }

    /// Where `channel` reaches them; SMS needs a mobile.
    #[must_use]
    pub fn destination(&self, channel: Channel) -> Option<&str> {
        match channel {
            Channel::Email => self.email.as_deref(),
            Channel::Whatsapp => self.phone.as_deref(),
            Channel::Sms => {
                self.phone.as_deref().filter(|it| it.parse::<Phone>().is_ok_and(|phone| phone.is_mobile()))
            }
        }
    }

    /// As it would be typed.
    #[must_use]
    pub fn draft(&self) -> Draft {
        let text = |it: &Option<String>| it.clone().unwrap_or_default();
        Draft {
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            email: text(&self.email),
            phone: self.phone.as_deref().map(Phone::show).unwrap_or_default(),
            company: self
                .company
                .as_ref()
                .map(|name| super::company_list::choice(name, self.company_rut.as_deref()))
                .unwrap_or_default(),
            job_title: text(&self.job_title),
            birth_date: self.birth_date.map(|it| it.to_string()).unwrap_or_default(),
            comuna: text(&self.comuna),
            source: self.source.code().to_owned(),
            lifecycle: self.lifecycle.code().to_owned(),
            owner_id: self.owner_id.map(|it| it.to_string()).unwrap_or_default(),
            notes: text(&self.notes),
        }
    }

    /// As kept in the audit.
    fn facts(&self) -> serde_json::Value {
        json!({
            "first_name": self.first_name, "last_name": self.last_name, "email": self.email, "phone": self.phone,
            "job_title": self.job_title, "birth_date": self.birth_date, "comuna": self.comuna,
            "source": self.source, "lifecycle": self.lifecycle, "owner_id": self.owner_id, "notes": self.notes,
            "company_id": self.company_id,
        })
    }
}

/// `details` as kept in the audit, at the company that its words led to.
fn facts(details: &Details, company: Option<CompanyId>) -> serde_json::Value {
    let mut facts = json!(details);
    facts["company_id"] = json!(company);
    facts
}

/// The contact `id`.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Joined`] when they are part of another; or the database's.
pub async fn get(db: impl PgExecutor<'_>, id: ContactId) -> Result<Contact> {
    let it = sqlx::query!(
        r#"select c.*, k.name as "company?", k.rut as company_rut, s.name as "owner?"
           from contacts c left join companies k on k.id = c.company_id left join staff_users s on s.id = c.owner_id
           where c.id = $1"#,
        id.0
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound)?;
    if let Some(survivor) = it.merged_into {
        return Err(Error::Joined(ContactId(survivor)));
    }
    let basis = |code: Option<String>| code.as_deref().and_then(Basis::from_code);
    Ok(Contact {
        id: ContactId(it.id),
        company_id: it.company_id.map(CompanyId),
        company: it.company,
        company_rut: it.company_rut,
        first_name: it.first_name,
        last_name: it.last_name,
        email: it.email,
        phone: it.phone,
        job_title: it.job_title,
        birth_date: it.birth_date,
        comuna: it.comuna,
        source: Source::from_code(&it.source).unwrap_or(Source::Other),
        lifecycle: Lifecycle::from_code(&it.lifecycle).unwrap_or(Lifecycle::Lead),
        owner_id: it.owner_id.map(StaffId),
        owner: it.owner,
        notes: it.notes,
        email_basis: basis(it.email_basis),
        sms_basis: basis(it.sms_basis),
        whatsapp_basis: basis(it.whatsapp_basis),
        quiet: it.quiet_from.zip(it.quiet_until),
        import_id: it.import_id.map(ImportId),
        created_at: it.created_at,
        updated_at: it.updated_at,
    })
}

/// Who has an email address: their row and name.
///
/// # Errors
/// When the database fails.
pub async fn by_email(db: impl PgExecutor<'_>, email: &str) -> Result<Option<(ContactId, String)>> {
    let found =
        sqlx::query!("select id, first_name, last_name, email, phone from contacts where email = $1", email)
            .fetch_optional(db)
            .await?;
    Ok(found.map(|it| {
        (ContactId(it.id), full_name(&it.first_name, &it.last_name, it.email.as_deref(), it.phone.as_deref()))
    }))
}

fn email_taken() -> Error {
    Error::invalid("email", "Este correo ya es de otro contacto.")
}

fn owner_gone() -> Error {
    Error::invalid("owner_id", "Esa persona ya no está en el equipo: elige otra.")
}

/// Make a contact. They agreed to nothing yet: see [`consent`](super::consent).
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] when the email is taken or the company's name is of several; or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    details: &Details,
) -> Result<ContactId> {
    actor.require(Permission::EditContacts)?;
    let company = company::resolve(tx, now, actor, None, &details.company).await?;
    let id = sqlx::query_scalar!(
        "insert into contacts (company_id, first_name, last_name, email, phone, job_title, birth_date, comuna, source,
             lifecycle, owner_id, notes, search_key, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14) returning id",
        company.map(|it| it.0),
        details.first_name,
        details.last_name,
        details.email,
        details.phone,
        details.job_title,
        details.birth_date,
        details.comuna,
        details.source.code(),
        details.lifecycle.code(),
        details.owner_id,
        details.notes,
        search_key(&details.first_name, &details.last_name, details.email.as_deref(), details.phone.as_deref()),
        now
    )
    .fetch_one(&mut **tx)
    .await
    .on_constraint("contacts_email_once", email_taken)
    .on_constraint("contacts_owner_id_fkey", owner_gone)?;
    let change = audit::Change {
        action: "contact.create",
        subject_kind: "contact",
        subject_id: Some(id),
        before: None,
        after: Some(facts(details, company)),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(ContactId(id))
}

/// Change a contact that was read when its `updated_at` was `seen`.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Joined`]; [`Error::Invalid`] as for [`create`]; or the database's.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ContactId,
    seen: DateTime<Utc>,
    details: &Details,
) -> Result<Outcome> {
    actor.require(Permission::EditContacts)?;
    let contact = locked(tx, id).await?;
    write(tx, now, actor, &contact, seen, details).await
}

/// The contact `id`, held against being changed by others until the transaction ends.
pub(super) async fn locked(tx: &mut Tx<'_>, id: ContactId) -> Result<Contact> {
    merge::hold(tx, id).await?;
    get(&mut **tx, id).await
}

/// Change a contact that is held.
pub(super) async fn write(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: &Contact,
    seen: DateTime<Utc>,
    details: &Details,
) -> Result<Outcome> {
    let id = contact.id;
    // Words that stand as they stood mean the company that they stood for, were there two of the name by now.
    let company = if details.company == text::tidy(&contact.draft().company) {
        contact.company_id
    } else {
        company::resolve(tx, now, actor, contact.company_id, &details.company).await?
    };
    let (before, after) = check::changed(&contact.facts(), &facts(details, company));
    if before == after {
        return Ok(Outcome::Unchanged);
    }
    if contact.updated_at != seen {
        return Ok(Outcome::Stale);
    }
    sqlx::query!(
        "update contacts set company_id = $2, first_name = $3, last_name = $4, email = $5, phone = $6, job_title = $7,
             birth_date = $8, comuna = $9, source = $10, owner_id = $11, notes = $12, search_key = $13, updated_at = $14
         where id = $1",
        id.0,
        company.map(|it| it.0),
        details.first_name,
        details.last_name,
        details.email,
        details.phone,
        details.job_title,
        details.birth_date,
        details.comuna,
        details.source.code(),
        details.owner_id,
        details.notes,
        search_key(&details.first_name, &details.last_name, details.email.as_deref(), details.phone.as_deref()),
        now
    )
    .execute(&mut **tx)
    .await
    .on_constraint("contacts_email_once", email_taken)
    .on_constraint("contacts_owner_id_fkey", owner_gone)?;
    lifecycle::move_to(tx, now, actor, &[id.0], details.lifecycle, Cause::Hand, None).await?;
    let change = audit::Change {
        action: "contact.update",
        subject_kind: "contact",
        subject_id: Some(id.0),
        before: Some(before),
        after: Some(after),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(Outcome::Saved)
}
