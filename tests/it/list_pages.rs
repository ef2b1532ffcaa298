//! Lists of people and companies as they are looked through: what is typed and holds nothing to look
//! for, filters that are gone, how many there are, and numbers that lead to those they count.

use crate::support::{Browser, TestApp, monday_noon};
use llovizna::{
    access::{Actor, Role},
    contacts::{inactivity, silent},
    segments::{list, list_removals},
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// So many people, each at a company of their own.
async fn people(db: &PgPool, n: i64) {
    sqlx::query(
        "with k as (
             insert into companies (name, name_key, created_at, updated_at)
             select 'Empresa ' || i, 'empresa ' || i, '2026-11-01', '2026-11-01' from generate_series(1, $1) i returning id, name
         )
         insert into contacts (company_id, first_name, email, search_key, created_at, updated_at)
         select id, 'Ana', 'ana' || id || '@x.example', 'ana ana' || id || ' x example', '2026-11-01', '2026-11-01' from k",
    )
    .bind(n)
    .execute(db)
    .await
    .unwrap();
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_holds_nothing_to_look_for_finds_nobody_and_says_so(db: PgPool) {
    people(&db, 3).await;
    let app = TestApp::new(db);
    let browser = app.admin().await;
    for (path, told) in [("/contacts", "0 contactos"), ("/companies", "0 empresas")] {
        for typed in ["%25", "_", "%20-%20"] {
            let text = browser.get(&format!("{path}?q={typed}")).await.text();
            assert!(text.contains(told) && text.contains("Eso no se puede buscar"), "{path} {typed}: {text}");
        }
        let text = browser.get(&format!("{path}?q=%20")).await.text();
        assert!(text.contains(if path == "/contacts" { "3 contactos" } else { "3 empresas" }), "{text}");
    }
    let found = browser.get("/search?q=%25").await.text();
    assert!(found.contains("Nada se llama ni se parece"), "{found}");
    let bulk = browser.get("/bulk-actions/new?scope=all&list=q%3D%2525").await;
    assert_eq!(bulk.location(), "/contacts?q=%25", "nobody, not everybody");
}

/// A list with everybody on it, and a segment that takes everybody.
async fn kept(browser: &Browser<'_>, db: &PgPool, who: &str) -> (String, String) {
    let listed = browser.post("/lists", &[("name", "Feria")]).await.location().to_owned();
    browser.post(&format!("{listed}/members"), &[("addresses", who)]).await;
    let form = [("name", "Todos"), ("r.join", "ALL"), ("r-0.field", "EMAIL"), ("r-0.op", "KNOWN")];
    let made = browser.post("/segments", &form).await;
    assert!(made.status.is_redirection(), "{}", made.text());
    let segment: i64 =
        sqlx::query_scalar("select id from segments where name = 'Todos'").fetch_one(db).await.unwrap();
    (listed, format!("/segments/{segment}"))
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_filter_that_was_deleted_says_so_and_lists_nobody(db: PgPool) {
    people(&db, 2).await;
    let app = TestApp::new(db.clone());
    let browser = app.admin().await;
    let who: Vec<String> = sqlx::query_scalar("select email from contacts").fetch_all(&db).await.unwrap();
    let (list, segment) = kept(&browser, &db, &who.join("\n")).await;
    for (page, filter, told) in [
        (list, "list", "La lista «Feria» se eliminó"),
        (segment, "segment", "El segmento «Todos» se eliminó"),
    ] {
        let id = page.rsplit('/').next().unwrap();
        let address = format!("/contacts?{filter}={id}");
        assert!(browser.get(&address).await.text().contains("2 contactos"), "{address}");
        browser.post(&format!("{page}?_method=DELETE"), &[]).await;
        let shown = browser.get(&address).await;
        let text = shown.text();
        assert!(text.contains(told) && text.contains("0 contactos"), "{text}");
        assert!(shown.body.contains(&format!("href=\"{page}\"")), "{}", shown.body);
        let bulk = browser.get(&format!("/bulk-actions/new?scope=all&list={filter}%3D{id}")).await;
        assert!(bulk.status.is_redirection(), "nobody can be changed by it");
        browser.post(&format!("{page}/restoration"), &[]).await;
        assert!(browser.get(&address).await.text().contains("2 contactos"), "{address}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn beyond_a_thousand_they_are_counted_on_request(db: PgPool) {
    people(&db, 1_234).await;
    let app = TestApp::new(db);
    let browser = app.admin().await;
    for (path, what) in [("/contacts?q=ana", "contactos"), ("/companies", "empresas")] {
        let shown = browser.get(path).await;
        assert!(shown.text().contains(&format!("Más de 1.000 {what}")), "{}", shown.text());
        let mark = "id=\"list-count\"";
        let count = &shown.body[shown.body.find(mark).unwrap()..];
        let link = count.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
        let link = link.replace("&amp;", "&").replace("&#38;", "&");
        let counted = browser.get(&link).await.text();
        assert!(counted.contains(&format!("1.234 {what}")), "{counted}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn whom_a_bulk_action_was_about_can_be_looked_at(db: PgPool) {
    people(&db, 3).await;
    let app = TestApp::new(db.clone());
    let browser = app.admin().await;
    sqlx::query("update contacts set lifecycle = 'CLIENTE' where id = (select min(id) from contacts)")
        .execute(&db)
        .await
        .unwrap();
    let form = [("scope", "all"), ("list", ""), ("action", "LIFECYCLE"), ("lifecycle", "CLIENTE")];
    let page = browser.post("/bulk-actions", &form).await.location().to_owned();
    let id = page.rsplit('/').next().unwrap().to_owned();
    sqlx::query("update bulk_actions set status = 'RUNNING'").execute(&db).await.unwrap();
    let live = browser.get(&format!("{page}/progress")).await;
    assert!(live.text().contains("En curso") && live.body.contains("hx-swap-oob"), "{}", live.body);
    while llovizna::bulk_actions::run::run_once(&db, app.now()).await.unwrap() {}
    let all = browser.get("/bulk-actions").await.body;
    for (link, told) in [("bulk", "3 contactos"), ("changed_by", "2 contactos")] {
        let address = format!("/contacts?{link}={id}");
        assert!(all.contains(&format!("href=\"{address}\"")), "{address}: {all}");
        assert!(browser.get(&address).await.text().contains(told), "{address}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_was_taken_off_a_list_is_put_back(db: PgPool) {
    people(&db, 1).await;
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let page = browser.post("/lists", &[("name", "Feria")]).await.location().to_owned();
    let known: String = sqlx::query_scalar("select email from contacts").fetch_one(&db).await.unwrap();
    browser.post(&format!("{page}/members"), &[("addresses", &format!("{known}\nnadie@x.example"))]).await;
    let members = async || {
        sqlx::query_as::<_, (i64, Option<i64>, Option<String>)>(
            "select id, contact_id, email from list_members order by contact_id nulls last",
        )
        .fetch_all(&db)
        .await
        .unwrap()
    };
    let before = members().await;
    assert_eq!(before.len(), 2);
    for it in &before {
        browser.post(&format!("{page}/members/{}?_method=DELETE", it.0), &[]).await;
        let shown = browser.get(&page).await.body;
        let undo = shown
            .split("action=\"")
            .filter_map(|it| it.split('"').next())
            .find(|it| it.contains("/removals/"));
        let undo = undo.expect("a way back").to_owned();
        assert_eq!(members().await.len(), 1);
        browser.post(&undo, &[]).await;
        let again = members().await;
        assert!(again.iter().any(|now| (now.1, &now.2) == (it.1, &it.2)), "{again:?}");
        let twice = browser.post(&undo, &[]).await;
        assert_eq!(twice.location(), page, "once");
        assert!(browser.get(&page).await.text().contains("ya no se puede devolver"), "and it is told");
    }
    // Who became a contact meanwhile comes back as one; what was taken off long ago is forgotten.
    let bare = members().await.into_iter().find(|it| it.1.is_none()).unwrap();
    let id = llovizna::ids::ListId(page.rsplit('/').next().unwrap().parse().unwrap());
    let mut tx = db.begin().await.unwrap();
    let removal = list_removals::remove(&mut tx, app.now(), &Actor::CommandLine, id, bare.0).await.unwrap();
    sqlx::query("insert into contacts (first_name, email, search_key, created_at, updated_at) values ('N', 'nadie@x.example', 'n', '2026-11-01', '2026-11-01')")
        .execute(&mut *tx)
        .await
        .unwrap();
    list_removals::put_back(&mut tx, app.now(), &Actor::CommandLine, id, removal).await.unwrap();
    assert_eq!(list::get(&mut *tx, id).await.unwrap().members, 2);
    tx.commit().await.unwrap();
    assert!(members().await.iter().all(|it| it.1.is_some()));
    let came_as: Vec<Option<String>> =
        sqlx::query_scalar("select came_as from list_members order by came_as").fetch_all(&db).await.unwrap();
    assert_eq!(came_as, [Some("nadie@x.example".to_owned()), None], "the bare address that it was");
    let came: i64 = sqlx::query_scalar("select id from list_members where came_as is not null")
        .fetch_one(&db)
        .await
        .unwrap();
    let mut tx = db.begin().await.unwrap();
    let removal = list_removals::remove(&mut tx, app.now(), &Actor::CommandLine, id, came).await.unwrap();
    list_removals::put_back(&mut tx, app.now(), &Actor::CommandLine, id, removal).await.unwrap();
    tx.commit().await.unwrap();
    let still: i64 = sqlx::query_scalar("select count(*) from list_members where came_as is not null")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(still, 1);
    sqlx::query("delete from lists").execute(&db).await.unwrap();
    let gone = browser.post(&format!("{page}/removals/{removal}/undo"), &[]).await;
    assert_eq!(gone.location(), "/lists");
    assert!(browser.get("/lists").await.text().contains("ya no se puede devolver"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn numbers_lead_to_what_they_count(db: PgPool) {
    people(&db, 1).await;
    let app = TestApp::new(db.clone());
    let browser = app.admin().await;
    sqlx::raw_sql(
        "insert into pipeline_cards (contact_id, stage_id, value, moved_at)
         select c.id, s.id, 0, '2026-11-01' from contacts c, pipeline_stages s where s.position = 1",
    )
    .execute(&db)
    .await
    .unwrap();
    let stage: i64 =
        sqlx::query_scalar("select id from pipeline_stages where position = 1").fetch_one(&db).await.unwrap();
    let contact: i64 = sqlx::query_scalar("select id from contacts").fetch_one(&db).await.unwrap();
    let automatic: i64 = sqlx::query_scalar("select min(id) from segments where key is not null")
        .fetch_one(&db)
        .await
        .unwrap();
    for (page, link) in [
        ("/pipeline".to_owned(), format!("href=\"/pipeline?stage={stage}\">1 contacto")),
        (format!("/contacts/{contact}"), format!("href=\"/contacts/{contact}?kind=history#timeline\"")),
        ("/segments".to_owned(), format!("hx-get=\"/segments/{automatic}/count\"")),
    ] {
        let shown = browser.get(&page).await;
        assert!(shown.body.contains(&link), "{page} {link}: {}", shown.body);
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_never_gave_a_sign_is_listed_last_whatever_was_tidied(db: PgPool) {
    people(&db, 3).await;
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from contacts order by id").fetch_all(&db).await.unwrap();
    let app = TestApp::new(db.clone());
    let listed = async |app: &TestApp| -> Vec<i64> {
        let page = app.get("/contacts?sort=activity").await;
        let rows = page.body.split("<a href=\"/contacts/").skip(1);
        rows.filter_map(|it| it.split('"').next()?.parse().ok()).collect()
    };
    let silent = async || -> i64 {
        sqlx::query_scalar("select count(*) from silent_blocks").fetch_one(&db).await.unwrap()
    };
    let sign = async |id: i64, at: Option<&str>| {
        sqlx::query(
            "insert into contact_metrics (contact_id, last_activity_at) values ($1, $2::timestamptz)
             on conflict (contact_id) do update set last_activity_at = excluded.last_activity_at",
        )
        .bind(id)
        .bind(at)
        .execute(&db)
        .await
        .unwrap();
    };
    assert_eq!(listed(&app).await, [ids[2], ids[1], ids[0]]);
    sign(ids[0], Some("2026-11-01")).await;
    silent::tidy(&db).await.unwrap();
    assert_eq!((listed(&app).await, silent().await), (vec![ids[0], ids[2], ids[1]], 1));
    sign(ids[1], Some("2026-11-02")).await;
    sign(ids[2], Some("2026-11-03")).await;
    // The daily job takes out what holds nobody silent any more.
    inactivity::run_once(&db, monday_noon(), &CancellationToken::new()).await.unwrap();
    assert_eq!((listed(&app).await, silent().await), (vec![ids[2], ids[1], ids[0]], 0));
    // Who falls silent again, because what they did is gone, is not lost; nor who comes in now.
    sign(ids[2], None).await;
    assert_eq!(listed(&app).await, [ids[1], ids[0], ids[2]]);
    sqlx::query("delete from contact_metrics where contact_id = $1").bind(ids[1]).execute(&db).await.unwrap();
    assert_eq!(listed(&app).await, [ids[0], ids[2], ids[1]]);
    silent::tidy(&db).await.unwrap();
    sqlx::query("insert into contacts (email, search_key, created_at, updated_at) values ('nueva@x.example', 'nueva', now(), now())")
        .execute(&db)
        .await
        .unwrap();
    assert_eq!((listed(&app).await.len(), listed(&app).await[0]), (4, ids[0]));
    // Who was joined into another and parts again.
    sqlx::raw_sql(
        "insert into contact_metrics (contact_id, last_activity_at) select id, '2026-11-04' from contacts
         on conflict (contact_id) do update set last_activity_at = excluded.last_activity_at",
    )
    .execute(&db)
    .await
    .unwrap();
    sqlx::query("delete from contact_metrics where contact_id = $1").bind(ids[2]).execute(&db).await.unwrap();
    sqlx::query("update contacts set merged_into = $2, email = null, phone = null where id = $1")
        .bind(ids[2])
        .bind(ids[0])
        .execute(&db)
        .await
        .unwrap();
    silent::tidy(&db).await.unwrap();
    assert_eq!((listed(&app).await.len(), silent().await), (3, 0));
    sqlx::query("update contacts set merged_into = null, email = 'vuelve@sur.example' where id = $1")
        .bind(ids[2])
        .execute(&db)
        .await
        .unwrap();
    assert_eq!(listed(&app).await.last(), Some(&ids[2]));
}
