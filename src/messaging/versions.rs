//! The versions of a text, as the database keeps them: none is ever altered, so that what a recipient got can be shown.

use super::{
    mjml::Made,
    template::{self, BodyFormat, Compiled, Source},
    tracking::rewrite,
    whatsapp::Registration,
};
use crate::{
    access::Actor,
    channels::Channel,
    db::Tx,
    error::{Error, FieldError, Result},
    ids::TemplateId,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

/// Keep `source` as the next version of the text called `name`; the same words as the last version keep that one.
///
/// # Errors
/// [`Error::Invalid`] when the text does not compile; otherwise the database's.
pub async fn save_version(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    channel: Channel,
    name: &str,
    source: &Source,
) -> Result<TemplateId> {
    template::checked(source).map_err(Error::Invalid)?;
    let made = template::made(source).map_err(Error::Invalid)?;
    template::ready(source, made.as_ref(), None).map_err(Error::Invalid)?;
    let last = sqlx::query!(
        "select id, version, subject, body, body_format, footer, registration from message_templates
         where name = $1 order by version desc limit 1",
        name
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(it) = &last
        && (&it.subject, &it.body, it.body_format.as_str(), &it.footer)
            == (&source.subject, &source.body, source.body_format.code(), &source.footer)
        && registration(it.registration.clone())? == source.registration
    {
        return Ok(TemplateId(it.id));
    }
    let id = sqlx::query_scalar!(
        "insert into message_templates
             (communication_type, name, version, subject, body, body_format, footer, created_at, created_by, html, plain, registration)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning id",
        channel.code(),
        name,
        last.map_or(1, |it| it.version + 1),
        source.subject,
        source.body,
        source.body_format.code(),
        source.footer,
        now,
        actor.staff_id().map(|it| it.0),
        made.as_ref().map(|it| it.html.as_str()),
        made.as_ref().map(|it| it.plain.as_str()),
        source.registration.as_ref().map(|it| json!(it))
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(TemplateId(id))
}

/// One version, with what its body was turned into when it was saved.
pub struct Kept {
    source: Source,
    number: i32,
    made: Option<Made>,
}

impl Kept {
    /// Ready to be filled, or what is wrong with it.
    ///
    /// # Errors
    /// As [`template::compile`].
    pub fn compile(&self) -> Result<Compiled, Vec<FieldError>> {
        match &self.made {
            Some(made) => {
                template::checked(&self.source).and_then(|()| template::ready(&self.source, Some(made), None))
            }
            None => template::compile(&self.source),
        }
    }

    /// The same, for messages that tell of openings and clicks: each link that `number` knows by its target is led over us.
    ///
    /// # Errors
    /// As [`template::compile`].
    pub fn compile_tracked(&self, number: impl Fn(&str) -> Option<i32>) -> Result<Compiled, Vec<FieldError>> {
        template::checked(&self.source)?;
        let made = self.body()?;
        let tracked = rewrite::rewrite(&template::html_of(&self.source, made.as_ref()), number);
        template::ready(&self.source, made.as_ref(), Some(tracked))
    }

    /// Where its links lead, of those that may be led over us.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        let made = self.body().unwrap_or_default();
        rewrite::targets(&template::html_of(&self.source, made.as_ref()))
    }

    fn body(&self) -> Result<Option<Made>, Vec<FieldError>> {
        match &self.made {
            Some(made) => Ok(Some(made.clone())),
            None => template::made(&self.source),
        }
    }
}

/// One version as it was kept.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn kept(db: &mut PgConnection, id: TemplateId) -> Result<Kept> {
    let it = sqlx::query!(
        "select version, subject, body, body_format, footer, html, plain, registration from message_templates
         where id = $1",
        id.0
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound)?;
    let source = Source {
        subject: it.subject,
        body: it.body,
        body_format: BodyFormat::from_code(&it.body_format),
        footer: it.footer,
        registration: registration(it.registration)?,
    };
    Ok(Kept {
        source,
        number: it.version,
        made: it.html.zip(it.plain).map(|(html, plain)| Made { html, plain }),
    })
}

/// One version ready to be filled, or what is wrong with it.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn prepared(db: &mut PgConnection, id: TemplateId) -> Result<Result<Compiled, Vec<FieldError>>> {
    Ok(kept(db, id).await?.compile())
}

/// The words of one version, and its number.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn version(db: &mut PgConnection, id: TemplateId) -> Result<(Source, i32)> {
    let it = kept(db, id).await?;
    Ok((it.source, it.number))
}

fn registration(kept: Option<serde_json::Value>) -> Result<Option<Registration>> {
    kept.map(serde_json::from_value)
        .transpose()
        .map_err(|_| Error::Internal("what Meta knows of a text can't be read".into()))
}
