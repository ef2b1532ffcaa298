//! Taking a written import back as a whole, as long as nobody built on its rows.

use super::{Import, Status, record, run::Stop};
use crate::{
    access::{Actor, Permission},
    chile::format,
    contacts::{
        bulk::{self, Obstacle, Touched},
        metrics,
    },
    db::{Tx, locks},
    error::{Error, Result},
    ids::ImportId,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

/// What speaks against undoing `import`, as numbers.
///
/// # Errors
/// When the database fails.
pub async fn touched(db: &mut PgConnection, import: &Import) -> Result<Touched> {
    let (contacts, companies) = changed(&mut *db, import.id).await?;
    let Some(applied_at) = import.applied_at else { return Ok(Touched::default()) };
    bulk::touched(db, import.id, applied_at, &contacts, &companies).await
}

/// People and companies that were there before `import` and that it changed.
async fn changed(db: &mut PgConnection, import: ImportId) -> Result<(Vec<i64>, Vec<i64>)> {
    let changed = sqlx::query!(
        r#"select coalesce(array_agg(subject_id) filter (where subject_kind = 'contact'), '{}') as "contacts!",
            coalesce(array_agg(subject_id) filter (where subject_kind = 'company'), '{}') as "companies!"
         from import_changes where import_id = $1"#,
        import.0
    )
    .fetch_one(db)
    .await?;
    Ok((changed.contacts, changed.companies))
}

/// What speaks against an undo.
struct Reason {
    /// As [`Touched`] calls it.
    name: &'static str,
    /// How many it counts.
    count: fn(&Touched) -> i64,
    /// As people read it of one and of several.
    words: (&'static str, &'static str),
}

const REASONS: [Reason; 9] = [
    Reason {
        name: "contacts",
        count: |it| it.contacts,
        words: ("contacto cambió después", "contactos cambiaron después"),
    },
    Reason {
        name: "companies",
        count: |it| it.companies,
        words: ("empresa cambió después", "empresas cambiaron después"),
    },
    Reason {
        name: "written_to",
        count: |it| it.written_to,
        words: ("contacto ya tiene mensajes", "contactos ya tienen mensajes"),
    },
    Reason {
        name: "consents",
        count: |it| it.consents,
        words: ("contacto cambió su consentimiento después", "contactos cambiaron su consentimiento después"),
    },
    Reason {
        name: "worked_with",
        count: |it| it.worked_with,
        words: (
            "contacto que creó ya tiene gestiones, tareas, compras, intereses o listas",
            "contactos que creó ya tienen gestiones, tareas, compras, intereses o listas",
        ),
    },
    Reason {
        name: "preferences",
        count: |it| it.preferences,
        words: ("contacto eligió después qué recibir", "contactos eligieron después qué recibir"),
    },
    Reason {
        name: "rhythms",
        count: |it| it.rhythms,
        words: (
            "contacto pidió después recibir menos mensajes",
            "contactos pidieron después recibir menos mensajes",
        ),
    },
    Reason {
        name: "suppressions",
        count: |it| it.suppressions,
        words: (
            "contacto quedó después en la lista de exclusión",
            "contactos quedaron después en la lista de exclusión",
        ),
    },
    Reason {
        name: "employees",
        count: |it| it.employees,
        words: (
            "contacto de otro origen trabaja en una empresa que creó",
            "contactos de otro origen trabajan en empresas que creó",
        ),
    },
];

/// The reasons that `touched` counts anybody for: each by its name, and in words with how many.
fn said(touched: &Touched) -> Vec<(&'static str, String)> {
    REASONS
        .iter()
        .map(|it| (it, (it.count)(touched)))
        .filter(|(_, count)| *count > 0)
        .map(|(it, count)| (it.name, format::count(count, it.words.0, it.words.1)))
        .collect()
}

/// Why `touched` keeps an import from being undone, in Spanish.
#[must_use]
pub fn refusal(touched: &Touched) -> String {
    let said: Vec<String> = said(touched).into_iter().map(|it| it.1).collect();
    format!("No se puede deshacer esta importación: {}. Se deja todo como está.", said.join(", "))
}

/// Each reason why `import` can't be taken back, in words, with those whom it is about, `most` of them at most.
///
/// # Errors
/// When the database fails.
pub async fn obstacles(
    db: &mut PgConnection,
    import: &Import,
    most: i64,
) -> Result<Vec<(String, Vec<Obstacle>)>> {
    let Some(applied_at) = import.applied_at else { return Ok(Vec::new()) };
    let (contacts, companies) = changed(&mut *db, import.id).await?;
    let (touched, all) = bulk::obstacles(db, import.id, applied_at, (&contacts, &companies), most).await?;
    let of = |reason: &str| all.iter().filter(|it| it.reason == reason).cloned().collect();
    Ok(said(&touched).into_iter().map(|(reason, words)| (words, of(reason))).collect())
}

/// What taking an import back does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Foretold {
    /// People who go, since it created them.
    pub people: i64,
    /// Companies that go.
    pub companies: i64,
    /// Purchases, visits and enrolments that go.
    pub entries: i64,
    /// People who become what they were.
    pub changed_people: i64,
    /// Companies that become what they were.
    pub changed_companies: i64,
}

impl Foretold {
    /// Whether nothing of the base goes.
    #[must_use]
    pub fn deletes_nobody(&self) -> bool {
        self.people + self.companies + self.entries == 0
    }
}

/// What taking `import` back would do.
///
/// # Errors
/// When the database fails.
pub async fn foretell(db: &mut PgConnection, import: ImportId) -> Result<Foretold> {
    Ok(sqlx::query_as!(
        Foretold,
        r#"select (select count(*) from contacts where import_id = $1) as "people!",
            (select count(*) from companies where import_id = $1) as "companies!",
            (select count(*) from history_entries where import_id = $1) as "entries!",
            (select count(*) from import_changes where import_id = $1 and subject_kind = 'contact') as "changed_people!",
            (select count(*) from import_changes where import_id = $1 and subject_kind = 'company') as "changed_companies!""#,
        import.0
    )
    .fetch_one(db)
    .await?)
}

/// Whether the actor may take `import` back.
///
/// Taking back deletes what it created, and no role of daily work deletes people. But who
/// uploaded the wrong file must be able to mend it at once: their own import they may always take back, since
/// nobody has built on it. One that created nothing deletes nothing.
#[must_use]
pub fn may(actor: &Actor, import: &Import) -> bool {
    let deletes = import.counts.created + import.companies_created + import.people_created > 0;
    let is_own = actor.staff_id().is_some_and(|it| Some(it) == import.created_by_id);
    actor.may(Permission::RunImports) && (!deletes || is_own || actor.may(Permission::UndoAnyImport))
}

/// Ask for `id` to be taken back: the engine does it next.
///
/// # Errors
/// [`Error::Forbidden`]; when its rows were touched since, it isn't written, or the database fails.
pub async fn ask(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: ImportId) -> Result<()> {
    let import = super::get(&mut **tx, id).await?;
    if !may(actor, &import) {
        return Err(Error::Forbidden);
    }
    if import.status != Status::Done {
        return Err(Error::refused("Solo se puede deshacer una importación terminada."));
    }
    let touched = touched(tx, &import).await?;
    if !touched.is_untouched() {
        return Err(Error::refused(refusal(&touched)));
    }
    sqlx::query!(
        "update imports set status = 'UNDOING', progress = 0, attempts = 0, failure = null, decided_by = $2, decided_by_name = $3
         where id = $1 and status = 'DONE'",
        id.0,
        actor.staff_id().map(|it| it.0),
        actor.label(),
    )
    .execute(&mut **tx)
    .await?;
    record(tx, now, actor, "import.undo", id, json!({"status": "UNDOING"})).await
}

/// Let a written import be as it is, since it can't be taken back; `sentence` says why.
pub(super) async fn leave(db: &mut PgConnection, id: ImportId, sentence: &str) -> Result<()> {
    sqlx::query!(
        "update imports set status = 'DONE', attempts = 0, failure = $2 where id = $1 and status = 'UNDOING'",
        id.0,
        sentence
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The engine's step: take `import` back, or leave it and say why.
pub(super) async fn undo(tx: &mut Tx<'_>, now: DateTime<Utc>, import: &Import) -> Result<(), Stop> {
    sqlx::query!("select pg_advisory_xact_lock($1, 0)", locks::IMPORT).execute(&mut **tx).await?;
    let (contacts, companies) = changed(tx, import.id).await?;
    bulk::hold_interests(tx, import.id).await?;
    bulk::hold(tx, import.id, &contacts, &companies).await?;
    let touched = touched(tx, import).await?;
    if !touched.is_untouched() {
        return leave(tx, import.id, &refusal(&touched)).await.map_err(Stop::Fault);
    }
    let whose = bulk::remove_history(tx, import.id).await?;
    bulk::remove(tx, now, import.id).await?;
    bulk::forget_interests(tx, now, import.id).await?;
    metrics::recount(tx, now, &whose).await?;
    super::decisions::forget(tx, import.id).await?;
    sqlx::query!("delete from import_changes where import_id = $1", import.id.0).execute(&mut **tx).await?;
    sqlx::query!(
        "update imports set status = 'UNDONE', progress = 100, undone_at = $2, finished_at = $2 where id = $1",
        import.id.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
