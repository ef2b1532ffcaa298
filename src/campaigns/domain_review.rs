//! What the DNS said of the domain that email leaves from, kept so that a checklist tells it without asking anybody:
//! once a day a job asks, and whoever opens the page of deliverability.

use super::checklist::Item;
use crate::{
    chile::{format, time},
    config::Config,
    deliverability::{Examined, Level, Question},
    error::Result,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};

/// After so long somebody should look again.
const FRESH: TimeDelta = TimeDelta::days(7);

/// The page that examines it.
const PAGE: &str = "/settings/deliverability?report=1";

/// A part that is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fault {
    part: String,
    level: Level,
    text: String,
}

/// Write down what was found.
///
/// # Errors
/// When the database fails.
pub async fn keep(db: impl PgExecutor<'_>, examined: &Examined) -> Result<()> {
    let faults = examined.findings.iter().filter(|it| it.level != Level::Good);
    let faults: Vec<Fault> =
        faults.map(|it| Fault { part: it.part.to_owned(), level: it.level, text: it.text.clone() }).collect();
    sqlx::query!(
        "insert into domain_checks (question, checked_at, faults) values ($1, $2, $3)
         on conflict (question) do update set checked_at = excluded.checked_at, faults = excluded.faults",
        examined.question().key(),
        examined.at,
        serde_json::json!(faults)
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What a checklist says of email from `domain`; none: nothing leaves for the internet.
///
/// # Errors
/// When the database fails.
pub(super) async fn item(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    config: &Config,
    domain: &str,
) -> Result<Option<Item>> {
    if config.smtp.is_none() || !domain.contains('.') {
        return Ok(None);
    }
    let question = Question::of(config, domain);
    let known =
        sqlx::query!("select checked_at, faults from domain_checks where question = $1", question.key())
            .fetch_optional(db)
            .await?;
    let Some(known) = known else {
        let found = format!("Nadie ha revisado qué dice el DNS de {domain}.");
        let advice = "Sin SPF, DKIM y DMARC los correos caen en spam: revísalos antes de empezar.";
        return Ok(Some(Item::amber("domain", found, advice).at(PAGE)));
    };
    let faults: Vec<Fault> = serde_json::from_value(known.faults).unwrap_or_default();
    let on = format::date(time::local_date(known.checked_at));
    Ok(Some(if faults.is_empty() && now - known.checked_at < FRESH {
        Item::green("domain", format!("SPF, DKIM y DMARC de {domain} están bien; se revisaron el {on}."))
    } else if faults.is_empty() {
        let found = format!("El DNS de {domain} estaba bien el {on}, y desde entonces nadie lo revisa.");
        Item::amber("domain", found, "Revísalo de nuevo antes de empezar.").at(PAGE)
    } else {
        let parts: Vec<&str> = faults.iter().map(|it| it.part.as_str()).collect();
        let found = if faults.iter().all(|it| it.level == Level::Unasked) {
            format!("El {on} no se pudo consultar el DNS de {domain}.")
        } else {
            format!("En el DNS de {domain} hay que mirar {} (revisado el {on}).", format::and(&parts))
        };
        let told: Vec<String> = faults.iter().map(|it| format!("{}: {}.", it.part, it.text)).collect();
        Item::amber("domain", found, told.join(" ")).at(PAGE)
    }))
}
