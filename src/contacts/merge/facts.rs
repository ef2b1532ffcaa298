//! The columns that joining two contacts may change: how they come together and
//! apart. Rules without a database, and their reading and writing.

use super::Field;
use crate::{
    contacts::{contact::search_key, vocabulary::Lifecycle},
    db::Tx,
    error::{Error, OnConstraint as _, Result},
    ids::ContactId,
};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The columns that joining may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    company_id: Option<i64>,
    first_name: String,
    last_name: String,
    email: Option<String>,
    phone: Option<String>,
    job_title: Option<String>,
    birth_date: Option<NaiveDate>,
    comuna: Option<String>,
    source: String,
    lifecycle: String,
    owner_id: Option<i64>,
    notes: Option<String>,
    email_basis: Option<String>,
    sms_basis: Option<String>,
    whatsapp_basis: Option<String>,
    quiet_from: Option<NaiveTime>,
    quiet_until: Option<NaiveTime>,
}

impl Facts {
    pub(super) fn lifecycle(&self) -> &str {
        &self.lifecycle
    }

    pub(super) fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    pub(super) fn phone(&self) -> Option<&str> {
        self.phone.as_deref()
    }

    pub(super) fn notes(&self) -> Option<&str> {
        self.notes.as_deref()
    }

    /// Where the channel with this code reaches them.
    pub(super) fn address(&self, channel: &str) -> Option<&str> {
        if channel == "EMAIL" { self.email() } else { self.phone() }
    }

    pub(super) fn basis(&mut self, channel: &str) -> &mut Option<String> {
        match channel {
            "EMAIL" => &mut self.email_basis,
            "SMS" => &mut self.sms_basis,
            _ => &mut self.whatsapp_basis,
        }
    }

    pub(super) fn basis_of(&self, channel: &str) -> Option<&str> {
        match channel {
            "EMAIL" => self.email_basis.as_deref(),
            "SMS" => self.sms_basis.as_deref(),
            _ => self.whatsapp_basis.as_deref(),
        }
    }
}

/// `kept` with what it lacks, or was `taken`, from `gone`.
pub(super) fn joined(kept: &Facts, gone: &Facts, taken: &BTreeSet<Field>) -> Facts {
    fn pick<T: Clone>(of_gone: bool, kept: Option<&T>, gone: Option<&T>) -> Option<T> {
        let (first, second) = if of_gone { (gone, kept) } else { (kept, gone) };
        first.or(second).cloned()
    }
    let of_gone = |field| taken.contains(&field);
    let nameless = kept.first_name.is_empty() && kept.last_name.is_empty();
    let named = if nameless || of_gone(Field::Name) { gone } else { kept };
    let email = pick(of_gone(Field::Email), kept.email.as_ref(), gone.email.as_ref());
    let phone = pick(of_gone(Field::Phone), kept.phone.as_ref(), gone.phone.as_ref());
    let reached_by = |ours: bool| if ours { kept } else { gone };
    let (mailed, called) = (reached_by(email == kept.email), reached_by(phone == kept.phone));
    // One telephone, one person: what either agreed to there holds, unless one of them said no.
    let called_too = if kept.phone == gone.phone { gone } else { called };
    let rested = if kept.quiet_from.is_some() { kept } else { gone };
    Facts {
        company_id: pick(of_gone(Field::Company), kept.company_id.as_ref(), gone.company_id.as_ref()),
        first_name: named.first_name.clone(),
        last_name: named.last_name.clone(),
        job_title: pick(of_gone(Field::JobTitle), kept.job_title.as_ref(), gone.job_title.as_ref()),
        birth_date: pick(of_gone(Field::BirthDate), kept.birth_date.as_ref(), gone.birth_date.as_ref()),
        comuna: pick(of_gone(Field::Comuna), kept.comuna.as_ref(), gone.comuna.as_ref()),
        source: if of_gone(Field::Source) { gone.source.clone() } else { kept.source.clone() },
        lifecycle: further(&kept.lifecycle, &gone.lifecycle),
        owner_id: pick(of_gone(Field::Owner), kept.owner_id.as_ref(), gone.owner_id.as_ref()),
        notes: match (&kept.notes, &gone.notes) {
            (Some(ours), Some(theirs)) if of_gone(Field::Notes) && ours != theirs => {
                Some(format!("{ours}\n\n{theirs}"))
            }
            (ours, theirs) => ours.clone().or_else(|| theirs.clone()),
        },
        email_basis: mailed.email_basis.clone(),
        sms_basis: called.sms_basis.clone().or_else(|| called_too.sms_basis.clone()),
        whatsapp_basis: called.whatsapp_basis.clone().or_else(|| called_too.whatsapp_basis.clone()),
        quiet_from: rested.quiet_from,
        quiet_until: rested.quiet_until,
        email,
        phone,
    }
}

/// The one who came further is who they are.
fn further(a: &str, b: &str) -> String {
    let rank = |code: &str| match Lifecycle::from_code(code) {
        Some(Lifecycle::Customer) => 3,
        Some(Lifecycle::Prospect) => 2,
        Some(Lifecycle::Inactive) => 1,
        Some(Lifecycle::Lead) | None => 0,
    };
    if rank(b) > rank(a) { b.to_owned() } else { a.to_owned() }
}

/// `current`, but what joining changed and nobody changed since as it was before.
pub(super) fn restored(current: &Facts, after: &Facts, before: &Facts) -> serde_json::Result<Facts> {
    let mut result = serde_json::to_value(current)?;
    let (after, before) = (serde_json::to_value(after)?, serde_json::to_value(before)?);
    if let Some(fields) = result.as_object_mut() {
        for (name, value) in
            fields.iter_mut().filter(|(name, value)| after.get(name.as_str()) == Some(&**value))
        {
            *value = before.get(name).cloned().unwrap_or_default();
        }
    }
    serde_json::from_value(result)
}

/// What one joining made of the one that stayed, field by field: as it was, and as it became.
pub(super) struct Changes(Vec<(String, Value, Value)>);

impl Changes {
    pub(super) fn between(before: &Facts, after: &Facts) -> serde_json::Result<Changes> {
        let (before, after) = (serde_json::to_value(before)?, serde_json::to_value(after)?);
        let fields = after.as_object().into_iter().flatten();
        let was = |name: &str| before.get(name).cloned().unwrap_or_default();
        let changes = fields.map(|(name, it)| (name.clone(), was(name), it.clone()));
        Ok(Changes(changes.filter(|(_, was, is)| was != is).collect()))
    }

    /// The basis for promotions on this channel is no change of theirs.
    pub(super) fn leave_basis(&mut self, channel: &str) {
        let field = format!("{}_basis", channel.to_lowercase());
        self.0.retain(|(name, ..)| *name != field);
    }

    /// Take them out of what the next joining `found` and `left`. What somebody had changed before it, or the joining
    /// changed itself, is nothing to those that came after.
    pub(super) fn take_out(&mut self, found: &mut Facts, left: &mut Facts) -> serde_json::Result<()> {
        let (mut before, mut after) = (serde_json::to_value(&*found)?, serde_json::to_value(&*left)?);
        self.0.retain(|(name, was, is)| {
            if before.get(name) != Some(is) {
                return false;
            }
            before[name] = was.clone();
            let stayed = after.get(name) == Some(is);
            if stayed {
                after[name] = was.clone();
            }
            stayed
        });
        (*found, *left) = (serde_json::from_value(before)?, serde_json::from_value(after)?);
        Ok(())
    }
}

/// The emails and telephones of `before` that nobody has `after`.
pub(super) fn dropped(before: [&Facts; 2], after: &Facts) -> Vec<String> {
    let mut dropped: Vec<String> = before
        .iter()
        .flat_map(|it| [it.email(), it.phone()])
        .flatten()
        .filter(|it| after.email() != Some(*it) && after.phone() != Some(*it))
        .map(str::to_owned)
        .collect();
    dropped.sort();
    dropped.dedup();
    dropped
}

/// Facts as a joining keeps them.
pub(super) fn read(merge: i64, it: Value) -> Result<Facts> {
    serde_json::from_value(it).map_err(|_| Error::Internal(format!("merge {merge} can't be read")))
}

/// Leave out of `it` what is gone meanwhile: a company, somebody on the staff.
pub(super) async fn settle(tx: &mut Tx<'_>, it: &mut Facts) -> Result<()> {
    if let Some(company) = it.company_id {
        it.company_id = sqlx::query_scalar!("select id from companies where id = $1 for key share", company)
            .fetch_optional(&mut **tx)
            .await?;
    }
    if let Some(owner) = it.owner_id {
        it.owner_id = sqlx::query_scalar!("select id from staff_users where id = $1 for key share", owner)
            .fetch_optional(&mut **tx)
            .await?;
    }
    Ok(())
}

/// The facts of `contact` as they stand.
pub(super) async fn of(tx: &mut Tx<'_>, contact: ContactId) -> Result<Facts> {
    sqlx::query_as!(
        Facts,
        "select company_id, first_name, last_name, email, phone, job_title, birth_date, comuna, source, lifecycle, owner_id,
             notes, email_basis, sms_basis, whatsapp_basis, quiet_from, quiet_until
         from contacts where id = $1",
        contact.0
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)
}

/// Write the facts of `contact`.
pub(super) async fn put(tx: &mut Tx<'_>, now: DateTime<Utc>, contact: ContactId, it: &Facts) -> Result<()> {
    sqlx::query!(
        "update contacts set company_id = $2, first_name = $3, last_name = $4, email = $5, phone = $6, job_title = $7,
             birth_date = $8, comuna = $9, source = $10, lifecycle = $11, owner_id = $12, notes = $13, email_basis = $14,
             sms_basis = $15, whatsapp_basis = $16, quiet_from = $17, quiet_until = $18, search_key = $19, updated_at = $20
         where id = $1",
        contact.0,
        it.company_id,
        it.first_name,
        it.last_name,
        it.email,
        it.phone,
        it.job_title,
        it.birth_date,
        it.comuna,
        it.source,
        it.lifecycle,
        it.owner_id,
        it.notes,
        it.email_basis,
        it.sms_basis,
        it.whatsapp_basis,
        it.quiet_from,
        it.quiet_until,
        search_key(&it.first_name, &it.last_name, it.email.as_deref(), it.phone.as_deref()),
        now
    )
    .execute(&mut **tx)
    .await
    .on_constraint("contacts_email_once", || {
        Error::refused("El correo ya es de otro contacto. Nada cambió; vuelve a abrir las fichas para ver cómo están.")
    })?;
    Ok(())
}
