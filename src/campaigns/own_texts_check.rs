//! What the checklist says of a campaign with texts of industries: each of them lawful and whole, and somebody who gets it.

use super::{
    audience,
    campaign::Campaign,
    checklist::{self, Item},
    own_texts,
    wordings::Wordings,
};
use crate::{chile::format, config::Config, error::Result, messaging::legal, settings::Business};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::collections::HashMap;

/// What is looked at.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) now: DateTime<Utc>,
    pub(super) config: &'a Config,
    pub(super) business: &'a Business,
    pub(super) campaign: &'a Campaign,
    pub(super) wordings: &'a Wordings,
}

/// All that there is to say, and how many of the audience work in each industry; nothing of a campaign without such texts.
pub(super) async fn of(db: &mut PgConnection, asked: Asked<'_>) -> Result<(Vec<Item>, HashMap<String, i64>)> {
    let Asked { now, config, campaign, wordings, .. } = asked;
    if wordings.own.is_empty() {
        return Ok(Default::default());
    }
    let industries: Vec<&str> = wordings.own.iter().map(|it| it.industry.as_str()).collect();
    let people = audience::of_industries(&mut *db, now, &campaign.audience, &industries).await?;
    let mut items = vec![Item::green(
        "own_texts",
        format!(
            "{} con texto propio; los demás reciben el de la campaña.",
            format::count(i64::try_from(industries.len()).unwrap_or(i64::MAX), "rubro", "rubros")
        ),
    )];
    for it in &wordings.own {
        let form = format!("/campaigns/{}/own-texts?place={}", campaign.id, it.place);
        if !people.contains_key(&it.industry) {
            let found = format!("Nadie de la audiencia es del rubro «{}».", it.industry);
            items.push(
                Item::amber(
                    "own_texts",
                    found,
                    "Su texto no le llegaría a nadie: quítalo, o amplía la audiencia.",
                )
                .at(format!("/campaigns/{}#own-texts", campaign.id)),
            );
        }
        items.extend(text(&asked, it, &form));
        let which = format!("d{}", wordings.phrase(it.place));
        items.push(checklist::tried(&mut *db, config, campaign, Some(it.template), Some(&which)).await?);
    }
    Ok((items, people))
}

/// One text by itself; what the campaign's own text has in common with it is told of that alone.
fn text(asked: &Asked<'_>, it: &own_texts::OwnText, form: &str) -> Vec<Item> {
    let Asked { config, business, campaign, .. } = *asked;
    let (kind, base) = (campaign.message_type, &campaign.source);
    let named = |said: &str| format!("Rubro «{}»: {said}", it.industry);
    let red = |said: &str| Item::red("own_texts", named(said), "Corrige ese texto, o quítalo.").at(form);
    let source = it.source(base);
    // The campaign's own text may have changed since it was written.
    let mut items: Vec<Item> =
        own_texts::problems(&it.words, base).iter().map(|it| red(&it.message)).collect();
    let unlawful = legal::unfit(base, kind, business);
    let found = legal::unfit(&source, kind, business).into_iter();
    items.extend(found.filter(|it| !unlawful.contains(it)).map(|it| red(&it.message)));
    let own = checklist::manner(config, business, base, form);
    items.extend(
        checklist::manner(config, business, &source, form)
            .into_iter()
            .filter(|it| !it.advice.is_empty() && own.iter().all(|known| known.found != it.found))
            .map(|it| Item { found: named(&it.found), link: Some(form.to_owned()), ..it }),
    );
    items
}
