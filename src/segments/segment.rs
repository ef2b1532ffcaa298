//! A segment: a rule with a name, kept. An edit is a new version; a removal hides
//! it and can be taken back. Who belongs to it is `members`'s.

use super::{
    evaluate::Library,
    field::Field,
    members,
    rule::{Condition, Group},
};
use crate::{
    access::{Actor, Permission},
    audit,
    chile::{text::tidy, time},
    contacts::company::Outcome,
    db::{Tx, locks},
    error::{Error, FieldError, OnConstraint as _, Result},
    ids::SegmentId,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};
use std::collections::BTreeSet;

/// What makes a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// People wrote its rule.
    Rule,
    /// One of the nine by visits and spend.
    Value,
    /// One of the other automatic ones.
    Special,
}

impl Kind {
    fn from_code(code: &str) -> Kind {
        match code {
            "VALUE" => Kind::Value,
            "SPECIAL" => Kind::Special,
            _ => Kind::Rule,
        }
    }
}

/// A segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Row.
    pub id: SegmentId,
    /// Name.
    pub name: String,
    /// What made it.
    pub kind: Kind,
    /// Of the automatic ones, what the program calls it.
    pub key: Option<String>,
    /// Whom it describes.
    pub rule: Group,
    /// How many rules it has had.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Whether it was removed.
    pub is_deleted: bool,
}

/// A rule that a segment has had.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its number.
    pub version: i32,
    /// The segment's name at the time.
    pub name: String,
    /// The rule.
    pub rule: Group,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Who wrote it.
    pub by: Option<String>,
}

fn read(id: i64, rule: serde_json::Value) -> Result<Group> {
    serde_json::from_value(rule)
        .map_err(|_| Error::Internal(format!("segment {id} holds a rule that is not one")))
}

/// The segment `id`, a removed one too.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get(db: impl PgExecutor<'_>, id: SegmentId) -> Result<Segment> {
    let it = sqlx::query!(
        r#"select name, kind, key, rule, version, created_at, updated_at, deleted_at is not null as "is_deleted!"
           from segments where id = $1"#,
        id.0
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound)?;
    Ok(Segment {
        id,
        name: it.name,
        kind: Kind::from_code(&it.kind),
        key: it.key,
        rule: read(id.0, it.rule)?,
        version: it.version,
        created_at: it.created_at,
        updated_at: it.updated_at,
        is_deleted: it.is_deleted,
    })
}

/// Every segment that was not removed: those of people by name, then the automatic ones in their order.
///
/// # Errors
/// When the database fails.
pub async fn list(db: impl PgExecutor<'_>) -> Result<Vec<Segment>> {
    let rows = sqlx::query!(
        "select id, name, kind, key, rule, version, created_at, updated_at from segments where deleted_at is null
         order by kind <> 'RULE', case when kind = 'RULE' then lower(name) end, id limit 1000"
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|it| {
            Ok(Segment {
                id: SegmentId(it.id),
                name: it.name,
                kind: Kind::from_code(&it.kind),
                key: it.key,
                rule: read(it.id, it.rule)?,
                version: it.version,
                created_at: it.created_at,
                updated_at: it.updated_at,
                is_deleted: false,
            })
        })
        .collect()
}

/// The rules that a segment has had, newest first.
///
/// # Errors
/// When the database fails.
pub async fn versions(db: impl PgExecutor<'_>, id: SegmentId) -> Result<Vec<Version>> {
    let rows = sqlx::query!(
        r#"select v.version, v.name, v.rule, v.created_at, s.name as "by?"
           from segment_versions v left join staff_users s on s.id = v.created_by
           where v.segment_id = $1 order by v.version desc limit 100"#,
        id.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|it| {
            let rule = read(id.0, it.rule)?;
            Ok(Version { version: it.version, name: it.name, rule, created_at: it.created_at, by: it.by })
        })
        .collect()
}

/// A name and a rule as they may be kept. One segment is saved at a time, so that no
/// two that are saved at once ask about each other.
async fn checked(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    own: Option<SegmentId>,
    name: &str,
    rule: &Group,
) -> Result<(String, serde_json::Value)> {
    let name = tidy(name);
    let mut wrong = Vec::new();
    if name.is_empty() || name.chars().count() > 100 {
        wrong.push(FieldError::new("name", "Ponle un nombre de hasta 100 caracteres."));
    }
    wrong.extend(rule.problems(time::local_date(now)).into_iter().map(|it| FieldError::new("rule", it)));
    sqlx::query!("select pg_advisory_xact_lock($1, 0)", locks::SEGMENTS).fetch_one(&mut **tx).await?;
    let known = members::read(tx, rule).await?;
    // One that asks about itself, by whatever way, would describe nobody.
    if own.is_some_and(|own| known.contains_key(&own.0)) {
        wrong.push(FieldError::new(
            "rule",
            "Un segmento no puede depender de sí mismo: quita la condición que vuelve a él.",
        ));
    } else if rule.segments().iter().any(|it| !known.contains_key(it)) {
        wrong.push(FieldError::new("rule", "Pide un segmento que no existe: elige otro en esa condición."));
    } else if !members::can_be_asked(rule, &known) {
        wrong.push(FieldError::new(
            "rule",
            "Combina demasiados segmentos, uno dentro de otro: quita alguno o escribe sus condiciones aquí.",
        ));
    }
    if let (Some(own), true) = (own, wrong.is_empty())
        && let Some(user) = overburdened(tx, own, rule, known).await?
    {
        let text = format!(
            "Con este cambio {user} combinaría demasiados segmentos y no se podría calcular: escribe aquí menos \
             condiciones, o quita de ahí la que pide este segmento."
        );
        wrong.push(FieldError::new("rule", text));
    }
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    let rule = serde_json::to_value(rule).map_err(|it| Error::Internal(it.to_string()))?;
    Ok((name, rule))
}

/// Who asks about segment `own`, by whatever way, and could not be asked any more were `rule` its rule; `known`
/// are the rules that `rule` asks about.
async fn overburdened(
    db: &mut PgConnection,
    own: SegmentId,
    rule: &Group,
    mut known: Library,
) -> Result<Option<String>> {
    let users = sqlx::query!(
        r#"select id, name, rule, deleted_at is not null as "is_deleted!" from segments
           where rule::text like '%"SEGMENT"%' order by id"#
    )
    .fetch_all(&mut *db)
    .await?;
    let mut living = Vec::new();
    for it in users {
        if it.id != own.0 {
            let of_user = read(it.id, it.rule)?;
            if !it.is_deleted {
                living.push((format!("el segmento «{}»", it.name), of_user.clone()));
            }
            known.insert(it.id, of_user);
        }
    }
    known.insert(own.0, rule.clone());
    let campaigns = sqlx::query!(
        r#"select name, array(select jsonb_array_elements_text(audience -> 'segment_ids')) as "ids!" from campaigns
           where status in ('DRAFT', 'RUNNING', 'PAUSED') and audience -> 'segment_ids' <> '[]' order by id"#
    )
    .fetch_all(&mut *db)
    .await?;
    living.extend(campaigns.into_iter().map(|it| {
        let asked = Condition { values: it.ids, ..Condition::new(Field::Segment) };
        (format!("la campaña «{}»", it.name), Group::all([asked]))
    }));
    let could = |it: &Group| members::can_be_asked(it, &known);
    let asks = |it: &Group| depends(it, own.0, &known, &mut BTreeSet::new());
    Ok(living.into_iter().find(|(_, it)| asks(it) && !could(it)).map(|(user, _)| user))
}

/// Whether `rule` asks about segment `id`, by whatever way.
fn depends(rule: &Group, id: i64, known: &Library, seen: &mut BTreeSet<i64>) -> bool {
    let asked = rule.segments();
    asked.contains(&id)
        || asked
            .into_iter()
            .any(|it| seen.insert(it) && known.get(&it).is_some_and(|inner| depends(inner, id, known, seen)))
}

fn taken() -> Error {
    Error::invalid("name", "Ya hay un segmento con ese nombre: elige otro.")
}

/// Keep a rule under a name.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Invalid`] at `name` or `rule`, or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    name: &str,
    rule: &Group,
) -> Result<SegmentId> {
    actor.require(Permission::EditContacts)?;
    let (name, rule) = checked(tx, now, None, name, rule).await?;
    let id = sqlx::query_scalar!(
        "insert into segments (name, rule, created_at, created_by, updated_at) values ($1, $2, $3, $4, $3) returning id",
        name,
        rule,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .fetch_one(&mut **tx)
    .await
    .on_constraint("segments_name_once", taken)?;
    keep_version(tx, now, actor, SegmentId(id)).await?;
    record(
        tx,
        now,
        actor,
        "segment.create",
        SegmentId(id),
        None,
        Some(json!({ "name": name, "rule": rule })),
    )
    .await?;
    Ok(SegmentId(id))
}

/// Change a segment whose version was `seen` when it was read: its next version.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`], [`Error::Refused`] for an automatic one, or the database's.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: SegmentId,
    seen: i32,
    name: &str,
    rule: &Group,
) -> Result<Outcome> {
    let before = hold(tx, actor, id).await?;
    if before.version != seen {
        return Ok(Outcome::Stale);
    }
    write(tx, now, actor, before, name, rule, None).await
}

/// Give a segment whose version was `seen` the rule that it had as `version`, as its next version; its name stays.
///
/// # Errors
/// As for [`update`]; also [`Error::NotFound`] for a version that it never had.
pub async fn go_back(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: SegmentId,
    seen: i32,
    version: i32,
) -> Result<Outcome> {
    let before = hold(tx, actor, id).await?;
    if before.version != seen {
        return Ok(Outcome::Stale);
    }
    let rule = sqlx::query_scalar!(
        "select rule from segment_versions where segment_id = $1 and version = $2",
        id.0,
        version
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    let (name, rule) = (before.name.clone(), read(id.0, rule)?);
    write(tx, now, actor, before, &name, &rule, Some(version)).await
}

/// The segment `id`, held until the transaction ends by who may change it.
async fn hold(tx: &mut Tx<'_>, actor: &Actor, id: SegmentId) -> Result<Segment> {
    actor.require(Permission::EditContacts)?;
    sqlx::query_scalar!("select id from segments where id = $1 for update", id.0)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(Error::NotFound)?;
    let it = get(&mut **tx, id).await?;
    if it.kind != Kind::Rule {
        return Err(Error::refused(
            "Este segmento es automático y no se editó: sus límites se cambian en los ajustes de segmentos de valor.",
        ));
    }
    Ok(it)
}

/// The next version of the segment that stands as `before`; `returned_to` is the one whose rule it has again.
async fn write(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    before: Segment,
    name: &str,
    rule: &Group,
    returned_to: Option<i32>,
) -> Result<Outcome> {
    let id = before.id;
    let unchanged = before.name == tidy(name) && before.rule == *rule;
    let (name, rule) = checked(tx, now, Some(id), name, rule).await?;
    if unchanged {
        return Ok(Outcome::Unchanged);
    }
    sqlx::query!(
        "update segments set name = $2, rule = $3, version = version + 1, updated_at = $4 where id = $1",
        id.0,
        name,
        rule,
        now
    )
    .execute(&mut **tx)
    .await
    .on_constraint("segments_name_once", taken)?;
    keep_version(tx, now, actor, id).await?;
    let was = json!({ "name": before.name, "rule": before.rule });
    let (action, is) = match returned_to {
        None => ("segment.update", json!({ "name": name, "rule": rule })),
        Some(version) => ("segment.return", json!({ "name": name, "rule": rule, "returned_to": version })),
    };
    record(tx, now, actor, action, id, Some(was), Some(is)).await?;
    Ok(Outcome::Saved)
}

/// Keep the rule as it stands as a version.
pub(super) async fn keep_version(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: SegmentId,
) -> Result<()> {
    sqlx::query!(
        "insert into segment_versions (segment_id, version, name, rule, created_at, created_by)
         select id, version, name, rule, $2, $3 from segments where id = $1",
        id.0,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Hide a segment. Refused while something still asks for it.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] with what uses it, or the database's.
pub async fn delete(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: SegmentId) -> Result<()> {
    actor.require(Permission::Delete)?;
    let it = get(&mut **tx, id).await?;
    if it.kind != Kind::Rule {
        return Err(Error::refused("Este segmento es automático y siempre está: no se eliminó."));
    }
    if let Some(user) = used_by(tx, id).await? {
        return Err(Error::refused(format!(
            "«{}» no se eliminó: lo usa {user}. Quítalo de ahí primero.",
            it.name
        )));
    }
    sqlx::query!("update segments set deleted_at = $2 where id = $1", id.0, now).execute(&mut **tx).await?;
    record(tx, now, actor, "segment.delete", id, Some(json!({ "name": it.name })), None).await
}

/// Take a removal back.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] if its name was taken meanwhile, or the database's.
pub async fn restore(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: SegmentId) -> Result<()> {
    actor.require(Permission::EditContacts)?;
    sqlx::query!("select pg_advisory_xact_lock($1, 0)", locks::SEGMENTS).fetch_one(&mut **tx).await?;
    let it = get(&mut **tx, id).await?;
    let known = members::read(tx, &it.rule).await?;
    if known.contains_key(&id.0) || !members::can_be_asked(&it.rule, &known) {
        return Err(Error::refused(
            "No volvió: los segmentos que pide cambiaron mientras estuvo eliminado, y ahora combina demasiados. \
             Simplifica alguno de ellos y repite.",
        ));
    }
    sqlx::query!("update segments set deleted_at = null where id = $1", id.0)
        .execute(&mut **tx)
        .await
        .on_constraint("segments_name_once", || {
            Error::refused("No volvió: otro segmento ya lleva su nombre. Cámbiale el nombre a ese y repite.")
        })?;
    record(tx, now, actor, "segment.restore", id, None, Some(json!({ "name": it.name }))).await
}

/// What still asks for a segment, in Spanish.
async fn used_by(db: &mut PgConnection, id: SegmentId) -> Result<Option<String>> {
    let campaign = sqlx::query_scalar!(
        "select name from campaigns where status in ('DRAFT', 'RUNNING', 'PAUSED')
         and audience -> 'segment_ids' @> to_jsonb($1::bigint) order by id limit 1",
        id.0
    )
    .fetch_optional(&mut *db)
    .await?;
    if let Some(name) = campaign {
        return Ok(Some(format!("la campaña «{name}»")));
    }
    let others = list(&mut *db).await?;
    let user = others.into_iter().find(|it| it.id != id && it.rule.segments().contains(&id.0));
    Ok(user.map(|it| format!("el segmento «{}»", it.name)))
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: SegmentId,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Result<()> {
    let change = audit::Change { action, subject_kind: "segment", subject_id: Some(id.0), before, after };
    audit::record(tx, now, actor, change).await
}
