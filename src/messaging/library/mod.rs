//! The library: texts under a name and a kind, to start campaigns and messages from.
//! Whoever uses one copies its words or its version, so that a later edit changes nothing that was sent.

mod kind;
mod listing;
mod rules;

pub use kind::Kind;
pub use listing::{Line, choices, list};

use super::{
    legal, sms,
    template::Source,
    versions,
    whatsapp::{self, Approval, Registration},
};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    config::Config,
    db::Tx,
    error::{Error, Result},
    ids::{LibraryId, TemplateId},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};

/// A template as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Name, for the staff alone.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// How its messages travel; it never changes.
    pub channel: Channel,
    /// The text.
    pub source: Source,
}

impl Default for Draft {
    fn default() -> Draft {
        Draft::new(Channel::Email)
    }
}

impl Draft {
    /// What a new template for `channel` starts with.
    #[must_use]
    pub fn new(channel: Channel) -> Draft {
        let source = match channel {
            Channel::Email => Source { footer: legal::DEFAULT_FOOTER.to_owned(), ..Source::default() },
            Channel::Sms => Source {
                body: format!("{{{{ first_name | default(\"Hola\") }}}}: \n{}", sms::STOP),
                ..Source::default()
            },
            Channel::Whatsapp => Source {
                footer: whatsapp::DEFAULT_FOOTER.to_owned(),
                registration: Some(Registration::default()),
                ..Source::default()
            },
        };
        Draft { name: String::new(), kind: Kind::Offer, channel, source }
    }
}

/// A template of the library.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Row.
    pub id: LibraryId,
    /// What people write of it.
    pub draft: Draft,
    /// The version in force.
    pub template: TemplateId,
    /// Its number.
    pub version: i32,
    /// What Meta said of it; WhatsApp alone asks.
    pub approval: Approval,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// By whom; none: it came with the program.
    pub updated_by: Option<String>,
    /// When it was put away.
    pub archived_at: Option<DateTime<Utc>>,
}

/// One version of a template.
#[derive(Clone, Debug)]
pub struct Version {
    /// Row.
    pub template: TemplateId,
    /// Its number.
    pub number: i32,
    /// Its subject.
    pub subject: String,
    /// When it was saved.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: Option<String>,
}

fn known(code: &str) -> Result<Kind> {
    Kind::from_code(code)
        .ok_or_else(|| Error::Internal("a kind of template that this build does not know".into()))
}

fn travels(code: &str) -> Result<Channel> {
    Channel::from_code(code).ok_or_else(|| Error::Internal("a channel that this build does not know".into()))
}

/// The template `id`.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get(db: &mut PgConnection, id: LibraryId) -> Result<Entry> {
    let it = sqlx::query!(
        r#"select l.kind, l.name, l.template_id, l.approval, l.updated_at, l.archived_at, t.communication_type,
                  s.name as "updated_by?"
           from library_templates l join message_templates t on t.id = l.template_id
           left join staff_users s on s.id = l.updated_by where l.id = $1"#,
        id.0
    )
    .fetch_optional(&mut *db)
    .await?
    .ok_or(Error::NotFound)?;
    let template = TemplateId(it.template_id);
    let (source, version) = versions::version(db, template).await?;
    Ok(Entry {
        id,
        draft: Draft {
            name: it.name,
            kind: known(&it.kind)?,
            channel: travels(&it.communication_type)?,
            source,
        },
        template,
        version,
        approval: Approval::from_code(&it.approval).unwrap_or(Approval::Unsent),
        updated_at: it.updated_at,
        updated_by: it.updated_by,
        archived_at: it.archived_at,
    })
}

/// The latest versions of `id`, newest first.
///
/// # Errors
/// When the database fails.
pub async fn versions(db: impl PgExecutor<'_>, id: LibraryId) -> Result<Vec<Version>> {
    let rows = sqlx::query!(
        r#"select t.id, t.version, t.subject, t.created_at, s.name as "created_by?"
           from message_templates t left join staff_users s on s.id = t.created_by
           where t.name = (select f.name from library_templates l join message_templates f on f.id = l.template_id
                           where l.id = $1)
           order by t.version desc limit 50"#,
        id.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| Version {
            template: TemplateId(it.id),
            number: it.version,
            subject: it.subject,
            created_at: it.created_at,
            created_by: it.created_by,
        })
        .collect())
}

/// Add a template.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Invalid`], or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    draft: &Draft,
) -> Result<LibraryId> {
    actor.require(Permission::EditCampaigns)?;
    rules::refuse_problems(tx, config, draft, None).await?;
    // Its row and its first version refer to each other: the number is drawn first.
    let id =
        sqlx::query_scalar!(r#"select nextval(pg_get_serial_sequence('library_templates', 'id')) as "id!""#)
            .fetch_one(&mut **tx)
            .await?;
    let template =
        versions::save_version(tx, now, actor, draft.channel, &format!("library:{id}"), &draft.source)
            .await?;
    sqlx::query!(
        "insert into library_templates (id, kind, name, template_id, created_at, created_by, updated_at, updated_by)
         overriding system value values ($1, $2, $3, $4, $5, $6, $5, $6)",
        id,
        draft.kind.code(),
        draft.name.trim(),
        template.0,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    let id = LibraryId(id);
    record(tx, now, actor, "template.create", id, None, Some(document(draft))).await?;
    Ok(id)
}

/// Change a template that was read when its `updated_at` was `seen`: its words become a new version, and who uses an
/// earlier one keeps it.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`], also at `seen` if somebody changed it since; or the
/// database's.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    id: LibraryId,
    seen: Option<DateTime<Utc>>,
    draft: &Draft,
) -> Result<()> {
    actor.require(Permission::EditCampaigns)?;
    lock(tx, id).await?;
    let before = get(tx, id).await?;
    if seen.is_some_and(|it| it != before.updated_at) {
        return Err(Error::invalid(
            "seen",
            "Otra persona guardó esta plantilla mientras la editabas. Aquí está lo que escribiste; si guardas otra vez, queda tu versión.",
        ));
    }
    let draft = &Draft { channel: before.draft.channel, ..draft.clone() };
    rules::refuse_problems(tx, config, draft, Some(id)).await?;
    put_in_force(tx, now, actor, &before, draft).await?;
    record(tx, now, actor, "template.update", id, Some(document(&before.draft)), Some(document(draft))).await
}

/// Make the words of an earlier version, `template`, the ones in force again: they become a new version, and nothing that
/// was is rewritten. Gives its number; none: they are in force already.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`] also for a version of another text, [`Error::Invalid`] for words that
/// may not be used any more, or the database's.
pub async fn return_to(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    id: LibraryId,
    template: TemplateId,
) -> Result<Option<i32>> {
    actor.require(Permission::EditCampaigns)?;
    lock(tx, id).await?;
    let before = get(tx, id).await?;
    let is_its_own = sqlx::query_scalar!(
        r#"select exists (select 1 from message_templates a join message_templates b on b.name = a.name
                          where a.id = $1 and b.id = $2) as "is!""#,
        before.template.0,
        template.0
    )
    .fetch_one(&mut **tx)
    .await?;
    if !is_its_own {
        return Err(Error::NotFound);
    }
    let (source, number) = versions::version(tx, template).await?;
    if source == before.draft.source {
        return Ok(None);
    }
    let draft = Draft { source, ..before.draft.clone() };
    rules::refuse_problems(tx, config, &draft, Some(id)).await?;
    put_in_force(tx, now, actor, &before, &draft).await?;
    let after = json!({ "returned_to": number, "source": draft.source });
    record(
        tx,
        now,
        actor,
        "template.return",
        id,
        Some(json!({ "source": before.draft.source })),
        Some(after),
    )
    .await?;
    Ok(Some(get(tx, id).await?.version))
}

/// Write down what Meta said of the version in force, which was shown as `template`.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] where Meta is not asked or another version is in force
/// by now, or the database's.
pub async fn approve(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: LibraryId,
    template: TemplateId,
    approval: Approval,
) -> Result<()> {
    actor.require(Permission::EditCampaigns)?;
    lock(tx, id).await?;
    let before = get(tx, id).await?;
    if before.draft.channel != Channel::Whatsapp {
        return Err(Error::refused("Solo las plantillas de WhatsApp pasan por Meta. No se cambió nada."));
    }
    if before.template != template {
        return Err(Error::refused(
            "Mientras tanto la plantilla cambió de texto: revisa si Meta respondió sobre el que rige ahora. No se cambió nada.",
        ));
    }
    if before.approval == approval {
        return Ok(());
    }
    sqlx::query!("update library_templates set approval = $2 where id = $1", id.0, approval.code())
        .execute(&mut **tx)
        .await?;
    let told = |it: Approval| Some(json!({ "approval": it }));
    record(tx, now, actor, "template.approve", id, told(before.approval), told(approval)).await
}

/// The words of `draft` as the version in force. Meta has not seen new ones.
async fn put_in_force(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    before: &Entry,
    draft: &Draft,
) -> Result<()> {
    let name = sqlx::query_scalar!("select name from message_templates where id = $1", before.template.0)
        .fetch_one(&mut **tx)
        .await?;
    let template = versions::save_version(tx, now, actor, draft.channel, &name, &draft.source).await?;
    sqlx::query!(
        "update library_templates set kind = $2, name = $3, template_id = $4, updated_at = $5, updated_by = $6,
                approval = case when $7 then approval else 'UNSENT' end
         where id = $1",
        before.id.0,
        draft.kind.code(),
        draft.name.trim(),
        template.0,
        now,
        actor.staff_id().map(|it| it.0),
        whatsapp::reads_alike(&before.draft.source, &draft.source)
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A new template with the words of `id`; Meta, which has not read it, is to know it by another name.
///
/// # Errors
/// As [`create`].
pub async fn copy(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    id: LibraryId,
) -> Result<LibraryId> {
    let mut original = get(tx, id).await?.draft;
    if let Some(it) = &mut original.source.registration {
        it.name = rules::free_name(tx, it).await?;
    }
    let name = format!("Copia de {}", original.name).chars().take(NAME).collect();
    create(tx, now, actor, config, &Draft { name, ..original }).await
}

/// Put a template away, or take it back: nothing that uses it changes, it is only not offered any more.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`] when another has its name of Meta's by now, or the database's.
pub async fn archive(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: LibraryId,
    away: bool,
) -> Result<()> {
    actor.require(Permission::EditCampaigns)?;
    lock(tx, id).await?;
    if !away {
        let draft = get(tx, id).await?.draft;
        rules::refuse_taken(tx, &draft, Some(id)).await?;
    }
    let changed = sqlx::query!(
        "update library_templates set archived_at = case when $2 then $3::timestamptz end
         where id = $1 and (archived_at is null) = $2",
        id.0,
        away,
        now
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if changed == 0 {
        return Ok(());
    }
    record(tx, now, actor, if away { "template.archive" } else { "template.restore" }, id, None, None).await
}

/// Most letters of a template's name.
const NAME: usize = 200;

async fn lock(tx: &mut Tx<'_>, id: LibraryId) -> Result<()> {
    sqlx::query_scalar!("select id from library_templates where id = $1 for update", id.0)
        .fetch_optional(&mut **tx)
        .await?
        .map(|_| ())
        .ok_or(Error::NotFound)
}

fn document(draft: &Draft) -> serde_json::Value {
    json!({
        "name": draft.name.trim(), "kind": draft.kind, "communication_type": draft.channel, "source": draft.source,
    })
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: LibraryId,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Result<()> {
    let change = audit::Change { action, subject_kind: "template", subject_id: Some(id.0), before, after };
    audit::record(tx, now, actor, change).await
}
