//! The library: texts under a name and a kind, to start campaigns and messages from.
//! Whoever uses one copies its words or its version, so that a later edit changes nothing that was sent.

use super::{
    kinds::MessageType,
    legal,
    template::{self, Source},
    versions,
};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    codes::codes,
    config::Config,
    db::Tx,
    error::{Error, FieldError, Result},
    ids::{LibraryId, TemplateId},
    settings::{self, Business},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};

codes! {
    /// What a template is for.
    Kind {
        /// It sells something.
        Offer = "OFERTA", "Oferta";
        /// It reminds of something.
        Reminder = "RECORDATORIO", "Recordatorio";
        /// Anything else that somebody writes.
        Personal = "PERSONALIZADO", "Personalizado";
        /// News.
        Newsletter = "NEWSLETTER", "Boletín";
        /// To someone who has not come for long.
        Reactivation = "REACTIVATION", "Reactivación";
        /// On a birthday.
        Birthday = "BIRTHDAY", "Cumpleaños";
        /// A booking was made.
        BookingConfirmation = "BOOKING_CONFIRMATION", "Confirmación de reserva";
        /// A booking comes near.
        BookingReminder = "BOOKING_REMINDER", "Recordatorio de reserva";
        /// How was it?
        SatisfactionSurvey = "SATISFACTION_SURVEY", "Encuesta de satisfacción";
        /// A step of a workflow.
        Workflow = "WORKFLOW", "Flujo automático";
        /// Needed for something that the person asked for.
        Transactional = "TRANSACTIONAL", "Transaccional";
    }
}

impl Kind {
    /// The kinds that somebody writes to people chosen by hand.
    pub const BY_HAND: &[Kind] = &[Kind::Offer, Kind::Reminder, Kind::Personal];

    /// What its messages are for.
    #[must_use]
    pub fn message_type(self) -> MessageType {
        match self {
            Kind::Offer => MessageType::Promocional,
            Kind::Reminder => MessageType::FollowUp,
            Kind::Personal => MessageType::Other,
            Kind::Newsletter => MessageType::Newsletter,
            Kind::Reactivation => MessageType::Reactivation,
            Kind::Birthday => MessageType::Birthday,
            Kind::BookingConfirmation => MessageType::BookingConfirmation,
            Kind::BookingReminder => MessageType::BookingReminder,
            Kind::SatisfactionSurvey => MessageType::SatisfactionSurvey,
            Kind::Workflow => MessageType::Workflow,
            Kind::Transactional => MessageType::Transactional,
        }
    }

    /// The legal footer that a new text starts with.
    #[must_use]
    pub fn footer(self) -> &'static str {
        match self {
            Kind::Offer | Kind::Newsletter | Kind::Reactivation | Kind::Birthday | Kind::Workflow => {
                legal::DEFAULT_FOOTER
            }
            _ => legal::PLAIN_FOOTER,
        }
    }

    /// The kind that a text for `message_type` is kept under.
    #[must_use]
    pub fn of(message_type: MessageType) -> Kind {
        Kind::ALL.iter().copied().find(|it| it.message_type() == message_type).unwrap_or(Kind::Personal)
    }
}

/// A template as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Name, for the staff alone.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// The text.
    pub source: Source,
}

impl Default for Draft {
    fn default() -> Draft {
        Draft {
            name: String::new(),
            kind: Kind::Offer,
            source: Source { footer: legal::DEFAULT_FOOTER.to_owned(), ..Source::default() },
        }
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
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// By whom; none: it came with the program.
    pub updated_by: Option<String>,
    /// When it was put away.
    pub archived_at: Option<DateTime<Utc>>,
}

/// A line of the list.
#[derive(Clone, Debug)]
pub struct Line {
    /// Row.
    pub id: LibraryId,
    /// Name.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Subject of the version in force.
    pub subject: String,
    /// Its number.
    pub version: i32,
    /// How its body is written.
    pub format: template::BodyFormat,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
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

/// Templates of `kinds` with an id below `before`, newest first, at most `limit`: those in use, or those put away.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: impl PgExecutor<'_>,
    kinds: &[Kind],
    archived: bool,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Line>> {
    let rows = sqlx::query!(
        "select l.id, l.name, l.kind, l.updated_at, t.subject, t.version, t.body_format
         from library_templates l join message_templates t on t.id = l.template_id
         where l.kind = any ($1) and (l.archived_at is not null) = $2
           and l.id < coalesce($3, 9223372036854775807)
         order by l.id desc limit $4",
        &codes(kinds),
        archived,
        before,
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|it| {
            Ok(Line {
                id: LibraryId(it.id),
                name: it.name,
                kind: known(&it.kind)?,
                subject: it.subject,
                version: it.version,
                format: template::BodyFormat::from_code(&it.body_format),
                updated_at: it.updated_at,
            })
        })
        .collect()
}

fn codes(kinds: &[Kind]) -> Vec<String> {
    kinds.iter().map(|it| it.code().to_owned()).collect()
}

fn known(code: &str) -> Result<Kind> {
    Kind::from_code(code)
        .ok_or_else(|| Error::Internal("a kind of template that this build does not know".into()))
}

/// Those in use of one of `kinds`, by name: row, kind, name.
///
/// # Errors
/// When the database fails.
pub async fn choices(db: impl PgExecutor<'_>, kinds: &[Kind]) -> Result<Vec<(LibraryId, Kind, String)>> {
    let rows = sqlx::query!(
        "select id, kind, name from library_templates where archived_at is null and kind = any ($1)
         order by lower(name), id limit 500",
        &codes(kinds)
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|it| Ok((LibraryId(it.id), known(&it.kind)?, it.name))).collect()
}

/// The template `id`.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get(db: &mut PgConnection, id: LibraryId) -> Result<Entry> {
    let it = sqlx::query!(
        r#"select l.kind, l.name, l.template_id, l.updated_at, l.archived_at, s.name as "updated_by?"
           from library_templates l left join staff_users s on s.id = l.updated_by where l.id = $1"#,
        id.0
    )
    .fetch_optional(&mut *db)
    .await?
    .ok_or(Error::NotFound)?;
    let template = TemplateId(it.template_id);
    let (source, version) = versions::version(db, template).await?;
    Ok(Entry {
        id,
        draft: Draft { name: it.name, kind: known(&it.kind)?, source },
        template,
        version,
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
    refuse_problems(tx, config, draft).await?;
    // Its row and its first version refer to each other: the number is drawn first.
    let id =
        sqlx::query_scalar!(r#"select nextval(pg_get_serial_sequence('library_templates', 'id')) as "id!""#)
            .fetch_one(&mut **tx)
            .await?;
    let template =
        versions::save_version(tx, now, actor, Channel::Email, &format!("library:{id}"), &draft.source)
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
    refuse_problems(tx, config, draft).await?;
    let name = sqlx::query_scalar!("select name from message_templates where id = $1", before.template.0)
        .fetch_one(&mut **tx)
        .await?;
    let template = versions::save_version(tx, now, actor, Channel::Email, &name, &draft.source).await?;
    sqlx::query!(
        "update library_templates set kind = $2, name = $3, template_id = $4, updated_at = $5, updated_by = $6
         where id = $1",
        id.0,
        draft.kind.code(),
        draft.name.trim(),
        template.0,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    record(tx, now, actor, "template.update", id, Some(document(&before.draft)), Some(document(draft))).await
}

/// A new template with the words of `id`.
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
    let original = get(tx, id).await?.draft;
    let name = format!("Copia de {}", original.name).chars().take(NAME).collect();
    create(tx, now, actor, config, &Draft { name, ..original }).await
}

/// Put a template away, or take it back: nothing that uses it changes, it is only not offered any more.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn archive(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: LibraryId,
    away: bool,
) -> Result<()> {
    actor.require(Permission::EditCampaigns)?;
    lock(tx, id).await?;
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

async fn refuse_problems(tx: &mut Tx<'_>, config: &Config, draft: &Draft) -> Result<()> {
    let business: Business = settings::load(&mut **tx, &config.first_values).await?;
    let mut problems = Vec::new();
    if draft.name.trim().is_empty() {
        problems.push(FieldError::new("name", "Ponle un nombre a la plantilla: solo lo ve tu equipo."));
    } else if draft.name.chars().count() > NAME {
        problems.push(FieldError::new("name", "El nombre tiene más de 200 caracteres: acórtalo."));
    }
    problems.extend(legal::unfit(&draft.source, draft.kind.message_type(), &business));
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

fn document(draft: &Draft) -> serde_json::Value {
    json!({ "name": draft.name.trim(), "kind": draft.kind, "source": draft.source })
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
