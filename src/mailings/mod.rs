//! One text to people chosen by hand: foretold, asked for, watched, taken back. The engine
//! that queues it is [`run`]; whether each may get it, the gate of `messaging` decides.

pub mod run;

use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    chile::format,
    codes::codes,
    config::Config,
    contacts::contact_list::Filter,
    db::Tx,
    error::{Error, FieldError, Result},
    ids::{ContactId, LibraryId, MailingId, TemplateId},
    messaging::{
        foresight::{self, Person, Preview, Which},
        kinds::{MessageType, Status as MessageStatus},
        legal,
        library::{self, Kind},
        outbox::Origin,
        template::{self, Source},
        versions,
    },
    segments::whom,
    settings::{self, Business},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

codes! {
    /// Where a mailing stands. The arrows are drawn in `migrations/0031_templates.sql`.
    Status {
        /// Its people are being queued.
        Running = "RUNNING", "En marcha";
        /// All were queued.
        Done = "DONE", "En la cola";
        /// Taken back by a person.
        Cancelled = "CANCELLED", "Cancelado";
        /// Who asked may not send any more.
        Failed = "FAILED", "Fallido";
    }
}

impl Status {
    /// Whether what has not left can be taken back.
    #[must_use]
    pub fn can_be_cancelled(self) -> bool {
        matches!(self, Status::Running | Status::Done)
    }
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// A template of the library, as it stands.
    Template(LibraryId),
    /// Words of their own.
    Own(Source),
}

/// A text that was looked up: ready to be foretold, shown and sent.
#[derive(Clone, Debug)]
pub struct Letter {
    /// As people read it in a list.
    pub title: String,
    /// What it is for.
    pub message_type: MessageType,
    /// The text.
    pub source: Source,
    /// The version, and the template that it is of; none: own words.
    pub template: Option<(LibraryId, TemplateId)>,
}

impl Words {
    /// Look them up.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a template that is gone or was put away, or the database's.
    pub async fn read(&self, db: &mut PgConnection) -> Result<Letter> {
        match self {
            Words::Own(source) => Ok(Letter {
                title: source.subject.trim().to_owned(),
                message_type: Kind::Personal.message_type(),
                source: source.clone(),
                template: None,
            }),
            Words::Template(id) => {
                let gone = || Error::invalid("template", "Elige una plantilla de la lista.");
                let it = match library::get(db, *id).await {
                    Err(Error::NotFound) => return Err(gone()),
                    other => other?,
                };
                if it.archived_at.is_some()
                    || it.draft.channel != Channel::Email
                    || !Kind::BY_HAND.contains(&it.draft.kind)
                {
                    return Err(gone());
                }
                Ok(Letter {
                    title: it.draft.name,
                    message_type: it.draft.kind.message_type(),
                    source: it.draft.source,
                    template: Some((*id, it.template)),
                })
            }
        }
    }
}

/// A mailing.
#[derive(Clone, Debug)]
pub struct Mailing {
    /// Row.
    pub id: MailingId,
    /// Where it stands.
    pub status: Status,
    /// The template's name, or the subject.
    pub title: String,
    /// What it is for.
    pub message_type: MessageType,
    /// The text that it carries.
    pub template: TemplateId,
    /// The template of the library that it was written with.
    pub library: Option<LibraryId>,
    /// Whom it is for.
    pub total: i64,
    /// Looked at so far.
    pub done: i64,
    /// Why it failed.
    pub failure: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by_name: String,
    created_by: Option<i64>,
    checkpoint: i64,
}

struct Stored {
    id: i64,
    status: String,
    title: String,
    message_type: String,
    template_id: i64,
    library_id: Option<i64>,
    total: i64,
    done: i64,
    failure: Option<String>,
    created_at: DateTime<Utc>,
    created_by: Option<i64>,
    created_by_name: String,
    checkpoint: i64,
}

impl TryFrom<Stored> for Mailing {
    type Error = Error;

    fn try_from(it: Stored) -> Result<Mailing> {
        let unreadable = || Error::Internal(format!("mailing {} cannot be read", it.id));
        Ok(Mailing {
            id: MailingId(it.id),
            status: Status::from_code(&it.status).ok_or_else(unreadable)?,
            message_type: MessageType::from_code(&it.message_type).ok_or_else(unreadable)?,
            title: it.title,
            template: TemplateId(it.template_id),
            library: it.library_id.map(LibraryId),
            total: it.total,
            done: it.done,
            failure: it.failure,
            created_at: it.created_at,
            created_by_name: it.created_by_name,
            created_by: it.created_by,
            checkpoint: it.checkpoint,
        })
    }
}

impl Mailing {
    /// What makes a message of it one a person, however often it is asked for.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::Manual { key: format!("mailing:{}", self.id) }
    }
}

/// The verdicts on everybody whom a list with `filter` shows.
async fn verdicts(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    filter: &Filter,
    message_type: MessageType,
    required: &[&str],
) -> Result<QueryBuilder<Postgres>> {
    let everybody = whom::everybody(db, now, filter).await?;
    let question = foresight::Question { now, channel: Channel::Email, message_type, required };
    Ok(foresight::verdicts(question, |query| {
        query.push("c.id in (");
        everybody.push_ids(query);
        query.push(")");
    }))
}

/// How many of those whom a list with `filter` shows would get `letter`, and who would be left out and why:
/// the first `named` of them.
///
/// # Errors
/// When the database fails.
pub async fn foretell(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    filter: &Filter,
    letter: &Letter,
    named: i64,
) -> Result<(Preview, Vec<Person>)> {
    let required = template::compile(&letter.source).map(|it| it.required()).unwrap_or_default();
    let query = verdicts(db, now, filter, letter.message_type, &required).await?;
    let preview = foresight::preview(db, query).await?;
    let query = verdicts(db, now, filter, letter.message_type, &required).await?;
    let people = foresight::people(db, query, Which::AnyLeftOut, None, named).await?;
    Ok((preview, people))
}

/// The first few whom a list with `filter` shows, to try a text on.
///
/// # Errors
/// When the database fails.
pub async fn first_of(db: &mut PgConnection, now: DateTime<Utc>, filter: &Filter) -> Result<Vec<Person>> {
    let query = verdicts(db, now, filter, MessageType::Other, &[]).await?;
    foresight::people(db, query, Which::All, None, 25).await
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What the form carries, so that sending it twice makes one.
    pub once: Uuid,
    /// The text.
    pub words: Words,
    /// How many people the form said that it is for.
    pub shown: Option<i64>,
}

/// Ask for a text to everybody whom a list with `filter` shows: who they are is written down here, and the engine
/// queues them next. The same draft again gives the same mailing.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] for a text that may not leave, when it is for nobody, or for others than the
/// form said; or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    draft: &Draft,
    filter: &Filter,
) -> Result<MailingId> {
    actor.require(Permission::SendCampaigns)?;
    if let Some(id) = sqlx::query_scalar!("select id from mailings where once = $1", draft.once)
        .fetch_optional(&mut **tx)
        .await?
    {
        return Ok(MailingId(id));
    }
    let letter = draft.words.read(tx).await?;
    refuse_problems(tx, config, &letter).await?;
    let template = if let Some((_, template)) = letter.template {
        template
    } else {
        let name = format!("mailing:{}", draft.once);
        versions::save_version(tx, now, actor, Channel::Email, &name, &letter.source).await?
    };
    let id = sqlx::query_scalar!(
        "insert into mailings (once, title, message_type, template_id, library_id, filter, created_at, created_by, created_by_name)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id",
        draft.once,
        letter.title,
        letter.message_type.code(),
        template.0,
        letter.template.map(|it| it.0.0),
        json!(filter),
        now,
        actor.staff_id().map(|it| it.0),
        actor.label()
    )
    .fetch_one(&mut **tx)
    .await?;
    let total = write_down(tx, now, MailingId(id), filter).await?;
    if total == 0 {
        return Err(Error::invalid("template", "Ya no hay nadie así: no se le escribió a nadie."));
    }
    if draft.shown.is_some_and(|it| it != total) {
        let people = format::count(total, "persona", "personas");
        return Err(Error::invalid(
            "template",
            format!(
                "Mientras lo mirabas cambió a cuántas va: ahora a {people}. Revísalo y confirma de nuevo."
            ),
        ));
    }
    let after = json!({ "template": letter.title, "template_id": template.0, "audience": total, "filter": filter.facts() });
    record(tx, now, actor, "mailing.create", MailingId(id), after).await?;
    Ok(MailingId(id))
}

async fn refuse_problems(tx: &mut Tx<'_>, config: &Config, letter: &Letter) -> Result<()> {
    let business: Business = settings::load(&mut **tx, &config.first_values).await?;
    let mut problems = Vec::new();
    if letter.source.subject.trim().is_empty() {
        problems.push(FieldError::new("subject", "Escribe el asunto."));
    }
    if letter.source.body.trim().is_empty() {
        problems.push(FieldError::new("body", "Escribe el mensaje."));
    }
    if letter.message_type.is_promotional() && !business.is_legal_sender() {
        problems.push(FieldError::new(
            "template",
            "Faltan los datos de tu negocio que la ley pide mostrar: complétalos en Ajustes, Negocio.",
        ));
    }
    problems.extend(legal::problems(&letter.source, letter.message_type, &business));
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

/// Write down whom it is for: what happens to the list from here on changes nothing any more. Gives how many.
async fn write_down(tx: &mut Tx<'_>, now: DateTime<Utc>, id: MailingId, filter: &Filter) -> Result<i64> {
    let everybody = whom::everybody(tx, now, filter).await?;
    let total = everybody.write_down(tx, "mailing_people (mailing_id, contact_id)", id.0).await?;
    sqlx::query!("update mailings set total = $2 where id = $1", id.0, total).execute(&mut **tx).await?;
    Ok(total)
}

/// The mailing `id`.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get(db: impl PgExecutor<'_>, id: MailingId) -> Result<Mailing> {
    let row = sqlx::query_as!(
        Stored,
        "select id, status, title, message_type, template_id, library_id, total, done, failure, created_at, created_by,
            created_by_name, checkpoint
         from mailings where id = $1",
        id.0
    )
    .fetch_optional(db)
    .await?;
    row.ok_or(Error::NotFound)?.try_into()
}

/// The latest mailings below row `before`, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(db: impl PgExecutor<'_>, before: Option<i64>, limit: i64) -> Result<Vec<Mailing>> {
    let rows = sqlx::query_as!(
        Stored,
        "select id, status, title, message_type, template_id, library_id, total, done, failure, created_at, created_by,
            created_by_name, checkpoint
         from mailings where id < coalesce($1, 9223372036854775807) order by id desc limit $2",
        before,
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Mailing::try_from).collect()
}

/// How many messages of it stand in each state, in the order of the states.
///
/// # Errors
/// When the database fails.
pub async fn counts(db: impl PgExecutor<'_>, id: MailingId) -> Result<Vec<(MessageStatus, i64)>> {
    let rows = sqlx::query!(
        r#"select status as "status!", count(*) as "count!" from mailing_messages where mailing_id = $1 group by status"#,
        id.0
    )
    .fetch_all(db)
    .await?;
    let count =
        |status: MessageStatus| rows.iter().find(|it| it.status == status.code()).map_or(0, |it| it.count);
    Ok(MessageStatus::ALL.iter().map(|it| (*it, count(*it))).filter(|it| it.1 > 0).collect())
}

/// Take back what has not left, and queue nobody else. Gives how many messages were taken back.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] when it was cancelled or failed already; or the database's.
pub async fn cancel(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: MailingId) -> Result<u64> {
    actor.require(Permission::SendCampaigns)?;
    let cancelled = sqlx::query!(
        "update mailings set status = 'CANCELLED', finished_at = $2 where id = $1 and status in ('RUNNING', 'DONE')",
        id.0,
        now
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if cancelled == 0 {
        return Err(Error::refused("Este envío ya se canceló o no pudo terminar: no se cambió nada."));
    }
    let people = sqlx::query_scalar!(
        r#"select p.contact_id as "id!" from mailing_people p where p.mailing_id = $1
           union select c.merged_into from mailing_people p join contacts c on c.id = p.contact_id
           where p.mailing_id = $1 and c.merged_into is not null"#,
        id.0
    )
    .fetch_all(&mut **tx)
    .await?;
    let people: Vec<ContactId> = people.into_iter().map(ContactId).collect();
    let mailing = get(&mut **tx, id).await?;
    let taken_back = mailing.origin().recall(tx, now, actor, &people).await?;
    record(tx, now, actor, "mailing.cancel", id, json!({ "messages": taken_back })).await?;
    Ok(taken_back)
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: MailingId,
    after: serde_json::Value,
) -> Result<()> {
    let change = audit::Change {
        action,
        subject_kind: "mailing",
        subject_id: Some(id.0),
        before: None,
        after: Some(after),
    };
    audit::record(tx, now, actor, change).await
}
