//! Who of the team looks after staged people: found by the name or the address that the file says.

use super::run;
use crate::{chile::text::fold, db::Tx, error::Result};
use std::collections::HashMap;

/// Different names that are looked at: a column with more holds nobody of the team.
const MOST_NAMES: i64 = 5_000;

/// Fills `import_owners(said, staff_id)` with those who are on the team, each under the words of the file.
pub(super) async fn find(tx: &mut Tx<'_>) -> Result<()> {
    run(tx, "create temp table import_owners (said text not null, staff_id bigint not null) on commit drop")
        .await?;
    let said: Vec<String> = sqlx::query_scalar(
        "select distinct owner_name from import_staging where verdict is null and owner_name is not null limit $1",
    )
    .persistent(false)
    .bind(MOST_NAMES)
    .fetch_all(&mut **tx)
    .await?;
    if said.is_empty() {
        return Ok(());
    }
    let team =
        sqlx::query!("select id, name, email from staff_users where active").fetch_all(&mut **tx).await?;
    let mut by_words: HashMap<String, Option<i64>> = HashMap::new();
    for one in &team {
        // Of two who are called the same, a name tells none.
        by_words.entry(fold(&one.name)).and_modify(|it| *it = None).or_insert(Some(one.id));
    }
    let by_address: HashMap<String, i64> = team.iter().map(|it| (it.email.to_lowercase(), it.id)).collect();
    let (said, ids): (Vec<String>, Vec<i64>) = said
        .into_iter()
        .filter_map(|words| {
            let found = by_address.get(&words.to_lowercase()).copied();
            let id = found.or_else(|| by_words.get(&fold(&words)).copied().flatten())?;
            Some((words, id))
        })
        .unzip();
    sqlx::query("insert into import_owners select * from unnest($1::text[], $2::bigint[])")
        .persistent(false)
        .bind(&said)
        .bind(&ids)
        .execute(&mut **tx)
        .await?;
    run(tx, "analyze import_owners").await?;
    Ok(())
}

/// Says of the rows whom nobody of the team is called as they say: fills `import_notes`.
pub(super) async fn note(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "insert into import_notes (row_number, note, unsubscribed)
         select s.row_number, 'No hay nadie activo del equipo llamado «' || left(s.owner_name, 60) || '»: '
            || case when c.owner_id is null then 'quedó sin responsable' else 'conserva el que tenía' end, false
         from import_staging s
         join import_matches m on m.row_number = s.row_number
         cross join import_rules r
         left join contacts c on c.id = m.contact_id
         where s.verdict is null and s.owner_name is not null and m.duplicate_of is null
            and not exists (select from import_owners o where o.said = s.owner_name)
            and (m.contact_id is null or (not r.skip and (c.owner_id is null or r.overwrite)))",
    )
    .await?;
    Ok(())
}
