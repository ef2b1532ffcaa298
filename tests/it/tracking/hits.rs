//! What people and machines do to messages.

use super::{after, asks, count, paths, person, sent, settle, status};
use crate::{
    campaigns::{app, execute, seeded},
    duplicates::join,
    evidence::{behind_its_back, sealed, verified},
    support::TestApp,
};
use axum::{body::Body, http::Method};
use chrono::{DateTime, TimeDelta, Utc};
use llovizna::{
    accounts::keys,
    channels::feedback::{Kind, Report, Source},
    db::MIGRATIONS,
    ids::{ContactId, MessageId},
    messaging::{
        evidence::{seal, verify},
        inbound, tracking,
    },
    segments::{
        field::{Event, Field},
        members,
        rule::{Condition, Group},
    },
};
use sqlx::PgPool;

/// First opening and first click, as the log has them.
async fn moments(app: &TestApp, message: i64) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    sqlx::query_as("select opened_at, clicked_at from communication_logs where id = $1")
        .bind(message)
        .fetch_one(&app.state.db)
        .await
        .unwrap()
}

fn later(app: &TestApp, seconds: i64) {
    app.state.clock.advance(TimeDelta::seconds(seconds));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_person_who_opens_and_follows_moves_the_message_and_themselves(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 2, true).await;
    let (message, links) = (emails[0].message, paths(&app, &emails[0]));
    later(&app, 60);
    let opened = app.now();
    asks(&app, &links[3]).await;
    settle(&app).await;
    assert_eq!(
        (status(&app, message).await.as_str(), moments(&app, message).await),
        ("OPENED", (Some(opened), None))
    );
    later(&app, 60);
    let clicked = app.now();
    asks(&app, &links[1]).await;
    settle(&app).await;
    assert_eq!(status(&app, message).await, "CLICKED");
    assert_eq!(moments(&app, message).await, (Some(opened), Some(clicked)));
    assert_eq!(after(&app, message).await, ["OPENED", "CLICKED https://tienda.example/mapa"]);
    assert_eq!(status(&app, emails[1].message).await, "SENT");

    // Their sums, and the segments that ask for them.
    let contact: i64 =
        count(&app, "select contact_id from communication_logs where status = 'CLICKED'").await;
    let sums: (Option<DateTime<Utc>>, Option<DateTime<Utc>>) =
        sqlx::query_as("select last_opened_at, last_clicked_at from contact_metrics where contact_id = $1")
            .bind(contact)
            .fetch_one(&app.state.db)
            .await
            .unwrap();
    assert_eq!(sums, (Some(opened), Some(clicked)));
    assert_eq!(count(&app, "select count(*) from tracking_hits").await, 0);
    let page = app.get(&format!("/messages/{message}")).await.text();
    assert!(page.contains("La persona lo abrió") && page.contains("https://tienda.example/mapa"), "{page}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn whoever_follows_a_link_without_its_pictures_has_opened_it(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 1, true).await;
    later(&app, 60);
    let at = app.now();
    asks(&app, &paths(&app, &emails[0])[0]).await;
    settle(&app).await;
    assert_eq!(moments(&app, emails[0].message).await, (Some(at), Some(at)));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_head_request_is_nobody(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 1, true).await;
    later(&app, 60);
    for path in paths(&app, &emails[0]) {
        let nobody = person(&app);
        let reply = nobody.send(nobody.request(Method::HEAD, &path), Body::empty()).await;
        assert!(reply.status.is_success() || reply.status.is_redirection());
    }
    settle(&app).await;
    assert_eq!(
        (after(&app, emails[0].message).await, status(&app, emails[0].message).await),
        (vec![], "SENT".to_owned())
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn machines_are_told_of_and_move_nothing(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 4, true).await;
    let links: Vec<Vec<String>> = emails.iter().map(|it| paths(&app, it)).collect();
    // A gateway, as the message arrives.
    later(&app, 2);
    asks(&app, &links[0][0]).await;
    later(&app, 60);
    // Apple, twice; a program that names itself; a browser that loads ahead.
    for _ in 0..2 {
        app.anonymous().header("user-agent", "Mozilla/5.0").get(&links[1][3]).await;
    }
    app.anonymous().header("user-agent", "BarracudaCentral/1.0").get(&links[1][0]).await;
    person(&app).header("sec-purpose", "prefetch").get(&links[2][0]).await;
    // A scanner that calls itself a browser and goes through all links.
    for link in &links[3][..3] {
        later(&app, 1);
        asks(&app, link).await;
    }
    settle(&app).await;
    let told = [
        vec!["MACHINE_CLICKED TOO_SOON"],
        vec!["MACHINE_OPENED APPLE_PRIVACY", "MACHINE_CLICKED ROBOT"],
        vec!["MACHINE_CLICKED PREFETCH"],
        vec!["MACHINE_CLICKED MANY_AT_ONCE"],
    ];
    for (email, told) in emails.iter().zip(told) {
        let mut after = after(&app, email.message).await;
        after.sort_by_key(|it| std::cmp::Reverse(it.clone()));
        assert_eq!(after, told);
        assert_eq!(status(&app, email.message).await, "SENT");
        assert_eq!(moments(&app, email.message).await, (None, None));
    }
    assert_eq!(count(&app, "select count(*) from contact_metrics where last_opened_at is not null").await, 0);
    assert_eq!(count(&app, "select count(*) from link_clicks").await, 0);
    let page = app.get(&format!("/messages/{}", emails[1].message)).await.text();
    assert!(page.contains("Lo abrió una máquina") && page.contains("privacidad de Apple"), "{page}");
    // The person comes after the machine.
    later(&app, 600);
    asks(&app, &links[3][0]).await;
    settle(&app).await;
    assert_eq!(status(&app, emails[3].message).await, "CLICKED");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn however_late_often_and_in_whatever_order_it_ends_the_same(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 2, true).await;
    let left = app.now();
    let (message, links) = (emails[0].message, paths(&app, &emails[0]));
    later(&app, 60);
    let first = app.now();
    for _ in 0..3 {
        asks(&app, &links[0]).await;
        later(&app, 20);
        asks(&app, &links[3]).await;
        settle(&app).await;
    }
    let story = after(&app, message).await;
    assert_eq!(story, ["CLICKED https://tienda.example/oferta?a=1&b=2", "OPENED"], "each is told once");
    // What a provider tells afterwards moves nothing back; what it tells of an answer goes on.
    let told = async |kind, id: &str| {
        let about = [emails[0].message_id.as_str()];
        let report = Report { occurred_at: Some(left), ..Report::new(kind, id).about(about) };
        inbound::record(&mut app.state.db.acquire().await.unwrap(), app.now(), Source::Mailgun, &[report])
            .await
            .unwrap();
        while inbound::run_once(&app.state.db, app.now()).await.unwrap() != inbound::Pass::Idle {}
    };
    told(Kind::Delivered, "a").await;
    assert_eq!(status(&app, message).await, "CLICKED");
    told(Kind::Reply, "b").await;
    assert_eq!(status(&app, message).await, "REPLIED");
    asks(&app, &links[1]).await;
    settle(&app).await;
    assert_eq!(
        (status(&app, message).await.as_str(), moments(&app, message).await),
        ("REPLIED", (Some(first), Some(first)))
    );
    // What is written down late of an earlier moment still makes it the first.
    sqlx::query("insert into tracking_hits (communication_log_id, at, due_at) values ($1, $2, $2)")
        .bind(message)
        .bind(first - TimeDelta::seconds(30))
        .execute(&app.state.db)
        .await
        .unwrap();
    settle(&app).await;
    assert_eq!(moments(&app, message).await.0, Some(first - TimeDelta::seconds(30)));
    // All of it stands the proof.
    let key = keys::evidence(&app.state.config).unwrap();
    while matches!(seal::now(&app.state.db, app.now(), &key).await.unwrap(), seal::Pass::Sealed(_)) {}
    let proof = verify::all(&app.state.db, &key, &verify::Question::default()).await.unwrap();
    assert!(proof.broken.is_none(), "{proof:?}");
    // A message that no event brought where it is does not.
    execute(
        &app,
        "update communication_logs set status = 'OPENED', opened_at = sent_at where status = 'SENT'",
    )
    .await;
    let proof = verify::all(&app.state.db, &key, &verify::Question::default()).await.unwrap();
    assert_eq!(proof.broken.map(|it| it.fault), Some(verify::Fault::StatusChanged));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_in_doubt_is_sent_once_it_is_opened_and_what_is_leaving_waits(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 2, true).await;
    execute(&app, "alter table communication_logs disable trigger communication_logs_guarded").await;
    execute(
        &app,
        "update communication_logs set sent_at = null,
             status = case when id = (select min(id) from communication_logs) then 'UNCONFIRMED' else 'SENDING' end",
    )
    .await;
    execute(&app, "alter table communication_logs enable trigger communication_logs_guarded").await;
    later(&app, 60);
    for email in &emails {
        asks(&app, &paths(&app, email)[3]).await;
    }
    settle(&app).await;
    assert_eq!(status(&app, emails[0].message).await, "OPENED");
    assert_eq!(after(&app, emails[0].message).await, ["OPENED"]);
    assert_eq!(
        (
            status(&app, emails[1].message).await.as_str(),
            count(&app, "select count(*) from tracking_hits").await
        ),
        ("SENDING", 1)
    );
    execute(
        &app,
        "update communication_logs set status = 'SENT', sent_at = claimed_at where status = 'SENDING'",
    )
    .await;
    settle(&app).await;
    assert_eq!(status(&app, emails[1].message).await, "OPENED");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_thousand_pictures_take_no_connection(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 1, true).await;
    let links = paths(&app, &emails[0]);
    later(&app, 60);
    asks(&app, &links[0]).await;
    let mut all = Vec::new();
    while let Some(connection) = app.state.db.try_acquire() {
        all.push(connection);
    }
    while all.len() < usize::try_from(app.state.db.options().get_max_connections()).unwrap() {
        all.push(app.state.db.acquire().await.unwrap());
    }
    for _ in 0..1000 {
        assert!(asks(&app, &links[3]).await.status.is_success());
    }
    assert_eq!(asks(&app, &links[0]).await.location(), "https://tienda.example/oferta?a=1&b=2");
    drop(all);
    assert_eq!(app.state.hits.write_down(&app.state.db).await.unwrap(), 2, "one of each");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_could_not_be_written_is_kept_and_one_that_fails_does_not_hold_up_the_others(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 3, true).await;
    later(&app, 60);
    for email in &emails {
        asks(&app, &paths(&app, email)[3]).await;
    }
    execute(&app, "alter table tracking_hits rename to away").await;
    assert!(tracking::run_once(&app.state.db, app.now(), &app.state.hits).await.is_err());
    execute(&app, "alter table away rename to tracking_hits").await;
    sqlx::raw_sql(
        "create function stumble() returns trigger language plpgsql as $$ begin
             if new.id = (select min(id) from communication_logs) then raise exception 'as it must'; end if; return new; end $$;
         create trigger stumble before update on communication_logs for each row execute function stumble()",
    )
    .execute(&app.state.db)
    .await
    .unwrap();
    settle(&app).await;
    let stands = async |at: usize| status(&app, emails[at].message).await;
    assert_eq!([stands(0).await, stands(1).await, stands(2).await], ["SENT", "OPENED", "OPENED"]);
    execute(&app, "drop trigger stumble on communication_logs").await;
    app.state.clock.advance(TimeDelta::hours(2));
    settle(&app).await;
    assert_eq!(stands(0).await, "OPENED");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_test_leaves_measured_and_counts_for_nobody(db: PgPool) {
    let app = app(db);
    let id = seeded(&app).await;
    super::edit(&app, id, |it| it.tracks = true).await;
    let sent = app.post(&format!("/campaigns/{id}/test"), &[]).await;
    assert_eq!(sent.status, axum::http::StatusCode::SEE_OTHER);
    let email = app.mailbox.sent().pop().unwrap();
    let links = paths(&app, &email);
    assert!(!links.is_empty(), "{}", email.html);
    later(&app, 60);
    for link in &links {
        asks(&app, link).await;
        later(&app, 20);
    }
    settle(&app).await;
    assert_eq!(count(&app, "select count(*) from campaign_figures").await, 0);
    assert_eq!(count(&app, "select count(*) from link_clicks where campaign_id is not null").await, 0);
    assert_eq!(count(&app, "select count(*) from contact_metrics").await, 0);
    assert_eq!(status(&app, email.message).await, if links.len() > 1 { "CLICKED" } else { "OPENED" });
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_was_joined_counts_as_who_stays_and_segments_see_it(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 3, true).await;
    let who: Vec<i64> = sqlx::query_scalar("select contact_id from communication_logs order by id")
        .fetch_all(&app.state.db)
        .await
        .unwrap();
    join(&app.state.db, ContactId(who[0]), ContactId(who[1]), &[]).await.unwrap();
    later(&app, 60);
    asks(&app, &paths(&app, &emails[1])[3]).await;
    settle(&app).await;
    let kept: i64 =
        count(&app, "select contact_id from contact_metrics where last_opened_at is not null").await;
    assert_eq!(kept, who[0]);
    let opened = Condition { event: Some(Event::Opened), ..Condition::new(Field::Message) };
    let mut db = app.state.db.acquire().await.unwrap();
    let found = members::count(&mut db, app.now(), &Group::all([opened])).await.unwrap();
    assert_eq!(found, Some(1));
}

/// One pass of the engine a second, for `seconds`; before each, `asks` says which link of `message` is followed.
async fn seconds(app: &TestApp, message: i64, seconds: i32, asks: impl Fn(i32) -> Option<i32>) {
    for second in 0..seconds {
        if let Some(link) = asks(second) {
            app.state.hits.add(app.now(), MessageId(message), Some(link), None);
        }
        while tracking::run_once(&app.state.db, app.now(), &app.state.hits).await.unwrap() {}
        later(app, 1);
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_machine_that_goes_through_many_links_is_one_to_its_last(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 2, true).await;
    later(&app, 10);
    // A gateway that calls itself a browser: twelve links, one a second.
    let machine = emails[0].message;
    seconds(&app, machine, 40, |second| (second < 12).then_some(second + 1)).await;
    assert_eq!(after(&app, machine).await, ["MACHINE_CLICKED MANY_AT_ONCE"]);
    assert_eq!((status(&app, machine).await.as_str(), moments(&app, machine).await), ("SENT", (None, None)));
    // Somebody who goes back and forth between two of them is heard after about a minute, though they go on.
    let (person, first) = (emails[1].message, app.now());
    seconds(&app, person, 62, |second| (second % 4 == 0).then_some(second / 4 % 2 + 1)).await;
    assert_eq!(moments(&app, person).await, (Some(first), Some(first)));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_heard_of_later_and_happened_earlier_is_told_and_proven(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 1, true).await;
    let message = emails[0].message;
    let hit = async |minutes: i32, link: Option<i32>| {
        sqlx::query(
            "insert into tracking_hits (communication_log_id, link, at, due_at)
             select id, $2, sent_at + make_interval(mins => $1), sent_at from communication_logs",
        )
        .bind(minutes)
        .bind(link)
        .execute(&app.state.db)
        .await
        .unwrap();
    };
    app.state.clock.advance(TimeDelta::hours(2));
    for (minutes, link) in [(60, None), (30, None), (90, None), (40, Some(1)), (20, Some(1)), (50, Some(2))] {
        hit(minutes, link).await;
        settle(&app).await;
    }
    let moments: (i32, i32) = sqlx::query_as(
        "select (extract(epoch from opened_at - sent_at) / 60)::int, (extract(epoch from clicked_at - sent_at) / 60)::int
         from communication_logs",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert_eq!(moments, (20, 20));
    sealed(&app).await;
    assert_eq!(verified(&app).await.broken, None, "{:?}", after(&app, message).await);
    for lie in
        ["opened_at = opened_at - interval '1 minute'", "clicked_at = clicked_at + interval '1 minute'"]
    {
        behind_its_back(&app, format!("update communication_logs set {lie}").leak()).await;
        assert!(verified(&app).await.broken.is_some(), "{lie}");
        let back = if lie.contains('+') { lie.replace('+', "-") } else { lie.replace("at - ", "at + ") };
        behind_its_back(&app, format!("update communication_logs set {back}").leak()).await;
    }
    assert_eq!(verified(&app).await.broken, None);
}
