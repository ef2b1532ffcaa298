//! What a template must hold to be kept: a name, words, and what the law wants of its channel.

use super::{Draft, NAME};
use crate::{
    channels::Channel,
    config::Config,
    db::Tx,
    error::{Error, FieldError, Result},
    messaging::{legal, sms, template, whatsapp},
    settings::{self, Business},
};

pub(super) async fn refuse_problems(tx: &mut Tx<'_>, config: &Config, draft: &Draft) -> Result<()> {
    let business: Business = settings::load(&mut **tx, &config.first_values).await?;
    let problems = problems(draft, &business);
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

fn problems(draft: &Draft, business: &Business) -> Vec<FieldError> {
    let mut problems = Vec::new();
    if draft.name.trim().is_empty() {
        problems.push(FieldError::new("name", "Ponle un nombre a la plantilla: solo lo ve tu equipo."));
    } else if draft.name.chars().count() > NAME {
        problems.push(FieldError::new("name", "El nombre tiene más de 200 caracteres: acórtalo."));
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
            ));
        }
        Channel::Whatsapp => problems.extend(of_whatsapp(draft)),
    }
    problems
}

fn of_whatsapp(draft: &Draft) -> Vec<FieldError> {
    if draft.source.registration.is_none() {
        return vec![FieldError::new("registered_name", "Escribe el nombre con que está en Meta.")];
    }
    if let Err(found) = template::compile(&draft.source) {
        return found;
    }
    let lacking = whatsapp::lacks_way_out(&draft.source);
    lacking.filter(|_| draft.kind.message_type().is_promotional()).into_iter().collect()
}
