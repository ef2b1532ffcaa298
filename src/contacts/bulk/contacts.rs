//! People in bulk: who of the staged ones is known, what the file adds to them, and writing it.
//!
//! An import never makes anybody reachable who said no: it fills an empty basis
//! only, and not after a withdrawal or over a suppression.

use super::{companies, grants, hold_matched, interests, look_out, owners, refusals, run, telephones};
use crate::{
    channels::Channel,
    contacts::{contact::search_key, lifecycle::Cause, search_index},
    db::Tx,
    error::Result,
    ids::ImportId,
};
use chrono::{DateTime, NaiveDate, Utc};

/// The proof of the basis that an import gives.
#[derive(Clone, Debug)]
pub struct Basis<'a> {
    /// `CONSENT`, `CONTRACT` or `LEGITIMATE_INTEREST`; none: nobody becomes reachable.
    pub basis: Option<&'a str>,
    /// The channels on which it holds.
    pub channels: &'a [Channel],
    /// Where it was given.
    pub source: &'a str,
    /// When it was given.
    pub obtained_on: Option<NaiveDate>,
    /// The file, in words: the proof of a no that it says.
    pub file: &'a str,
}

impl<'a> Basis<'a> {
    /// The basis for promotions by email.
    pub(super) fn by_email(&self) -> Option<&'a str> {
        self.basis.filter(|_| self.channels.contains(&Channel::Email))
    }
}

/// What columns are called in the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// The telephones.
    pub phone: &'a str,
    /// Who looks after them.
    pub owner: &'a str,
    /// What they are interested in.
    pub interests: &'a str,
}

/// Decide on each staged person: fills `import_decided(row_number, verdict, reason, subject_id)`, and rejects those whose
/// telephone may be of more than one.
///
/// # Errors
/// [`Error::Refused`](crate::error::Error::Refused) where a column holds something else than it is taken for; or the
/// database's.
pub async fn decide_contacts(tx: &mut Tx<'_>, headers: Headers<'_>) -> Result<()> {
    loop {
        look_out(tx).await?;
        match_by_email(tx).await?;
        match_by_former_email(tx).await?;
        telephones::match_in_file(tx).await?;
        telephones::match_in_base(tx).await?;
        refusals::find(tx).await?;
        run(tx, "analyze import_matches").await?;
        if !hold(tx).await? {
            break;
        }
        run(tx, "drop table import_matches, import_noes, import_refused").await?;
    }
    telephones::reject_doubtful(tx, headers.phone).await?;
    run(
        tx,
        "create temp table import_wanted on commit drop as
         select s.company_ident as ident,
            coalesce(min(s.row_number) filter (where s.company_name is not null), min(s.row_number)) as first
         from import_staging s
         join import_matches m on m.row_number = s.row_number
         cross join import_rules r
         left join contacts c on c.id = m.contact_id
         where s.company_ident is not null and m.duplicate_of is null
            and (m.contact_id is null or (not r.skip and (c.company_id is null or r.overwrite)))
         group by s.company_ident",
    )
    .await?;
    companies::resolve(tx).await?;
    companies::compare(tx).await?;
    owners::find(tx, headers.owner).await?;
    compare(tx).await?;
    interests::find(tx, headers.interests).await?;
    grants::find(tx).await?;
    refusals::compare(tx).await?;
    note(tx).await?;
    owners::note(tx).await?;
    telephones::note(tx).await?;
    run(
        tx,
        "create temp table import_decided on commit drop as
         select m.row_number,
            case
                when m.duplicate_of is not null then 'DUPLICATE'
                when m.contact_id is null then 'CREATED'
                when u.row_number is not null or r.contact_id is not null or k.row_number is not null
                    or g.row_number is not null or t.row_number is not null then 'UPDATED'
                else 'UNCHANGED'
            end as verdict,
            'Repetida: es la misma persona que la fila ' || m.duplicate_of as reason,
            m.contact_id as subject_id, m.duplicate_of as same_row
         from import_matches m left join import_updates u on u.row_number = m.row_number
         left join (select distinct contact_id from import_refusals) r on r.contact_id = m.contact_id
         left join (select distinct row_number from import_grants) g on g.row_number = m.row_number
         left join (select distinct row_number from import_tagged) t on t.row_number = m.row_number
         left join import_company_updates k on k.row_number = m.row_number",
    )
    .await?;
    run(tx, "analyze import_decided").await?;
    Ok(())
}

/// What the base says to rows that are taken: fills `import_notes`.
async fn note(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "insert into import_notes (row_number, note, unsubscribed)
         select s.row_number, 'Hay ' || i.namesakes || ' empresas llamadas «' || s.company_name || '» con distinto RUT: '
            || case when c.company_id is null then 'quedó sin empresa' else 'conserva la que tenía' end
            || '; agrega el RUT para saber cuál es', false
         from import_companies i
         join import_staging s on s.company_ident = i.ident
         join import_matches m on m.row_number = s.row_number
         cross join import_rules r
         left join contacts c on c.id = m.contact_id
         where i.namesakes > 1 and m.duplicate_of is null
            and (m.contact_id is null or (not r.skip and (c.company_id is null or r.overwrite)))",
    )
    .await?;
    // Those who refuse in this very file are told by their answer. Few ever said no: the search begins with them.
    run(
        tx,
        "insert into import_notes (row_number, note, unsubscribed)
         select m.row_number,
            case when said.no then 'Se dio de baja antes: sigue sin recibir promociones'
                else 'Su correo está en la lista de exclusión: sigue sin recibir promociones' end,
            said.no
         from (
            select row_number, bool_or(no) as no from (
                select m.row_number, true as no
                from (
                    select distinct contact_id from consent_events where communication_type = 'EMAIL' and basis = 'WITHDRAWN'
                ) once
                join import_matches m on m.contact_id = once.contact_id
                join contacts c on c.id = once.contact_id and c.email_basis is null
                where (select e.basis = 'WITHDRAWN' from consent_events e
                    where e.contact_id = c.id and e.communication_type = 'EMAIL' order by e.id desc limit 1)
                union all
                select s.row_number, x.reason = 'UNSUBSCRIBED' from suppressions x join import_staging s on s.email = x.destination
                where x.communication_type = 'EMAIL' and x.lifted_at is null
            ) heard group by row_number
         ) said
         join import_matches m on m.row_number = said.row_number
         where m.duplicate_of is null and not m.refused",
    )
    .await?;
    Ok(())
}

/// Let nobody change those whom the file is about until it is written; gives whether somebody did.
async fn hold(tx: &mut Tx<'_>) -> Result<bool> {
    run(
        tx,
        "insert into import_whom (id)
         select contact_id from (
            select contact_id from import_matches where contact_id is not null union select contact_id from import_refused
         ) whom
         where (select writes from import_rules) and not exists (select from import_whom w where w.id = whom.contact_id)",
    )
    .await?;
    hold_matched(tx).await
}

/// The first row of each address is the person; a row without address is known by its telephone.
/// Most addresses stand in one row, which says all about itself: only the others are gathered.
async fn match_by_email(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "create temp table import_matches on commit drop as
         with by_email as (
            select email, min(row_number) as first, bool_or(accepts is false) as refused
            from import_staging where verdict is null and email is not null group by email having count(*) > 1
         ), by_phone as (
            select phone_ident, name_key, coalesce(min(row_number) filter (where email is not null), min(row_number)) as first
            from import_staging
            where verdict is null and phone_ident is not null
                and exists (select from import_staging where verdict is null and email is null)
            group by phone_ident, name_key having count(*) > 1
         )
         select s.row_number,
            case when s.email is not null then nullif(e.first, s.row_number) else nullif(p.first, s.row_number) end
                as duplicate_of,
            c.id as contact_id,
            coalesce(e.refused, s.accepts is false) as refused,
            false as former, null::text as doubt, null::bigint as shares, null::int as shares_row
         from import_staging s
         left join by_email e on e.email = s.email
         left join by_phone p on s.email is null and p.phone_ident = s.phone_ident and p.name_key = s.name_key
         left join contacts c on c.email = s.email
         where s.verdict is null",
    )
    .await?;
    run(tx, "analyze import_matches (row_number, contact_id, duplicate_of)").await?;
    Ok(())
}

/// An address that a joining left out is still of the person who stayed, though they are written to at another.
async fn match_by_former_email(tx: &mut Tx<'_>) -> Result<()> {
    let found = run(
        tx,
        "update import_matches m set contact_id = found.contact_id, former = true
         from (
            select distinct on (s.row_number) s.row_number, f.contact_id
            from import_staging s join former_owners f on f.address = s.email
            where s.verdict is null order by s.row_number, f.merge_id desc
         ) found
         where found.row_number = m.row_number and m.contact_id is null",
    )
    .await?;
    if found > 0 {
        run(
            tx,
            "update import_matches m set duplicate_of = f.first
             from (
                select contact_id, (array_agg(row_number order by former, row_number))[1] as first from import_matches
                where contact_id is not null and duplicate_of is null group by contact_id having count(*) > 1
             ) f
             where f.contact_id = m.contact_id and m.row_number <> f.first and m.duplicate_of is null",
        )
        .await?;
    }
    Ok(())
}

/// What the file adds to people whom the base knows: fills `import_updates`, one row for each that changes.
async fn compare(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "create temp table import_updates on commit drop as
         select c.id, m.row_number, new.*, i.ident as company_ident
         from import_matches m
         join import_staging s on s.row_number = m.row_number
         join contacts c on c.id = m.contact_id
         cross join import_rules r
         left join import_companies i on i.ident = s.company_ident
         left join import_companies same on same.ident = i.same_as
         left join import_owners o on o.said = s.owner_name
         cross join lateral (select case
            when not m.refused and c.email_basis is null and r.basis is not null then coalesce((
                select e.basis = 'WITHDRAWN' from consent_events e
                where e.contact_id = c.id and e.communication_type = 'EMAIL' order by e.id desc limit 1), false)
            else false
         end as said_no) consent
         cross join lateral (select
            case when r.overwrite then coalesce(s.first_name, c.first_name) else coalesce(nullif(c.first_name, ''), s.first_name, '') end as first_name,
            case when r.overwrite then coalesce(s.last_name, c.last_name) else coalesce(nullif(c.last_name, ''), s.last_name, '') end as last_name,
            coalesce(c.email, s.email) as email,
            case when r.overwrite then coalesce(s.phone, c.phone) else coalesce(c.phone, s.phone) end as phone,
            case when r.overwrite then coalesce(s.job_title, c.job_title) else coalesce(c.job_title, s.job_title) end as job_title,
            case when r.overwrite then coalesce(s.birth_date, c.birth_date) else coalesce(c.birth_date, s.birth_date) end as birth_date,
            case when r.overwrite then coalesce(s.comuna, c.comuna) else coalesce(c.comuna, s.comuna) end as comuna,
            case when r.overwrite then coalesce(s.notes, c.notes) else coalesce(c.notes, s.notes) end as notes,
            case when r.overwrite then coalesce(s.source, c.source) else c.source end as source,
            case when r.overwrite then coalesce(s.lifecycle, c.lifecycle) else c.lifecycle end as lifecycle,
            case when r.overwrite then coalesce(o.staff_id, c.owner_id) else coalesce(c.owner_id, o.staff_id) end as owner_id,
            case
                when r.overwrite and i.ident is not null and i.name is not null then coalesce(i.company_id, same.company_id, -1)
                when c.company_id is null and i.ident is not null and (i.company_id is not null or i.name is not null)
                    then coalesce(i.company_id, same.company_id, -1)
                else c.company_id
            end as company_id,
            case
                when not m.refused and c.email_basis is null and r.basis is not null and s.accepts and not said_no
                    and coalesce(c.email, s.email) is not null
                    -- A yes given for another address of theirs is none for this one.
                    and (s.email is null or c.email is null or s.email = c.email)
                    and not exists (select from suppressions x where x.communication_type = 'EMAIL'
                        and x.destination = coalesce(c.email, s.email) and x.lifted_at is null)
                    and not exists (select from suppressions h where h.communication_type = 'EMAIL' and h.destination is null
                        and h.lifted_at is null
                        and h.address_hash = suppression_hash((select key from suppression_key), coalesce(c.email, s.email)))
                    then r.basis
            end as new_basis
         ) new
         where m.duplicate_of is null and not r.skip
         and ((new.first_name, new.last_name, new.email, new.phone, new.job_title, new.birth_date, new.comuna, new.notes,
                new.source, new.lifecycle, new.owner_id, new.company_id)
            is distinct from (c.first_name, c.last_name, c.email, c.phone, c.job_title, c.birth_date, c.comuna, c.notes,
                c.source, c.lifecycle, c.owner_id, c.company_id)
            or new.new_basis is not null)",
    )
    .await?;
    Ok(())
}

/// Write what `decide_contacts` decided, companies first. Gives the number of companies created.
///
/// # Errors
/// When the database fails, or somebody took an address meanwhile.
pub async fn write_contacts(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    import: ImportId,
    basis: &Basis<'_>,
) -> Result<u64> {
    let companies = companies::create(tx, now, import).await?;
    super::number(tx, "contacts").await?;
    insert(tx, now, import, basis).await?;
    grants::find_created(tx).await?;
    search_index::put_aside(tx, import).await?;
    update(tx, now, import, basis).await?;
    interests::write(tx, now, import).await?;
    grants::write(tx, now, import, now, basis).await?;
    refusals::write(tx, now, import, basis).await?;
    Ok(companies)
}

async fn insert(tx: &mut Tx<'_>, now: DateTime<Utc>, import: ImportId, basis: &Basis<'_>) -> Result<()> {
    sqlx::query(
        "insert into contacts (id, company_id, first_name, last_name, email, phone, job_title, birth_date, comuna, source,
            lifecycle, owner_id, notes, email_basis, search_key, import_id, created_at, updated_at)
         overriding system value
         select made.id, i.company_id, coalesce(s.first_name, ''), coalesce(s.last_name, ''), s.email, s.phone, s.job_title,
            s.birth_date, s.comuna, coalesce(s.source, 'IMPORT'),
            coalesce(s.lifecycle, 'LEAD'), o.staff_id, s.notes,
            case when $3::text is not null and s.email is not null and s.accepts and m.row_number is null
                and x.destination is null
                and not exists (select from suppressions h where h.communication_type = 'EMAIL' and h.destination is null
                    and h.lifted_at is null
                    and h.address_hash = suppression_hash((select key from suppression_key), s.email)) then $3::text end,
            s.search_key, $1, $2, $2
         from import_staging s
         join import_made made on made.row_number = s.row_number
         left join (select row_number from import_matches where refused) m on m.row_number = s.row_number
         left join import_companies i on i.ident = s.company_ident
         left join import_owners o on o.said = s.owner_name
         left join (select distinct destination from suppressions
            where communication_type = 'EMAIL' and lifted_at is null) x on x.destination = s.email",
    )
    .persistent(false)
    .bind(import.0)
    .bind(now)
    .bind(basis.by_email())
    .execute(&mut **tx)
    .await?;
    if basis.by_email().is_some() {
        sqlx::query(
            "insert into consent_events (contact_id, communication_type, basis, source, obtained_on, import_id, at)
             select c.id, 'EMAIL', c.email_basis, $3, $4, $1, $2
             from import_made made join contacts c on c.id = made.id where c.email_basis is not null",
        )
        .persistent(false)
        .bind(import.0)
        .bind(now)
        .bind(basis.source)
        .bind(basis.obtained_on)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Write the basis that `import_updates` gives people into the ledger.
pub(super) async fn grant(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    import: ImportId,
    basis: &Basis<'_>,
) -> Result<()> {
    sqlx::query(
        "insert into consent_events (contact_id, communication_type, basis, source, obtained_on, import_id, at)
         select u.id, 'EMAIL', u.new_basis, $3, $4, $1, $2 from import_updates u where u.new_basis is not null",
    )
    .persistent(false)
    .bind(import.0)
    .bind(now)
    .bind(basis.source)
    .bind(basis.obtained_on)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn update(tx: &mut Tx<'_>, now: DateTime<Utc>, import: ImportId, basis: &Basis<'_>) -> Result<()> {
    grant(tx, now, import, basis).await?;
    sqlx::query(
        "insert into lifecycle_changes (contact_id, from_lifecycle, to_lifecycle, cause, at)
         select c.id, c.lifecycle, u.lifecycle, $2, $1 from import_updates u join contacts c on c.id = u.id
         where c.lifecycle <> u.lifecycle order by c.id",
    )
    .persistent(false)
    .bind(now)
    .bind(Cause::Import.code())
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "update contacts c set first_name = u.first_name, last_name = u.last_name, email = u.email, phone = u.phone,
            job_title = u.job_title, birth_date = u.birth_date, comuna = u.comuna, notes = u.notes,
            source = u.source, lifecycle = u.lifecycle, owner_id = u.owner_id, company_id = case when u.company_id = -1 then i.company_id else u.company_id end,
            email_basis = coalesce(u.new_basis, c.email_basis), updated_at = $1
         from import_updates u left join import_companies i on i.ident = u.company_ident
         where c.id = u.id",
    )
    .persistent(false)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    refresh_search_keys(tx).await
}

/// Id, first and last name, email, telephone.
type Named = (i64, String, String, Option<String>, Option<String>);

/// Names, addresses and telephones that changed are found by their new words.
async fn refresh_search_keys(tx: &mut Tx<'_>) -> Result<()> {
    const PAGE: i64 = 10_000;
    let mut last = 0_i64;
    loop {
        let people: Vec<Named> = sqlx::query_as(
            "select c.id, c.first_name, c.last_name, c.email, c.phone
             from import_updates u join contacts c on c.id = u.id where u.id > $1 order by u.id limit $2",
        )
        .persistent(false)
        .bind(last)
        .bind(PAGE)
        .fetch_all(&mut **tx)
        .await?;
        let Some((greatest, ..)) = people.last() else { return Ok(()) };
        last = *greatest;
        let (ids, keys): (Vec<i64>, Vec<String>) = people
            .iter()
            .map(|(id, first, last, email, phone)| {
                (*id, search_key(first, last, email.as_deref(), phone.as_deref()))
            })
            .unzip();
        sqlx::query!(
            "update contacts c set search_key = new.key
             from unnest($1::bigint[], $2::text[]) as new (id, key) where c.id = new.id and c.search_key <> new.key",
            &ids,
            &keys,
        )
        .execute(&mut **tx)
        .await?;
    }
}
