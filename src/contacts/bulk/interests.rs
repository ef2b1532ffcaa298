//! The interests that staged people bring: found by what they are called, made where they are new, and given. Nobody
//! loses one by a file.

use super::run;
use crate::{
    access::Actor,
    audit,
    chile::{format, text::fold},
    contacts::interests,
    db::Tx,
    error::{Error, Result},
    ids::{ImportId, InterestId},
};
use chrono::{DateTime, Utc};
use serde_json::json;

/// Different spellings that a column of interests may hold.
const MOST_SPELLINGS: usize = 5_000;

/// What the known people of the file lack: fills `import_topics(name, key, interest_id)`, one row for each spelling, and
/// `import_tagged(contact_id, row_number, key)`. Their column is called `header` in the file.
///
/// # Errors
/// [`Error::Refused`] where the file says so many that they are none; or the database's.
pub(super) async fn find(tx: &mut Tx<'_>, header: &str) -> Result<()> {
    run(
        tx,
        "create temp table import_topics (name text not null, key text not null, interest_id bigint) on commit drop",
    )
    .await?;
    run(
        tx,
        "create temp table import_tagged (contact_id bigint not null, row_number int not null, key text not null)
         on commit drop",
    )
    .await?;
    let names: Vec<String> = sqlx::query_scalar(
        "select name from (
            select said.name, min(s.row_number) as first from import_staging s cross join unnest(s.interests) said (name)
            where s.verdict is null and s.interests is not null group by said.name
         ) spelt order by first limit $1",
    )
    .persistent(false)
    .bind(i64::try_from(MOST_SPELLINGS + 1).unwrap_or(i64::MAX))
    .fetch_all(&mut **tx)
    .await?;
    if names.is_empty() {
        return Ok(());
    }
    if names.len() > MOST_SPELLINGS {
        return Err(Error::refused(format!(
            "La columna «{header}» trae más de {} textos distintos: parece que no son intereses. No se guardó nada. \
             Indica qué es esa columna y vuelve a simular.",
            format::number(i64::try_from(MOST_SPELLINGS).unwrap_or(i64::MAX))
        )));
    }
    let keys: Vec<String> = names.iter().map(|it| fold(it)).collect();
    // Held: somebody may be joining two of them.
    sqlx::query(
        "with known as (select id, key from interests where key = any ($2) order by id for key share)
         insert into import_topics
         select said.name, said.key, known.id
         from unnest($1::text[], $2::text[]) with ordinality said (name, key, place)
         left join known on known.key = said.key order by said.place",
    )
    .persistent(false)
    .bind(&names)
    .bind(&keys)
    .execute(&mut **tx)
    .await?;
    run(tx, "analyze import_topics").await?;
    run(
        tx,
        "insert into import_tagged
         select distinct m.contact_id, m.row_number, t.key
         from import_staging s
         join import_matches m on m.row_number = s.row_number
         cross join import_rules r
         cross join unnest(s.interests) said (name)
         join import_topics t on t.name = said.name
         where s.verdict is null and s.interests is not null and m.contact_id is not null and m.duplicate_of is null
            and not r.skip
            and not exists (select from contact_interests c
                where c.contact_id = m.contact_id and c.interest_id = t.interest_id)",
    )
    .await?;
    Ok(())
}

/// The interests that the decided rows of a file of contacts would make, in alphabetical order.
///
/// # Errors
/// When the database fails.
pub async fn new_interests(tx: &mut Tx<'_>) -> Result<Vec<String>> {
    if are_none(tx).await? {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar(
        "select coalesce((select array_agg(name order by key) from (
                select distinct on (t.key) t.key, t.name
                from import_topics t where t.interest_id is null and t.key in (
                    select key from import_tagged
                    union
                    select t.key from import_decided d join import_staging s on s.row_number = d.row_number
                        cross join unnest(s.interests) said (name) join import_topics t on t.name = said.name
                    where d.verdict = 'CREATED' and s.interests is not null
                ) order by t.key, t.ctid
            ) made), '{}')",
    )
    .persistent(false)
    .fetch_one(&mut **tx)
    .await?)
}

/// Whether the file holds no interests: most don't.
async fn are_none(tx: &mut Tx<'_>) -> Result<bool> {
    Ok(sqlx::query_scalar("select not exists (select from import_topics)")
        .persistent(false)
        .fetch_one(&mut **tx)
        .await?)
}

/// Give what was found, and to the people whom the file made what it says of them.
pub(super) async fn write(tx: &mut Tx<'_>, now: DateTime<Utc>, import: ImportId) -> Result<()> {
    if are_none(tx).await? {
        return Ok(());
    }
    // Whoever is changed is changed when the import is written, else it could not be taken back.
    sqlx::query("update contacts c set updated_at = $1 where c.id in (select contact_id from import_tagged)")
        .persistent(false)
        .bind(now)
        .execute(&mut **tx)
        .await?;
    run(
        tx,
        "insert into import_tagged
         select distinct made.id, made.row_number, t.key
         from import_staging s
         join import_made made on made.row_number = s.row_number
         cross join unnest(s.interests) said (name)
         join import_topics t on t.name = said.name
         where s.interests is not null",
    )
    .await?;
    make(tx, now, import).await?;
    sqlx::query(
        "insert into contact_interests (contact_id, interest_id, at, import_id)
         select distinct it.contact_id, t.interest_id, $1::timestamptz, $2::bigint
         from import_tagged it join (select distinct key, interest_id from import_topics) t on t.key = it.key
         order by it.contact_id, t.interest_id
         on conflict do nothing",
    )
    .persistent(false)
    .bind(now)
    .bind(import.0)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Make those that nobody made yet, each by its first spelling.
async fn make(tx: &mut Tx<'_>, now: DateTime<Utc>, import: ImportId) -> Result<()> {
    let made: Vec<(i64, String)> = sqlx::query_as(
        "insert into interests (name, category, key, created_at, import_id)
         select distinct on (t.key) t.name, '', t.key, $1, $2 from import_topics t
         where t.interest_id is null and t.key in (select key from import_tagged) order by t.key, t.ctid
         on conflict on constraint interests_once do nothing returning id, name",
    )
    .persistent(false)
    .bind(now)
    .bind(import.0)
    .fetch_all(&mut **tx)
    .await?;
    for (id, name) in made {
        let change = audit::Change {
            action: "interest.create",
            subject_kind: "interest",
            subject_id: Some(id),
            after: Some(json!({ "name": name, "category": "", "import": import.0 })),
            ..audit::Change::default()
        };
        audit::record(tx, now, &Actor::System, change).await?;
    }
    run(
        tx,
        "update import_topics t set interest_id = i.id from interests i where t.interest_id is null and i.key = t.key",
    )
    .await?;
    Ok(())
}

/// Hold the interests that `import` made, so that nobody joins or renames them until the transaction ends. To be held
/// before people are: who joins interests holds these first, too.
///
/// # Errors
/// When the database fails.
pub async fn hold_interests(tx: &mut Tx<'_>, import: ImportId) -> Result<()> {
    sqlx::query!("select id from interests where import_id = $1 order by id for update", import.0)
        .fetch_all(&mut **tx)
        .await?;
    Ok(())
}

/// Take back what `import` gave to people who stay, and the interests that it made and nobody else uses.
///
/// # Errors
/// When the database fails.
pub async fn forget_interests(tx: &mut Tx<'_>, now: DateTime<Utc>, import: ImportId) -> Result<()> {
    sqlx::query!("delete from contact_interests where import_id = $1", import.0).execute(&mut **tx).await?;
    let made = sqlx::query_scalar!(
        r#"select id as "id: InterestId" from interests where import_id = $1 order by id"#,
        import.0
    )
    .fetch_all(&mut **tx)
    .await?;
    for id in made {
        interests::catalogue::remove_unused(tx, now, &Actor::System, id).await?;
    }
    Ok(())
}
