//! Deciding on staged rows, and writing them: all of them, or none.

use super::{Stop, report_progress, subject_kind};
use crate::{
    access::Actor,
    contacts::bulk::{self, Basis, Headers, People, Rules},
    db::{Tx, locks},
    error::Error,
    imports::{
        Counts, Import, Kind, Status, corrections, decisions, files,
        mapping::{self, Field, Mapping},
        record,
        report::QUIET_BLOCK,
    },
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgPool;

/// The columns that `import_rows` and the staging table share.
const SHARED: &str = "row_number, company_name, company_key, rut, industry, first_name, last_name, email, phone, \
    phone_ident, search_key, job_title, birth_date, comuna, address, website, notes, source, accepts, column_name, \
    value, warning, cells, name_key, interests, lifecycle, owner_name, \
    event_kind, event_on, item, amount, quantity";

/// Interests that a file may make: a column with more of them is one of something else.
const MOST_NEW_INTERESTS: usize = 200;

/// What the base says to each row that it says something to.
const NOTES: &str =
    "(select row_number, string_agg(note, '. ' order by note) as note from import_notes group by row_number)";

/// Write the confirmed rows of `import`, decided on again against the base as it is now.
pub(super) async fn apply(
    db: &PgPool,
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    import: &Import,
) -> Result<(), Stop> {
    let columns = import.layout.as_ref().map(|it| it.columns.as_slice()).unwrap_or_default();
    bulk::stage(
        tx,
        Rules {
            on_duplicate: import.on_duplicate,
            basis: import.consent.as_ref().map(|it| it.basis.as_str()),
            channels: import.consent.as_ref().map_or(&[], |it| it.channels.as_slice()),
            answers_email_alone: mapping::answers_email_alone(columns, &import.fields),
            writes: true,
        },
    )
    .await?;
    restage(tx, import).await?;
    bulk::staged(tx).await?;
    report_progress(db, import.id, 20, import.rows_read).await?;
    write(db, tx, now, import, columns, &import.fields, Some(&import.counts)).await
}

/// What is said where the base changed after somebody looked at the simulation that they confirmed.
const CHANGED_SINCE: &str = "La base cambió después de esta simulación, así que no se guardó nada todavía: lo que ves abajo es lo que pasaría ahora. Revísalo y confirma de nuevo.";

/// The simulated rows back into the staging table. Those that were rejected for
/// whom they name, not for what they say, are decided on again.
async fn restage(tx: &mut Tx<'_>, import: &Import) -> Result<(), Stop> {
    let mut query = sqlx::QueryBuilder::new("insert into import_staging (verdict, company_ident, reason, ");
    query.push(SHARED);
    query.push(
        ") select case when rejected then verdict end, coalesce(rut, company_key), case when rejected then reason end, ",
    );
    query.push(SHARED);
    query.push(
        " from import_rows cross join lateral
            (select verdict = 'REJECTED' and search_key is null as rejected) fate where import_id = ",
    );
    query.push_bind(import.id.0);
    query.build().persistent(false).execute(&mut **tx).await?;
    Ok(())
}

/// What was written beside the rows themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    companies: u64,
    people: u64,
}

/// Decide on the staged rows, write them, and close the books. Where they come to something else than was `foreseen`,
/// they are simulated anew instead: nobody agreed to that.
pub(super) async fn write(
    db: &PgPool,
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    import: &Import,
    columns: &[String],
    fields: &Mapping,
    foreseen: Option<&Counts>,
) -> Result<(), Stop> {
    // Two people with the same file: the second decides when the first has written.
    sqlx::query!("select pg_advisory_xact_lock($1, 0)", locks::IMPORT).execute(&mut **tx).await?;
    decide(tx, import, columns, fields).await?;
    report_progress(db, import.id, 50, import.rows_read).await?;
    let counts = count(tx, import).await?;
    if foreseen.is_some_and(|it| *it != counts.counts) {
        keep_simulated(tx, import).await?;
        finish(tx, now, import, &counts, None).await?;
        sqlx::query!("update imports set failure = $2 where id = $1", import.id.0, CHANGED_SINCE)
            .execute(&mut **tx)
            .await?;
        return Ok(());
    }
    remember(tx, import).await?;
    let file = format!("importación «{}»", import.filename);
    let basis = Basis {
        basis: import.consent.as_ref().map(|it| it.basis.as_str()),
        channels: import.consent.as_ref().map_or(&[], |it| it.channels.as_slice()),
        source: import.consent.as_ref().map_or(file.as_str(), |it| it.source.as_str()),
        obtained_on: import.consent.as_ref().map(|it| it.obtained_on),
        file: &file,
    };
    let mut written = Written::default();
    match import.kind {
        Kind::Companies => written.companies = bulk::write_companies(tx, now, import.id).await?,
        Kind::Contacts => written.companies = bulk::write_contacts(tx, now, import.id, &basis).await?,
        Kind::History => written.people = bulk::write_history(tx, now, import.id, &basis).await?,
    }
    report_progress(db, import.id, 85, import.rows_read).await?;
    keep_written(tx, import).await?;
    finish(tx, now, import, &counts, Some(written)).await?;
    files::forget(tx, import.id).await?;
    corrections::forget(tx, import.id).await?;
    let after = json!({"status": "DONE", "counts": counts.counts});
    record(tx, now, &Actor::System, "import.apply", import.id, after).await?;
    Ok(())
}

/// Give each staged row its verdict.
pub(super) async fn decide(
    tx: &mut Tx<'_>,
    import: &Import,
    columns: &[String],
    fields: &Mapping,
) -> Result<(), Stop> {
    let header = |field: Field| {
        let at = fields.iter().position(|it| *it == Some(field));
        at.and_then(|at| columns.get(at)).map_or(field.label(), String::as_str)
    };
    match import.kind {
        Kind::Companies => bulk::decide_companies(tx, header(Field::CompanyName)).await?,
        Kind::Contacts => {
            let headers = Headers {
                phone: header(Field::Phone),
                owner: header(Field::Owner),
                interests: header(Field::Interests),
            };
            match bulk::decide_contacts(tx, headers).await {
                Err(Error::Refused(sentence)) => return Err(Stop::Unreadable(sentence)),
                decided => decided?,
            }
            if bulk::new_interests(tx).await?.len() > MOST_NEW_INTERESTS {
                return Err(Stop::Unreadable(format!(
                    "La columna «{}» trae más de {MOST_NEW_INTERESTS} intereses que no existen: parece que no son \
                     intereses. No se guardó nada. Indica qué es esa columna y vuelve a simular.",
                    header(Field::Interests)
                )));
            }
        }
        Kind::History => {
            let people = People {
                create: import.history.create_people,
                email: header(Field::Email),
                phone: header(Field::Phone),
                rut: header(Field::Rut),
            };
            bulk::decide_history(tx, &people).await?;
        }
    }
    Ok(())
}

/// Keep what changes in rows that were there before, as they are now.
async fn remember(tx: &mut Tx<'_>, import: &Import) -> Result<(), Stop> {
    let statement = match import.kind {
        // It changes nothing: what it adds, it adds under its own number.
        Kind::History => return Ok(()),
        Kind::Companies => {
            "insert into import_changes (import_id, subject_kind, subject_id, before)
             select $1, $2, c.id, to_jsonb(c) from import_decided d join companies c on c.id = d.subject_id
             where d.verdict = 'UPDATED'"
        }
        Kind::Contacts => {
            "insert into import_changes (import_id, subject_kind, subject_id, before)
             select $1, $2, c.id, to_jsonb(c) from contacts c
             where c.id in (select id from import_updates union select contact_id from import_tagged)"
        }
    };
    sqlx::query(statement)
        .persistent(false)
        .bind(import.id.0)
        .bind(subject_kind(import.kind))
        .execute(&mut **tx)
        .await?;
    if import.kind == Kind::Contacts {
        sqlx::query(
            "insert into import_changes (import_id, subject_kind, subject_id, before)
             select $1, 'company', c.id, to_jsonb(c) from companies c
             where c.rut is null and c.id in (select company_id from import_companies where claims)
                or c.id in (select id from import_company_updates)",
        )
        .persistent(false)
        .bind(import.id.0)
        .execute(&mut **tx)
        .await?;
        sqlx::query(
            "insert into import_changes (import_id, subject_kind, subject_id, before)
             select $1, 'contact', c.id, to_jsonb(c) from contacts c
             where c.id in (select contact_id from import_refusals union select contact_id from import_grants)
             on conflict do nothing",
        )
        .persistent(false)
        .bind(import.id.0)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// The staged rows with their verdicts, for people to look at, and to be staged again.
pub(super) async fn keep_simulated(tx: &mut Tx<'_>, import: &Import) -> Result<(), Stop> {
    decisions::forget_rows(tx, import.id).await?;
    let columns = SHARED.replace("row_number", "s.row_number");
    let mut query = sqlx::QueryBuilder::new(
        "insert into import_rows (import_id, verdict, reason, subject_id, note, owner_id, ",
    );
    query.push(SHARED);
    query.push(") select ");
    query.push_bind(import.id.0);
    query.push(
        ", coalesce(s.verdict, d.verdict), coalesce(s.reason, d.reason), d.subject_id, n.note, o.staff_id, ",
    );
    query.push(columns);
    query.push(" from import_staging s left join import_decided d on d.row_number = s.row_number left join ");
    query.push(NOTES);
    query.push(" n on n.row_number = s.row_number left join import_owners o on o.said = s.owner_name");
    query.build().persistent(false).execute(&mut **tx).await?;
    Ok(())
}

/// What became of each row. Once written, what a row says stands in the base:
/// here is kept whom it became, and everything of those that stayed out. Where there is nothing to
/// say but whom, a row is one of a block: each by itself would take as long as a third of writing the people.
async fn keep_written(tx: &mut Tx<'_>, import: &Import) -> Result<(), Stop> {
    decisions::forget_rows(tx, import.id).await?;
    sqlx::query(
        "create temp table import_remarked on commit drop as
         select row_number from import_decided where verdict not in ('CREATED', 'UNCHANGED')
         union select row_number from import_notes
         union select row_number from import_staging where verdict is null and (warning is not null or event_kind is not null)",
    )
    .persistent(false)
    .execute(&mut **tx)
    .await?;
    sqlx::query("analyze import_remarked").persistent(false).execute(&mut **tx).await?;
    keep_quiet(tx, import, "CREATED", "select row_number, id as subject_id from import_made").await?;
    let unchanged = "select row_number, subject_id from import_decided where verdict = 'UNCHANGED'";
    keep_quiet(tx, import, "UNCHANGED", unchanged).await?;
    let mut query = sqlx::QueryBuilder::new(
        "insert into import_rows (import_id, row_number, verdict, reason, subject_id, warning, note, event_kind, event_on, item,
            amount, quantity) select ",
    );
    query.push_bind(import.id.0);
    query.push(
        ", d.row_number, d.verdict, d.reason, coalesce(d.subject_id, made.id, same.subject_id), s.warning,
            n.note, s.event_kind, s.event_on, s.item, s.amount, s.quantity
         from import_remarked r
         join import_decided d on d.row_number = r.row_number
         join import_staging s on s.row_number = r.row_number
         left join import_made made on made.row_number = coalesce(d.same_row, d.row_number)
         left join import_decided same on same.row_number = d.same_row
         left join ",
    );
    query.push(NOTES);
    query.push(" n on n.row_number = d.row_number order by d.row_number");
    query.build().persistent(false).execute(&mut **tx).await?;
    let mut query = sqlx::QueryBuilder::new("insert into import_rows (import_id, verdict, reason, ");
    query.push(SHARED);
    query.push(") select ");
    query.push_bind(import.id.0);
    query.push(", verdict, reason, ");
    query.push(SHARED);
    query.push(" from import_staging where verdict = 'REJECTED'");
    query.build().persistent(false).execute(&mut **tx).await?;
    Ok(())
}

/// Keep, in blocks, those of the `rows` without a remark; all of them came to `verdict`.
async fn keep_quiet(tx: &mut Tx<'_>, import: &Import, verdict: &str, rows: &str) -> Result<(), Stop> {
    let mut query = sqlx::QueryBuilder::new(
        "insert into import_quiet_rows (import_id, verdict, last_row, row_numbers, subject_ids) select ",
    );
    query.push_bind(import.id.0);
    query.push(", ").push_bind(verdict);
    query.push(
        ", max(row_number), array_agg(row_number), array_agg(subject_id)
         from (select *, (row_number() over (order by row_number) - 1) / ",
    );
    query.push_bind(QUIET_BLOCK).push(" as block from (");
    query.push(rows);
    query.push(
        ") rows where not exists (select from import_remarked r where r.row_number = rows.row_number) order by row_number
         ) numbered group by block",
    );
    query.build().persistent(false).execute(&mut **tx).await?;
    Ok(())
}

/// The books of an import.
pub(super) struct Books {
    pub(super) counts: Counts,
    warned: i64,
    unsubscribed: i64,
    permitted: i64,
    new_interests: Vec<String>,
    foreseen: Written,
}

/// Count the verdicts, and make sure that each row of the file has one.
pub(super) async fn count(tx: &mut Tx<'_>, import: &Import) -> Result<Books, Stop> {
    let (staged, warned): (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where verdict is null and (warning is not null
            or row_number in (select row_number from import_notes))) from import_staging",
    )
    .persistent(false)
    .fetch_one(&mut **tx)
    .await?;
    let unsubscribed: i64 = sqlx::query_scalar("select count(*) from import_notes where unsubscribed")
        .persistent(false)
        .fetch_one(&mut **tx)
        .await?;
    let verdicts: Vec<(String, i64)> = sqlx::query_as(
        "select verdict, count(*) from import_decided group by verdict
         union all select verdict, count(*) from import_staging where verdict is not null group by verdict",
    )
    .persistent(false)
    .fetch_all(&mut **tx)
    .await?;
    let of = |verdict: &str| verdicts.iter().find(|(it, _)| it == verdict).map_or(0, |(_, count)| *count);
    let counts = Counts {
        rows: staged,
        created: of("CREATED"),
        updated: of("UPDATED"),
        unchanged: of("UNCHANGED"),
        duplicates: of("DUPLICATE"),
        rejected: of("REJECTED"),
    };
    let decided = counts.created + counts.updated + counts.unchanged + counts.duplicates + counts.rejected;
    if decided != staged {
        return Err(Error::Internal(format!("import {}: {staged} rows, {decided} decided", import.id)).into());
    }
    let mut foreseen = Written::default();
    let mut permitted = 0;
    let mut new_interests = Vec::new();
    match import.kind {
        Kind::Companies => foreseen.companies = counts.created.unsigned_abs(),
        Kind::History => foreseen.people = bulk::newcomers(tx).await?.unsigned_abs(),
        Kind::Contacts => {
            let companies: i64 = sqlx::query_scalar(
                "select count(*) from import_companies
                 where is_new or (company_id is null and same_as is null and name is not null)",
            )
            .persistent(false)
            .fetch_one(&mut **tx)
            .await?;
            foreseen.companies = companies.unsigned_abs();
            permitted = sqlx::query_scalar(
                "select count(*) from (
                    select row_number from import_updates where new_basis is not null
                    union select row_number from import_grants
                 ) permitted",
            )
            .persistent(false)
            .fetch_one(&mut **tx)
            .await?;
            new_interests = bulk::new_interests(tx).await?;
        }
    }
    Ok(Books { counts, warned, unsubscribed, permitted, new_interests, foreseen })
}

/// Close the step: simulated, or `written`.
pub(super) async fn finish(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    import: &Import,
    books: &Books,
    written: Option<Written>,
) -> Result<(), Stop> {
    let status = if written.is_some() { Status::Done } else { Status::Ready };
    let beside = written.unwrap_or(books.foreseen);
    let counts = &books.counts;
    let finished = sqlx::query!(
        "update imports set status = $2, progress = 100, rows_read = $3, total = $3, created = $4, updated = $5,
            unchanged = $6, duplicates = $7, rejected = $8, warned = $9, companies_created = $10, people_created = $12, unsubscribed = $13,
            permitted = $14, new_interests = $15, failure = null, simulation = simulation + case when $2 = 'READY' then 1 else 0 end,
            attempts = 0, analysed_at = coalesce(analysed_at, $11),
            applied_at = case when $2 = 'DONE' then $11 end, finished_at = case when $2 = 'DONE' then $11 end
         where id = $1 and not cancel_requested",
        import.id.0,
        status.code(),
        counts.rows,
        counts.created,
        counts.updated,
        counts.unchanged,
        counts.duplicates,
        counts.rejected,
        books.warned,
        i64::try_from(beside.companies).unwrap_or(0),
        now,
        i64::try_from(beside.people).unwrap_or(0),
        books.unsubscribed,
        books.permitted,
        &books.new_interests,
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    // Whoever cancels after this waits for the commit, and is told that it was too late.
    if finished == 0 { Err(Stop::Cancelled) } else { Ok(()) }
}
