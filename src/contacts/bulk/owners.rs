//! Who of the team looks after staged people: found by the name or the address that the file says.

use super::run;
use crate::{
    chile::{format, text::fold},
    db::Tx,
    error::{Error, Result},
};
use std::collections::HashMap;

/// Different names that a column of the team may hold.
const MOST_NAMES: usize = 5_000;

/// Fills `import_owners(said, staff_id)` with the words of the file, called `header`, that mean somebody of the team; without
/// an id where they mean several.
///
/// # Errors
/// [`Error::Refused`] where the file says so many names that they are none of a team; or the database's.
pub(super) async fn find(tx: &mut Tx<'_>, header: &str) -> Result<()> {
    let said: Vec<String> = sqlx::query_scalar(
        "select distinct owner_name from import_staging where verdict is null and owner_name is not null limit $1",
    )
    .persistent(false)
    .bind(i64::try_from(MOST_NAMES + 1).unwrap_or(i64::MAX))
    .fetch_all(&mut **tx)
    .await?;
    if said.is_empty() {
        return Ok(());
    }
    if said.len() > MOST_NAMES {
        return Err(Error::refused(format!(
            "La columna «{header}» trae más de {} nombres distintos: parece que no son de tu equipo. No se guardó \
             nada. Indica qué es esa columna y vuelve a simular.",
            format::number(i64::try_from(MOST_NAMES).unwrap_or(i64::MAX))
        )));
    }
    let team =
        sqlx::query!("select id, name, email from staff_users where active").fetch_all(&mut **tx).await?;
    let mut by_words: HashMap<String, Option<i64>> = HashMap::new();
    for one in &team {
        by_words.entry(fold(&one.name)).and_modify(|it| *it = None).or_insert(Some(one.id));
    }
    let by_address: HashMap<String, i64> = team.iter().map(|it| (it.email.to_lowercase(), it.id)).collect();
    let meant = |words: &str| match by_address.get(&words.to_lowercase()) {
        Some(id) => Some(Some(*id)),
        None => by_words.get(&fold(words)).copied(),
    };
    let (said, ids): (Vec<String>, Vec<Option<i64>>) = said
        .into_iter()
        .filter_map(|words| {
            let id = meant(&words)?;
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

/// Says of the rows which name nobody of the team, or several: fills `import_notes`.
pub(super) async fn note(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "insert into import_notes (row_number, note, unsubscribed)
         select s.row_number,
            case when o.said is null then 'No hay nadie activo del equipo llamado «' || left(s.owner_name, 60) || '»: '
                else 'Hay más de una persona del equipo llamada «' || left(s.owner_name, 60) || '», escribe su correo: ' end
            || case when c.owner_id is null then 'quedó sin responsable' else 'conserva el que tenía' end, false
         from import_staging s
         join import_matches m on m.row_number = s.row_number
         cross join import_rules r
         left join contacts c on c.id = m.contact_id
         left join import_owners o on o.said = s.owner_name
         where s.verdict is null and s.owner_name is not null and m.duplicate_of is null and o.staff_id is null
            and (m.contact_id is null or (not r.skip and (c.owner_id is null or r.overwrite)))",
    )
    .await?;
    Ok(())
}
