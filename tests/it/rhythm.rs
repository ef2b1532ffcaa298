//! Less often, and not for a while: what a recipient asks for between a yes and a no, and that it holds.

use crate::{
    campaigns::{app, execute, get, people, seeded, start},
    drip::run,
    support::{Reply, TestApp},
};
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use chrono::{DateTime, TimeDelta, Utc};
use llovizna::{
    access::{Actor, Role},
    campaigns::copies,
    channels::Channel,
    contacts::{merge, rhythm},
    db::MIGRATIONS,
    error::Error,
    ids::{CampaignId, ContactId},
    messaging::links,
};
use sqlx::PgPool;
use uuid::Uuid;

/// One person who got the first campaign's message on the fixed Monday, as another did, and the path of their
/// preferences.
async fn written_to(app: &TestApp) -> (ContactId, CampaignId, String) {
    let person = people(app, "sur", 2).await[0];
    let id = seeded(app).await;
    start(app, id).await.unwrap();
    assert_eq!(run(app).await.sent, 2);
    let token: Uuid = sqlx::query_scalar("select token from communication_logs where contact_id = $1")
        .bind(person.0)
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    (person, id, format!("/preferencias/{}", links::encode(token)))
}

/// As a browser without cookies or script sends it.
async fn post(app: &TestApp, path: &str, fields: &str) -> Reply {
    let anonymous = app.anonymous();
    let request = anonymous
        .request(Method::POST, path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    anonymous.send(request, Body::from(fields.to_owned())).await
}

/// A copy of the campaign, started.
async fn again(app: &TestApp, id: CampaignId) -> CampaignId {
    let mut tx = app.state.db.begin().await.unwrap();
    let copy = copies::duplicate(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    start(app, copy).await.unwrap();
    copy
}

/// State, why and until when of the campaign's message to the first of them.
async fn stands(app: &TestApp, id: CampaignId) -> (String, Option<String>, DateTime<Utc>) {
    sqlx::query_as(
        "select status, coalesce(block_reason, defer_reason), next_attempt_at from communication_logs
         where campaign_id = $1 order by contact_id limit 1",
    )
    .bind(id.0)
    .fetch_one(&app.state.db)
    .await
    .unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_asks_for_one_a_month_gets_the_next_after_a_month(db: PgPool) {
    let app = app(db);
    let (_, first, path) = written_to(&app).await;
    let page = post(&app, &path, "subscribed=on&EMAIL.PROMOCIONAL=on&every=30&pause=").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    assert!(page.cookies().is_empty());
    assert!(page.body.contains("<option value=\"30\" selected>"), "{}", page.body);
    // The cap of one a week would free on the 30th.
    app.state.clock.advance(TimeDelta::days(8));
    let second = again(&app, first).await;
    assert_eq!(run(&app).await.sent, 1, "the other's");
    let waits = ("PENDING".to_owned(), Some("LESS_OFTEN".to_owned()), at("2026-12-23T12:00:00Z"));
    assert_eq!(stands(&app, second).await, waits);
    app.state.clock.set(at("2026-12-23T12:00:00Z"));
    assert_eq!(run(&app).await.sent, 1);
    // Three months are more than a message keeps its sense.
    post(&app, &path, "subscribed=on&EMAIL.PROMOCIONAL=on&every=90&pause=").await;
    app.state.clock.advance(TimeDelta::days(8));
    let third = again(&app, first).await;
    run(&app).await;
    assert_eq!(
        (stands(&app, third).await.0.as_str(), stands(&app, third).await.1.as_deref()),
        ("BLOCKED", Some("LESS_OFTEN"))
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_pause_is_waited_for_and_a_long_one_leaves_out_with_the_reason(db: PgPool) {
    let app = app(db);
    let (person, first, path) = written_to(&app).await;
    app.state.clock.advance(TimeDelta::days(8));
    // Tuesday 1 December: 23 days on it is the 24th.
    let page =
        post(&app, &path, "subscribed=on&EMAIL.PROMOCIONAL=on&every=&pause=date&paused_until=2026-12-24")
            .await;
    assert!(page.text().contains("Sigue hasta el 24-12-2026"), "{}", page.text());
    let second = again(&app, first).await;
    assert_eq!(run(&app).await.sent, 1, "the other's");
    let waits = ("PENDING".to_owned(), Some("PAUSED".to_owned()), at("2026-12-24T12:00:00Z"));
    assert_eq!(stands(&app, second).await, waits);
    let seen = app.get(&format!("/contacts/{person}")).await.text();
    assert!(seen.contains("Pidió una pausa hasta el 24-12-2026"), "{seen}");
    // It is kept as the page shows it, and then made longer.
    post(&app, &path, "subscribed=on&EMAIL.PROMOCIONAL=on&every=&pause=keep").await;
    post(&app, &path, "subscribed=on&EMAIL.PROMOCIONAL=on&every=&pause=60").await;
    let third = again(&app, first).await;
    assert_eq!(
        (stands(&app, third).await.0.as_str(), stands(&app, third).await.1.as_deref()),
        ("BLOCKED", Some("PAUSED"))
    );
    app.state.clock.set(at("2026-12-24T15:00:00Z"));
    assert_eq!(run(&app).await.sent, 1, "the other's of the third campaign");
    let refused = ("BLOCKED", Some("PAUSED"));
    let second = stands(&app, second).await;
    assert_eq!((second.0.as_str(), second.1.as_deref()), refused, "what waited goes by what was asked last");
    // Each word with its message stands in the record, which nobody alters.
    let ledger = app.get(&format!("/contacts/{person}/consents")).await.text();
    assert!(
        ledger.contains("pausa hasta el 24-12-2026") && ledger.contains("pausa hasta el 30-01-2027"),
        "{ledger}"
    );
    assert!(ledger.contains("enlace de este mensaje"), "{ledger}");
    let rewritten =
        sqlx::query("update contact_rhythms set paused_until = null").execute(&app.state.db).await;
    assert!(rewritten.is_err());
    // It ends when she says so.
    post(&app, &path, "subscribed=on&EMAIL.PROMOCIONAL=on&every=&pause=").await;
    let fourth = again(&app, first).await;
    run(&app).await;
    assert_eq!(stands(&app, fourth).await.0, "SENT");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_wrong_date_is_said_at_its_field_and_nothing_is_kept(db: PgPool) {
    let app = app(db);
    let (_, _, path) = written_to(&app).await;
    for date in ["2026-11-23", "2029-01-01", "ayer"] {
        let page = post(&app, &path, &format!("subscribed=on&every=14&pause=date&paused_until={date}")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{date}");
        assert!(page.body.contains("error-paused_until"), "{}", page.body);
        assert!(page.body.contains("<option value=\"14\" selected>"), "{}", page.body);
        // What was unticked stays so: sending the page once more must not say yes.
        assert!(page.body.contains("name=\"subscribed\" value=\"on\" checked"), "{}", page.body);
        assert!(page.body.contains("name=\"EMAIL.PROMOCIONAL\" value=\"on\">"), "{}", page.body);
    }
    let kept: i64 = sqlx::query_scalar(
        "select (select count(*) from contact_rhythms) + (select count(*) from suppressions)",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert_eq!(kept, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_no_is_kept_whatever_is_wrong_with_the_rest_of_the_form(db: PgPool) {
    let app = app(db);
    let (_, _, path) = written_to(&app).await;
    let page = post(&app, &path, "EMAIL.PROMOCIONAL=on&every=14&pause=date&paused_until=ayer").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(!page.body.contains("name=\"subscribed\" value=\"on\" checked"), "{}", page.body);
    let refused: i64 = sqlx::query_scalar("select count(*) from suppressions where reason = 'UNSUBSCRIBED'")
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    assert_eq!(refused, 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_wish_said_after_the_gate_holds_too_whichever_card_of_the_person_says_it(db: PgPool) {
    let app = app(db);
    let (person, first, _) = written_to(&app).await;
    execute(&app, "delete from frequency_caps").await;
    sqlx::query(
        "insert into contacts (first_name, search_key, merged_into, created_at, updated_at)
         values ('Otra', 'otra', $1, '2026-11-20', '2026-11-20')",
    )
    .bind(person.0)
    .execute(&app.state.db)
    .await
    .unwrap();
    let wishes = [("c.merged_into", "paused_until", "'2026-12-01'"), ("c.id", "min_days", "30")];
    for (who, wish, value) in wishes {
        let next = again(&app, first).await;
        let function = format!(
            "create or replace function wishes() returns trigger language plpgsql as $$ begin
                 insert into contact_rhythms (contact_id, communication_type, {wish}, source, at)
                 select c.id, 'EMAIL', {value}, 'Página de preferencias', '2026-11-24' from contacts c
                 where {who} = {person};
                 return new;
             end $$"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(function)).execute(&app.state.db).await.unwrap();
        execute(&app, "create trigger wishes before insert on communication_reservations for each row execute function wishes()").await;
        run(&app).await;
        assert_ne!(stands(&app, next).await.0, "SENT", "{wish}");
        execute(&app, "drop trigger wishes on communication_reservations").await;
        run(&app).await;
        let told = stands(&app, next).await;
        assert_eq!(told.0, "PENDING", "{wish}");
        assert!(told.1.is_some(), "{wish}: {told:?}");
        execute(&app, "alter table contact_rhythms disable trigger user").await;
        execute(&app, "delete from contact_rhythms").await;
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_pause_holds_for_a_message_that_was_already_let_go(db: PgPool) {
    let app = app(db);
    let (person, first, _) = written_to(&app).await;
    execute(&app, "delete from frequency_caps").await;
    let second = again(&app, first).await;
    // Whoever is about to be written to pauses between the gate and the server: as the row is marked, it is asked again.
    execute(
        &app,
        "create function pauses() returns trigger language plpgsql as $$ begin
             insert into contact_rhythms (contact_id, communication_type, paused_until, source, at)
             select contact_id, 'EMAIL', '2026-12-01', 'Página de preferencias', '2026-11-23' from communication_logs
             where id = new.communication_log_id;
             return new;
         end $$",
    )
    .await;
    execute(&app, "create trigger pauses before insert on communication_reservations for each row execute function pauses()").await;
    let report = run(&app).await;
    assert_eq!((report.claimed, report.sent), (2, 0));
    execute(&app, "drop trigger pauses on communication_reservations").await;
    run(&app).await;
    let waits = ("PENDING".to_owned(), Some("PAUSED".to_owned()), at("2026-12-01T12:00:00Z"));
    assert_eq!(stands(&app, second).await, waits);
    assert_eq!(get(&app, second).await.status.code(), "RUNNING");
    let mut db = app.state.db.acquire().await.unwrap();
    assert!(rhythm::of(&mut db, Channel::Email, person).await.unwrap().paused_until.is_some());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn of_two_who_are_joined_the_stricter_wish_holds_and_what_is_said_then_is_of_both(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 2).await;
    let (kept, gone) = (all[0], all[1]);
    let say = async |who: ContactId, wish: rhythm::Rhythm| {
        let mut tx = app.state.db.begin().await.unwrap();
        rhythm::say(&mut tx, app.now(), who, Channel::Email, wish, "Página de preferencias", None)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    let of = async |who: ContactId| {
        rhythm::of(&mut app.state.db.acquire().await.unwrap(), Channel::Email, who).await.unwrap().min_days
    };
    let wish = |days| rhythm::Rhythm { min_days: days, paused_until: None };
    say(gone, wish(Some(30))).await;
    let joined = "update contacts set email = null, merged_into = (select min(id) from contacts) where email = 'sur2@x.example'";
    execute(&app, joined).await;
    assert_eq!(of(kept).await, Some(30));
    let all = merge::all_of(&mut app.state.db.acquire().await.unwrap(), kept).await.unwrap();
    assert_eq!(all, [kept, gone]);
    say(kept, wish(None)).await;
    assert_eq!(of(kept).await, None, "the last word, as one person");
    execute(&app, "update contacts set email = 'sur2@x.example', merged_into = null where email is null")
        .await;
    assert_eq!((of(kept).await, of(gone).await), (None, None), "and it stays said when they part");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_held_on_them_is_shown_half_hidden(db: PgPool) {
    let app = app(db);
    let (_, first, path) = written_to(&app).await;
    execute(
        &app,
        "update contacts set last_name = 'Oyarzún', phone = '+56987654321', notes = 'Le gusta el lago'",
    )
    .await;
    // What waits for them was not sent.
    let waits = again(&app, first).await;
    run(&app).await;
    assert_eq!(stands(&app, waits).await.0, "PENDING");
    let page = app.anonymous().get(&format!("{path}/datos")).await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text();
    for held in [
        "S••• O•••",
        "s•••@x.example",
        "•••321",
        "de nuestro equipo",
        "1 con la prueba",
        "30 días",
        "hola@lluviasur.example",
    ] {
        assert!(text.contains(held), "{held}: {text}");
    }
    for hidden in ["Oyarzún", "sur1@", "987654", "lago"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    assert_eq!(app.anonymous().get("/preferencias/rota/datos").await.status, StatusCode::NOT_FOUND);
}

/// What stands by email, as the form of who edits carries it.
async fn seen(app: &TestApp, person: ContactId) -> String {
    let page = app.get(&format!("/contacts/{person}/consents?pace=EMAIL")).await.body;
    let field = page.split("name=\"seen\" value=\"").nth(1).expect("the form is open");
    field.split('"').next().unwrap().to_owned()
}

/// Staff notes what the person told them of email.
async fn note(app: &TestApp, person: ContactId, fields: &[(&str, &str)]) -> Reply {
    let seen = seen(app, person).await;
    let known = [("communication_type", "EMAIL"), ("seen", seen.as_str())];
    app.post(&format!("/contacts/{person}/rhythms"), &[&known, fields].concat()).await
}

async fn wishes(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from contact_rhythms").fetch_one(&app.state.db).await.unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_staff_was_told_holds_with_its_proof_until_another_word(db: PgPool) {
    let app = app(db);
    let (person, first, _) = written_to(&app).await;
    app.state.clock.advance(TimeDelta::days(8));
    let monthly = [
        ("every", "30"),
        ("pause", ""),
        ("how", "PHONE"),
        ("asked_on", "2026-11-30"),
        ("detail", "A Ana, quiere menos"),
    ];
    let done = note(&app, person, &monthly).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let second = again(&app, first).await;
    assert_eq!(run(&app).await.sent, 1, "the other's");
    let waits = ("PENDING".to_owned(), Some("LESS_OFTEN".to_owned()), at("2026-12-23T12:00:00Z"));
    assert_eq!(stands(&app, second).await, waits);
    let who: String = sqlx::query_scalar(
        "select s.name from contact_rhythms r join staff_users s on s.id = r.staff_user_id
         where r.asked_on = '2026-11-30' and r.communication_log_id is null",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    let shown = app.get(&format!("/contacts/{person}/consents")).await.text();
    let proof = format!("Lo pidió por teléfono: A Ana, quiere menos · el 30-11-2026 · lo anotó {who}");
    assert!(shown.contains("a lo más un mensaje cada 30 días") && shown.contains(&proof), "{shown}");
    let timeline = app.get(&format!("/contacts/{person}?kind=rhythms")).await.text();
    let told = format!("Lo pidió por teléfono: A Ana, quiere menos · lo pidió el 30-11-2026 · {who}");
    assert!(timeline.contains("Promociones por Correo: a lo más un mensaje cada 30 días"), "{timeline}");
    assert!(timeline.contains(&told), "{timeline}");
    let audit = app.get("/audit").await.text();
    assert!(audit.contains("cambió cada cuánto se le escribe al contacto"), "{audit}");
    // The same once more is no other word.
    assert_eq!(note(&app, person, &monthly).await.status, StatusCode::SEE_OTHER);
    assert_eq!(wishes(&app).await, 1);
    let audited = "select count(*) from audit_events where action = 'rhythm.update'";
    assert_eq!(sqlx::query_scalar::<_, i64>(audited).fetch_one(&app.state.db).await.unwrap(), 1);
    let pause = [("every", ""), ("pause", "date"), ("paused_until", "2026-12-24"), ("how", "IN_PERSON")];
    note(&app, person, &pause).await;
    assert!(
        app.get(&format!("/contacts/{person}")).await.text().contains("Pidió una pausa hasta el 24-12-2026")
    );
    note(&app, person, &[("every", ""), ("pause", ""), ("how", "MAIL")]).await;
    let third = again(&app, first).await;
    run(&app).await;
    assert_eq!(stands(&app, third).await.0, "SENT", "undone by another word");
    assert_eq!(wishes(&app).await, 3, "all of them stay in the record");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_staff_notes_wrongly_is_said_at_its_field_and_kept_from_whoever_may_not(db: PgPool) {
    let app = app(db);
    let (person, _, _) = written_to(&app).await;
    let wrong =
        note(&app, person, &[("every", "30"), ("pause", "date"), ("how", ""), ("asked_on", "2026-11-24")])
            .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    for said in ["Elige una fecha", "Elige cómo lo pidió", "La fecha no puede ser futura"] {
        assert!(wrong.text().contains(said), "{said}: {}", wrong.text());
    }
    assert!(wrong.body.contains("<option value=\"30\" selected>"), "{}", wrong.body);
    let offers = app.get(&format!("/contacts/{person}/consents")).await;
    assert!(offers.body.contains("pace=EMAIL#rhythm"), "{}", offers.body);
    let reader = app.as_role(Role::ReadOnly).await;
    let page = reader.get(&format!("/contacts/{person}/consents?pace=EMAIL")).await;
    assert!(!page.body.contains("/rhythms\"") && !page.body.contains("pace=EMAIL#rhythm"), "{}", page.body);
    let told =
        [("communication_type", "EMAIL"), ("seen", "/"), ("every", "30"), ("pause", ""), ("how", "PHONE")];
    let path = format!("/contacts/{person}/rhythms");
    assert_eq!(reader.post(&path, &told).await.status, StatusCode::FORBIDDEN);
    let mut tx = app.state.db.begin().await.unwrap();
    let actor = Actor::asking(&mut *tx, reader.staff.map(|it| it.0), "").await.unwrap();
    let telling = rhythm::Telling { how: "PHONE".to_owned(), ..rhythm::Telling::default() };
    let telling = telling.check(app.now().date_naive()).unwrap();
    let wish = rhythm::Rhythm { min_days: Some(30), paused_until: None };
    let refused = rhythm::note(&mut tx, app.now(), &actor, person, Channel::Email, wish, &telling).await;
    assert!(matches!(refused, Err(Error::Forbidden)), "whichever way leads there: {refused:?}");
    drop(tx);
    let mut forged = app.as_role(Role::Staff).await;
    let own = std::mem::replace(&mut forged.csrf, "guessed".to_owned());
    assert_eq!(forged.post(&path, &told).await.status, StatusCode::FORBIDDEN);
    assert_eq!(wishes(&app).await, 0);
    forged.csrf = own;
    assert_eq!(forged.post(&path, &told).await.status, StatusCode::SEE_OTHER);
    assert_eq!(wishes(&app).await, 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_the_person_said_since_outlasts_what_staff_was_told_before(db: PgPool) {
    let app = app(db);
    let (person, _, path) = written_to(&app).await;
    let before = seen(&app, person).await;
    app.state.clock.advance(TimeDelta::days(2));
    post(&app, &path, "subscribed=on&EMAIL.PROMOCIONAL=on&every=14&pause=").await;
    // The form of before knows nothing of it.
    let told = [("every", "30"), ("pause", ""), ("how", "PHONE")];
    let known = [("communication_type", "EMAIL"), ("seen", before.as_str())];
    let stale = app.post(&format!("/contacts/{person}/rhythms"), &[&known[..], &told].concat()).await;
    assert_eq!(stale.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(stale.text().contains("ahora es: a lo más un mensaje cada 14 días"), "{}", stale.text());
    let late = note(&app, person, &[&told[..], &[("asked_on", "2026-11-24")]].concat()).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(late.text().contains("vale lo último que dijo"), "{}", late.text());
    assert_eq!(wishes(&app).await, 1);
    let on_the_day = note(&app, person, &[&told[..], &[("asked_on", "2026-11-25")]].concat()).await;
    assert_eq!(on_the_day.status, StatusCode::SEE_OTHER);
    let timeline = app.get(&format!("/contacts/{person}?kind=rhythms")).await.text();
    assert!(
        timeline.contains("Página de preferencias") && timeline.contains("Lo pidió por teléfono"),
        "{timeline}"
    );
    // Of two who are joined, one word stands on each card and is one in the story.
    execute(&app, "update contacts set email = null, merged_into = (select min(id) from contacts) where email = 'sur2@x.example'")
        .await;
    note(&app, person, &[("every", "90"), ("pause", ""), ("how", "MAIL")]).await;
    assert_eq!(wishes(&app).await, 4);
    let timeline = app.get(&format!("/contacts/{person}?kind=rhythms")).await.text();
    assert_eq!(
        timeline.matches("Promociones por Correo: a lo más un mensaje cada 90 días").count(),
        1,
        "{timeline}"
    );
}
