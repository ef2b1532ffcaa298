//! The page of a contact: what it shows, what can be done on it, and by whom.

use super::{contact, day, history, staff};
use crate::support::{TestApp, monday_noon};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    channels::Channel,
    contacts::{
        consent, interactions,
        vocabulary::{Basis, HistoryKind, InteractionKind},
    },
    ids::ContactId,
    reports::timeline::{self, Cursor, Kind},
};
use sqlx::PgPool;

async fn log(db: &PgPool, id: ContactId, at: chrono::DateTime<chrono::Utc>, summary: &str) {
    let details =
        interactions::Details { kind: InteractionKind::Call, summary: summary.to_owned(), detail: None, at };
    let mut tx = db.begin().await.unwrap();
    interactions::add(&mut tx, at, &Actor::CommandLine, id, &details).await.unwrap();
    tx.commit().await.unwrap();
}

/// Entries of every kind, many of them at one instant.
async fn full_life(db: &PgPool, id: ContactId) {
    for n in 0..7 {
        log(db, id, monday_noon() - TimeDelta::hours(n % 3), &format!("Llamada {n}")).await;
    }
    history(
        db,
        monday_noon(),
        id,
        &[
            (HistoryKind::Purchase, day("2026-11-23"), 30_000),
            (HistoryKind::Purchase, day("2026-11-23"), 20_000),
            (HistoryKind::Visit, day("2026-11-20"), 0),
        ],
    )
    .await;
    let mut tx = db.begin().await.unwrap();
    let grant = consent::Grant {
        channel: Channel::Email,
        basis: Basis::Consent,
        source: "Feria de Osorno".to_owned(),
        obtained_on: day("2026-11-20"),
    };
    consent::grant(&mut tx, monday_noon(), &Actor::CommandLine, id, &grant).await.unwrap();
    tx.commit().await.unwrap();
    sqlx::query(
        "insert into communication_logs (origin, contact_id, communication_type, message_type, destination, subject,
             scheduled_at, next_attempt_at, created_at)
         select 'MANUAL', $1, 'EMAIL', 'OTHER', 'ana@sur.example', 'Mensaje ' || n, $2, $2, $2
         from generate_series(1, 3) n",
    )
    .bind(id.0)
    .bind(monday_noon())
    .execute(db)
    .await
    .unwrap();
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_timeline_shows_everything_once_whatever_the_size_of_its_pages(db: PgPool) {
    let (id, other) = (contact(&db, "Ana").await, contact(&db, "Eva").await);
    full_life(&db, id).await;
    log(&db, other, monday_noon(), "De otra persona").await;
    let mut db = db.acquire().await.unwrap();
    let (all, next) = timeline::page(&mut db, id, None, None, 100).await.unwrap();
    // 7 calls, 3 of history, 3 messages, one consent, one move to customer.
    assert_eq!((all.len(), next), (15, None));
    assert!(all.windows(2).all(|it| it[0].cursor() > it[1].cursor()), "newest first");
    let keys = |it: &[timeline::Entry]| it.iter().map(|it| (it.kind, it.id)).collect::<Vec<_>>();
    for size in 1..=8 {
        let (mut seen, mut below) = (Vec::new(), None);
        loop {
            let (page, next) = timeline::page(&mut db, id, None, below, size).await.unwrap();
            seen.extend(keys(&page));
            // As an address carries it.
            below = next.map(|it| Cursor::from_code(&it.code()).unwrap());
            if below.is_none() {
                break;
            }
        }
        assert_eq!(seen, keys(&all), "pages of {size}");
    }
    let (messages, _) = timeline::page(&mut db, id, Some(Kind::Message), None, 100).await.unwrap();
    assert_eq!(messages.len(), 3);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_page_counts_and_loads_more_with_and_without_javascript(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    full_life(&db, id).await;
    for n in 0..20 {
        log(&db, id, monday_noon() - TimeDelta::days(30 + n), &format!("Antigua {n:02}")).await;
    }
    let page = app.get(&format!("/contacts/{id}")).await;
    let text = page.text();
    for words in [
        "1 visita",
        "$50.000 total gastado",
        "$25.000 ticket promedio",
        "0 días sin actividad",
        "Llamada 0",
        "1 por semana 0 de 1",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains("Antigua 04") && !text.contains("Antigua 05"), "{text}");
    assert_eq!(page.body.matches("/messages?contact=").count(), 1, "what waits is told");
    let (_, rest) = page.body.split_once("hx-get=\"/contacts/").unwrap();
    let (_, rest) = rest.split_once("timeline?").unwrap();
    let query = rest.split('"').next().unwrap().replace("&#38;", "&");
    let part = app.get(&format!("/contacts/{id}/timeline?{query}")).await;
    assert!(part.text().contains("Antigua 05") && part.text().contains("Antigua 19"), "{}", part.text());
    assert!(!part.body.contains("<html") && !part.body.contains("hx-get"), "the last part asks for no more");
    let plain = app.get(&format!("/contacts/{id}?{query}")).await.text();
    assert!(plain.contains("Antigua 05") && !plain.contains("Antigua 04"), "{plain}");
    let calls = app.get(&format!("/contacts/{id}?kind=history")).await.text();
    assert!(calls.contains("Compra: Masaje") && !calls.contains("Llamada 0"), "{calls}");
    assert_eq!(app.get("/contacts/999999/timeline").await.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_call_is_logged_and_taken_back_from_the_page(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let who = app.as_role(Role::Staff).await;
    let path = format!("/contacts/{id}/interactions");
    let wrong = who.post(&path, &[("kind", "MEETING"), ("summary", ""), ("detail", "Con café")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        wrong.body.contains("Con café") && wrong.body.contains("value=\"MEETING\" checked"),
        "kept as typed"
    );
    let good = who.post(&path, &[("kind", "CALL"), ("summary", "Pidió precios")]).await;
    assert_eq!((good.status, good.location()), (StatusCode::SEE_OTHER, format!("/contacts/{id}").as_str()));
    let page = who.get(&format!("/contacts/{id}")).await;
    assert!(page.text().contains("Pidió precios") && page.text().contains("Quitar"), "{}", page.text());
    let entry: i64 = sqlx::query_scalar("select id from interactions").fetch_one(&db).await.unwrap();
    let other = contact(&db, "Eva").await;
    let foreign = who.post(&format!("/contacts/{other}/interactions/{entry}?_method=DELETE"), &[]).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND, "an entry is taken back on its own contact's page");
    who.post(&format!("{path}/{entry}?_method=DELETE"), &[]).await;
    let left: i64 = sqlx::query_scalar("select count(*) from interactions").fetch_one(&db).await.unwrap();
    assert_eq!(left, 0);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_only_reads_sees_the_page_and_changes_nothing(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let reader = app.as_role(Role::ReadOnly).await;
    let page = reader.get(&format!("/contacts/{id}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.body.contains(&format!("action=\"/contacts/{id}")), "no form that would not work");
    let stage: i64 = sqlx::query_scalar("select min(id) from pipeline_stages").fetch_one(&db).await.unwrap();
    let mut forged = app.as_role(Role::Staff).await;
    forged.csrf = "forged".to_owned();
    for (path, field, value) in [
        (format!("/contacts/{id}/interactions"), "summary", "x".to_owned()),
        (format!("/contacts/{id}/interests"), "interest", "Yoga".to_owned()),
        (format!("/contacts/{id}/lifecycle"), "lifecycle", "CLIENTE".to_owned()),
        (format!("/contacts/{id}/tasks"), "title", "Llamar".to_owned()),
        (format!("/pipeline/cards/{id}/stage"), "stage_id", stage.to_string()),
        ("/tasks".to_owned(), "title", "Llamar".to_owned()),
    ] {
        let form = [(field, value.as_str())];
        assert_eq!(reader.post(&path, &form).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(forged.post(&path, &form).await.status, StatusCode::FORBIDDEN, "{path} without its token");
    }
    let changes: i64 = sqlx::query_scalar(
        "select (select count(*) from interactions) + (select count(*) from tasks) + (select count(*) from contact_interests)
             + (select count(*) from pipeline_cards) + (select count(*) from lifecycle_changes)",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(changes, 0);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn tags_and_state_change_in_place_and_are_audited(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let who = app.as_role(Role::Staff).await;
    who.post(&format!("/contacts/{id}/interests"), &[("interest", "Yoga")]).await;
    who.post(&format!("/contacts/{id}/lifecycle"), &[("lifecycle", "PROSPECTO")]).await;
    let page = who.get(&format!("/contacts/{id}")).await.text();
    assert!(page.contains("Yoga") && page.contains("Pasó de lead a prospecto"), "{page}");
    let tag: i64 = sqlx::query_scalar("select id from interests").fetch_one(&db).await.unwrap();
    who.post(&format!("/contacts/{id}/interests/{tag}?_method=DELETE"), &[]).await;
    let actions: Vec<String> =
        sqlx::query_scalar("select action from audit_events where subject_kind = 'contact' and actor <> 'línea de comandos' order by id")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(actions, ["interest.add", "contact.lifecycle", "interest.remove"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn tasks_are_counted_done_and_undone(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let who = app.as_role(Role::Staff).await;
    let own = who.staff.unwrap().to_string();
    let nameless =
        who.post(&format!("/contacts/{id}/tasks"), &[("title", " "), ("due_on", "2026-12-01")]).await;
    assert_eq!(nameless.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(nameless.body.contains("value=\"2026-12-01\""), "kept as typed");
    for (title, due) in
        [("Llamar a Ana", ""), ("Atrasada de ayer", "2026-11-22"), ("Para mañana", "2026-11-24")]
    {
        let form = [("title", title), ("due_on", due), ("owner_id", &own)];
        assert_eq!(who.post(&format!("/contacts/{id}/tasks"), &form).await.status, StatusCode::SEE_OTHER);
    }
    let eva = staff(&db, "Eva", Role::Staff).await;
    let hers = eva.staff_id().unwrap().to_string();
    who.post("/tasks", &[("title", "Cosa de Eva"), ("owner_id", &hers)]).await;
    let today = who.get("/tasks").await;
    assert!(
        today.body.contains("2<span class=\"visually-hidden\"> para hoy</span>"),
        "counted in the navigation"
    );
    let text = today.text();
    assert!(text.contains("Llamar a Ana") && text.contains("Atrasada, 22-11-2026"), "{text}");
    assert!(!text.contains("Para mañana") && !text.contains("Cosa de Eva"), "{text}");
    let overdue = who.get("/tasks?view=overdue").await.text();
    assert!(overdue.contains("Atrasada de ayer") && !overdue.contains("Llamar a Ana"), "{overdue}");
    let of_eva = who.get(&format!("/tasks?view=all&owner={hers}")).await.text();
    assert!(of_eva.contains("Cosa de Eva") && !of_eva.contains("Llamar a Ana"), "{of_eva}");
    assert!(who.get("/").await.text().contains("Tus tareas de hoy"));
    let task: i64 =
        sqlx::query_scalar("select id from tasks where title = 'Llamar a Ana'").fetch_one(&db).await.unwrap();
    who.post(&format!("/tasks/{task}/done"), &[]).await;
    let page = who.get(&format!("/contacts/{id}")).await.text();
    assert!(page.contains("Tarea hecha: Llamar a Ana"), "{page}");
    assert!(who.get("/tasks?view=done").await.text().contains("Llamar a Ana"));
    who.post(&format!("/tasks/{task}/done?_method=DELETE"), &[]).await;
    assert!(who.get("/tasks").await.text().contains("Llamar a Ana"));
    let seen = llovizna::contacts::tasks::get(&db, llovizna::ids::TaskId(task)).await.unwrap();
    let seen = seen.updated_at.to_rfc3339();
    let edited = [
        ("title", "Llamar a Ana otra vez"),
        ("due_on", "2026-11-30"),
        ("owner_id", hers.as_str()),
        ("seen", seen.as_str()),
    ];
    assert_eq!(who.post(&format!("/tasks/{task}"), &edited).await.status, StatusCode::SEE_OTHER);
    let kept: (String, Option<i64>, Option<i64>) =
        sqlx::query_as("select title, contact_id, owner_id from tasks where id = $1")
            .bind(task)
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(kept, ("Llamar a Ana otra vez".to_owned(), Some(id.0), hers.parse().ok()));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn pages_of_tasks_join_up_both_ways(db: PgPool) {
    use llovizna::{contacts::tasks, db::keyset::Place};
    sqlx::query(
        "insert into tasks (title, due_on, created_at) select 'Tarea ' || n, date '2026-11-20' + n / 3, $1 from generate_series(1, 10) n",
    )
    .bind(monday_noon())
    .execute(&db)
    .await
    .unwrap();
    for done in [false, true] {
        if done {
            sqlx::query("update tasks set done_at = created_at").execute(&db).await.unwrap();
        }
        let filter = tasks::Filter { done, ..tasks::Filter::default() };
        let ids = |page: &llovizna::db::keyset::Page<tasks::Task>| {
            page.rows.iter().map(|it| it.id.0).collect::<Vec<_>>()
        };
        let all = ids(&tasks::list(&db, filter, Place::First, 100).await.unwrap());
        let first = tasks::list(&db, filter, Place::First, 4).await.unwrap();
        let second = tasks::list(&db, filter, Place::After(first.rows[3].edge(filter)), 4).await.unwrap();
        let back = tasks::list(&db, filter, Place::Before(second.rows[0].edge(filter)), 4).await.unwrap();
        assert_eq!([ids(&first), ids(&second)].concat(), all[..8]);
        assert_eq!(ids(&back), ids(&first));
        assert!(!back.has_previous && second.has_next);
        // The last of the page is put off, or opened again, before the next is asked for.
        let change = if done {
            "update tasks set done_at = null where id = $1"
        } else {
            "update tasks set due_on = '2027-01-01' where id = $1"
        };
        sqlx::query(change).bind(ids(&first)[3]).execute(&db).await.unwrap();
        let on = tasks::list(&db, filter, Place::After(first.rows[3].edge(filter)), 4).await.unwrap();
        assert_eq!(ids(&on), ids(&second), "done: {done}");
    }
}
