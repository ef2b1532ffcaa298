//! Who the people of a file are by now: those whom it created, and those whom the base knew already.

use super::{Import, Kind};
use crate::{
    access::Actor,
    contacts::bulk::OnDuplicate,
    db::Tx,
    error::{Error, Result},
    ids::{ContactId, ImportId, ListId},
    segments::list,
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

/// Everybody in the file of `import` but those whose rows stayed out; who was joined into another since, as that one.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut PgConnection, import: &Import) -> Result<Vec<i64>> {
    if import.kind == Kind::Companies {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar!(
        r#"select distinct contact_id as "id!" from import_people where import_id = $1 order by 1"#,
        import.id.0
    )
    .fetch_all(db)
    .await?)
}

/// To whom a basis that is stated for a file may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// Everybody in it: the base knew some of them, and they are changed by it.
    All,
    /// Whom it created.
    Created,
}

/// All of a file of contacts, unless it left those alone whom the base knew; of a file of history, whom it created.
pub(super) fn whom_a_basis_may_be_given(import: &Import) -> Whom {
    let changes_known = import.kind == Kind::Contacts && import.on_duplicate != OnDuplicate::Skip;
    if changes_known { Whom::All } else { Whom::Created }
}

/// Those people.
pub(super) async fn whom_a_basis_is_about(db: &mut PgConnection, import: &Import) -> Result<Vec<i64>> {
    if whom_a_basis_may_be_given(import) == Whom::All {
        return of(db, import).await;
    }
    Ok(sqlx::query_scalar!("select id from contacts where import_id = $1 order by id", import.id.0)
        .fetch_all(db)
        .await?)
}

/// A list with all people of `import`, and how many they are.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] when the file holds nobody; the database's.
pub async fn keep_as_list(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    import: &Import,
) -> Result<(ListId, u64)> {
    let people = of(tx, import).await?;
    if people.is_empty() {
        return Err(Error::refused(
            "Este archivo no dejó a nadie en la base: no hay con quién hacer una lista.",
        ));
    }
    let note = format!("Todas las personas del archivo «{}», nuevas y conocidas.", import.filename);
    let list = list::create(tx, now, actor, &list_name(import), &note).await?;
    let added = list::add_chosen(tx, now, actor, list, &people).await?;
    Ok((list, added))
}

/// The list that [`keep_as_list`] made of `import`, if it is still there.
///
/// # Errors
/// When the database fails.
pub async fn kept_list(db: impl PgExecutor<'_>, import: &Import) -> Result<Option<ListId>> {
    list::named(db, &list_name(import)).await
}

/// Short enough for a list, and of this import alone.
fn list_name(import: &Import) -> String {
    let file: String = import.filename.chars().take(70).collect();
    format!("Importación {}: {}", import.id, file.trim())
}

/// An import whose people the base all knew: it created nobody.
#[derive(Clone, Debug)]
pub struct AllKnown {
    /// Row.
    pub id: i64,
    /// Name of the file.
    pub filename: String,
}

/// Those of the imports `ids` whose people the base all knew, so that none is one that the import brought.
///
/// # Errors
/// When the database fails.
pub async fn all_known(db: impl PgExecutor<'_>, ids: &[i64]) -> Result<Vec<AllKnown>> {
    Ok(sqlx::query_as!(
        AllKnown,
        "select id, filename from imports
         where id = any ($1) and kind = 'contacts' and status = 'DONE' and created = 0 and unchanged > 0 order by id",
        ids
    )
    .fetch_all(db)
    .await?)
}

/// The written import without a basis by which most of `people` came, with the name of its file.
///
/// # Errors
/// When the database fails.
pub async fn undeclared(db: impl PgExecutor<'_>, people: &[ContactId]) -> Result<Option<(ImportId, String)>> {
    let ids: Vec<i64> = people.iter().map(|it| it.0).collect();
    let found = sqlx::query!(
        r#"select i.id, i.filename from contacts c join imports i on i.id = c.import_id
           where c.id = any ($1) and i.status = 'DONE' and i.consent_basis is null and i.kind <> 'companies'
           group by i.id order by count(*) desc, i.id desc limit 1"#,
        &ids
    )
    .fetch_optional(db)
    .await?;
    Ok(found.map(|it| (ImportId(it.id), it.filename)))
}
