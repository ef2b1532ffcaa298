//! The columns of the board: their names, their order, what standing in one means.

use crate::{
    access::{Actor, Permission},
    audit,
    chile::text::tidy,
    contacts::{company::Outcome, contact_filter::Owner},
    db::Tx,
    error::{Error, OnConstraint as _, Result},
    ids::StageId,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgExecutor;

/// What standing in a stage means for the deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Meaning {
    /// It is worked on.
    #[serde(rename = "OPEN")]
    Open,
    /// It is worked on, and wants an answer today.
    #[serde(rename = "HOT")]
    Hot,
    /// It was won.
    #[serde(rename = "WON")]
    Won,
    /// It was lost.
    #[serde(rename = "LOST")]
    Lost,
}

impl Meaning {
    /// Every one, in the order in which they are offered.
    pub const ALL: [Meaning; 4] = [Meaning::Open, Meaning::Hot, Meaning::Won, Meaning::Lost];

    /// As in forms.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Meaning::Open => "OPEN",
            Meaning::Hot => "HOT",
            Meaning::Won => "WON",
            Meaning::Lost => "LOST",
        }
    }

    /// From the form's code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Meaning> {
        Meaning::ALL.into_iter().find(|it| it.code() == code)
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Meaning::Open => "En curso",
            Meaning::Hot => "Urgente: responder hoy",
            Meaning::Won => "Ganado",
            Meaning::Lost => "Perdido",
        }
    }

    fn of(is_hot: bool, outcome: &str) -> Meaning {
        match (is_hot, outcome) {
            (_, "WON") => Meaning::Won,
            (_, "LOST") => Meaning::Lost,
            (true, _) => Meaning::Hot,
            _ => Meaning::Open,
        }
    }

    fn outcome(self) -> &'static str {
        match self {
            Meaning::Open | Meaning::Hot => "OPEN",
            Meaning::Won => "WON",
            Meaning::Lost => "LOST",
        }
    }
}

/// A column, with what stands in it.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Row.
    pub id: StageId,
    /// As people read it.
    pub name: String,
    /// What standing in it means.
    pub meaning: Meaning,
    /// Cards in it.
    pub cards: i64,
    /// Whole pesos of its cards together.
    pub value: i64,
}

/// Most columns: more don't fit any screen.
const MOST: i64 = 20;

macro_rules! stages {
    ($cards:literal $(, $value:expr)*) => {
        sqlx::query_as!(
            StageRow,
            r#"select s.id, s.name, s.is_hot, s.outcome, coalesce(c.cards, 0) as "cards!", coalesce(c.value, 0) as "value!"
               from pipeline_stages s
               left join (select stage_id, count(*) as cards, sum(value)::bigint as value from "# + $cards + r#" group by stage_id) c
                   on c.stage_id = s.id
               order by s.position"#
            $(, $value)*
        )
    };
}

/// A column as it is read.
struct StageRow {
    id: i64,
    name: String,
    is_hot: bool,
    outcome: String,
    cards: i64,
    value: i64,
}

/// Every column in order, with what stands in it of the people whom `owner` looks after, or of all.
///
/// # Errors
/// When the database fails.
pub async fn list(db: impl PgExecutor<'_>, owner: Option<Owner>) -> Result<Vec<Stage>> {
    let rows = match owner {
        None => stages!("pipeline_cards").fetch_all(db).await?,
        Some(Owner::Staff(id)) => {
            stages!("contacts k join pipeline_cards p on p.contact_id = k.id where k.owner_id = $1", id.0)
                .fetch_all(db)
                .await?
        }
        Some(Owner::Nobody) => {
            stages!(
                "pipeline_cards p where not exists (
                     select from contacts k where k.id = p.contact_id and k.owner_id is not null)"
            )
            .fetch_all(db)
            .await?
        }
    };
    Ok(rows
        .into_iter()
        .map(|it| Stage {
            id: StageId(it.id),
            name: it.name,
            meaning: Meaning::of(it.is_hot, &it.outcome),
            cards: it.cards,
            value: it.value,
        })
        .collect())
}

/// Every column in order: row and name, for choosing one.
///
/// # Errors
/// When the database fails.
pub async fn names(db: impl PgExecutor<'_>) -> Result<Vec<(StageId, String)>> {
    let rows = sqlx::query!("select id, name from pipeline_stages order by position").fetch_all(db).await?;
    Ok(rows.into_iter().map(|it| (StageId(it.id), it.name)).collect())
}

/// A name as typed, tidied.
fn named(name: &str) -> Result<String> {
    let name = tidy(name);
    match name.chars().count() {
        1..=40 => Ok(name),
        0 => Err(Error::invalid("name", "Escribe el nombre de la etapa.")),
        _ => Err(Error::invalid("name", "Usa a lo más 40 caracteres.")),
    }
}

fn taken() -> Error {
    Error::invalid("name", "Ya hay una etapa con ese nombre.")
}

/// Add a column: ahead of those in which a deal ends, unless it is one of them, and behind all others.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] at `name`; [`Error::Refused`] when there are enough; or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    name: &str,
    meaning: Meaning,
) -> Result<StageId> {
    actor.require(Permission::EditSettings)?;
    let name = named(name)?;
    let all = order(tx).await?;
    if all.len() as i64 >= MOST {
        return Err(Error::refused(
            "Ya hay 20 etapas, que es el máximo. No se agregó nada: quita antes una que no uses.",
        ));
    }
    let ends = matches!(meaning, Meaning::Won | Meaning::Lost);
    // Positions are compared at the commit only.
    let id = sqlx::query_scalar!(
        "with place as (
             select coalesce(max(position) filter (where $4 or outcome = 'OPEN'), 0) + 1 as at from pipeline_stages
         ), pushed as (
             update pipeline_stages set position = position + 1 where position >= (select at from place)
         )
         insert into pipeline_stages (name, position, is_hot, outcome) select $1, at, $2, $3 from place returning id",
        name,
        meaning == Meaning::Hot,
        meaning.outcome(),
        ends
    )
    .fetch_one(&mut **tx)
    .await
    .on_constraint("pipeline_stages_name_once", taken)?;
    let after = json!({ "name": name, "meaning": meaning });
    record(tx, now, actor, "pipeline_stage.create", id, None, Some(after)).await?;
    Ok(StageId(id))
}

/// Give a column, whose name and meaning were `seen` when they were read, another name or meaning.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Invalid`] at `name`; or the database's.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: StageId,
    seen: (&str, Meaning),
    (name, meaning): (&str, Meaning),
) -> Result<Outcome> {
    actor.require(Permission::EditSettings)?;
    let name = named(name)?;
    let before =
        sqlx::query!("select name, is_hot, outcome from pipeline_stages where id = $1 for update", id.0)
            .fetch_optional(&mut **tx)
            .await?
            .ok_or(Error::NotFound)?;
    let was = Meaning::of(before.is_hot, &before.outcome);
    if (before.name.as_str(), was) == (name.as_str(), meaning) {
        return Ok(Outcome::Unchanged);
    }
    if (before.name.as_str(), was) != seen {
        return Ok(Outcome::Stale);
    }
    sqlx::query!(
        "update pipeline_stages set name = $2, is_hot = $3, outcome = $4 where id = $1",
        id.0,
        name,
        meaning == Meaning::Hot,
        meaning.outcome()
    )
    .execute(&mut **tx)
    .await
    .on_constraint("pipeline_stages_name_once", taken)?;
    let before = json!({ "name": before.name, "meaning": was });
    let after = json!({ "name": name, "meaning": meaning });
    record(tx, now, actor, "pipeline_stage.update", id.0, Some(before), Some(after)).await?;
    Ok(Outcome::Saved)
}

/// Rows of the columns in order, held so that two people don't order them at once.
async fn order(tx: &mut Tx<'_>) -> Result<Vec<i64>> {
    let mut rows = sqlx::query!("select id, position from pipeline_stages order by id for update")
        .fetch_all(&mut **tx)
        .await?;
    rows.sort_by_key(|it| it.position);
    Ok(rows.into_iter().map(|it| it.id).collect())
}

/// Move a column one place towards the front, or towards the end.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn shift(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: StageId,
    forward: bool,
) -> Result<()> {
    actor.require(Permission::EditSettings)?;
    let before = order(tx).await?;
    let at = before.iter().position(|it| *it == id.0).ok_or(Error::NotFound)?;
    let to = if forward { at.saturating_sub(1) } else { (at + 1).min(before.len() - 1) };
    let mut after = before.clone();
    after.swap(at, to);
    sqlx::query!(
        "update pipeline_stages s set position = o.position
         from unnest($1::bigint[]) with ordinality as o (id, position) where o.id = s.id",
        &after
    )
    .execute(&mut **tx)
    .await?;
    record(
        tx,
        now,
        actor,
        "pipeline_stage.order",
        id.0,
        Some(json!({ "order": before })),
        Some(json!({ "order": after })),
    )
    .await
}

/// Remove a column in which nobody stands.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Refused`] while somebody stands in it or when it is the last;
/// or the database's.
pub async fn remove(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: StageId) -> Result<()> {
    actor.require(Permission::EditSettings)?;
    if order(tx).await?.len() < 2 {
        return Err(Error::refused("El embudo necesita al menos una etapa. No se quitó nada."));
    }
    let name = sqlx::query_scalar!("delete from pipeline_stages where id = $1 returning name", id.0)
        .fetch_optional(&mut **tx)
        .await
        .on_constraint("pipeline_cards_stage_id_fkey", || {
            Error::refused("Hay contactos en esta etapa. No se quitó nada: muévelos antes a otra.")
        })?
        .ok_or(Error::NotFound)?;
    record(tx, now, actor, "pipeline_stage.remove", id.0, Some(json!({ "name": name })), None).await
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: i64,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Result<()> {
    let change =
        audit::Change { action, subject_kind: "pipeline_stage", subject_id: Some(id), before, after };
    audit::record(tx, now, actor, change).await
}
