//! One company: made, read, changed. Lists are `company_list`'s.

use super::{check::Check, company_list::choice};
use crate::{
    access::{Actor, Permission},
    audit,
    chile::{rut::Rut, text},
    db::Tx,
    error::{Error, OnConstraint as _, Result},
    ids::{CompanyId, ImportId, StaffId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgExecutor;

/// A company as it is typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// Name, as people know it.
    pub name: String,
    /// RUT in any spelling.
    pub rut: String,
    /// Line of business.
    pub industry: String,
    /// CUT code or name of the comuna.
    pub comuna: String,
    /// Street address.
    pub address: String,
    /// Web site, with or without its scheme.
    pub website: String,
    /// Telephone in any spelling.
    pub phone: String,
    /// Email address.
    pub email: String,
    /// Anything else.
    pub notes: String,
    /// Row of the person on the staff who looks after it; empty: nobody.
    pub owner_id: String,
}

/// A company's facts, checked and in normal form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Details {
    name: String,
    rut: Option<String>,
    industry: Option<String>,
    comuna: Option<String>,
    address: Option<String>,
    website: Option<String>,
    phone: Option<String>,
    email: Option<String>,
    notes: Option<String>,
    owner_id: Option<i64>,
}

impl Draft {
    /// The facts in normal form.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that is wrong.
    pub fn check(&self) -> Result<Details> {
        let mut check = Check::default();
        let name = check.short("name", &self.name);
        if text::fold(&name).is_empty() {
            check.wrong("name", "Escribe el nombre de la empresa.");
        }
        let details = Details {
            name,
            rut: check.rut("rut", &self.rut),
            industry: check.optional("industry", &self.industry),
            comuna: check.comuna("comuna", &self.comuna),
            address: check.optional("address", &self.address),
            website: check.website("website", &self.website),
            phone: check.phone("phone", &self.phone),
            email: check.email("email", &self.email),
            notes: check.long("notes", &self.notes),
            owner_id: self.owner_id.trim().parse().ok(),
        };
        check.done()?;
        Ok(details)
    }
}

/// A company as it stands.
#[derive(Clone, Debug)]
pub struct Company {
    /// Row.
    pub id: CompanyId,
    /// Name.
    pub name: String,
    /// RUT as stored.
    pub rut: Option<String>,
    /// Line of business.
    pub industry: Option<String>,
    /// CUT code.
    pub comuna: Option<String>,
    /// Street address.
    pub address: Option<String>,
    /// Web site.
    pub website: Option<String>,
    /// E.164.
    pub phone: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// Notes.
    pub notes: Option<String>,
    /// Who looks after it.
    pub owner_id: Option<StaffId>,
    /// Their name.
    pub owner: Option<String>,
    /// The import that made it.
    pub import_id: Option<ImportId>,
    /// Since when it is here.
    pub created_at: DateTime<Utc>,
    /// Last change: what an edit must have seen.
    pub updated_at: DateTime<Utc>,
}

impl Company {
    /// As it would be typed.
    #[must_use]
    pub fn draft(&self) -> Draft {
        let text = |it: &Option<String>| it.clone().unwrap_or_default();
        Draft {
            name: self.name.clone(),
            rut: self.rut.as_deref().map(Rut::show).unwrap_or_default(),
            industry: text(&self.industry),
            comuna: text(&self.comuna),
            address: text(&self.address),
            website: text(&self.website),
            phone: self.phone.as_deref().map(crate::chile::phone::Phone::show).unwrap_or_default(),
            email: text(&self.email),
            notes: text(&self.notes),
            owner_id: self.owner_id.map(|it| it.to_string()).unwrap_or_default(),
        }
    }

    fn details(&self) -> Details {
        Details {
            name: self.name.clone(),
            rut: self.rut.clone(),
            industry: self.industry.clone(),
            comuna: self.comuna.clone(),
            address: self.address.clone(),
            website: self.website.clone(),
            phone: self.phone.clone(),
            email: self.email.clone(),
            notes: self.notes.clone(),
            owner_id: self.owner_id.map(|it| it.0),
        }
    }
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Saved,
    /// There was nothing to change.
    Unchanged,
    /// Somebody else changed the row since it was read; nothing was saved.
    Stale,
}

/// The company `id`.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get(db: impl PgExecutor<'_>, id: CompanyId) -> Result<Company> {
    let it = sqlx::query!(
        r#"select k.*, s.name as "owner?" from companies k left join staff_users s on s.id = k.owner_id where k.id = $1"#,
        id.0
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound)?;
    Ok(Company {
        id: CompanyId(it.id),
        name: it.name,
        rut: it.rut,
        industry: it.industry,
        comuna: it.comuna,
        address: it.address,
        website: it.website,
        phone: it.phone,
        email: it.email,
        notes: it.notes,
        owner_id: it.owner_id.map(StaffId),
        owner: it.owner,
        import_id: it.import_id.map(ImportId),
        created_at: it.created_at,
        updated_at: it.updated_at,
    })
}

/// The names of those of `ids` that exist.
///
/// # Errors
/// When the database fails.
pub async fn names(db: impl PgExecutor<'_>, ids: &[i64]) -> Result<Vec<(CompanyId, String)>> {
    let rows = sqlx::query!("select id, name from companies where id = any($1)", ids).fetch_all(db).await?;
    Ok(rows.into_iter().map(|it| (CompanyId(it.id), it.name)).collect())
}

/// A company that stands in the way of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Row.
    pub id: CompanyId,
    /// Name.
    pub name: String,
    /// Field that both would share, `rut` or `name`.
    pub field: &'static str,
}

/// The company other than `own` that `draft` would collide with: it has the RUT,
/// or the name where `draft` has no RUT that tells them apart.
///
/// # Errors
/// When the database fails.
pub async fn rival(db: impl PgExecutor<'_>, own: Option<CompanyId>, draft: &Draft) -> Result<Option<Rival>> {
    let rut = draft.rut.parse::<Rut>().ok().map(Rut::stored);
    let found = sqlx::query!(
        r#"select id, name, rut is not distinct from $2::text and rut is not null as "by_rut!" from companies
           where id is distinct from $1 and (rut = $2 or ($2::text is null and name_key = $3))
           order by id limit 1"#,
        own.map(|it| it.0),
        rut,
        text::fold(&draft.name)
    )
    .fetch_optional(db)
    .await?;
    Ok(found.map(|it| Rival {
        id: CompanyId(it.id),
        name: it.name,
        field: if it.by_rut { "rut" } else { "name" },
    }))
}

/// A company other than `own` that is called `name` too, in any case, spacing or accents.
///
/// # Errors
/// When the database fails.
pub async fn namesake(
    db: impl PgExecutor<'_>,
    own: Option<CompanyId>,
    name: &str,
) -> Result<Option<CompanyId>> {
    let found = sqlx::query_scalar!(
        "select id from companies where name_key = $1 and id is distinct from $2 order by id limit 1",
        text::fold(name),
        own.map(|it| it.0)
    )
    .fetch_optional(db)
    .await?;
    Ok(found.map(CompanyId))
}

/// Refuse a name that another company bears, where no RUT tells the two apart.
async fn refuse_namesake(tx: &mut Tx<'_>, own: Option<CompanyId>, details: &Details) -> Result<()> {
    if details.rut.is_none() && namesake(&mut **tx, own, &details.name).await?.is_some() {
        return Err(name_taken());
    }
    Ok(())
}

fn name_taken() -> Error {
    Error::invalid(
        "name",
        "Ya existe una empresa con este nombre. Si es otra, escribe su RUT para distinguirlas.",
    )
}

fn rut_taken() -> Error {
    Error::invalid("rut", "Ya existe una empresa con este RUT.")
}

fn owner_gone() -> Error {
    Error::invalid("owner_id", "Esa persona ya no está en el equipo: elige otra.")
}

/// Make a company.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] when the name or the RUT is taken; or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    details: &Details,
) -> Result<CompanyId> {
    actor.require(Permission::EditContacts)?;
    refuse_namesake(tx, None, details).await?;
    let id = sqlx::query_scalar!(
        "insert into companies (name, name_key, rut, industry, comuna, address, website, phone, email, notes, owner_id,
             created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) returning id",
        details.name,
        text::fold(&details.name),
        details.rut,
        details.industry,
        details.comuna,
        details.address,
        details.website,
        details.phone,
        details.email,
        details.notes,
        details.owner_id,
        now
    )
    .fetch_one(&mut **tx)
    .await
    .on_constraint("companies_name_once", name_taken)
    .on_constraint("companies_rut_once", rut_taken)
    .on_constraint("companies_owner_id_fkey", owner_gone)?;
    let change = audit::Change {
        action: "company.create",
        subject_kind: "company",
        subject_id: Some(id),
        before: None,
        after: Some(json!(details)),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(CompanyId(id))
}

/// Change a company that was read when its `updated_at` was `seen`.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Invalid`] when the name or the RUT is taken; or the database's.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CompanyId,
    seen: DateTime<Utc>,
    details: &Details,
) -> Result<Outcome> {
    actor.require(Permission::EditContacts)?;
    sqlx::query!("select id from companies where id = $1 for update", id.0)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(Error::NotFound)?;
    let company = get(&mut **tx, id).await?;
    let before = company.details();
    if before == *details {
        return Ok(Outcome::Unchanged);
    }
    if company.updated_at != seen {
        return Ok(Outcome::Stale);
    }
    // Namesakes that an import brought stay as they are until one is called otherwise.
    if text::fold(&before.name) != text::fold(&details.name) || before.rut != details.rut {
        refuse_namesake(tx, Some(id), details).await?;
    }
    sqlx::query!(
        "update companies set name = $2, name_key = $3, rut = $4, industry = $5, comuna = $6, address = $7,
             website = $8, phone = $9, email = $10, notes = $11, owner_id = $12, updated_at = $13
         where id = $1",
        id.0,
        details.name,
        text::fold(&details.name),
        details.rut,
        details.industry,
        details.comuna,
        details.address,
        details.website,
        details.phone,
        details.email,
        details.notes,
        details.owner_id,
        now
    )
    .execute(&mut **tx)
    .await
    .on_constraint("companies_name_once", name_taken)
    .on_constraint("companies_rut_once", rut_taken)
    .on_constraint("companies_owner_id_fkey", owner_gone)?;
    let (before, after) = super::check::changed(&json!(before), &json!(details));
    let change = audit::Change {
        action: "company.update",
        subject_kind: "company",
        subject_id: Some(id.0),
        before: Some(before),
        after: Some(after),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(Outcome::Saved)
}

/// The company that `typed` names, by its name, its RUT or both as
/// [`choice`](super::company_list::choice) writes them; made where there is none. None for an empty text.
/// The `current` one stays where the text is its own; of several of one name it is the one without RUT.
///
/// # Errors
/// [`Error::Invalid`] at `company` when several bear the name; [`create`]'s; or the database's.
pub async fn resolve(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    current: Option<CompanyId>,
    typed: &str,
) -> Result<Option<CompanyId>> {
    let typed = text::tidy(typed);
    if typed.is_empty() {
        return Ok(None);
    }
    if let Some(current) = current {
        let company = get(&mut **tx, current).await?;
        if text::tidy(&choice(&company.name, company.rut.as_deref())) == typed {
            return Ok(Some(current));
        }
    }
    match named(tx, &typed).await? {
        Named::One(id) => Ok(Some(id)),
        Named::NoRut => {
            Err(Error::invalid("company", "No hay una empresa con ese RUT: escribe su nombre para crearla."))
        }
        Named::NoName => {
            let details = Draft { name: typed, ..Draft::default() }.check().map_err(at_company)?;
            create(tx, now, actor, &details).await.map(Some)
        }
    }
}

/// Which company a text names.
pub(super) enum Named {
    /// This one.
    One(CompanyId),
    /// None has that RUT.
    NoRut,
    /// None bears that name.
    NoName,
}

/// The company that `typed` names, of those that there are, as [`resolve`] reads it.
///
/// # Errors
/// [`Error::Invalid`] at `company` when several bear the name; or the database's.
pub(super) async fn named(tx: &mut Tx<'_>, typed: &str) -> Result<Named> {
    let typed = text::tidy(typed);
    let rut = typed.rsplit_once('·').map_or(typed.as_str(), |it| it.1).parse::<Rut>().ok().map(Rut::stored);
    let by_rut = rut.is_some();
    let found = sqlx::query!(
        r#"select id, rut is null as "is_bare!" from companies
         where case when $1::text is null then name_key = $2 else rut = $1 end
         order by (rut is null) desc, id limit 2"#,
        rut,
        text::fold(&typed)
    )
    .fetch_all(&mut **tx)
    .await?;
    match found.as_slice() {
        [first, ..] if found.len() == 1 || first.is_bare => Ok(Named::One(CompanyId(first.id))),
        [_, ..] => Err(Error::invalid(
            "company",
            "Hay más de una empresa con ese nombre: elige una de la lista o escribe su RUT.",
        )),
        [] if by_rut => Ok(Named::NoRut),
        [] => Ok(Named::NoName),
    }
}

/// An error of the company's own name, told at the field of the form that names a company.
fn at_company(error: Error) -> Error {
    match error {
        Error::Invalid(fields) => Error::Invalid(
            fields.into_iter().map(|it| crate::error::FieldError { field: "company", ..it }).collect(),
        ),
        other => other,
    }
}
