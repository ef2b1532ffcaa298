//! A business to look around in: believable people and companies of the Región de
//! Los Lagos, all under the reserved TLD `.example`, and a past campaign that really
//! went through the queue. Written through the domains, as a person would.

mod people;
mod words;

use crate::{
    access::{Actor, Role},
    accounts::{
        password,
        staff::{self, NewStaff},
    },
    campaigns::{audience::Rule, campaign, drip, edit::Edit, launch},
    channels::{Channel, Sender, outbox::Outbox},
    chile::{business_hours::BusinessHours, rut::Rut, text},
    clock::Clock,
    config::Config,
    contacts::{
        company, consent,
        contact::{self, Draft},
        vocabulary::Basis,
    },
    db::Tx,
    error::{Error, Result},
    ids::{CampaignId, ContactId, MessageId},
    messaging::{
        drain::{Engine, Options},
        kinds::MessageType,
        links,
        runs::Trigger,
        template::{BodyFormat, Source},
        tracking::{self, Hits, signs::Sign},
    },
    segments::{
        field::{Field, Op},
        list, list_bulk, members,
        rule::{Condition, Group},
        segment,
    },
    settings::{self, Business},
};
use chrono::{DateTime, Days, TimeDelta, Utc};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sqlx::{PgExecutor, PgPool};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// Who signs in to look around.
pub const EMAIL: &str = "demo@llovizna.example";
/// Their password: no secret, since it is printed at start and opens made-up data only; [`is_open`] tells where it still does.
pub const PASSWORD: &str = "gotas de prueba";

const COMPANIES: usize = 60;
const CONTACTS: usize = 260;

/// What [`fill`] found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was empty, and is filled now.
    Filled,
    /// It holds the demo already.
    AlreadyThere,
    /// It holds something else, and was left alone.
    HasData,
}

/// Whether the account of the demo opens with its published password.
///
/// # Errors
/// When the database fails.
pub async fn is_open(db: impl PgExecutor<'_>) -> Result<bool> {
    let hash =
        sqlx::query_scalar!("select password_hash from staff_users where email = $1 and active", EMAIL)
            .fetch_optional(db)
            .await?;
    opens(hash).await
}

/// Whether an account with this password's hash opens with the published one; none: there is no such account.
///
/// # Errors
/// When it is no hash that can be read.
pub async fn opens(hash: Option<String>) -> Result<bool> {
    /// The last hash that was looked at, and whether it is of [`PASSWORD`]: judging one takes a while by design.
    static JUDGED: Mutex<Option<(String, bool)>> = Mutex::new(None);
    let Some(hash) = hash else { return Ok(false) };
    let known = JUDGED.lock().ok().and_then(|it| it.clone()).filter(|(judged, _)| *judged == hash);
    if let Some((_, open)) = known {
        return Ok(open);
    }
    let verdict = password::verify(PASSWORD.to_owned(), Some(hash.clone())).await?;
    let open = matches!(verdict, password::Verdict::Right { .. });
    if let Ok(mut judged) = JUDGED.lock() {
        *judged = Some((hash, open));
    }
    Ok(open)
}

/// Fill an empty database; one that holds accounts, contacts or companies is left alone.
///
/// # Errors
/// When the database fails; what was written up to then stays.
pub async fn fill(db: &PgPool, config: &Config, now: DateTime<Utc>) -> Result<Outcome> {
    let mut tx = db.begin().await?;
    let found = sqlx::query!(
        r#"select exists (select 1 from staff_users where email = $1) as "demo!",
               exists (select 1 from contacts) or exists (select 1 from companies)
               or exists (select 1 from staff_users) as "used!""#,
        EMAIL
    )
    .fetch_one(&mut *tx)
    .await?;
    if found.demo {
        return Ok(Outcome::AlreadyThere);
    }
    if found.used {
        return Ok(Outcome::HasData);
    }
    let past = now - TimeDelta::days(20);
    let actor = account(&mut tx, past).await?;
    settings::save(&mut tx, past, actor.staff_id(), &business()).await?;
    let mut rng = StdRng::seed_from_u64(20_261_121);
    let companies = companies(&mut tx, past, &actor, &mut rng).await?;
    let contacts = people(&mut tx, past, &actor, &mut rng, &companies).await?;
    people::lives(&mut tx, now, &actor, &mut rng, &contacts).await?;
    groups(&mut tx, past, &actor).await?;
    tx.commit().await?;
    campaign(db, config, now, &actor).await?;
    Ok(Outcome::Filled)
}

async fn account(tx: &mut Tx<'_>, now: DateTime<Utc>) -> Result<Actor> {
    let name = "Javiera Mansilla".to_owned();
    let new = NewStaff {
        email: EMAIL.to_owned(),
        name: name.clone(),
        role: Role::SuperAdmin,
        password: PASSWORD.to_owned(),
    };
    let id = staff::create(tx, now, &Actor::System, new).await?;
    Ok(Actor::Staff { id, name, role: Role::SuperAdmin })
}

fn business() -> Business {
    Business {
        name: "Termas del Reloncaví".to_owned(),
        legal_name: "Turismo y Termas Reloncaví SpA".to_owned(),
        rut: rut(76_214_903),
        address: "Camino a Ralún km 12, Cochamó, Región de Los Lagos".to_owned(),
        email: "hola@termasdelreloncavi.example".to_owned(),
        phone: "+56 65 225 4180".to_owned(),
        website: "https://termasdelreloncavi.example".to_owned(),
    }
}

/// The RUT with this body: one of its eleven check digits is right.
fn rut(body: u32) -> String {
    "0123456789K"
        .chars()
        .find_map(|digit| format!("{body}-{digit}").parse::<Rut>().ok())
        .map_or_else(String::new, Rut::stored)
}

fn pick<'a>(rng: &mut StdRng, words: &[&'a str]) -> &'a str {
    words.choose(rng).copied().unwrap_or_default()
}

async fn companies(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    rng: &mut StdRng,
) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for i in 0..COMPANIES {
        let (industry, kinds) = words::INDUSTRIES[i % words::INDUSTRIES.len()];
        let place = words::PLACES[(i / words::INDUSTRIES.len() + i * 7) % words::PLACES.len()];
        let name = format!("{} {place} {}", pick(rng, kinds), pick(rng, words::FORMS));
        if names.contains(&name) {
            continue;
        }
        let domain = domain(&name);
        let draft = company::Draft {
            rut: rut(76_000_000 + rng.random_range(10_000..900_000)),
            industry: industry.to_owned(),
            comuna: pick(rng, words::COMUNAS).to_owned(),
            address: format!("{} {}", pick(rng, words::STREETS), rng.random_range(100..1900)),
            website: format!("https://www.{domain}"),
            phone: format!("65 2 {}", rng.random_range(200_000..299_999)),
            email: format!("contacto@{domain}"),
            name: name.clone(),
            ..company::Draft::default()
        };
        company::create(tx, now, actor, &draft.check()?).await?;
        names.push(name);
    }
    Ok(names)
}

/// `lacteosdelsur.example`.
fn domain(name: &str) -> String {
    format!("{}.example", text::fold(name).replace(' ', ""))
}

async fn people(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    rng: &mut StdRng,
    companies: &[String],
) -> Result<Vec<ContactId>> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut made = Vec::new();
    for i in 0..CONTACTS {
        let (first, last) = (
            pick(rng, words::FIRST_NAMES),
            format!("{} {}", pick(rng, words::LAST_NAMES), pick(rng, words::LAST_NAMES)),
        );
        let employer = if i % 5 == 4 { None } else { companies.choose(rng) };
        let host = employer.map_or_else(|| "correo.example".to_owned(), |it| domain(it));
        let local =
            format!("{}.{}", text::fold(first), text::fold(last.split(' ').next().unwrap_or_default()));
        let again = seen.entry(format!("{local}@{host}")).or_default();
        *again += 1;
        let local = if *again > 1 { format!("{local}{again}") } else { local };
        let draft = Draft {
            first_name: first.to_owned(),
            last_name: last,
            email: format!("{local}@{host}"),
            phone: if rng.random_bool(0.8) {
                format!("9{}", rng.random_range(30_000_000..99_999_999))
            } else {
                String::new()
            },
            company: employer.cloned().unwrap_or_default(),
            job_title: if employer.is_some() { pick(rng, words::JOBS).to_owned() } else { String::new() },
            comuna: pick(rng, words::COMUNAS).to_owned(),
            source: pick(rng, words::SOURCES).to_owned(),
            lifecycle: pick(rng, words::LIFECYCLES).to_owned(),
            ..Draft::default()
        };
        let id = contact::create(tx, now, actor, &draft.check(now)?).await?;
        made.push(id);
        // One in eight never said yes: the panel shows them as not contactable.
        if i % 8 != 3 {
            let grant = consent::Grant {
                channel: Channel::Email,
                basis: if employer.is_some() { Basis::LegitimateInterest } else { Basis::Consent },
                source: if employer.is_some() {
                    "Directorio público de empresas".to_owned()
                } else {
                    "Formulario en recepción".to_owned()
                },
                obtained_on: crate::chile::time::local_date(now),
            };
            consent::grant(tx, now, actor, id, &grant).await?;
        }
    }
    Ok(made)
}

/// Two segments, and a list of those whom one of them holds.
async fn groups(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor) -> Result<()> {
    let is = |field, values: &[&str]| Condition::with(field, Op::Is, values);
    let shore = ["10109", "10107", "10102", "10103"];
    let near = Group::all([is(Field::Comuna, &shore), is(Field::Contactable, &["EMAIL"])]);
    segment::create(tx, now, actor, "Cuenca del lago, contactables", &near).await?;
    let mut hotels = Group::all([is(Field::CompanyIndustry, &["Hotelería", "Turismo rural"])]);
    let warm = [is(Field::Lifecycle, &["CLIENTE", "PROSPECTO"]), is(Field::Source, &["REFERIDO"])];
    hotels.items.push(Group::any(warm).into());
    segment::create(tx, now, actor, "Hotelería y turismo con buena llegada", &hotels).await?;
    let fair =
        list::create(tx, now, actor, "Feria de turismo de Puerto Varas", "Quienes pasaron por el stand.")
            .await?;
    let guests = members::page(tx, now, &hotels, ContactId(0), 1_000).await?;
    let guests: Vec<i64> = guests.into_iter().map(|it| it.0).collect();
    list_bulk::attach(tx, now, actor, fair, &guests).await?;
    let visitors = "rocio@hostalejemplo.example\n+56 9 8123 4567";
    list::add_pasted(tx, now, actor, fair, visitors).await?;
    Ok(())
}

/// A campaign of two weeks ago, sent drop by drop on the days that followed, into the built-in outbox whatever the server.
async fn campaign(db: &PgPool, config: &Config, now: DateTime<Utc>, actor: &Actor) -> Result<()> {
    let hours = BusinessHours::default();
    let mut connection = db.acquire().await?;
    let calendar = settings::calendar(&mut *connection).await?;
    drop(connection);
    let opens = |at: DateTime<Utc>| hours.next_open(at, &calendar).unwrap_or(at);
    let start = opens(now - Days::new(15)) + TimeDelta::minutes(40);
    let clock = Clock::fixed(start);
    let id = write(db, start, actor).await?;
    let mut tx = db.begin().await?;
    launch::launch(&mut tx, start, actor, config, id, TimeDelta::zero()).await?;
    tx.commit().await?;
    let sender: Arc<dyn Sender> = Arc::new(Outbox::new(db.clone()));
    let engine = Engine {
        db: db.clone(),
        senders: Arc::new(HashMap::from([(Channel::Email, sender)])),
        config: Arc::new(config.clone()),
        clock: clock.clone(),
    };
    let options = Options::new(Channel::Email, Trigger::Scheduler);
    for _ in 0..24 {
        let report = drip::run_once(&engine, &options).await?;
        if report.pending == 0 {
            break;
        }
        // The next slot, or the next morning once the day's share is gone.
        let next = clock.now() + TimeDelta::minutes(10);
        clock.set(if report.sent == 0 { opens(next + TimeDelta::hours(16)) } else { opens(next) });
        if clock.now() >= now {
            break;
        }
    }
    unsubscribe_two(db, clock.now()).await?;
    open_some(db, clock.now()).await
}

async fn write(db: &PgPool, at: DateTime<Utc>, actor: &Actor) -> Result<CampaignId> {
    let industries = ["Turismo rural", "Hotelería", "Restaurante"].map(str::to_owned).to_vec();
    let edit = Edit {
        name: "Escapada de primavera".to_owned(),
        message_type: MessageType::Promocional,
        audience: Rule { industries, ..Rule::default() },
        source: Source {
            subject: "{{ first_name | default(\"Hola\") }}, un día de termas para tu equipo".to_owned(),
            body: words::CAMPAIGN_BODY.to_owned(),
            body_format: BodyFormat::Text,
            ..Edit::default().source
        },
        tracks: true,
        ..Edit::default()
    };
    let mut tx = db.begin().await?;
    let id = campaign::create(&mut tx, at, actor, &edit).await?;
    tx.commit().await?;
    Ok(id)
}

/// Two of those who got it followed the link to unsubscribe.
async fn unsubscribe_two(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    let mut tx = db.begin().await?;
    let tokens = sqlx::query_scalar!(
        "select token from communication_logs where status = 'SENT' order by id limit 2 offset 9"
    )
    .fetch_all(&mut *tx)
    .await?;
    for token in tokens {
        let holder = links::holder(&mut tx, token).await?;
        links::unsubscribe(&mut tx, now, &holder).await?;
    }
    tx.commit().await?;
    Ok::<(), Error>(())
}

/// People open what they got, some follow a link, and a mail program loads pictures for others, within hours of its leaving.
async fn open_some(db: &PgPool, end: DateTime<Utc>) -> Result<()> {
    let sent = sqlx::query!(
        r#"select l.id, l.sent_at as "at!", k.number as "number?"
           from communication_logs l left join message_links k on k.template_id = l.template_id and k.number = 1 + l.id % 2
           where l.status = 'SENT' order by l.id"#
    )
    .fetch_all(db)
    .await?;
    let hits = Hits::default();
    for (place, it) in (0..).zip(sent) {
        let at = (it.at + TimeDelta::minutes(7 + place * 37 % 400)).min(end);
        let message = MessageId(it.id);
        match place % 7 {
            0 | 3 => hits.add(at, message, None, None),
            5 => {
                hits.add(at, message, None, None);
                hits.add((at + TimeDelta::minutes(2)).min(end), message, it.number, None);
            }
            1 => hits.add(at, message, None, Some(Sign::ApplePrivacy)),
            _ => (),
        }
    }
    // What happened is told a little later, so that the last of it is due.
    while tracking::run_once(db, end + TimeDelta::minutes(1), &hits).await? {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_ruts_are_valid() {
        assert_eq!(rut(12_531_909), "12531909-2");
        assert!((76_000_000..76_000_200).all(|body| rut(body).parse::<Rut>().is_ok()));
    }
}
