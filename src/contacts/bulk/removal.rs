//! Taking back in bulk what an import wrote, as long as nobody built on it.

use crate::{
    contacts::{contact::full_name, lifecycle::Cause},
    db::Tx,
    error::Result,
    ids::{CompanyId, ContactId, ImportId},
};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// What speaks against taking an import back, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// People whom it created or changed and who were changed since.
    pub contacts: i64,
    /// Companies that it created or changed and that were changed since.
    pub companies: i64,
    /// People whom it created and who have messages, or whom it changed and who have messages since.
    pub written_to: i64,
    /// People whom it created or changed and whose consent changed since.
    pub consents: i64,
    /// People whom it created and with whom somebody has worked since: calls, tasks, purchases, interests, lists.
    pub worked_with: i64,
    /// People whom it created or changed and who chose since what they receive.
    pub preferences: i64,
    /// People whom it created or changed and who asked since for fewer messages, or for none for a while.
    pub rhythms: i64,
    /// People whom it created or changed and whose address or telephone was excluded since.
    pub suppressions: i64,
    /// People of other origin who work at companies that it created.
    pub employees: i64,
}

impl Touched {
    /// Whether nothing speaks against it.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        *self == Touched::default()
    }

    /// With as many of each reason as `of` says.
    fn counted(of: impl Fn(&str) -> i64) -> Touched {
        Touched {
            contacts: of("contacts"),
            companies: of("companies"),
            written_to: of("written_to"),
            consents: of("consents"),
            worked_with: of("worked_with"),
            preferences: of("preferences"),
            rhythms: of("rhythms"),
            suppressions: of("suppressions"),
            employees: of("employees"),
        }
    }
}

/// Hold every row that `import` created or changed: from here on nobody touches them.
///
/// # Errors
/// When the database fails.
pub async fn hold(
    tx: &mut Tx<'_>,
    import: ImportId,
    changed_contacts: &[i64],
    changed_companies: &[i64],
) -> Result<()> {
    sqlx::query!(
        "select count(*) from (
            select id from contacts where import_id = $1 or id = any($2) order by id for update
         ) held",
        import.0,
        changed_contacts
    )
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query!(
        "select count(*) from (
            select id from companies where import_id = $1 or id = any($2) order by id for update
         ) held",
        import.0,
        changed_companies
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(())
}

/// One statement over all that speaks against taking an import back, each with why and whom it is about.
macro_rules! obstacles {
    ($what:literal, $import:expr, $applied_at:expr, $contacts:expr, $companies:expr $(, $more:expr)*) => {
        sqlx::query!(
            r#"with obstacles (reason, contact_id, company_id) as (
                select 'contacts', id, null::bigint from contacts
                where (import_id = $1 or id = any($3)) and updated_at <> $2
                union all
                select 'companies', null, id from companies where (import_id = $1 or id = any($4)) and updated_at <> $2
                union all
                select 'written_to', c.id, null from contacts c
                where (c.import_id = $1 or c.id = any($3)) and exists (select from communication_logs m
                    where m.contact_id = c.id and (c.import_id = $1 or m.created_at >= $2))
                union all
                select distinct 'consents', e.contact_id, null::bigint
                from consent_events e join contacts c on c.id = e.contact_id
                where (c.import_id = $1 or c.id = any($3)) and e.import_id is distinct from $1 and e.at >= $2
                union all
                select 'worked_with', c.id, null from contacts c
                where c.import_id = $1
                    and (exists (select from interactions a where a.contact_id = c.id)
                        or exists (select from tasks t where t.contact_id = c.id)
                        or exists (select from pipeline_cards p where p.contact_id = c.id)
                        or exists (select from contact_interests w
                            where w.contact_id = c.id and w.import_id is distinct from $1)
                        or exists (select from list_members l where l.contact_id = c.id and l.came_as is null)
                        or exists (select from history_entries h
                            where h.contact_id = c.id and h.import_id is distinct from $1))
                union all
                select distinct 'preferences', p.contact_id, null::bigint
                from contact_preferences p join contacts c on c.id = p.contact_id
                where (c.import_id = $1 or c.id = any($3)) and p.updated_at >= $2
                union all
                select distinct 'rhythms', w.contact_id, null::bigint
                from contact_rhythms w join contacts c on c.id = w.contact_id
                where (c.import_id = $1 or c.id = any($3)) and w.at >= $2
                union all
                select 'suppressions', c.id, null from contacts c
                where (c.import_id = $1 or c.id = any($3)) and exists (select from suppressions x
                    where x.created_at >= $2 and x.lifted_at is null and (x.communication_type = 'EMAIL' and x.destination = c.email
                        or x.communication_type <> 'EMAIL' and x.destination = c.phone))
                union all
                select 'employees', c.id, null from companies o join contacts c on c.company_id = o.id
                where o.import_id = $1 and c.import_id is distinct from $1 and c.id <> all($3)
            ) "# + $what,
            $import,
            $applied_at,
            $contacts,
            $companies
            $(, $more)*
        )
    };
}

/// What happened since `import` was written at `applied_at` to the rows it
/// created and to `changed_contacts` and `changed_companies`.
///
/// # Errors
/// When the database fails.
pub async fn touched(
    db: impl PgExecutor<'_>,
    import: ImportId,
    applied_at: DateTime<Utc>,
    changed_contacts: &[i64],
    changed_companies: &[i64],
) -> Result<Touched> {
    let found = obstacles!(
        r#"select reason as "reason!", count(*) as "count!" from obstacles group by reason"#,
        import.0,
        applied_at,
        changed_contacts,
        changed_companies
    )
    .fetch_all(db)
    .await?;
    Ok(Touched::counted(|reason| found.iter().find(|it| it.reason == reason).map_or(0, |it| it.count)))
}

/// Somebody, or a company, that speaks against taking an import back.
#[derive(Clone, Debug)]
pub struct Obstacle {
    /// Why: the name of a field of [`Touched`].
    pub reason: String,
    /// Whom it is about.
    pub contact: Option<ContactId>,
    /// Which company it is about.
    pub company: Option<CompanyId>,
    /// What they are called.
    pub name: String,
}

/// What [`touched`] counts, and those whom it counts, `most` of each reason at most but one at least.
///
/// # Errors
/// When the database fails.
pub async fn obstacles(
    db: impl PgExecutor<'_>,
    import: ImportId,
    applied_at: DateTime<Utc>,
    (changed_contacts, changed_companies): (&[i64], &[i64]),
    most: i64,
) -> Result<(Touched, Vec<Obstacle>)> {
    let found = obstacles!(
        r#"select o.reason as "reason!", c.id as "contact_id?", k.id as "company_id?", c.first_name as "first_name?",
               c.last_name as "last_name?", c.email as "email?", c.phone as "phone?", k.name as "company?", o.count as "count!"
           from (select *, row_number() over (partition by reason order by contact_id, company_id) as place,
                   count(*) over (partition by reason) as count
               from obstacles) o
           left join contacts c on c.id = o.contact_id left join companies k on k.id = o.company_id
           where o.place <= $5 order by o.reason, o.place"#,
        import.0,
        applied_at,
        changed_contacts,
        changed_companies,
        most.max(1)
    )
    .fetch_all(db)
    .await?;
    let touched =
        Touched::counted(|reason| found.iter().find(|it| it.reason == reason).map_or(0, |it| it.count));
    let them = found
        .into_iter()
        .map(|it| Obstacle {
            reason: it.reason,
            contact: it.contact_id.map(ContactId),
            company: it.company_id.map(CompanyId),
            name: it.company.unwrap_or_else(|| {
                full_name(
                    it.first_name.as_deref().unwrap_or_default(),
                    it.last_name.as_deref().unwrap_or_default(),
                    it.email.as_deref(),
                    it.phone.as_deref(),
                )
            }),
        })
        .collect();
    Ok((touched, them))
}

/// Take back what `import` wrote of history; gives whose it was. People that it created go with [`remove`].
///
/// # Errors
/// When the database fails.
pub async fn remove_history(tx: &mut Tx<'_>, import: ImportId) -> Result<Vec<i64>> {
    Ok(sqlx::query_scalar!(
        r#"with gone as (delete from history_entries where import_id = $1 returning contact_id)
         select distinct contact_id as "contact_id!" from gone"#,
        import.0
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Take back what `import` wrote: rows that it created go, rows in
/// `import_changes` become what they were. The caller holds them and has made sure that they are
/// untouched. What the ledger says of people who stay is not deleted: it is told to be without effect.
///
/// # Errors
/// When the database fails, or somebody built on a row meanwhile.
pub async fn remove(tx: &mut Tx<'_>, now: DateTime<Utc>, import: ImportId) -> Result<()> {
    sqlx::query!(
        "insert into consent_events (contact_id, communication_type, basis, source, import_id, at)
         select distinct e.contact_id, e.communication_type, 'REVERSED', 'Se deshizo la importación que lo anotó', $1::bigint, $2::timestamptz
         from consent_events e join import_changes b
            on b.import_id = $1 and b.subject_kind = 'contact' and b.subject_id = e.contact_id
         where e.import_id = $1",
        import.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "insert into lifecycle_changes (contact_id, from_lifecycle, to_lifecycle, cause, at)
         select c.id, c.lifecycle, b.before ->> 'lifecycle', $3, $2
         from import_changes b join contacts c on c.id = b.subject_id
         where b.import_id = $1 and b.subject_kind = 'contact' and c.lifecycle <> b.before ->> 'lifecycle'
         order by c.id",
        import.0,
        now,
        Cause::Undone.code()
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "update contacts c set company_id = (select id from companies where id = b.company_id), first_name = b.first_name, last_name = b.last_name,
            email = b.email, phone = b.phone, job_title = b.job_title, birth_date = b.birth_date, comuna = b.comuna,
            notes = b.notes, source = b.source, lifecycle = b.lifecycle,
            owner_id = (select id from staff_users where id = b.owner_id), email_basis = b.email_basis, sms_basis = b.sms_basis,
            whatsapp_basis = b.whatsapp_basis, search_key = b.search_key, updated_at = b.updated_at
         from (select (jsonb_populate_record(null::contacts, before)).* from import_changes
               where import_id = $1 and subject_kind = 'contact') b
         where b.id = c.id",
        import.0
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("delete from contacts where import_id = $1", import.0).execute(&mut **tx).await?;
    sqlx::query!(
        "update companies c set name = b.name, name_key = b.name_key, rut = b.rut, industry = b.industry,
            comuna = b.comuna, address = b.address, website = b.website, phone = b.phone, email = b.email,
            notes = b.notes, updated_at = b.updated_at
         from (select (jsonb_populate_record(null::companies, before)).* from import_changes
               where import_id = $1 and subject_kind = 'company') b
         where b.id = c.id",
        import.0
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("delete from companies where import_id = $1", import.0).execute(&mut **tx).await?;
    Ok(())
}
