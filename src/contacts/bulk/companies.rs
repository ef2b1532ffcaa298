//! Companies in bulk: which of the staged ones the base knows, and writing the rest.

use super::run;
use crate::{db::Tx, error::Result, ids::ImportId};
use chrono::{DateTime, Utc};

/// Resolve `import_companies(ident, first)` (the wanted ones, each with its
/// first row) against the base and among themselves: by RUT, then by name. A name that
/// several legal entities bear tells none of them: it loses its `name`, and `namesakes` says how many.
pub(super) async fn resolve(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "create temp table import_companies on commit drop as
         select w.ident, w.first, s.company_name as name, s.company_key as name_key, s.rut, s.industry, s.comuna,
            s.address, s.website, c.id as company_id, false as claims, false as is_new, null::text as same_as,
            0::bigint as namesakes
         from import_wanted w join import_staging s on s.row_number = w.first
         left join companies c on c.rut = s.rut",
    )
    .await?;
    run(tx, "analyze import_companies").await?;
    // Without a RUT the name decides, and a company that has none yet takes the first RUT that comes with its name.
    run(
        tx,
        "update import_companies i set company_id = found.id, claims = i.rut is not null
         from (
            select w.ident, c.id, w.rut,
                row_number() over (partition by w.ident order by (c.rut is not null), c.id) as choice,
                row_number() over (partition by c.id, w.rut is null order by w.first) as turn
            from import_companies w join companies c on c.name_key = w.name_key
            where w.company_id is null and (w.rut is null or c.rut is null)
         ) found
         where found.ident = i.ident and found.choice = 1 and (found.rut is null or found.turn = 1)",
    )
    .await?;
    run(
        tx,
        "update import_companies i set same_as = other.ident
         from (
            select distinct on (name_key) name_key, ident from import_companies
            where rut is not null and name_key is not null order by name_key, first
         ) other
         where i.rut is null and i.company_id is null and other.name_key = i.name_key",
    )
    .await?;
    // Those of the file count as if they were written, so that the same file again decides the same.
    run(
        tx,
        "update import_companies i set name = null, company_id = null, same_as = null, namesakes = found.namesakes
         from (
            select w.ident, count(distinct known.rut) as namesakes
            from import_companies w
            join (
                select name_key, rut from companies
                where rut is not null and name_key in (select name_key from import_companies where rut is null)
                union all select name_key, rut from import_companies where rut is not null
            ) known on known.name_key = w.name_key
            where w.rut is null
                and not exists (select from companies c where c.name_key = w.name_key and c.rut is null)
            group by w.ident having count(distinct known.rut) > 1
         ) found
         where found.ident = i.ident",
    )
    .await?;
    Ok(())
}

/// What the file adds to companies that the base knows, for people who work there: fills
/// `import_company_updates`, one row for each that changes.
pub(super) async fn compare(tx: &mut Tx<'_>) -> Result<()> {
    hold(tx).await?;
    run(
        tx,
        "create temp table import_company_updates on commit drop as
         select c.id, i.first as row_number, new.*
         from (
            select company_id, min(first) as first,
                (array_agg(industry order by first) filter (where industry is not null))[1] as industry,
                (array_agg(comuna order by first) filter (where comuna is not null))[1] as comuna,
                (array_agg(address order by first) filter (where address is not null))[1] as address,
                (array_agg(website order by first) filter (where website is not null))[1] as website
            from import_companies where company_id is not null group by company_id
         ) i
         join companies c on c.id = i.company_id
         cross join import_rules r
         cross join lateral (select
            case when r.overwrite then coalesce(i.industry, c.industry) else coalesce(c.industry, i.industry) end as industry,
            case when r.overwrite then coalesce(i.comuna, c.comuna) else coalesce(c.comuna, i.comuna) end as comuna,
            case when r.overwrite then coalesce(i.address, c.address) else coalesce(c.address, i.address) end as address,
            case when r.overwrite then coalesce(i.website, c.website) else coalesce(c.website, i.website) end as website
         ) new
         where not r.skip
            and (new.industry, new.comuna, new.address, new.website)
                is distinct from (c.industry, c.comuna, c.address, c.website)",
    )
    .await?;
    Ok(())
}

/// What is compared now is written then: nobody changes a known company in between.
async fn hold(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "select c.id from companies c
         where (select writes from import_rules) and c.id in (select company_id from import_companies)
         order by c.id for no key update",
    )
    .await?;
    Ok(())
}

/// Create the companies that are missing, write what [`compare`] found, and give `import_companies` their ids.
pub(super) async fn create(tx: &mut Tx<'_>, now: DateTime<Utc>, import: ImportId) -> Result<u64> {
    run(
        tx,
        "update import_companies i set company_id = numbered.id, is_new = true
         from (
            select ident, nextval((select pg_get_serial_sequence('companies', 'id')::regclass)) as id
            from (select ident from import_companies
                  where company_id is null and same_as is null and name is not null order by first) missing
         ) numbered
         where numbered.ident = i.ident",
    )
    .await?;
    let created = sqlx::query(
        "insert into companies (id, name, name_key, rut, industry, comuna, address, website, import_id, created_at, updated_at)
         overriding system value
         select company_id, name, name_key, rut, industry, comuna, address, website, $1, $2, $2
         from import_companies where is_new order by company_id",
    )
    .persistent(false)
    .bind(import.0)
    .bind(now)
    .execute(&mut **tx)
    .await?
    .rows_affected();
    sqlx::query(
        "update companies c set rut = i.rut, updated_at = $1
         from import_companies i where i.claims and c.id = i.company_id and c.rut is null",
    )
    .persistent(false)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "update companies c set industry = u.industry, comuna = u.comuna, address = u.address, website = u.website,
            updated_at = $1
         from import_company_updates u where c.id = u.id",
    )
    .persistent(false)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    run(
        tx,
        "update import_companies i set company_id = other.company_id
         from import_companies other where i.same_as = other.ident",
    )
    .await?;
    Ok(created)
}

/// Decide on each staged company: fills `import_decided(row_number, verdict, reason, subject_id)`, and
/// rejects staged rows that may mean several; `header` is the column of their names.
///
/// # Errors
/// When the database fails.
pub async fn decide_companies(tx: &mut Tx<'_>, header: &str) -> Result<()> {
    run(
        tx,
        "create temp table import_wanted on commit drop as
         select company_ident as ident, min(row_number) as first from import_staging
         where verdict is null and company_ident is not null group by company_ident",
    )
    .await?;
    resolve(tx).await?;
    sqlx::query(
        "update import_staging s set verdict = 'REJECTED', column_name = $1, value = s.company_name,
            reason = 'Hay ' || i.namesakes || ' empresas con este nombre y distinto RUT: agrega el RUT para saber cuál es'
         from import_companies i
         where i.ident = s.company_ident and i.namesakes > 1 and s.verdict is null",
    )
    .persistent(false)
    .bind(header)
    .execute(&mut **tx)
    .await?;
    hold(tx).await?;
    run(
        tx,
        "create temp table import_updates on commit drop as
         select c.id, i.first as row_number, new.* from import_companies i
         join import_staging s on s.row_number = i.first
         join companies c on c.id = i.company_id
         cross join import_rules r
         cross join lateral (select
            case when r.overwrite and c.rut = s.rut then s.company_name else c.name end as name,
            case when r.overwrite and c.rut = s.rut then s.company_key else c.name_key end as name_key,
            coalesce(c.rut, s.rut) as rut,
            case when r.overwrite then coalesce(s.industry, c.industry) else coalesce(c.industry, s.industry) end as industry,
            case when r.overwrite then coalesce(s.comuna, c.comuna) else coalesce(c.comuna, s.comuna) end as comuna,
            case when r.overwrite then coalesce(s.address, c.address) else coalesce(c.address, s.address) end as address,
            case when r.overwrite then coalesce(s.website, c.website) else coalesce(c.website, s.website) end as website,
            case when r.overwrite then coalesce(s.phone, c.phone) else coalesce(c.phone, s.phone) end as phone,
            case when r.overwrite then coalesce(s.email, c.email) else coalesce(c.email, s.email) end as email,
            case when r.overwrite then coalesce(s.notes, c.notes) else coalesce(c.notes, s.notes) end as notes
         ) new
         where not r.skip and (new.name, new.name_key, new.rut, new.industry, new.comuna, new.address, new.website, new.phone, new.email, new.notes)
            is distinct from (c.name, c.name_key, c.rut, c.industry, c.comuna, c.address, c.website, c.phone, c.email, c.notes)",
    )
    .await?;
    run(
        tx,
        "create temp table import_decided on commit drop as
         with row_of as (
            select s.row_number, i.ident, i.company_id,
                case when i.same_as is not null then other.first else nullif(i.first, s.row_number) end as duplicate_of
            from import_staging s
            join import_companies i on i.ident = s.company_ident
            left join import_companies other on other.ident = i.same_as
            where s.verdict is null
         ), first_of as (
            select company_id, min(row_number) as first from row_of
            where company_id is not null and duplicate_of is null group by company_id
         )
         select r.row_number,
            case
                when coalesce(r.duplicate_of, nullif(f.first, r.row_number)) is not null then 'DUPLICATE'
                when r.company_id is null then 'CREATED'
                when u.row_number is not null then 'UPDATED'
                else 'UNCHANGED'
            end as verdict,
            'Repetida: es la misma empresa que la fila ' || coalesce(r.duplicate_of, nullif(f.first, r.row_number)) as reason,
            r.company_id as subject_id, coalesce(r.duplicate_of, nullif(f.first, r.row_number)) as same_row
         from row_of r
         left join first_of f on f.company_id = r.company_id
         left join import_updates u on u.row_number = r.row_number",
    )
    .await?;
    run(tx, "analyze import_decided").await?;
    Ok(())
}

/// Write what `decide_companies` decided. Gives the number of companies created.
///
/// # Errors
/// When the database fails.
pub async fn write_companies(tx: &mut Tx<'_>, now: DateTime<Utc>, import: ImportId) -> Result<u64> {
    super::number(tx, "companies").await?;
    let created = sqlx::query(
        "insert into companies (id, name, name_key, rut, industry, comuna, address, website, phone, email, notes, import_id, created_at, updated_at)
         overriding system value
         select made.id, s.company_name, s.company_key, s.rut, s.industry, s.comuna, s.address, s.website, s.phone, s.email, s.notes, $1, $2, $2
         from import_staging s join import_made made on made.row_number = s.row_number order by made.id",
    )
    .persistent(false)
    .bind(import.0)
    .bind(now)
    .execute(&mut **tx)
    .await?
    .rows_affected();
    sqlx::query(
        "update companies c set name = u.name, name_key = u.name_key, rut = u.rut, industry = u.industry, comuna = u.comuna,
            address = u.address, website = u.website, phone = u.phone, email = u.email, notes = u.notes, updated_at = $1
         from import_updates u join import_decided d on d.row_number = u.row_number
         where d.verdict = 'UPDATED' and c.id = u.id",
    )
    .persistent(false)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(created)
}
