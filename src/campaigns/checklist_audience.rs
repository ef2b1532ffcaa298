//! What a checklist says of a campaign's audience: who would be left out, and what keeps all of them from getting it.

use super::{
    audience::{self, Preview, Question, Which},
    campaign::Campaign,
    checklist::{Item, n, people_count},
    later::Later,
};
use crate::{
    error::Result,
    ids::ImportId,
    imports,
    messaging::kinds::{BlockReason, MessageType},
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// People who are looked at to find the import that most of them came by.
const LOOKED_AT: i64 = 500;

/// The import, with the name of its file, for want of whose basis nobody may get it; none: it is not that.
///
/// # Errors
/// When the database fails.
pub(super) async fn undeclared(
    db: &mut PgConnection,
    question: Question<'_>,
) -> Result<Option<(ImportId, String)>> {
    let without = Which::LeftOut(BlockReason::NoConsent);
    let people = audience::people(&mut *db, question, without, &[], None, LOOKED_AT).await?;
    let people: Vec<_> = people.iter().map(|it| it.id).collect();
    imports::people::undeclared(db, &people).await
}

/// Those of the audience who may be there twice; none: the audience is empty.
pub(super) async fn twice(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    campaign: &Campaign,
    preview: &Preview,
) -> Result<Option<Item>> {
    if preview.total == 0 {
        return Ok(None);
    }
    let pairs = audience::pairs(db, now, &campaign.audience).await?;
    Ok(Some(if pairs == 0 {
        Item::green("duplicates", "Nadie de la audiencia parece estar dos veces.")
    } else {
        let found = match pairs {
            1 => "Dos fichas de la audiencia pueden ser de una misma persona, que la recibiría dos veces."
                .to_owned(),
            _ => format!(
                "Hay {} pares de fichas en la audiencia que pueden ser de una misma persona, que la recibiría dos veces.",
                n(u64::try_from(pairs).unwrap_or_default())
            ),
        };
        Item::amber("duplicates", found, "Compáralas y une las que lo sean.").at("/duplicates")
    }))
}

/// Audience, and who would be left out.
pub(super) fn people(
    campaign: &Campaign,
    preview: &Preview,
    later: &Later,
    undeclared: Option<(ImportId, String)>,
    edit: &str,
) -> Vec<Item> {
    let list = |reason: &str| format!("/campaigns/{}/audience?reason={reason}", campaign.id);
    if preview.total == 0 {
        return vec![if campaign.audience.is_everyone() {
            Item::red(
                "audience",
                "Todavía no hay contactos que trabajen en una empresa.",
                "Importa tus contactos y empresas.",
            )
            .at("/imports/new")
        } else {
            Item::red(
                "audience",
                "Nadie cumple con la audiencia elegida.",
                "Elige otros segmentos, listas, rubros, comunas o importaciones.",
            )
            .at(format!("{edit}#audience"))
        }];
    }
    let mut items = Vec::new();
    let (recipients, without) = (later.recipients(preview), later.without(preview));
    let verb = if recipients == 1 { "La recibirá" } else { "La recibirán" };
    items.push(if recipients == 0 {
        let found = format!("Ninguna de las {} personas de la audiencia puede recibirla.", n(preview.total));
        match undeclared {
            Some((import, filename)) => Item::red(
                "audience",
                found,
                format!("Falta declarar la base legal de las personas que trajo «{filename}»."),
            )
            .at(format!("/imports/{import}#permission")),
            None => Item::red("audience", found, "Mira por qué queda fuera cada una.")
                .at(format!("/campaigns/{}/audience", campaign.id)),
        }
    } else if without > 0 {
        Item::amber(
            "audience",
            format!(
                "{verb} {} de {} personas; {} {} fuera.",
                n(recipients),
                n(preview.total),
                n(without),
                if without == 1 { "quedará" } else { "quedarán" }
            ),
            "Revisa quiénes y por qué.",
        )
        .at(format!("/campaigns/{}/audience", campaign.id))
    } else {
        Item::green("audience", format!("{verb} {}.", people_count(recipients)))
    });
    for (name, count) in &preview.gaps {
        items.push(
            Item::amber(
                "gaps",
                format!("A {} les falta {{{{ {name} }}}} y quedarán fuera.", people_count(*count)),
                format!(
                    "Completa sus datos, o escribe un valor de reemplazo: {{{{ {name} | default(\"…\") }}}}."
                ),
            )
            .at(list("MISSING_VARIABLE")),
        );
    }
    if preview.gaps.is_empty() {
        items.push(Item::green("gaps", "Nadie queda fuera por falta de un dato que el texto use."));
    }
    for group in &later.groups {
        let people = group.people();
        items.push(
            Item::amber(
                "frequency",
                format!(
                    "{} {} más tarde por {}.",
                    people_count(people),
                    if people == 1 { "la recibirá" } else { "la recibirán" },
                    group.cause.label()
                ),
                "Su mensaje queda pospuesto y sale cuando quedan libres.",
            )
            .at(list("later")),
        );
    }
    items
}

/// What is for the best customers alone and goes to whoever is there; none: it is not that.
pub(super) fn for_everybody(campaign: &Campaign, preview: &Preview, edit: &str) -> Option<Item> {
    let chosen = &campaign.audience;
    let is_wide = chosen.segment_ids.is_empty() && chosen.list_ids.is_empty();
    let is_early = campaign.message_type == MessageType::VipEarlyAccess;
    (is_early && is_wide && preview.total > 0).then(|| {
        Item::amber(
            "early",
            format!(
                "Es un acceso anticipado VIP y su audiencia no usa ningún segmento ni lista: llega a {} sin mirar cuánto compran ni cuánto vienen.",
                people_count(preview.total)
            ),
            "Elige un segmento o una lista de clientes VIP al editar la campaña, o usa otro tipo de mensaje.",
        )
        .at(format!("{edit}#field-segment_ids"))
    })
}
