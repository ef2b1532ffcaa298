//! What may be sent to a contact: what they agreed to with its proof, what they
//! chose, what excludes them; and the forms that change it.

use super::pace::{Pace, PaceForm};
use crate::{
    access::{Actor, Permission},
    channels::Channel,
    chile::{format, phone::Phone, text, time},
    contacts::{
        consent::{self, Entry},
        contact::{self, Contact},
        preferences::{self, Preference},
        rhythm::{self, Rhythm},
        vocabulary::Basis,
    },
    error::{Error, FieldError},
    ids::ContactId,
    messaging::{
        kinds::{MessageType, Scope},
        refusal,
        suppression::{self, Suppression},
    },
    state::AppState,
    web::{
        badges::Badge,
        filters,
        flash::Flash,
        form::{Errors, Form},
        html::{self, Answer},
        shell::Shell,
    },
};
use askama::Template;
use axum::extract::{Path, Query, State};
use chrono::NaiveDate;
use serde::Deserialize;
use sqlx::PgConnection;
use std::collections::HashMap;

/// Entries of the ledger that are shown.
const SHOWN: i64 = 50;

/// How one channel reaches the contact.
pub(super) struct Reach {
    pub channel: Channel,
    pub icon: &'static str,
    /// The address, as people read it.
    pub destination: String,
    pub suppressions: Vec<Suppression>,
    pub badge: Badge,
    /// What the state means.
    pub meaning: String,
}

/// A kind of message with the answer for each channel that reaches the contact.
struct Kind {
    label: &'static str,
    /// Name of the box, channel, whether they want it.
    boxes: Vec<(String, Channel, bool)>,
}

#[derive(Template)]
#[template(path = "contacts/consents.html")]
struct ConsentsPage {
    shell: Shell,
    contact: Contact,
    reaches: Vec<Reach>,
    ledger: Vec<Entry>,
    /// How often they asked to be written to, and pauses, newest first.
    wishes: Vec<rhythm::Entry>,
    /// The same as it stands, on each channel that reaches them.
    paces: Vec<Pace>,
    today: NaiveDate,
    kinds: Vec<Kind>,
    errors: Errors,
    /// The form that was sent with errors: it is shown open, as it was typed.
    open: Open,
}

/// A form of the page, as it was typed.
#[derive(Default)]
pub(super) enum Open {
    #[default]
    None,
    /// How often, as it stands, on one channel.
    Noting(Channel),
    Pace(Box<PaceForm>),
    Consent(consent::Draft),
    Quiet(QuietForm),
    Suppression(SuppressionForm),
}

impl Open {
    fn consent(&self) -> consent::Draft {
        match self {
            Open::Consent(it) => it.clone(),
            _ => consent::Draft::default(),
        }
    }

    fn suppression(&self) -> SuppressionForm {
        match self {
            Open::Suppression(it) => it.clone(),
            _ => SuppressionForm::default(),
        }
    }
}

impl ConsentsPage {
    async fn load(state: &AppState, shell: Shell, id: ContactId) -> Result<ConsentsPage, Error> {
        let mut db = state.db.acquire().await?;
        let contact = contact::get(&mut *db, id).await?;
        let today = time::local_date(state.clock.now());
        let chosen = preferences::of(&mut *db, id).await?;
        let reaches = reaches(&mut db, &contact, &chosen, today).await?;
        let ledger = consent::ledger(&mut *db, id, SHOWN).await?;
        let wishes = rhythm::ledger(&mut *db, id, SHOWN).await?;
        let mut paces = Vec::new();
        for channel in reaches.iter().filter(|it| !it.destination.is_empty()).map(|it| it.channel) {
            let rhythm = rhythm::of(&mut db, channel, id).await?.on(today);
            paces.push(Pace { channel, rhythm });
        }
        let kinds = kinds(&contact, &chosen);
        Ok(ConsentsPage {
            shell,
            contact,
            reaches,
            ledger,
            wishes,
            paces,
            today,
            kinds,
            errors: Errors::default(),
            open: Open::None,
        })
    }

    fn quiet(&self) -> (String, String) {
        match (&self.open, self.contact.quiet) {
            (Open::Quiet(form), _) => (form.quiet_from.clone(), form.quiet_until.clone()),
            (_, Some((from, until))) => (from.format("%H:%M").to_string(), until.format("%H:%M").to_string()),
            _ => (String::new(), String::new()),
        }
    }

    /// The form of how often, where it is open.
    fn pace(&self) -> Option<PaceForm> {
        let stands = |channel| self.paces.iter().find(|it| it.channel == channel);
        match &self.open {
            Open::Noting(channel) if self.shell.may(Permission::EditContacts) => {
                stands(*channel).map(|it| PaceForm::of(it, self.today))
            }
            Open::Pace(form) => {
                let rhythm = stands(form.channel).map(|it| it.rhythm).unwrap_or_default();
                Some(PaceForm::clone(form).beside(rhythm, self.today))
            }
            _ => None,
        }
    }

    fn opens_consent(&self) -> bool {
        matches!(self.open, Open::Consent(_))
    }

    fn reachable(&self) -> Vec<Channel> {
        self.reaches.iter().filter(|it| !it.destination.is_empty()).map(|it| it.channel).collect()
    }

    fn may_suppress(&self) -> bool {
        self.shell.may(Permission::EditContacts)
            && self.reaches.iter().any(|it| !it.destination.is_empty() && it.suppressions.is_empty())
    }
}

/// How each channel reaches `contact`.
pub(super) async fn reaches(
    db: &mut PgConnection,
    contact: &Contact,
    chosen: &[Preference],
    today: NaiveDate,
) -> Result<Vec<Reach>, Error> {
    let mut reaches = Vec::new();
    for channel in Channel::ALL {
        let suppressions = match contact.destination(channel) {
            Some(destination) => suppression::of(&mut *db, channel, destination).await?,
            None => Vec::new(),
        };
        let rhythm = rhythm::of(&mut *db, channel, contact.id).await?.on(today);
        // Whoever has no basis may have said no, themselves or as one who was joined into them.
        let said_no = contact.basis(channel).is_none()
            && consent::said_no(&mut *db, contact.id, channel.code()).await?;
        let is_no = |kind: &MessageType| {
            let is_it = |it: &Preference| it.channel == channel && it.message_type == kind.code();
            chosen.iter().any(|it| is_it(it) && !it.allowed)
        };
        let declined = (MessageType::asked_about().filter(is_no).count(), MessageType::asked_about().count());
        reaches.push(reach(contact, channel, suppressions, rhythm, said_no, declined));
    }
    Ok(reaches)
}

fn reach(
    contact: &Contact,
    channel: Channel,
    suppressions: Vec<Suppression>,
    rhythm: Rhythm,
    said_no: bool,
    (declined, all): (usize, usize),
) -> Reach {
    let basis = contact.basis(channel);
    let destination = match (channel, contact.destination(channel)) {
        (_, None) => String::new(),
        (Channel::Email, Some(address)) => address.to_owned(),
        (_, Some(phone)) => Phone::show(phone),
    };
    let badge = |label, tone, icon| Badge { label, tone, icon };
    let (badge, meaning) = if destination.is_empty() {
        let missing = match channel {
            Channel::Email => "No hay correo: agrégalo para poder escribirle.",
            Channel::Sms if contact.phone.is_some() => {
                "Su teléfono no es un celular chileno, así que no recibe SMS."
            }
            Channel::Sms | Channel::Whatsapp => "No hay teléfono.",
        };
        (badge("Sin dirección", "secondary", "circle-minus"), missing.to_owned())
    } else if let Some(it) = suppressions.first() {
        let all = suppressions.iter().any(|it| it.scope == Scope::All);
        let what = if all { "No recibe nada" } else { "No recibe promociones" };
        let since = format::date(time::local_date(it.created_at));
        (badge("Excluido", "red", "ban"), format!("{what} desde el {since}: {}.", it.reason.in_sentence()))
    } else if let Some(basis) = basis {
        let badge = match rhythm.paused_until {
            _ if declined == all => badge("No quiere promociones", "secondary", "circle-x"),
            Some(_) => badge("En pausa", "yellow", "player-pause"),
            None => badge("Recibe promociones", "green", "circle-check"),
        };
        let chose = match declined {
            0 => String::new(),
            _ if declined == all => {
                format!(" Prefirió no recibir ninguno de los {all} tipos de promociones.")
            }
            _ => format!(" Prefirió no recibir {declined} de {all} tipos de promociones."),
        };
        (badge, format!("Base legal: {}.{}{chose}", basis.label().to_lowercase(), asked_for(rhythm)))
    } else {
        let meaning = if said_no {
            "Hay un no a las promociones, suyo o de una ficha unida: solo recibe mensajes de servicio."
        } else {
            "Sin consentimiento ni otra base legal: solo recibe mensajes de servicio."
        };
        (badge("Sin promociones", "secondary", "circle-x"), meaning.to_owned())
    };
    let icon = match channel {
        Channel::Email => "mail",
        Channel::Sms => "message-2",
        Channel::Whatsapp => "brand-whatsapp",
    };
    Reach { channel, icon, destination, suppressions, badge, meaning }
}

/// ` Pidió a lo más un mensaje cada 30 días.`
fn asked_for(rhythm: Rhythm) -> String {
    let often = rhythm.min_days.map(|days| format!(" Pidió a lo más un mensaje cada {days} días."));
    let pause =
        rhythm.paused_until.map(|until| format!(" Pidió una pausa hasta el {}.", format::date(until)));
    [often, pause].into_iter().flatten().collect()
}

fn kinds(contact: &Contact, chosen: &[Preference]) -> Vec<Kind> {
    let channels: Vec<Channel> =
        Channel::ALL.into_iter().filter(|it| contact.destination(*it).is_some()).collect();
    let allowed = |channel: Channel, kind: MessageType| {
        !chosen.iter().any(|it| it.channel == channel && it.message_type == kind.code() && !it.allowed)
    };
    let boxes = |kind: MessageType| {
        channels.iter().map(|it| (box_name(*it, kind), *it, allowed(*it, kind))).collect()
    };
    MessageType::DECLINABLE.iter().map(|kind| Kind { label: kind.label(), boxes: boxes(*kind) }).collect()
}

fn box_name(channel: Channel, kind: MessageType) -> String {
    format!("{}.{}", channel.code(), kind.code())
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// Code of the channel on which how often is to be noted.
    pace: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    shell: Shell,
    Path(id): Path<i64>,
    Query(asked): Query<Asked>,
) -> Answer {
    let open = Channel::from_code(&asked.pace).map(Open::Noting).unwrap_or_default();
    html::page(&ConsentsPage { open, ..ConsentsPage::load(&state, shell, ContactId(id)).await? })
}

/// The page with a form that was wrong, or the failure where no field is to blame.
pub(super) async fn again(state: &AppState, shell: Shell, id: ContactId, open: Open, error: Error) -> Answer {
    let errors = Errors::from_error(error)?;
    html::invalid(&ConsentsPage { errors, open, ..ConsentsPage::load(state, shell, id).await? })
}

/// What the select of bases says for a no.
const WITHDRAWN: &str = "WITHDRAWN";

pub(super) async fn consent(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(form): Form<consent::Draft>,
) -> Answer {
    let (id, now) = (ContactId(id), state.clock.now());
    let withdrawn = form.basis == WITHDRAWN;
    let written = async {
        let mut tx = state.db.begin().await?;
        // A no needs its channel and its words as a yes does.
        let basis = if withdrawn { Basis::Consent.code().to_owned() } else { form.basis.clone() };
        let grant = consent::Draft { basis, ..form.clone() }.check(now)?;
        if withdrawn {
            consent::withdraw(&mut tx, now, &actor, id, grant.channel, &grant.source, None).await?;
        } else {
            consent::grant(&mut tx, now, &actor, id, &grant).await?;
        }
        Ok::<_, Error>(tx.commit().await?)
    };
    match written.await {
        Ok(()) if withdrawn => Ok(Flash::good("Quedó anotado: ya no recibirá promociones por ese canal.")
            .to(&format!("/contacts/{id}/consents#consent"))),
        Ok(()) => {
            Ok(Flash::good("Quedó anotado con su prueba.").to(&format!("/contacts/{id}/consents#consent")))
        }
        Err(error) => again(&state, shell, id, Open::Consent(form), error).await,
    }
}

pub(super) async fn prefer(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<i64>,
    Form(form): Form<HashMap<String, String>>,
) -> Answer {
    let (id, now) = (ContactId(id), state.clock.now());
    let mut tx = state.db.begin().await?;
    let contact = contact::get(&mut *tx, id).await?;
    let mut changed = false;
    for channel in Channel::ALL.into_iter().filter(|it| contact.destination(*it).is_some()) {
        let choices: Vec<(&str, bool)> = MessageType::DECLINABLE
            .iter()
            .map(|kind| (kind.code(), form.contains_key(&box_name(channel, *kind))))
            .collect();
        changed |= preferences::choose(&mut tx, now, &actor, id, channel, &choices).await?;
    }
    tx.commit().await?;
    Ok(said(changed, "Preferencias guardadas. Rigen desde ya.")
        .to(&format!("/contacts/{id}/consents#preferences")))
}

pub(super) fn said(changed: bool, done: &str) -> Flash {
    if changed { Flash::good(done) } else { Flash::plain("No había nada que cambiar.") }
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct QuietForm {
    quiet_from: String,
    quiet_until: String,
}

pub(super) async fn quieten(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(form): Form<QuietForm>,
) -> Answer {
    let id = ContactId(id);
    let saved = async {
        let quiet = preferences::quiet_hours(&form.quiet_from, &form.quiet_until)?;
        let mut tx = state.db.begin().await?;
        let changed = preferences::set_quiet_hours(&mut tx, state.clock.now(), &actor, id, quiet).await?;
        tx.commit().await?;
        Ok::<_, Error>(changed)
    };
    match saved.await {
        Ok(changed) => {
            Ok(said(changed, "Horas de silencio guardadas.")
                .to(&format!("/contacts/{id}/consents#preferences")))
        }
        Err(error) => again(&state, shell, id, Open::Quiet(form), error).await,
    }
}

/// "No contactar más".
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct SuppressionForm {
    /// Code of the scope; empty: promotions.
    scope: String,
    /// Why, in words.
    detail: String,
}

pub(super) async fn suppress(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(form): Form<SuppressionForm>,
) -> Answer {
    let (id, now) = (ContactId(id), state.clock.now());
    let written = async {
        let detail = &text::tidy(&form.detail);
        if !(3..=200).contains(&detail.chars().count()) {
            let message = "Escribe el motivo en pocas palabras, por ejemplo «Lo pidió por teléfono».";
            return Err(Error::Invalid(vec![FieldError::new("detail", message)]));
        }
        let mut tx = state.db.begin().await?;
        let scope = Scope::from_code(&form.scope).unwrap_or(Scope::Promotional);
        refusal::contact_no_more(&mut tx, now, &actor, id, scope, detail).await?;
        Ok(tx.commit().await?)
    };
    match written.await {
        Ok(()) => {
            let said =
                "Listo: nadie le volverá a enviar promociones, tampoco si vuelve a venir en una importación.";
            Ok(Flash::good(said).to(&format!("/contacts/{id}/consents#consent")))
        }
        Err(error) => again(&state, shell, id, Open::Suppression(form), error).await,
    }
}

pub(super) async fn lift(
    State(state): State<AppState>,
    actor: Actor,
    Path((id, suppression)): Path<(i64, i64)>,
) -> Answer {
    let id = ContactId(id);
    let mut tx = state.db.begin().await?;
    let contact = contact::get(&mut *tx, id).await?;
    let mut own = false;
    for channel in Channel::ALL {
        if let Some(destination) = contact.destination(channel) {
            own |=
                suppression::of(&mut tx, channel, destination).await?.iter().any(|it| it.id == suppression);
        }
    }
    if !own {
        return Err(Error::NotFound.into());
    }
    suppression::lift(&mut tx, state.clock.now(), &actor, suppression).await?;
    tx.commit().await?;
    let said =
        "Salió de la lista de exclusión. Para enviarle promociones hace falta además una base legal vigente.";
    Ok(Flash::good(said).to(&format!("/contacts/{id}/consents#consent")))
}
