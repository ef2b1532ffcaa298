//! What a template must hold to be kept: a name, words, and what the law wants of its channel.

use super::{Draft, NAME};
use crate::{
    channels::Channel,
    config::Config,
    db::Tx,
    error::{Error, FieldError, Result},
    ids::LibraryId,
    messaging::{
        legal, sms, template,
        whatsapp::{self, Registration},
    },
    settings::{self, Business},
};

/// `id`: the template that is changed; none: it is a new one.
pub(super) async fn refuse_problems(
    tx: &mut Tx<'_>,
    config: &Config,
    draft: &Draft,
    id: Option<LibraryId>,
) -> Result<()> {
    let business: Business = settings::load(&mut **tx, &config.first_values).await?;
    let problems = problems(draft, &business, &config.public_url);
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    refuse_taken(tx, draft, id).await
}

/// One text of Meta's, which a name and a language tell apart, is one template here: what it said of it would hold for
/// words that it never read.
pub(super) async fn refuse_taken(tx: &mut Tx<'_>, draft: &Draft, id: Option<LibraryId>) -> Result<()> {
    let Some(it) = &draft.source.registration else { return Ok(()) };
    let other = sqlx::query_scalar!(
        "select l.name from library_templates l join message_templates t on t.id = l.template_id
         where l.archived_at is null and t.registration ->> 'name' = $1 and t.registration ->> 'language' = $2
           and l.id is distinct from $3
         order by l.id limit 1",
        it.name,
        it.language,
        id.map(|it| it.0)
    )
    .fetch_optional(&mut **tx)
    .await?;
    match other {
        Some(name) => Err(Error::invalid(
            "registered_name",
            format!(
                "La plantilla «{name}» ya tiene ese nombre de Meta en ese idioma: usa otro, o archívala."
            ),
        )),
        None => Ok(()),
    }
}

/// A name for a copy of the text that Meta knows as `registration`, which no other has.
pub(super) async fn free_name(tx: &mut Tx<'_>, registration: &Registration) -> Result<String> {
    let taken = sqlx::query_scalar!(
        r#"select t.registration ->> 'name' as "name!"
           from library_templates l join message_templates t on t.id = l.template_id
           where t.registration ->> 'language' = $1"#,
        registration.language
    )
    .fetch_all(&mut **tx)
    .await?;
    // Meta takes 512 letters.
    let first = format!("{}_copia", registration.name.chars().take(500).collect::<String>());
    let others = (2..1000).map(|n| format!("{first}_{n}"));
    let free = std::iter::once(first.clone()).chain(others).find(|it| !taken.contains(it));
    Ok(free.unwrap_or(first))
}

fn problems(draft: &Draft, business: &Business, public_url: &str) -> Vec<FieldError> {
    let mut problems = Vec::new();
    if draft.name.trim().is_empty() {
        problems.push(FieldError::new("name", "Ponle un nombre a la plantilla: solo lo ve tu equipo."));
    } else if draft.name.chars().count() > NAME {
        problems
            .push(FieldError::new("name", format!("El nombre tiene más de {NAME} caracteres: acórtalo.")));
    }
    let body = draft.source.body.trim();
    match draft.channel {
        Channel::Email => {
            problems.extend(legal::unfit(&draft.source, draft.kind.message_type(), business));
        }
        _ if body.is_empty() => problems.push(FieldError::new("body", "Escribe el mensaje.")),
        Channel::Sms => {
            problems.extend(sms::problems(
                &draft.source,
                draft.kind.message_type().is_promotional(),
                business,
                public_url,
            ));
        }
        Channel::Whatsapp => problems.extend(of_whatsapp(draft, business, public_url)),
    }
    problems
}

fn of_whatsapp(draft: &Draft, business: &Business, public_url: &str) -> Vec<FieldError> {
    if draft.source.registration.is_none() {
        return vec![FieldError::new("registered_name", "Escribe el nombre con que está en Meta.")];
    }
    if let Err(found) = template::compile(&draft.source) {
        return found;
    }
    let lacking = whatsapp::lacks_way_out(&draft.source);
    let lacking = lacking.filter(|_| draft.kind.message_type().is_promotional());
    lacking.into_iter().chain(whatsapp::too_long_when_filled(&draft.source, business, public_url)).collect()
}
