//! What the checklist says of a campaign that tries several texts: each of them lawful and whole, enough people to tell
//! them apart, and something that tells.

use super::{
    campaign::Campaign,
    checklist::{self, Item},
    outlook::Outlook,
    trial,
    variants::{self, Measure, Plan, letter},
};
use crate::{
    chile::format,
    config::Config,
    error::Result,
    messaging::{
        legal,
        template::{self, Source},
        tracking::rewrite,
        values::{self, Recipient},
    },
    settings::Business,
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

/// People for each text below whom a difference between them is hardly ever more than chance.
const FEW: u64 = 100;

/// What is looked at.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) now: DateTime<Utc>,
    pub(super) config: &'a Config,
    pub(super) business: &'a Business,
    pub(super) campaign: &'a Campaign,
    pub(super) plan: &'a Plan,
    pub(super) outlook: &'a Outlook,
    /// How many would get it.
    pub(super) reachable: u64,
}

impl Asked<'_> {
    /// People in the sample, about.
    fn sample(&self) -> u64 {
        self.reachable * u64::from(self.plan.percent) / 100
    }
}

/// All that there is to say; nothing of a campaign with one text.
pub(super) async fn of(db: &mut PgConnection, asked: Asked<'_>) -> Result<Vec<Item>> {
    let Asked { config, campaign, plan, .. } = asked;
    if plan.variants.is_empty() {
        return Ok(Vec::new());
    }
    let form = format!("/campaigns/{}/variants", campaign.id);
    let mut items = texts(&asked, &form);
    items.extend(people(&asked, &form));
    items.extend(measure(&asked, &form));
    items.extend(time(&asked, &form));
    for (n, template) in variants::templates(db, campaign.id).await?.into_iter().enumerate() {
        let which = format!("del texto {}", letter(n + 1));
        items.push(checklist::tried(db, config, campaign, Some(template), Some(&which)).await?);
    }
    Ok(items)
}

/// Each text by itself; what the campaign's own text has in common with it is told of that alone.
fn texts(asked: &Asked<'_>, form: &str) -> Vec<Item> {
    let Asked { config, business, campaign, plan, .. } = *asked;
    let kind = campaign.message_type;
    let unlawful = legal::unfit(&campaign.source, kind, business);
    let own = checklist::manner(config, business, &campaign.source, form);
    // The campaign's own text may have changed since they were written.
    let mut items: Vec<Item> = plan
        .problems(&campaign.source)
        .into_iter()
        .map(|it| Item::red("variants", it.message, "Corrige ese texto, o quítalo.").at(form))
        .collect();
    for (place, source) in plan.sources(&campaign.source).iter().enumerate().skip(1) {
        let named = |said: &str| format!("Texto {}: {said}", letter(place));
        let found = legal::unfit(source, kind, business).into_iter();
        items.extend(
            found.filter(|it| !unlawful.contains(it)).map(|it| {
                Item::red("variants", named(&it.message), "Corrige ese texto, o quítalo.").at(form)
            }),
        );
        let manner = checklist::manner(config, business, source, form).into_iter();
        items.extend(
            manner
                .filter(|it| !it.advice.is_empty() && own.iter().all(|known| known.found != it.found))
                .map(|it| Item { found: named(&it.found), link: Some(form.to_owned()), ..it }),
        );
    }
    items
}

fn people(asked: &Asked<'_>, form: &str) -> Option<Item> {
    let plan = asked.plan;
    let texts = u64::try_from(plan.variants.len() + 1).unwrap_or(1);
    let each = asked.sample() / texts;
    if asked.reachable == 0 {
        return None;
    }
    let found = format!(
        "Se prueban {texts} textos en el {} % de la audiencia, {} para cada uno. {} {}, el resto recibe el que tenga más {}.",
        plan.percent,
        around(each),
        if plan.hours == 1 { "Pasada" } else { "Pasadas" },
        format::count(i64::from(plan.hours), "hora", "horas"),
        plan.by.label()
    );
    if each >= FEW {
        return Some(Item::green("variants", found));
    }
    let advice = format!(
        "Con menos de {FEW} personas por texto, la diferencia casi siempre es azar. Prueba menos textos o en una parte mayor."
    );
    Some(Item::amber("variants", found, advice).at(form))
}

fn around(people: u64) -> String {
    match i64::try_from(people).unwrap_or(i64::MAX) {
        0 => "menos de una persona".to_owned(),
        people => format!("cerca de {}", format::count(people, "persona", "personas")),
    }
}

fn measure(asked: &Asked<'_>, form: &str) -> Option<Item> {
    let Asked { config, business, campaign, plan, .. } = *asked;
    if campaign.tracks && plan.by == Measure::Clicks {
        let values = values::of(&Recipient::sample(), business, &trial::links(config));
        let leads = |source: &Source| {
            let filled = template::compile(source).ok().and_then(|it| it.render(&values).ok());
            // What can't be filled is told of elsewhere.
            let is_measured = |target: &String| !target.starts_with(&config.public_url);
            filled.is_none_or(|it| rewrite::targets(&it.html).iter().any(is_measured))
        };
        return (!plan.sources(&campaign.source).iter().any(leads)).then(|| {
            Item::amber(
                "measure",
                "El ganador se elige por clics de personas, y ningún texto tiene un enlace que se mida: los de correo y teléfono no se cuentan.",
                "Sin clics, el resto recibe el texto A. Agrega un enlace a una página, o elige por aperturas o respuestas.",
            )
            .at(form)
        });
    }
    (!campaign.tracks && plan.by != Measure::Replies).then(|| {
        Item::amber(
            "measure",
            format!("El ganador se elige por {}, y esta campaña no mide aperturas ni clics.", plan.by.label()),
            "Si nada se mide, el resto recibe el texto A. Mide aperturas y clics al editar la campaña, o elige por respuestas.",
        )
        .at(form)
    })
}

/// Whether the sample has left before it is decided.
fn time(asked: &Asked<'_>, form: &str) -> Option<Item> {
    let Asked { plan, campaign, outlook, now, .. } = *asked;
    let mut alone = outlook.clone();
    alone.rest = None;
    let forecast = alone.forecast(campaign, asked.sample(), Vec::new(), now)?;
    let decided = forecast.starts + TimeDelta::hours(plan.hours.into());
    let late = forecast.ends.is_none_or(|ends| ends >= decided);
    late.then(|| {
        Item::amber(
            "sample",
            format!(
                "Cuando se elija, pasadas {}, aún no habrá salido toda la prueba.",
                format::count(i64::from(plan.hours), "hora", "horas")
            ),
            "Se elige con lo que haya salido. Espera más horas, prueba en una parte menor o aumenta la corrida.",
        )
        .at(form)
    })
}
