//! One text to people chosen by hand: foretold, asked for, watched. The engine that queues it is [`run`]; how it
//! stops and goes on, `status`; whether each may get it, the gate of `messaging` decides.

pub mod run;
mod status;

pub use status::{Paused, Status, cancel, pause_for_trouble, pause_the_unfit, resume};

use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    chile::format,
    config::Config,
    contacts::{
        contact_list::Filter,
        named::{self, Named},
    },
    db::{Tx, locks},
    error::{Error, Result},
    ids::{LibraryId, MailingId, TemplateId},
    messaging::{
        foresight::{self, Person, Preview},
        kinds::{MessageType, Status as MessageStatus},
        legal,
        library::{self, Kind},
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
    /// Why it stands still: it is paused, or failed.
    pub failure: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by_name: String,
    waits: bool,
    created_by: Option<i64>,
    /// Who let it go on last, by row and name.
    resumed_by: Option<i64>,
    resumed_by_name: Option<String>,
    checkpoint: i64,
}

impl Mailing {
    /// In whose name people are queued: who let it go on last, or who asked.
    async fn asker(&self, db: impl PgExecutor<'_>) -> Result<Actor> {
        match &self.resumed_by_name {
            Some(name) => Actor::asking(db, self.resumed_by, name).await,
            None => Actor::asking(db, self.created_by, &self.created_by_name).await,
        }
    }

    /// Where it stands, in a word: also whether all that was queued has left.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.status == Status::Done && !self.waits { "Terminado" } else { self.status.label() }
    }

    /// The kind that was chosen for it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::of(self.message_type)
    }

    /// People who are not queued yet.
    #[must_use]
    pub fn rest(&self) -> i64 {
        self.total - self.done
    }
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
    resumed_by: Option<i64>,
    resumed_by_name: Option<String>,
    checkpoint: i64,
    waits: bool,
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
            resumed_by: it.resumed_by,
            resumed_by_name: it.resumed_by_name,
            checkpoint: it.checkpoint,
            waits: it.waits,
        })
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
    let question =
        foresight::Question { now, channel: Channel::Email, message_type, required, otherwise: &[] };
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
    foresight::foretell(db, query, named).await
}

/// The first few whom a list with `filter` shows, to try a text on.
///
/// # Errors
/// When the database fails.
pub async fn first_of(db: &mut PgConnection, now: DateTime<Utc>, filter: &Filter) -> Result<Vec<Named>> {
    let ids = whom::everybody(db, now, filter).await?.first(db, 25).await?;
    named::named(db, &ids).await
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
    /// The version of the template that the form showed.
    pub seen: Option<TemplateId>,
}

/// Ask for a text to everybody whom a list with `filter` shows: who they are is written down here, and the engine
/// queues them next. The same draft again gives the same mailing.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] for a text that may not leave or is not the one that the form showed, when it
/// is for nobody, or for others than the form said; or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    draft: &Draft,
    filter: &Filter,
) -> Result<MailingId> {
    actor.require(Permission::SendCampaigns)?;
    if let Some(id) = asked_before(tx, draft, filter).await? {
        return Ok(id);
    }
    let letter = draft.words.read(tx).await?;
    if let (Some(seen), Some((_, template))) = (draft.seen, letter.template)
        && seen != template
    {
        return Err(Error::invalid(
            "template",
            "El texto que se enviaría no es el que viste: la plantilla cambió, o elegiste otra. Míralo en la vista previa y confirma de nuevo.",
        ));
    }
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
        filter.facts(),
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

/// The mailing that the same form asked for already.
async fn asked_before(tx: &mut Tx<'_>, draft: &Draft, filter: &Filter) -> Result<Option<MailingId>> {
    // Two presses at once come one after the other.
    let [.., a, b, c, d] = *draft.once.as_bytes();
    sqlx::query!("select pg_advisory_xact_lock($1, $2)", locks::MAILING, i32::from_be_bytes([a, b, c, d]))
        .fetch_one(&mut **tx)
        .await?;
    let Some(it) = sqlx::query!(
        r#"select id, library_id, template_id, filter,
               $2::bigint[] is not null and exists (
                   select from mailing_people where mailing_id = mailings.id and contact_id <> all ($2)) as "is_for_others!"
           from mailings where once = $1"#,
        draft.once,
        filter.among.as_deref() as Option<&[i64]>
    )
    .fetch_optional(&mut **tx)
    .await?
    else {
        return Ok(None);
    };
    let has_the_words = match &draft.words {
        Words::Template(id) => it.library_id == Some(id.0),
        Words::Own(source) => {
            let (kept, _) = versions::version(&mut *tx, TemplateId(it.template_id)).await?;
            it.library_id.is_none() && kept == *source
        }
    };
    if !has_the_words || it.is_for_others || it.filter != filter.facts() {
        return Err(Error::invalid(
            "template",
            "Este formulario ya se envió, con otro texto o para otras personas. Míralo en Envíos a mano; si quieres escribir otro, empieza de nuevo desde la lista.",
        ));
    }
    Ok(Some(MailingId(it.id)))
}

async fn refuse_problems(tx: &mut Tx<'_>, config: &Config, letter: &Letter) -> Result<()> {
    let business: Business = settings::load(&mut **tx, &config.first_values).await?;
    let problems = legal::unsendable(&letter.source, letter.message_type, &business);
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
        r#"select id, status, title, message_type, template_id, library_id, total, done, failure, created_at, created_by,
            created_by_name, resumed_by, resumed_by_name, checkpoint, exists (
                select from communication_logs l where l.mailing_id = mailings.id and l.status in ('PENDING', 'SENDING')
            ) as "waits!"
         from mailings where id = $1"#,
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
        r#"select id, status, title, message_type, template_id, library_id, total, done, failure, created_at, created_by,
            created_by_name, resumed_by, resumed_by_name, checkpoint, exists (
                select from communication_logs l where l.mailing_id = mailings.id and l.status in ('PENDING', 'SENDING')
            ) as "waits!"
         from mailings where id < coalesce($1, 9223372036854775807) order by id desc limit $2"#,
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
        r#"select status, count(*) as "count!" from communication_logs where mailing_id = $1 group by status"#,
        id.0
    )
    .fetch_all(db)
    .await?;
    let count =
        |status: MessageStatus| rows.iter().find(|it| it.status == status.code()).map_or(0, |it| it.count);
    Ok(MessageStatus::ALL.iter().map(|it| (*it, count(*it))).filter(|it| it.1 > 0).collect())
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
