//! The pages of segments and lists, as a browser without scripts uses them.

use super::{change, keep, person, spenders};
use crate::support::TestApp;
use axum::http::StatusCode;
use llovizna::{
    access::Role,
    segments::{
        field::{Field, Op},
        rule::{Condition, Group},
        segment,
    },
};
use sqlx::PgPool;

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_segment_is_built_without_scripts_counted_and_saved(db: PgPool) {
    let app = TestApp::new(db.clone());
    person(&db, "Ana", 1, 60_000).await;
    person(&db, "Luis", 1, 10).await;
    assert_eq!(app.get("/segments/new").await.status, StatusCode::OK);
    let form = [
        ("name", "Gastan"),
        ("r.join", "ALL"),
        ("r-0.was", "LIFECYCLE"),
        ("r-0.field", "SPENT"),
        ("do", "add:r"),
    ];
    let built = app.post("/segments/builder", &form).await;
    assert_eq!(built.status, StatusCode::OK);
    assert!(built.body.contains("<html") && built.body.contains("name=\"r-1.field\""));
    let filled = [
        ("name", "Gastan"),
        ("r.join", "ALL"),
        ("r-0.was", "SPENT"),
        ("r-0.field", "SPENT"),
        ("r-0.op", "MORE_THAN"),
        ("r-0.value", "$50.000"),
    ];
    let preview = app.post("/segments/preview", &filled).await.text();
    assert!(preview.contains("1 persona Personas que cumplen: gasto mayor que $50.000."), "{preview}");
    assert!(preview.contains("Ana") && !preview.contains("Luis"), "{preview}");
    let saved = app.post("/segments", &filled).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    let page = app.get(saved.location()).await.text();
    assert!(page.contains("1 persona ahora") && page.contains("Versión 1"), "{page}");
    let count = app.get(&format!("{}/count", saved.location())).await;
    assert_eq!(count.body, "1");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_lacks_is_said_and_what_was_typed_is_kept(db: PgPool) {
    let app = TestApp::new(db);
    let form = [("name", "Gastan"), ("r.join", "ALL"), ("r-0.field", "SPENT"), ("r-0.value", "harto")];
    let reply = app.post("/segments", &form).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = reply.text();
    assert!(text.contains("En «gasto»: escribe un número entero"), "{text}");
    let less = [("name", "Gastan"), ("r.join", "ALL"), ("r-0.field", "SPENT"), ("r-0.value", "-3")];
    let text = app.post("/segments", &less).await.text();
    assert!(text.contains("En «gasto»: escribe un número desde 0"), "{text}");
    assert!(reply.body.contains("value=\"harto\"") && reply.body.contains("value=\"Gastan\""));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn why_somebody_is_not_in_a_segment_is_told_by_condition(db: PgPool) {
    let app = TestApp::new(db.clone());
    let luis = person(&db, "Luis", 1, 10).await;
    let segment = keep(&db, "Gastan", &spenders()).await.unwrap();
    let page = app.get(&format!("/segments/{segment}/contacts/{luis}")).await.text();
    assert!(page.contains("¿Por qué no está Luis?"), "{page}");
    assert!(page.contains("No se cumple: gasto mayor que $50.000 $10"), "{page}");
    let found = app.get(&format!("/segments/{segment}?q=luis")).await;
    assert!(found.body.contains(&format!("/segments/{segment}/contacts/{luis}")));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_removed_segment_comes_back_by_undo(db: PgPool) {
    let app = TestApp::new(db.clone());
    let segment = keep(&db, "Gastan", &spenders()).await.unwrap();
    let gone = app.post(&format!("/segments/{segment}?_method=DELETE"), &[]).await;
    assert_eq!(gone.location(), "/segments");
    let list = app.get("/segments").await;
    assert!(!list.body.contains(&format!("href=\"/segments/{segment}\"")));
    let back = app.post(&format!("/segments/{segment}/restoration"), &[]).await;
    assert_eq!(back.location(), format!("/segments/{segment}"));
    assert!(app.get("/segments").await.body.contains(&format!("href=\"/segments/{segment}\"")));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_grid_shows_people_and_money_and_its_limits_can_be_set(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = person(&db, "Ana", 7, 200_000).await;
    let page = app.get(&format!("/contacts/{ana}")).await;
    assert!(page.text().contains("VIP, gasto alto 7 visitas (6 visitas o más)"), "{}", page.text());
    let (before, _) = page.body.split_once("<strong>VIP, gasto alto</strong>").unwrap();
    let segment = before.rsplit_once("href=\"").unwrap().1.split('"').next().unwrap();
    assert!(
        app.get(segment).await.body.contains(&format!("href=\"/contacts/{ana}\"")),
        "a link to its people"
    );
    let grid = app.get("/segments/value").await.text();
    assert!(grid.contains("1 persona, VIP, gasto alto $200.000"), "{grid}");
    let limits = [
        ("regular_from", "2"),
        ("vip_from", "8"),
        ("medium_from", "$50.000"),
        ("high_above", "150.000"),
        ("inactive_days", "90"),
    ];
    assert_eq!(app.post("/settings/segments", &limits).await.location(), "/segments/value");
    assert!(app.get("/segments/value").await.text().contains("1 persona, Regular, gasto alto"));
    let wrong = [limits[0], ("vip_from", "1"), limits[2], limits[3], limits[4]];
    assert_eq!(app.post("/settings/segments", &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let staff = app.as_role(Role::Staff).await;
    assert_eq!(staff.post("/settings/segments", &limits).await.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_list_is_made_filled_and_emptied(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = person(&db, "Ana", 0, 0).await;
    assert!(app.get("/lists").await.text().contains("Aún no hay listas"));
    let made = app.post("/lists", &[("name", "Feria"), ("note", "Octubre")]).await;
    let path = made.location().to_owned();
    let admin = app.admin().await;
    let both = [("addresses", "ana@x.example\notro@x.example")];
    assert_eq!(admin.post(&format!("{path}/members"), &both).await.location(), path);
    let page = admin.get(&path).await;
    assert!(page.text().contains("Agregamos 1 contacto y 1 dirección suelta."), "{}", page.text());
    assert!(page.body.contains(&format!("/contacts/{ana}")) && page.text().contains("No es contacto"));
    let empty = app.post(&format!("{path}/members"), &[("addresses", " ")]).await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);
    let form = app.get(&format!("/campaigns/new?list={}", path.trim_start_matches("/lists/"))).await;
    assert!(form.body.contains("name=\"list_ids\" value=\"1\" checked"), "chosen from the start");
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post(&format!("{path}/members"), &[]).await.status, StatusCode::FORBIDDEN);
    assert!(!reader.get(&path).await.body.contains("addresses"), "no button that would not work");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_builder_offers_what_lives_and_keeps_what_was_chosen(db: PgPool) {
    let app = TestApp::new(db.clone());
    let old = keep(&db, "Antiguo", &spenders()).await.unwrap();
    keep(&db, "Vigente", &spenders()).await.unwrap();
    let asks = |field: &str, id: i64| {
        vec![
            ("name", "Todos".to_owned()),
            ("r.join", "ALL".to_owned()),
            ("r-0.field", field.to_owned()),
            ("r-0.op", "IS".to_owned()),
            ("r-0.value", id.to_string()),
        ]
    };
    sqlx::raw_sql(
        "update segments set deleted_at = '2026-11-01' where name = 'Antiguo';
         insert into lists (name, created_at, updated_at, deleted_at) values
             ('Feria vieja', '2026-01-01', '2026-01-01', '2026-11-01'), ('Feria nueva', '2026-01-01', '2026-01-01', null);
         insert into staff_users (email, name, role, password_hash, active, created_at, updated_at) values
             ('i@x.example', 'Inés Inactiva', 'STAFF', 'x', false, '2026-01-01', '2026-01-01'),
             ('a@x.example', 'Alba Activa', 'STAFF', 'x', true, '2026-01-01', '2026-01-01')",
    )
    .execute(&db)
    .await
    .unwrap();
    let inactive: i64 =
        sqlx::query_scalar("select id from staff_users where not active").fetch_one(&db).await.unwrap();
    for (field, gone, name, mark, living) in [
        ("SEGMENT", old.0, "Antiguo", "eliminado", "Vigente"),
        ("LIST", 1, "Feria vieja", "eliminada", "Feria nueva"),
        ("OWNER", inactive, "Inés Inactiva", "cuenta inactiva", "Alba Activa"),
    ] {
        let fields = asks(field, gone);
        let form: Vec<(&str, &str)> = fields.iter().map(|it| (it.0, it.1.as_str())).collect();
        let body = app.post("/segments/builder", &form).await.body;
        assert!(body.contains(&format!("name=\"r-0.value\" value=\"{gone}\"")), "{field}: it is kept");
        assert!(body.contains(&format!("{name} ({mark})")), "{field}: it is marked");
        assert!(body.contains(&format!(">{living}</option>")), "{field}: what lives is offered");
        // Beside it, another condition may only be given what lives.
        let beside = [("r-1.field", field), ("r-1.op", "IS")];
        let body = app.post("/segments/builder", &[&form[..], &beside].concat()).await.body;
        let offered = format!("<option value=\"{gone}\">");
        assert!(!body.contains(&offered), "{field}: what is gone is not offered");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_rule_never_loses_the_campaign_that_it_names(db: PgPool) {
    let app = TestApp::new(db.clone());
    sqlx::query(
        "insert into campaigns (name, audience, created_at, updated_at)
         select 'Campaña ' || n, '{}', '2026-01-01', '2026-01-01' from generate_series(1, 600) n",
    )
    .execute(&db)
    .await
    .unwrap();
    let first: i64 =
        sqlx::query_scalar("select id from campaigns where name = 'Campaña 1'").fetch_one(&db).await.unwrap();
    let opened = Condition { campaign: Some(first), ..Condition::new(Field::Message) };
    let segment = keep(&db, "Primera", &Group::all([opened])).await.unwrap();
    for path in ["/segments".to_owned(), format!("/segments/{segment}")] {
        assert!(app.get(&path).await.text().contains("un mensaje de «Campaña 1»"), "{path}");
    }
    let form = app.get(&format!("/segments/{segment}/edit")).await.body;
    assert!(form.contains(&format!("<option value=\"{first}\" selected>Campaña 1</option>")));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_rule_without_conditions_counts_nobody_and_says_what_to_do(db: PgPool) {
    let app = TestApp::new(db.clone());
    person(&db, "Ana", 1, 60_000).await;
    for join in ["ANY", "ALL"] {
        let none = app.post("/segments/preview", &[("r.join", join)]).await.text();
        assert!(none.contains("Aún no hay condiciones: agrega al menos una"), "{none}");
        assert!(!none.contains("persona") && !none.contains("Todas las"), "{none}");
        let lacking = [("r.join", join), ("r-0.field", "SPENT")];
        let text = app.post("/segments/preview", &lacking).await.text();
        assert!(text.contains("Completa una condición") && !text.contains("0 personas"), "{text}");
        assert!(!text.contains("En «"), "nothing was written yet: {text}");
        let typed = [("r.join", join), ("r-0.field", "SPENT"), ("r-0.value", "mucho")];
        let text = app.post("/segments/preview", &typed).await.text();
        assert!(text.contains("En «gasto»"), "{text}");
    }
    let form = [
        ("name", "Vacío"),
        ("r.join", "ALL"),
        ("r-0.field", "EMAIL"),
        ("r-0.op", "KNOWN"),
        ("r-1.join", "ANY"),
    ];
    let preview = app.post("/segments/preview", &form).await.text();
    assert!(
        preview.contains("1 persona") && preview.contains("Hay un grupo vacío, que no se cuenta"),
        "{preview}"
    );
    let saved = app.post("/segments", &form).await;
    assert_eq!(saved.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(saved.text().contains("Hay un grupo vacío: agrégale una condición o quítalo."));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn why_is_answered_for_who_stays_and_within_the_segments_that_are_asked_about(db: PgPool) {
    let app = TestApp::new(db.clone());
    let (ana, luis) = (person(&db, "Ana", 1, 60_000).await, person(&db, "Luis", 1, 10).await);
    let rich = keep(&db, "Gastan", &spenders()).await.unwrap();
    let asks = Group::all([Condition::with(Field::Segment, Op::Is, &[&rich.to_string()])]);
    let outer = keep(&db, "Invitados", &asks).await.unwrap();
    for (who, is) in [(ana, "está"), (luis, "no está")] {
        let page = app.get(&format!("/segments/{outer}/contacts/{who}")).await;
        assert!(page.text().contains(&format!("Gastan: {is}. ¿Por qué?")), "{}", page.text());
        assert!(page.body.contains(&format!("href=\"/segments/{rich}/contacts/{who}\"")));
    }
    sqlx::query("update contacts set merged_into = $1, email = null, phone = null where id = $2")
        .bind(ana.0)
        .bind(luis.0)
        .execute(&db)
        .await
        .unwrap();
    let admin = app.admin().await;
    let led = admin.get(&format!("/segments/{outer}/contacts/{luis}")).await;
    assert_eq!(led.location(), format!("/segments/{outer}/contacts/{ana}"));
    let page = admin.get(led.location()).await.text();
    assert!(page.contains("Esa ficha se unió con esta") && page.contains("¿Por qué está Ana?"), "{page}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_tiles_count_one_after_another_and_lead_on_without_scripts(db: PgPool) {
    let app = TestApp::new(db.clone());
    person(&db, "Ana", 1, 0).await;
    let page = app.get("/segments/value").await.body;
    let tiles: Vec<&str> = page.split("<a class=\"tile\" href=\"").skip(1).collect();
    assert_eq!(tiles.len(), 3);
    for tile in tiles {
        let path = tile.split('"').next().unwrap();
        let asks = format!(
            "hx-get=\"{path}/count\" hx-trigger=\"intersect once\" hx-sync=\"closest .tiles:queue all\""
        );
        assert!(tile.contains(&asks), "{tile}");
        assert_eq!(app.get(path).await.status, StatusCode::OK, "a link that needs no script");
        assert!(app.get(&format!("{path}/count")).await.body.parse::<i64>().is_ok());
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn nobody_overwrites_a_version_that_they_have_not_seen(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = keep(&db, "Gastan", &spenders()).await.unwrap();
    let page = app.get(&format!("/segments/{id}/edit")).await;
    assert!(page.body.contains("name=\"seen\" value=\"1\""), "{}", page.body);
    let form = |seen: &'static str, from: &'static str| {
        [
            ("name", "Gastan"),
            ("seen", seen),
            ("r.join", "ALL"),
            ("r-0.field", "SPENT"),
            ("r-0.op", "MORE_THAN"),
            ("r-0.value", from),
        ]
    };
    let path = format!("/segments/{id}");
    assert_eq!(app.post(&path, &form("1", "70000")).await.status, StatusCode::SEE_OTHER);
    let late = app.post(&path, &form("1", "90000")).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = late.text();
    assert!(text.contains("alguien guardó la versión 2") && late.body.contains("value=\"90000\""), "{text}");
    assert!(late.body.contains("name=\"seen\" value=\"2\""), "saving again is a choice");
    let spent = |rule: &Group| rule.conditions()[0].values[0].clone();
    let now = segment::get(&db, id).await.unwrap();
    assert_eq!((now.version, spent(&now.rule).as_str()), (2, "70000"));
    assert_eq!(app.post(&path, &form("2", "90000")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(segment::get(&db, id).await.unwrap().version, 3);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_older_version_comes_back_as_the_next_one(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = keep(&db, "Gastan", &spenders()).await.unwrap();
    let dear = Group::all([Condition::with(Field::Spent, Op::MoreThan, &["90000"])]);
    change(&db, id, "Gastan mucho", &dear).await.unwrap();
    let path = format!("/segments/{id}");
    let browser = app.admin().await;
    let page = browser.get(&path).await.body;
    assert!(page.contains(&format!("action=\"{path}/versions/1/restoration\"")), "{page}");
    assert!(!page.contains("/versions/2/restoration"), "the present one is there already");
    let back = format!("{path}/versions/1/restoration");
    let late = browser.post(&back, &[("seen", "1")]).await;
    assert!(browser.get(late.location()).await.text().contains("alguien guardó otra versión"));
    let done = browser.post(&back, &[("seen", "2")]).await;
    assert!(browser.get(done.location()).await.text().contains("vuelve a ser la de la versión 1"));
    let it = segment::get(&db, id).await.unwrap();
    assert_eq!((it.version, it.name.as_str(), it.rule), (3, "Gastan mucho", spenders()));
    assert_eq!(segment::versions(&db, id).await.unwrap().len(), 3, "what was, stays told");
    let again = browser.post(&back, &[("seen", "3")]).await;
    assert!(browser.get(again.location()).await.text().contains("ya es la de la versión 1"));
    assert_eq!(
        browser.post(&format!("{path}/versions/9/restoration"), &[("seen", "3")]).await.status,
        StatusCode::NOT_FOUND
    );
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post(&back, &[("seen", "3")]).await.status, StatusCode::FORBIDDEN);
    assert!(!reader.get(&path).await.body.contains("Recuperar esta versión"));
    let audited: String = sqlx::query_scalar("select action from audit_events order by id desc limit 1")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(audited, "segment.return");
}
