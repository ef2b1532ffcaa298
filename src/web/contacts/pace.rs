//! How often a contact told somebody on the staff that they want to be written to, or until when not: the form beside what
//! they chose, one channel at a time, and what it keeps.

use super::consents::{self, Open};
use crate::{
    access::Actor,
    channels::Channel,
    chile::time,
    contacts::rhythm::{self, How, Rhythm, Telling},
    error::{Error, Result},
    ids::ContactId,
    state::AppState,
    web::{form::Form, html::Answer, rhythm_form::RhythmForm, shell::Shell},
};
use axum::extract::{Path, State};
use chrono::NaiveDate;

/// What stands on one channel.
pub(super) struct Pace {
    pub channel: Channel,
    pub rhythm: Rhythm,
}

/// The form of one channel, as it stands or was typed.
#[derive(Clone)]
pub(super) struct PaceForm {
    pub channel: Channel,
    pub rhythm: RhythmForm,
    pub telling: Telling,
    /// What stood when it was filled in.
    pub seen: String,
}

/// What stands, as the form carries it: nobody overwrites what they have not seen.
fn seen(stands: Rhythm) -> String {
    let text = |it: Option<String>| it.unwrap_or_default();
    format!(
        "{}/{}",
        text(stands.min_days.map(|it| it.to_string())),
        text(stands.paused_until.map(|it| it.to_string()))
    )
}

impl PaceForm {
    /// As it stands.
    pub(super) fn of(pace: &Pace, today: NaiveDate) -> PaceForm {
        PaceForm {
            channel: pace.channel,
            rhythm: RhythmForm::of(pace.rhythm, today),
            telling: Telling::default(),
            seen: seen(pace.rhythm),
        }
    }

    /// As it was typed, beside what stands now.
    pub(super) fn beside(self, stands: Rhythm, today: NaiveDate) -> PaceForm {
        PaceForm { rhythm: self.rhythm.beside(stands, today), seen: seen(stands), ..self }
    }

    fn read(fields: &[(String, String)]) -> Result<PaceForm> {
        let field = |name: &str| {
            fields.iter().find(|it| it.0 == name).map(|it| it.1.trim().to_owned()).unwrap_or_default()
        };
        Ok(PaceForm {
            channel: Channel::from_code(&field("communication_type")).ok_or(Error::NotFound)?,
            rhythm: RhythmForm::read(fields).ok_or(Error::NotFound)?,
            telling: Telling { how: field("how"), asked_on: field("asked_on"), detail: field("detail") },
            seen: field("seen"),
        })
    }

    /// How it may have been told: code, label, chosen.
    pub(super) fn ways(&self) -> Vec<(&'static str, &'static str, bool)> {
        How::ALL.iter().map(|it| (it.code(), it.label(), it.code() == self.telling.how)).collect()
    }
}

pub(super) async fn note(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Answer {
    let (id, now) = (ContactId(id), state.clock.now());
    let today = time::local_date(now);
    let form = PaceForm::read(&fields)?;
    let noted = async {
        let mut tx = state.db.begin().await?;
        let stands = rhythm::of(&mut tx, form.channel, id).await?.on(today);
        if form.seen != seen(stands) {
            let words = stands.words();
            return Err(Error::invalid(
                "every",
                format!("Cambió mientras lo mirabas, y ahora es: {words}. Revísalo y anota de nuevo."),
            ));
        }
        let (wish, told) = both(form.rhythm.rhythm(stands, today), form.telling.check(today))?;
        let changed = rhythm::note(&mut tx, now, &actor, id, form.channel, wish, &told).await?;
        tx.commit().await?;
        Ok::<_, Error>(changed)
    };
    match noted.await {
        Ok(changed) => Ok(consents::said(changed, "Quedó anotado con su prueba. Rige desde ya.")
            .to(&format!("/contacts/{id}/consents#rhythm"))),
        Err(error) => consents::again(&state, shell, id, Open::Pace(Box::new(form)), error).await,
    }
}

/// Both, or all that is wrong with either.
fn both<A, B>(one: Result<A>, other: Result<B>) -> Result<(A, B)> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(Error::Invalid(wrong)), Err(Error::Invalid(more))) => {
            Err(Error::Invalid(wrong.into_iter().chain(more).collect()))
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}
