//! What is missing before a campaign may start. Each item is green, amber (it
//! may start, but know this) or red (it may not), with what to do and where.

use super::{
    audience::{self, Preview, Question},
    campaign::Campaign,
    checklist_audience, domain_review, forecast,
    later::{self, Later},
    link_review,
    outlook::{self, Outlook, day_and_hour},
    own_links, own_texts_check, precheck,
    trial::{self, Arrival},
    variants_check::{self, Asked},
    wordings::Wordings,
};
use crate::{
    chile::format,
    config::Config,
    error::Result,
    ids::TemplateId,
    messaging::{
        compose::Sender,
        kinds::MessageType,
        legal::{footer_advice, footer_lacks, own_gap, own_gap_sentence},
        runnable,
        template::{self, Source},
        values::{self, Recipient},
    },
    settings::{self, Business, EmailChannel},
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::collections::HashMap;

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Done.
    Green,
    /// It may start, but the person should know.
    Amber,
    /// It may not start.
    Red,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Item {
    /// Name for programs.
    pub key: &'static str,
    /// How it stands.
    pub level: Level,
    /// What was found, in Spanish.
    pub found: String,
    /// What to do; empty where there is nothing to do.
    pub advice: String,
    /// Where to do it: path in the panel.
    pub link: Option<String>,
}

impl Item {
    pub(super) fn green(key: &'static str, found: impl Into<String>) -> Item {
        Item { key, level: Level::Green, found: found.into(), advice: String::new(), link: None }
    }

    pub(super) fn amber(key: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Item {
        Item { key, level: Level::Amber, found: found.into(), advice: advice.into(), link: None }
    }

    pub(super) fn red(key: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Item {
        Item { key, level: Level::Red, found: found.into(), advice: advice.into(), link: None }
    }

    /// What its link is called.
    #[must_use]
    pub fn link_words(&self) -> &'static str {
        match (self.key, self.link.as_deref()) {
            ("audience" | "gaps" | "frequency", Some(link)) if link.contains("/audience") => "Ver quiénes",
            ("server", _) => "Abrir la bandeja",
            ("trial", _) => "Enviarla",
            ("duplicates", _) => "Compararlas",
            ("domain", _) => "Ver qué falta",
            _ => "Ir a corregirlo",
        }
    }

    pub(super) fn at(mut self, link: impl Into<String>) -> Item {
        self.link = Some(link.into());
        self
    }
}

/// All that was looked at, and what would happen on starting now.
#[derive(Clone, Debug)]
pub struct Checklist {
    /// Items, in the order of the work.
    pub items: Vec<Item>,
    /// What would become of the audience.
    pub preview: Preview,
    /// Those who would be queued and wait for a day of their own.
    pub later: Later,
    /// The window and the caps that its messages would leave under.
    pub outlook: Outlook,
    /// How many of the audience work in each industry that has a text of its own; not there: nobody.
    pub of_industries: HashMap<String, i64>,
}

impl Checklist {
    /// How many people would get it, at once or later.
    #[must_use]
    pub fn recipients(&self) -> u64 {
        self.later.recipients(&self.preview)
    }

    /// How many of the audience would not.
    #[must_use]
    pub fn without(&self) -> u64 {
        self.later.without(&self.preview)
    }

    /// Whether nothing stands in the way of starting.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.items.iter().all(|it| it.level != Level::Red)
    }

    /// The items that stand in the way.
    pub fn red(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|it| it.level == Level::Red)
    }
}

/// Paths of the panel that the items point to.
const SETTINGS_BUSINESS: &str = "/settings";
const SETTINGS_EMAIL: &str = "/settings/email";

/// Look at everything that `campaign` needs.
///
/// # Errors
/// When the database fails.
pub async fn of(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    config: &Config,
    campaign: &Campaign,
) -> Result<Checklist> {
    let business: Business = settings::load(&mut *db, &config.first_values).await?;
    let email: EmailChannel = settings::load(&mut *db, &config.first_values).await?;
    let edit = format!("/campaigns/{}/edit", campaign.id);

    let mut items = senders(config, &business, &email, campaign.message_type);
    let from = Sender::of_email(config, &business, &email);
    items.extend(domain_review::item(&mut *db, now, config, from.domain()).await?);
    items.extend(text(campaign, &business, &edit));
    items.extend(manner(config, &business, &campaign.source, &edit));
    items.extend(opening(&mut *db, now, config, campaign).await?);
    let wordings = Wordings::of(&mut *db, campaign.id).await?;
    items.extend(own_links::of(config, &business, campaign, &wordings.all(&campaign.source)));
    let needs = wordings.needs(&campaign.source);
    let question = Question {
        rule: &campaign.audience,
        channel: campaign.channel,
        message_type: campaign.message_type,
        required: &needs.required,
        otherwise: &needs.otherwise,
        now,
    };
    let preview = audience::preview(&mut *db, question).await?;
    let later = match preview.reachable {
        0 => Later::default(),
        _ => later::of_audience(db, question).await?,
    };
    let undeclared = match later.recipients(&preview) {
        0 => checklist_audience::undeclared(&mut *db, question).await?,
        _ => None,
    };
    items.extend(checklist_audience::people(campaign, &preview, &later, undeclared, &edit));
    items.extend(checklist_audience::for_everybody(campaign, &preview, &edit));
    items.extend(checklist_audience::twice(&mut *db, now, campaign, &preview).await?);

    let outlook = outlook::of(db, now, config, campaign).await?;
    items.push(window(campaign, now, &outlook, &edit));
    items.push(batch(campaign, &edit));
    items.push(cap(campaign, outlook.daily_cap, &edit));
    items.push(tried(db, config, campaign, campaign.template, None).await?);
    let reachable = preview.reachable;
    items.extend(
        variants_check::of(
            db,
            Asked {
                now,
                config,
                business: &business,
                campaign,
                plan: &wordings.plan,
                outlook: &outlook,
                reachable,
            },
        )
        .await?,
    );
    let asked = own_texts_check::Asked { now, config, business: &business, campaign, wordings: &wordings };
    let (of_own_texts, of_industries) = own_texts_check::of(db, asked).await?;
    items.extend(of_own_texts);
    Ok(Checklist { items, preview, later, outlook, of_industries })
}

/// Who sends, and by which server.
fn senders(config: &Config, business: &Business, email: &EmailChannel, kind: MessageType) -> Vec<Item> {
    let mut items = Vec::new();
    items.push(if business.is_legal_sender() {
        Item::green(
            "sender",
            format!("Remitente legal: {}, {}.", business.name.trim(), business.address.trim()),
        )
    } else if kind.is_promotional() {
        let lacking = [
            ("el nombre", &business.name),
            ("la dirección", &business.address),
            ("el correo", &business.email),
        ];
        let lacking: Vec<_> = lacking.iter().filter(|it| it.1.trim().is_empty()).map(|it| it.0).collect();
        Item::red(
            "sender",
            format!("Falta {} del remitente legal.", format::and(&lacking)),
            "La ley 19.496 (art. 28 B) exige decir quién envía. Completa los datos de tu negocio.",
        )
        .at(SETTINGS_BUSINESS)
    } else {
        Item::amber(
            "sender",
            "Los datos de tu negocio están incompletos.",
            "Complétalos para firmar tus mensajes.",
        )
        .at(SETTINGS_BUSINESS)
    });
    let from = Sender::of_email(config, business, email).from_email;
    items.push(if from.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) {
        Item::green("from", format!("Los correos salen desde {from}."))
    } else {
        Item::red(
            "from",
            "No se sabe desde qué dirección enviar.",
            "Escribe la dirección del remitente en los ajustes del canal de correo.",
        )
        .at(SETTINGS_EMAIL)
    });
    if config.smtp.is_none() {
        items.push(
            Item::amber(
                "server",
                "No hay un servidor de correo conectado.",
                "Los mensajes no saldrán a internet: quedarán en la bandeja de salida, donde puedes leerlos.",
            )
            .at("/outbox"),
        );
    }
    items
}

/// Subject, body, variables and footer.
fn text(campaign: &Campaign, business: &Business, edit: &str) -> Vec<Item> {
    let source = &campaign.source;
    let mut items = Vec::new();
    for (key, text, none) in [
        ("subject", &source.subject, "Falta el asunto."),
        ("body", &source.body, "Falta el cuerpo del mensaje."),
    ] {
        if text.trim().is_empty() {
            items.push(Item::red(key, none, "Escríbelo para poder empezar.").at(format!("{edit}#{key}")));
        }
    }
    if items.is_empty() {
        items.push(Item::green("text", "El asunto y el cuerpo están escritos."));
    }
    if let Err(problems) = template::compile(source) {
        items.extend(problems.into_iter().map(|it| {
            Item::red(
                "variables",
                it.message,
                "Corrige el texto; no se enviará nada con una variable desconocida.",
            )
            .at(format!("{edit}#{}", it.field))
        }));
        return items;
    }
    items.push(match own_gap(source, business) {
        Some(name) => Item::red(
            "variables",
            own_gap_sentence(name),
            "Complétalo en los datos de tu negocio, o quita la variable del texto.",
        )
        .at(SETTINGS_BUSINESS),
        None => Item::green("variables", "Todas las variables del texto existen."),
    });
    if campaign.message_type.is_promotional() {
        let lacking = footer_lacks(source, business);
        items.push(if lacking.is_empty() {
            Item::green("footer", "El pie dice quién envía, su dirección y cómo darse de baja.")
        } else {
            Item::red("footer", "El pie legal está incompleto.", footer_advice(&lacking))
                .at(format!("{edit}#footer"))
        });
    }
    items
}

/// How the text, filled for an invented person, looks to filters; nothing while it cannot be filled.
pub(super) fn manner(config: &Config, business: &Business, source: &Source, edit: &str) -> Vec<Item> {
    if source.body.trim().is_empty() {
        return Vec::new();
    }
    let at_body = format!("{edit}#body");
    let lost = runnable::lost(source).into_iter();
    let lost = lost.map(|it| Item::amber("lost", it.said, it.advice).at(&at_body));
    let Ok(compiled) = template::compile(source) else { return lost.collect() };
    let looks = match compiled.render(&values::of(&Recipient::sample(), business, &trial::links(config))) {
        Ok(message) => precheck::of(&message, &config.public_url)
            .into_iter()
            .flat_map(|family| {
                if family.faults.is_empty() {
                    return vec![Item::green(family.key, family.good)];
                }
                let told = family.faults.into_iter();
                told.map(|it| Item::amber(family.key, it.found, it.advice).at(&at_body)).collect()
            })
            .collect(),
        Err(_) => Vec::new(),
    };
    lost.chain(looks).collect()
}

/// Whether the links of the text opened when somebody last asked; nothing where there is none.
async fn opening(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    config: &Config,
    campaign: &Campaign,
) -> Result<Option<Item>> {
    let links = link_review::links_of_campaign(&mut *db, config, campaign).await?;
    if links.is_empty() {
        return Ok(None);
    }
    let review = link_review::known(db, links).await?;
    Ok(Some(match review.sentence(now) {
        None => {
            Item::amber("opening", "Nadie ha revisado si los enlaces abren.", "Revísalos antes de empezar.")
        }
        Some(said) if review.all_open() => Item::green("opening", said),
        Some(said) => {
            let told = review.doubtful().map(|it| format!("{}: {}.", it.url, it.told().unwrap_or_default()));
            let again = review.is_partial().then(|| "Revísalos antes de empezar.".to_owned());
            let told: Vec<String> = told.chain(again).collect();
            Item::amber("opening", said, told.join(" ")).at(format!("/campaigns/{}/edit#body", campaign.id))
        }
    }))
}

fn window(campaign: &Campaign, now: DateTime<Utc>, outlook: &Outlook, edit: &str) -> Item {
    let Outlook { hours, calendar, .. } = outlook;
    if !campaign.message_type.is_promotional() {
        return Item::green("window", "No es promocional: sale a cualquier hora.");
    }
    if hours.is_open(now, calendar) {
        return Item::green("window", "El horario de envío está abierto ahora.");
    }
    match hours.next_open(now, calendar) {
        Some(opens) => Item::green("window", format!("El horario de envío abre el {}.", day_and_hour(opens))),
        None => Item::red(
            "window",
            "El horario de envío no abre nunca.",
            "Elige al menos un día y una franja horaria.",
        )
        .at(format!("{edit}#delivery")),
    }
}

fn batch(campaign: &Campaign, edit: &str) -> Item {
    let size = campaign.batch_size;
    let found = format!(
        "{} por corrida, cada {} minutos.",
        format::count(i64::from(size), "mensaje", "mensajes"),
        forecast::RUN_EVERY_MINUTES
    );
    match size {
        ..=50 => Item::green("batch", found),
        _ => Item::amber(
            "batch",
            found,
            "Recomendamos de 20 a 50: los proveedores de correo desconfían de los envíos bruscos.",
        )
        .at(format!("{edit}#delivery")),
    }
}

fn cap(campaign: &Campaign, daily_cap: Option<u32>, edit: &str) -> Item {
    if !campaign.message_type.is_promotional() {
        return Item::green("cap", "No es promocional: no la frena un tope diario.");
    }
    match daily_cap {
        Some(cap) => Item::green(
            "cap",
            format!("Tope de {} al día.", format::count(i64::from(cap), "mensaje", "mensajes")),
        ),
        None => Item::amber(
            "cap",
            "No hay un tope diario.",
            "Un tope protege la reputación de tu dirección; ponlo aquí o en el canal.",
        )
        .at(format!("{edit}#delivery")),
    }
}

/// Whether someone has sent themselves the text as it stands, and it arrived; `which` of several, `del texto B`.
pub(super) async fn tried(
    db: &mut PgConnection,
    config: &Config,
    campaign: &Campaign,
    text: Option<TemplateId>,
    which: Option<&str>,
) -> Result<Item> {
    let which = which.unwrap_or("de este texto");
    let there = format!("/campaigns/{}#trial", campaign.id);
    Ok(match trial::arrival(db, campaign.id, text).await? {
        Arrival::Untried => Item::amber(
            "trial",
            format!("Aún no te has enviado una prueba {which}."),
            match config.smtp {
                Some(_) => "Mírala en tu correo antes de empezar.",
                None => "Mírala en la bandeja de salida antes de empezar.",
            },
        )
        .at(there),
        Arrival::Returned => Item::amber(
            "trial",
            format!("La prueba {which} rebotó."),
            "Revisa la dirección de tu cuenta y el servidor de correo, y envíala otra vez.",
        )
        .at(there),
        Arrival::Left if config.smtp.is_some() => Item::amber(
            "receipt",
            format!("La prueba {which} salió; falta saber si llegó."),
            "Búscala en tu correo, también en la carpeta de spam.",
        ),
        Arrival::Left => Item::green("trial", format!("Ya enviaste una prueba {which}.")),
        Arrival::Received => Item::green("trial", format!("La prueba {which} llegó.")),
    })
}

pub(super) fn n(count: u64) -> String {
    format::number(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn people_count(count: u64) -> String {
    format::count(i64::try_from(count).unwrap_or(i64::MAX), "persona", "personas")
}
