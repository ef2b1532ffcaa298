//! Contacts and companies that are deleted: what goes, what stays, and the no that outlives them.

use crate::{
    campaigns::{app, people, seeded, start},
    duplicates::{join, person},
    imports::Attempt,
    support::{TestApp, monday_noon, until_waiting},
    templates::drip,
};
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    channels::Channel,
    contacts::{
        consent, deletion,
        rhythm::{self, Rhythm},
    },
    error::Error,
    ids::{CompanyId, ContactId, ListId, MessageId},
    messaging::{
        departure, links,
        outbox::{self, Verdict},
        suppression,
    },
    segments::list_removals,
};
use sqlx::PgPool;

async fn delete(db: &PgPool, who: ContactId) -> Result<departure::Departure, Error> {
    let mut tx = db.begin().await.unwrap();
    let done = departure::delete(&mut tx, monday_noon(), &Actor::CommandLine, who).await;
    if done.is_ok() {
        tx.commit().await.unwrap();
    }
    done
}

async fn refuse(db: &PgPool, who: ContactId) {
    let mut tx = db.begin().await.unwrap();
    consent::withdraw(&mut tx, monday_noon(), &Actor::CommandLine, who, Channel::Email, "Por teléfono", None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn number(db: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_was_sent_stays_without_the_person_and_what_waits_is_cancelled(db: PgPool) {
    let app = app(db.clone());
    let who = people(&app, "sur", 3).await;
    start(&app, seeded(&app).await).await.unwrap();
    sqlx::query("update communication_logs set status = 'SENDING', drip_run_id = 1 where contact_id = $1")
        .bind(who[0].0)
        .execute(&db)
        .await
        .unwrap();
    assert!(matches!(delete(&db, who[0]).await, Err(Error::Refused(_))), "it is leaving");
    sqlx::query("update communication_logs set status = 'SENT', sent_at = $2 where contact_id = $1")
        .bind(who[0].0)
        .bind(monday_noon())
        .execute(&db)
        .await
        .unwrap();
    let done = delete(&db, who[0]).await.unwrap();
    assert_eq!((done.kept, done.cancelled), (1, 0));
    let done = delete(&db, who[1]).await.unwrap();
    assert_eq!((done.kept, done.cancelled), (1, 1));
    let rest: Vec<(String, Option<i64>, String)> =
        sqlx::query_as("select status, contact_id, destination from communication_logs order by destination")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(
        rest,
        [
            ("SENT".to_owned(), Some(who[0].0), "sur1@x.example".to_owned()),
            ("CANCELLED".to_owned(), Some(who[1].0), "sur2@x.example".to_owned()),
            ("PENDING".to_owned(), Some(who[2].0), "sur3@x.example".to_owned()),
        ]
    );
    assert_eq!(number(&db, "select count(*) from contacts").await, 1);
    let browser = app.admin().await;
    let id = number(&db, "select min(id) from communication_logs").await;
    let shown = browser.get(&format!("/messages/{id}")).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(shown.text().contains("sur1@x.example"), "{}", shown.text());
    let audit = browser.get("/audit").await.text();
    assert!(audit.contains("eliminó el contacto"), "{audit}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_outlives_the_card_and_no_file_brings_the_consent_back(db: PgPool) {
    let ana = person(&db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    let other = person(&db, ("Ana", "Soto"), "anamaria@dos.example", "", "").await;
    join(&db, ana, other, &[]).await.unwrap();
    refuse(&db, ana).await;
    assert_eq!(delete(&db, ana).await.unwrap().excluded, [Channel::Email]);
    assert_eq!(number(&db, "select count(*) from contacts").await, 0, "and whoever was joined");
    assert_eq!(number(&db, "select count(*) from suppressions where destination is not null").await, 0);
    let file = "Nombre,Email,Acepta correo\nAna,ana@uno.example,sí\nAna,anamaria@dos.example,sí\nEva,eva@x.example,sí\n";
    Attempt::contacts(file).with_consent("Feria de Osorno").applied().run(&db).await;
    let agreed: Vec<String> =
        sqlx::query_scalar("select email from contacts where email_basis is not null order by email")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(agreed, ["eva@x.example"]);
    let mut conn = db.acquire().await.unwrap();
    for address in ["ana@uno.example", "anamaria@dos.example"] {
        assert_eq!(suppression::of(&mut conn, Channel::Email, address).await.unwrap().len(), 1, "{address}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_exclusion_outlives_the_card_without_the_address(db: PgPool) {
    let ana = person(&db, ("Ana", ""), "ana@x.example", "987654321", "").await;
    person(&db, ("Eva", ""), "eva@x.example", "", "").await;
    sqlx::query(
        "insert into suppressions (communication_type, destination, scope, reason, created_at, lifted_at) values
             ('EMAIL', 'ana@x.example', 'ALL', 'HARD_BOUNCE', '2026-11-01', null),
             ('EMAIL', 'ana@x.example', 'PROMOTIONAL', 'UNSUBSCRIBED', '2026-11-01', null),
             ('EMAIL', 'ana@x.example', 'PROMOTIONAL', 'MANUAL', '2026-10-01', '2026-10-02'),
             ('SMS', '+56987654321', 'PROMOTIONAL', 'UNSUBSCRIBED', '2026-11-01', null),
             ('EMAIL', 'eva@x.example', 'ALL', 'COMPLAINT', '2026-11-01', null)",
    )
    .execute(&db)
    .await
    .unwrap();
    // Somebody else's list says it of her too.
    sqlx::query(
        "insert into suppressions (communication_type, address_hash, hint, scope, reason, created_at)
         select 'EMAIL', suppression_hash(key, 'ana@x.example'), 'a', 'PROMOTIONAL', 'UNSUBSCRIBED', '2026-09-01' from suppression_key",
    )
    .execute(&db)
    .await
    .unwrap();
    delete(&db, ana).await.unwrap();
    let open: Vec<String> =
        sqlx::query_scalar("select destination from suppressions where destination is not null")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(open, ["eva@x.example"]);
    let hints: Vec<String> =
        sqlx::query_scalar("select distinct hint from suppressions where hint <> 'a' order by 1")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(hints, ["+569••••••321", "a•••@x.example"]);
    let mut conn = db.acquire().await.unwrap();
    let told = |all: Vec<suppression::Suppression>| all.iter().map(|it| it.reason.code()).collect::<Vec<_>>();
    let email = suppression::of(&mut conn, Channel::Email, "ana@x.example").await.unwrap();
    assert_eq!(told(email), ["HARD_BOUNCE", "UNSUBSCRIBED"]);
    let sms = suppression::of(&mut conn, Channel::Sms, "+56987654321").await.unwrap();
    assert_eq!(told(sms), ["UNSUBSCRIBED"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_declined_kind_outlives_the_card_and_a_yes_is_no_exclusion(db: PgPool) {
    let ana = person(&db, ("Ana", ""), "ana@x.example", "987654321", "").await;
    let eva = person(&db, ("Eva", ""), "eva@x.example", "", "").await;
    for (who, kind) in [(ana, "NEWSLETTER"), (eva, "BOOKING_REMINDER")] {
        sqlx::query("insert into contact_preferences values ($1, 'EMAIL', $2, false, '2026-11-01')")
            .bind(who.0)
            .bind(kind)
            .execute(&db)
            .await
            .unwrap();
    }
    assert_eq!(delete(&db, ana).await.unwrap().excluded, [Channel::Email]);
    assert_eq!(delete(&db, eva).await.unwrap().excluded, [], "reminders are no promotions");
    assert_eq!(number(&db, "select count(*) from suppressions").await, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_old_link_of_who_was_deleted_still_counts(db: PgPool) {
    let app = app(db.clone());
    let who = people(&app, "sur", 1).await;
    start(&app, seeded(&app).await).await.unwrap();
    refuse(&db, who[0]).await;
    delete(&db, who[0]).await.unwrap();
    let token: uuid::Uuid =
        sqlx::query_scalar("select token from communication_logs").fetch_one(&db).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let holder = links::holder(&mut tx, token).await.unwrap();
    assert!(holder.unsubscribed, "their no is known though only the hash of the address is kept");
    links::resubscribe(&mut tx, monday_noon(), &holder).await.unwrap();
    assert!(!links::holder(&mut tx, token).await.unwrap().unsubscribed, "by their own hand");
    links::unsubscribe(&mut tx, monday_noon(), &holder).await.unwrap();
    assert!(links::holder(&mut tx, token).await.unwrap().unsubscribed);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_page_says_what_goes_and_only_administrators_delete(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = person(&db, ("Ana", "Soto"), "ana@x.example", "", "").await;
    refuse(&db, ana).await;
    let staff = app.as_role(Role::Staff).await;
    let (card, page) = (format!("/contacts/{ana}"), format!("/contacts/{ana}/deletion"));
    assert!(!staff.get(&card).await.body.contains(&page));
    assert_eq!(staff.get(&page).await.status, StatusCode::FORBIDDEN);
    assert_eq!(staff.post(&format!("{card}?_method=DELETE"), &[]).await.status, StatusCode::FORBIDDEN);
    let admin = app.as_role(Role::Admin).await;
    assert!(admin.get(&card).await.body.contains(&page));
    let text = admin.get(&page).await.text();
    for told in ["Esto no se puede deshacer", "por correo", "1 anotación de su consentimiento"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert_eq!(admin.post(&format!("{card}?_method=DELETE"), &[]).await.location(), "/contacts");
    assert_eq!(admin.get(&card).await.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_works_at_a_deleted_company_stays(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = person(&db, ("Ana", "Soto"), "ana@x.example", "", "Norte").await;
    let eva = person(&db, ("Eva", "Paz"), "eva@x.example", "", "Sur").await;
    let of = async |who: ContactId| {
        sqlx::query_scalar::<_, Option<i64>>("select company_id from contacts where id = $1")
            .bind(who.0)
            .fetch_one(&db)
            .await
            .unwrap()
    };
    let (north, south) = (of(ana).await.unwrap(), of(eva).await.unwrap());
    let admin = app.as_role(Role::Admin).await;
    let page = format!("/companies/{north}");
    assert!(admin.get(&format!("{page}/deletion")).await.text().contains("Trabaja ahí 1 contacto"));
    for wrong in ["", "Norte", "Surr"] {
        let refused =
            admin.post(&format!("{page}?_method=DELETE"), &[("people", "move"), ("company", wrong)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    assert_eq!(number(&db, "select count(*) from companies").await, 2, "a slip of the pen makes no company");
    let gone = admin.post(&format!("{page}?_method=DELETE"), &[("people", "move"), ("company", "sur")]).await;
    let told = admin.get(gone.location()).await.text();
    assert!(told.contains("1 contacto pasó a «Sur»"), "{told}");
    assert_eq!(of(ana).await, Some(south));
    admin.post(&format!("/companies/{south}?_method=DELETE"), &[("people", "keep")]).await;
    assert_eq!((of(ana).await, of(eva).await), (None, None));
    assert_eq!(number(&db, "select count(*) from companies").await, 0);
    let mut tx = db.begin().await.unwrap();
    let staff = crate::people::staff(&db, "Iris", Role::Staff).await;
    let done = deletion::remove_company(&mut tx, monday_noon(), &staff, CompanyId(1), None).await;
    assert!(matches!(done, Err(Error::Forbidden)));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_asked_for_fewer_messages_can_be_deleted_with_that_wish(db: PgPool) {
    let ana = person(&db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    let mut tx = db.begin().await.unwrap();
    let wish = Rhythm { min_days: Some(30), paused_until: None };
    rhythm::say(&mut tx, monday_noon(), ana, Channel::Email, wish, "Página de preferencias", None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let altered = sqlx::query("delete from contact_rhythms").execute(&db).await;
    assert!(altered.is_err(), "while the person is there, what they asked for is kept");
    delete(&db, ana).await.unwrap();
    assert_eq!(number(&db, "select count(*) from contact_rhythms").await, 0);
}

/// A person with a message that waits.
async fn waited_for(db: &PgPool) -> (TestApp, ContactId) {
    let app = app(db.clone());
    let who = people(&app, "sur", 1).await;
    start(&app, seeded(&app).await).await.unwrap();
    (app, who[0])
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_run_and_a_deletion_take_a_message_before_its_person(db: PgPool) {
    let (_app, who) = waited_for(&db).await;
    let mut run = db.begin().await.unwrap();
    sqlx::query("select id from communication_logs for update").execute(&mut *run).await.unwrap();
    let deletion = tokio::spawn({
        let db = db.clone();
        async move { delete(&db, who).await }
    });
    until_waiting(&db, 1).await;
    sqlx::query("select id from contacts where id = $1 for no key update")
        .bind(who.0)
        .execute(&mut *run)
        .await
        .expect("the run goes on");
    run.commit().await.unwrap();
    assert_eq!(deletion.await.unwrap().unwrap().cancelled, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_message_that_begins_to_leave_beside_a_deletion_stops_it(db: PgPool) {
    let (_app, who) = waited_for(&db).await;
    let mut run = db.begin().await.unwrap();
    sqlx::query("update communication_logs set status = 'SENDING', drip_run_id = 1")
        .execute(&mut *run)
        .await
        .unwrap();
    let deletion = tokio::spawn({
        let db = db.clone();
        async move { delete(&db, who).await }
    });
    until_waiting(&db, 1).await;
    run.commit().await.unwrap();
    assert!(matches!(deletion.await.unwrap(), Err(Error::Refused(_))));
    assert_eq!(number(&db, "select count(*) from contacts").await, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_message_that_may_have_left_stays_in_doubt_and_never_leaves_again(db: PgPool) {
    let (app, who) = waited_for(&db).await;
    for status in ["SENDING", "UNCONFIRMED"] {
        sqlx::query("update communication_logs set status = $1, drip_run_id = 1")
            .bind(status)
            .execute(&db)
            .await
            .unwrap();
    }
    let page = app.admin().await.get(&format!("/contacts/{who}/deletion")).await.text();
    assert!(page.contains("no se sabe si salió") && !page.contains("se cancela"), "{page}");
    assert_eq!(delete(&db, who).await.unwrap().cancelled, 0);
    let (id, status): (i64, String) =
        sqlx::query_as("select id, status from communication_logs").fetch_one(&db).await.unwrap();
    assert_eq!(status, "UNCONFIRMED", "news of it still finds it");
    let mut tx = db.begin().await.unwrap();
    outbox::settle(&mut tx, monday_noon(), &Actor::CommandLine, MessageId(id), Verdict::Again).await.unwrap();
    tx.commit().await.unwrap();
    drip(&app).await;
    let ended: (String, Option<String>) =
        sqlx::query_as("select status, block_reason from communication_logs").fetch_one(&db).await.unwrap();
    assert_eq!(ended, ("BLOCKED".to_owned(), Some("NO_ADDRESS".to_owned())));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_is_deleted_comes_back_to_no_list(db: PgPool) {
    let app = TestApp::new(db.clone());
    let admin = app.admin().await;
    for name in ["Feria", "Expo"] {
        let list = admin.post("/lists", &[("name", name)]).await.location().to_owned();
        admin.post(&format!("{list}/members"), &[("addresses", "ana@x.example eva@x.example")]).await;
    }
    let taken_off = number(&db, "select max(id) from list_members where email = 'ana@x.example'").await;
    let list = ListId(number(&db, "select max(id) from lists").await);
    let mut tx = db.begin().await.unwrap();
    list_removals::remove(&mut tx, monday_noon(), &Actor::CommandLine, list, taken_off).await.unwrap();
    tx.commit().await.unwrap();
    let ana = person(&db, ("Ana", "Soto"), "ana@x.example", "", "").await;
    assert_eq!(number(&db, "select count(*) from list_members where contact_id is not null").await, 1);
    delete(&db, ana).await.unwrap();
    assert_eq!(number(&db, "select count(*) from list_members").await, 2, "the other one, twice");
    assert_eq!(number(&db, "select count(*) from list_members where email = 'ana@x.example'").await, 0);
    assert_eq!(number(&db, "select count(*) from list_removals").await, 0);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_pause_that_lasts_outlives_the_card_as_a_no(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = person(&db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    let eva = person(&db, ("Eva", "Paz"), "eva@dos.example", "", "").await;
    for (who, until) in [(ana, "2026-11-24"), (eva, "2026-11-23")] {
        sqlx::query(
            "insert into contact_rhythms (contact_id, communication_type, paused_until, source, at)
             values ($1, 'EMAIL', $2::text::date, 'Página de preferencias', '2026-11-01')",
        )
        .bind(who.0)
        .bind(until)
        .execute(&db)
        .await
        .unwrap();
    }
    let page = app.admin().await.get(&format!("/contacts/{ana}/deletion")).await.text();
    assert!(page.contains("Su pausa") && page.contains("por correo"), "{page}");
    assert_eq!(delete(&db, ana).await.unwrap().excluded, [Channel::Email]);
    assert_eq!(delete(&db, eva).await.unwrap().excluded, [], "it is over");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_imports_kept_of_the_card_goes_and_the_page_names_what_stays(db: PgPool) {
    let (app, who) = waited_for(&db).await;
    let file = "Nombre,Email,Cargo\nAna,sur1@x.example,Gerente\n";
    Attempt::contacts(file).applied().run(&db).await;
    assert_eq!(number(&db, "select count(*) from import_changes").await, 1);
    sqlx::query(
        "insert into inbound_events (source, external_id, communication_type, kind, occurred_at, received_at, message_ids,
             body, raw, status, communication_log_id, matched_by, next_attempt_at, applied_at)
         select 'MAILBOX', 'a', 'EMAIL', 'REPLY', $1, $1, '{}', 'Gracias', 'Gracias', 'APPLIED', id, 'MESSAGE_ID', $1, $1
         from communication_logs",
    )
    .bind(monday_noon())
    .execute(&db)
    .await
    .unwrap();
    let page = app.admin().await.get(&format!("/contacts/{who}/deletion")).await.text();
    for told in ["1 respuesta suya", "lo que el equipo cambió en su ficha"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    delete(&db, who).await.unwrap();
    assert_eq!(number(&db, "select count(*) from import_changes").await, 0);
}
