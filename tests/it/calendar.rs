//! "Si lanzas hoy": what the calendar of a campaign foretells is what its runs do.

use crate::{
    campaigns::{app, execute, get, people, seeded, start},
    drip::run,
    support::TestApp,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use llovizna::{
    access::Actor,
    campaigns::{
        audience::{self, Question},
        copies,
        later::{self, Later},
        outlook,
    },
    channels::Channel,
    chile::time,
    db::MIGRATIONS,
    ids::{CampaignId, ContactId},
    messaging::{
        gate::Decision,
        kinds::{BlockReason, DeferReason, MessageType, OriginKind},
        why::{self, Frame},
    },
};
use sqlx::PgPool;
use std::collections::BTreeMap;

fn question(rule: &audience::Rule, now: DateTime<Utc>) -> Question<'_> {
    Question {
        rule,
        channel: Channel::Email,
        message_type: MessageType::Promocional,
        required: &[],
        otherwise: &[],
        now,
    }
}

/// A promotion of the past to each contact whose number (`sur7`) leaves `rest` by `by`.
async fn got(app: &TestApp, at: &str, rest: i32, by: i32) {
    sqlx::query(
        "insert into communication_logs (origin, contact_id, communication_type, message_type, destination, status,
                                         scheduled_at, next_attempt_at, created_at, sent_at)
         select 'MANUAL', id, 'EMAIL', 'NEWSLETTER', email, 'SENT', $1, $1, $1, $1
         from contacts where substring(email from '[0-9]+')::int % $3 = $2",
    )
    .bind(at.parse::<DateTime<Utc>>().unwrap())
    .bind(rest)
    .bind(by)
    .execute(&app.state.db)
    .await
    .unwrap();
}

async fn foretold(app: &TestApp, id: CampaignId) -> Later {
    let campaign = get(app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    later::of_audience(&mut db, question(&campaign.audience, app.now())).await.unwrap()
}

/// Caps, wishes and pauses of all sorts, crosswise.
async fn all_sorts(app: &TestApp) -> Vec<ContactId> {
    let all = people(app, "sur", 60).await;
    for (at, rest, by) in [
        ("2026-11-20T15:00:00Z", 0, 2),
        ("2026-11-05T15:00:00Z", 0, 3),
        ("2026-10-27T15:00:00Z", 0, 3),
        ("2026-10-28T02:30:00Z", 0, 3),
        ("2026-11-12T13:00:00Z", 0, 3),
        ("2026-09-12T15:00:00Z", 0, 5),
    ] {
        got(app, at, rest, by).await;
    }
    // One that may have left counts as well.
    execute(
        app,
        "insert into communication_logs (origin, contact_id, communication_type, message_type, destination, status,
                                         scheduled_at, next_attempt_at, created_at, claimed_at, drip_run_id)
         select 'MANUAL', id, 'EMAIL', 'PROMOCIONAL', email, 'UNCONFIRMED', at, at, at, at, 1
         from contacts cross join (select timestamptz '2026-11-19 15:00Z' as at) moment
         where substring(email from '[0-9]+')::int % 8 = 1",
    )
    .await;
    execute(
        app,
        "insert into contact_rhythms (contact_id, communication_type, min_days, paused_until, source, at)
         select id, 'EMAIL',
             case n % 7 when 0 then 14 when 1 then 30 when 2 then 90 end,
             case n % 11 when 0 then date '2026-11-24' when 1 then '2026-12-23' when 2 then '2026-12-24' when 3 then '2026-11-23' end,
             'Página de preferencias', '2026-11-01'
         from contacts cross join lateral (select substring(email from '[0-9]+')::int as n) number
         where n % 7 < 3 or n % 11 < 4",
    )
    .await;
    all
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn those_who_get_it_later_are_those_whom_the_gate_puts_off_and_on_the_same_day(db: PgPool) {
    let app = app(db);
    let all = all_sorts(&app).await;
    let id = seeded(&app).await;
    // A cap that ends on the day on which a wish does.
    execute(
        &app,
        "insert into frequency_caps (communication_type, max_messages, days) values ('EMAIL', 1, 14)",
    )
    .await;
    // A run that goes on at this moment has set some apart.
    execute(
        &app,
        "with waits as (
             insert into communication_logs (origin, contact_id, communication_type, message_type, destination, status,
                                             scheduled_at, next_attempt_at, created_at)
             select 'MANUAL', id, 'EMAIL', 'PROMOCIONAL', email, 'PENDING', at, at, at
             from contacts cross join (select timestamptz '2026-11-23 14:59Z' as at) moment
             where substring(email from '[0-9]+')::int % 17 = 5 returning id, scheduled_at
         )
         insert into communication_reservations select id, 1, scheduled_at from waits",
    )
    .await;
    let foretold = foretold(&app, id).await;
    let campaign = get(&app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let frame =
        Frame::open(&mut db, app.now(), &app.state.config.first_values, Channel::Email).await.unwrap();
    let (mut days, mut left_out): (BTreeMap<NaiveDate, u64>, u64) = (BTreeMap::new(), 0);
    let mut reasons: BTreeMap<DeferReason, u64> = BTreeMap::new();
    let listed =
        later::people(&mut db, question(&campaign.audience, app.now()), later::Which::All, None, 100)
            .await
            .unwrap();
    for contact in &all {
        let asked = why::Question {
            kind: MessageType::Promocional,
            origin: OriginKind::Campaign,
            required: &[],
            hours: None,
        };
        let [answer] = why::ask(&mut db, app.now(), &frame, *contact, [asked]).await.unwrap();
        match (&answer.now, answer.free_at) {
            (Decision::Allow, _) => (),
            (Decision::Block { reason: BlockReason::LessOften, .. }, _) => left_out += 1,
            (Decision::Block { reason, .. }, _) => assert_eq!(*reason, BlockReason::Paused),
            (Decision::Defer { reason, until, .. }, Some(free)) => {
                *days.entry(time::local_date(free)).or_default() += 1;
                // What the gate names first is why, where nothing else holds them longer.
                if *until == free {
                    *reasons.entry(*reason).or_default() += 1;
                    let it = listed.iter().find(|it| it.contact == *contact).unwrap();
                    assert_eq!(it.cause.reason(), *reason, "{it:?}");
                }
            }
            (Decision::Defer { .. }, None) => panic!("never free"),
        }
    }
    assert!(reasons.len() == 3 && left_out > 0, "{reasons:?}, {left_out} left out");
    // Days without hours pass the people on to the next with some.
    let mut opened: BTreeMap<NaiveDate, u64> = BTreeMap::new();
    for (day, people) in foretold.days() {
        let opens = outlook::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
        let opens = opens.hours.next_open(time::start_of_day(day), &opens.calendar).unwrap();
        *opened.entry(time::local_date(opens)).or_default() += people;
    }
    assert_eq!((opened, foretold.left_out), (days, left_out));
    // Each of them is listed.
    assert_eq!(listed.len() as u64, foretold.people() + foretold.left_out);
    assert!(listed.windows(2).all(|two| two[0].contact < two[1].contact));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_day_sends_as_many_as_was_foretold(db: PgPool) {
    let app = app(db);
    all_sorts(&app).await;
    let id = seeded(&app).await;
    execute(&app, "update campaigns set daily_cap = 11, batch_size = 4").await;
    let campaign = get(&app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let preview = audience::preview(&mut db, question(&campaign.audience, app.now())).await.unwrap();
    let later = later::of_audience(&mut db, question(&campaign.audience, app.now())).await.unwrap();
    let outlook = outlook::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
    let forecast = outlook.of_all(&campaign, preview.reachable - later.left_out, &later, app.now()).unwrap();
    drop(db);
    start(&app, id).await.unwrap();
    let mut sent: Vec<(NaiveDate, u64, DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    // Every run of ten minutes between nine and six, for six weeks.
    for day in 0..45_i64 {
        let opens = time::start_of_day(time::local_date(app.now())) + TimeDelta::hours(9);
        for run_number in 0..54 {
            let at = opens + TimeDelta::minutes(10 * run_number);
            if day == 0 && at < app.now() {
                continue;
            }
            app.state.clock.set(at);
            let n = u64::from(run(&app).await.sent);
            if n == 0 {
                // Nothing more leaves today, or it is not yet the hour of anybody: the gate has put the rest off.
                break;
            }
            match sent.last_mut().filter(|it| it.0 == time::local_date(at)) {
                Some(known) => *known = (known.0, known.1 + n, known.2, at),
                None => sent.push((time::local_date(at), n, at, at)),
            }
        }
        app.state.clock.set(time::start_of_day(time::local_date(app.now())) + TimeDelta::hours(33));
    }
    let foretold: Vec<_> = forecast.days.iter().map(|it| (it.date, it.messages, it.from, it.until)).collect();
    assert_eq!(sent, foretold);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_page_tells_the_days_and_leads_to_the_people(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 70).await;
    got(&app, "2026-11-20T15:00:00Z", 0, 10).await;
    execute(&app, "update contacts set email_basis = null where email = 'sur1@x.example'").await;
    let id = seeded(&app).await;
    let path = format!("/campaigns/{id}");
    let page = app.get(&path).await;
    assert!(page.body.contains("hx-select-oob=\"#calendar\""), "{}", page.body);
    assert!(!page.body.contains(&format!("hx-get=\"{path}/calendar\"")), "with the checklist: {}", page.body);
    let checked = app.get(&format!("{path}?checklist=1")).await.text();
    let calendar = app.get(&format!("{path}/calendar")).await;
    let text = calendar.text();
    for told in [
        "Si la lanzas ahora 69 mensajes en 3 días: termina el viernes 27-11-2026 a las 09:00.",
        "lunes 23-11-2026 50 12:00 a 12:10",
        "martes 24-11-2026 12 09:00",
        "viernes 27-11-2026 7 09:00",
        "7 personas lo recibirán más tarde por el tope de 1 por semana",
        "Sin consentimiento ni otra base para promociones 1",
    ] {
        assert!(text.contains(told), "{told}: {text}");
        assert!(checked.contains(told), "{told}: {checked}");
    }
    let later = format!("{path}/audience?reason=later");
    let (_, cause) = calendar.body.split_once(&format!("href=\"{later}&#38;cause=")).expect("by cause");
    let later = format!("{later}&cause={}", cause.split('"').next().unwrap());
    let people = app.get(&later).await.text();
    assert!(people.contains("Solo quienes la recibirán más tarde por el tope de 1 por semana."), "{people}");
    assert!(people.contains("sur10@x.example") && people.contains("sur70@x.example"), "{people}");
    assert!(!people.contains("sur11@x.example"), "{people}");
    assert!(
        people.contains("Más tarde Tope de frecuencia de la persona: libre el viernes 27-11-2026"),
        "{people}"
    );
    // While it runs, what is left of it.
    start(&app, id).await.unwrap();
    run(&app).await;
    assert!(app.get(&path).await.body.contains(&format!("hx-get=\"{path}/calendar\"")));
    let text = app.get(&format!("{path}/calendar")).await.text();
    assert!(text.contains("Lo que falta por salir 39 mensajes en 3 días"), "{text}");
    assert!(
        text.contains("martes 24-11-2026 12 09:00") && text.contains("viernes 27-11-2026 7 09:00"),
        "{text}"
    );
    app.post(&format!("{path}/pause"), &[]).await;
    let rests = app.get(&format!("{path}/calendar")).await.text();
    assert!(rests.contains("Está en pausa. Si se reanuda ahora, 39 mensajes en 3 días"), "{rests}");
    app.post(&format!("{path}/resume"), &[]).await;
    // A second one shares the cap of the days to come, after it; who of the first waits for a day of their own is not counted.
    app.state.clock.advance(TimeDelta::minutes(10));
    run(&app).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let copy = copies::duplicate(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    let text = app.get(&format!("/campaigns/{copy}/calendar")).await.text();
    let shared =
        "Cuenta con 1 otra campaña en curso que comparte el tope del canal, con 12 mensajes en cola.";
    assert!(text.contains(shared), "{text}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_waits_in_the_queue_grows_old_from_when_it_was_asked_for(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 2).await;
    got(&app, "2026-11-20T15:00:00Z", 1, 2).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    assert_eq!(run(&app).await.sent, 1);
    // Asked for on 23 November, it waits until 23 December; a wish that is said meanwhile ends on Christmas.
    app.state.clock.advance(TimeDelta::days(3));
    execute(
        &app,
        "insert into contact_rhythms (contact_id, communication_type, min_days, source, at)
         select id, 'EMAIL', 35, 'Página de preferencias', '2026-11-26' from contacts where email = 'sur1@x.example'",
    )
    .await;
    let text = app.get(&format!("/campaigns/{id}/calendar")).await.text();
    assert!(
        text.contains("No queda ningún mensaje por salir.")
            && text.contains("Les llegaría demasiado tarde 1"),
        "{text}"
    );
    app.state.clock.advance(TimeDelta::days(4));
    assert_eq!(run(&app).await.blocked, 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_may_have_left_today_takes_from_the_cap_of_the_day(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 70).await;
    let id = seeded(&app).await;
    execute(
        &app,
        "insert into communication_logs (origin, contact_id, communication_type, message_type, destination, status,
                                         scheduled_at, next_attempt_at, created_at, claimed_at, drip_run_id)
         select 'MANUAL', id, 'EMAIL', 'PROMOCIONAL', email, 'UNCONFIRMED', at, at, at, at, 1
         from contacts cross join (select timestamptz '2026-11-23 14:00Z' as at) moment
         where substring(email from '[0-9]+')::int < 50",
    )
    .await;
    let text = app.get(&format!("/campaigns/{id}/calendar")).await.text();
    for told in [
        "lunes 23-11-2026 1 12:00",
        "martes 24-11-2026 20 09:00",
        "49 personas lo recibirán más tarde por el tope de 1 por semana",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_number_of_the_calendar_opens_exactly_its_people_before_and_after_the_first_run(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 20).await;
    // The cap of a week holds five; of them one more asked for a pause, as did another, and one asked for few.
    got(&app, "2026-11-20T15:00:00Z", 0, 4).await;
    got(&app, "2026-11-12T15:00:00Z", 7, 20).await;
    execute(
        &app,
        "insert into contact_rhythms (contact_id, communication_type, min_days, paused_until, source, at)
         select id, 'EMAIL', case when email like 'sur7@%' then 20 end,
                case when email like 'sur7@%' then null else date '2026-12-10' end, 'Página de preferencias', '2026-11-12'
         from contacts where email in ('sur1@x.example', 'sur4@x.example', 'sur7@x.example')",
    )
    .await;
    let id = seeded(&app).await;
    let path = format!("/campaigns/{id}");
    let listed = async |told: &str| {
        let calendar = app.get(&format!("{path}/calendar")).await.body;
        let (before, _) = calendar.split_once(told).unwrap_or_else(|| panic!("{told}: {calendar}"));
        let (_, link) = before.rsplit_once("<a href=\"").unwrap();
        let (href, count) = link.split_once("\">").unwrap();
        let page = app.get(&href.replace("&#38;", "&")).await;
        let all =
            (1..=20).map(|n| format!("sur{n}@x.example")).filter(|it| page.body.contains(&format!(">{it}<")));
        let all: Vec<String> = all.collect();
        assert_eq!(count.split('<').next().unwrap(), all.len().to_string(), "{told}: {}", page.text());
        all
    };
    let few = ["sur7@x.example"];
    let paused = ["sur1@x.example", "sur4@x.example"];
    let capped = ["sur8@x.example", "sur12@x.example", "sur16@x.example", "sur20@x.example"];
    let holds = async || {
        assert_eq!(listed(" personas lo recibirán más tarde por la pausa que pidieron").await, paused);
        assert_eq!(listed(" personas lo recibirán más tarde por el tope de 1 por semana").await, capped);
        assert_eq!(listed(" persona lo recibirá más tarde por haber pedido menos mensajes").await, few);
    };
    holds().await;
    start(&app, id).await.unwrap();
    holds().await;
    run(&app).await;
    holds().await;
    // Whom it would reach too late are listed before a run leaves them out, too.
    execute(
        &app,
        "insert into contact_rhythms (contact_id, communication_type, min_days, source, at)
         select id, 'EMAIL', 60, 'Página de preferencias', '2026-11-23 16:00Z' from contacts where email = 'sur7@x.example'",
    )
    .await;
    let calendar = app.get(&format!("{path}/calendar")).await;
    assert!(
        calendar.body.contains(&format!("href=\"{path}/waiting?cause=too-late\">1</a>")),
        "{}",
        calendar.body
    );
    let late = app.get(&format!("{path}/waiting?cause=too-late")).await;
    assert!(
        late.body.contains(">sur7@x.example<") && late.body.matches("@x.example<").count() == 1,
        "{}",
        late.body
    );
    // So are those who asked for a long pause once the campaign was on its way.
    execute(
        &app,
        "insert into contact_rhythms (contact_id, communication_type, paused_until, source, at)
         select id, 'EMAIL', date '2027-03-01', 'Página de preferencias', '2026-11-23 16:00Z' from contacts where email = 'sur1@x.example'",
    )
    .await;
    let calendar = app.get(&format!("{path}/calendar")).await;
    assert!(calendar.body.contains("waiting?cause=too-late\">2</a>"), "{}", calendar.body);
    let late = app.get(&format!("{path}/waiting?cause=too-late")).await;
    assert!(late.body.contains(">sur1@x.example<"), "{}", late.body);
    assert!(late.text().contains(BlockReason::Paused.label()), "{}", late.text());
}
