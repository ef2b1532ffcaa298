//! What the pages say of people who are here twice.

use crate::{
    duplicates::{join, person, twice},
    support::{TestApp, monday_noon},
};
use llovizna::{access::Role, contacts::duplicates};
use sqlx::PgPool;

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_page_of_who_stays_tells_who_was_joined_and_gives_a_way_back(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    let app = TestApp::new(db.clone());
    let page = app.as_role(Role::Staff).await.get(&format!("/contacts/{kept}")).await.body;
    assert!(page.contains("Ana María Soto Paz"), "{page}");
    assert!(page.contains(&format!("action=\"/merges/{id}/undoing\"")) && page.contains("Separar"), "{page}");
    let read = app.as_role(Role::ReadOnly).await.get(&format!("/contacts/{kept}")).await.body;
    assert!(read.contains("Ana María Soto Paz") && !read.contains("Separar"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_page_asks_whether_it_is_somebody_else(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let path = format!("/contacts/{kept}");
    assert!(!staff.get(&path).await.text().contains("Puede ser la misma persona"));
    duplicates::look(&db, monday_noon()).await.unwrap();
    let page = staff.get(&path).await.body;
    assert!(page.contains("Puede ser la misma persona que"), "{page}");
    assert!(page.contains(&format!("href=\"/duplicates/{kept}/{gone}\"")), "{page}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_joining_leaves_out_is_said(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    sqlx::query(
        "update contacts set notes = 'Nota ' || id, email_basis = case when id = $1 then 'CONSENT' end",
    )
    .bind(gone.0)
    .execute(&db)
    .await
    .unwrap();
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    staff.post(&format!("/duplicates/{kept}/{gone}"), &[]).await;
    let page = staff.get(&format!("/contacts/{kept}")).await.text();
    assert!(!page.contains("Todo lo de la otra"), "{page}");
    assert!(page.contains("anamaria@dos.example") && page.contains("las notas"), "{page}");
    assert!(page.contains("promociones por correo"), "{page}");
    // With nothing left out nothing is said.
    let id: i64 = sqlx::query_scalar("select max(id) from contact_merges").fetch_one(&db).await.unwrap();
    staff.post(&format!("/merges/{id}/undoing"), &[]).await;
    sqlx::query("update contacts set notes = null, email_basis = null, email = case when id = $1 then email end, phone = '+56911112222'")
        .bind(kept.0)
        .execute(&db)
        .await
        .unwrap();
    staff.post(&format!("/duplicates/{kept}/{gone}"), &[]).await;
    let page = staff.get(&format!("/contacts/{kept}")).await.text();
    assert!(page.contains("Todo lo de la otra quedó aquí"), "{page}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_message_to_who_was_joined_says_where_they_went(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let app = TestApp::new(db.clone());
    let message: i64 = sqlx::query_scalar("select id from communication_logs").fetch_one(&db).await.unwrap();
    let path = format!("/messages/{message}");
    assert!(!app.get(&path).await.text().contains("que se unió a"));
    join(&db, kept, gone, &[]).await.unwrap();
    let page = app.get(&path).await;
    let said = "Se pidió para la ficha de Ana María Soto Paz, que se unió a Ana Soto";
    assert!(page.text().contains(said), "{}", page.text());
    assert!(page.body.contains(&format!("href=\"/contacts/{kept}\">Ana Soto</a>")), "{}", page.body);
    let sent: i64 = sqlx::query_scalar(
        "insert into communication_logs (origin, contact_id, dedupe_key, communication_type, message_type, destination, status,
             scheduled_at, next_attempt_at, created_at, sent_at)
         values ('MANUAL', $1, 'x', 'EMAIL', 'OTHER', 'anamaria@dos.example', 'SENT', '2026-11-20', '2026-11-20', '2026-11-20',
             '2026-11-20 15:00Z') returning id",
    )
    .bind(gone.0)
    .fetch_one(&db)
    .await
    .unwrap();
    let page = app.get(&format!("/messages/{sent}")).await.text();
    assert!(page.contains("Se envió a la ficha de Ana María Soto Paz, que se unió a Ana Soto"), "{page}");
    let found = app.get("/messages?to=ana@uno.example").await.body;
    assert!(found.contains(&format!("href=\"{path}\"")), "theirs are those of the joined: {found}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_address_that_joining_left_out_finds_who_stays(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    sqlx::query("update contacts set phone = '+56911112222' where id = $1")
        .bind(kept.0)
        .execute(&db)
        .await
        .unwrap();
    join(&db, kept, gone, &[]).await.unwrap();
    let app = TestApp::new(db.clone());
    for typed in ["AnaMaria@dos.example", "9%208765%204321", "%2B56987654321"] {
        for list in ["/contacts", "/search"] {
            let page = app.get(&format!("{list}?q={typed}")).await.body;
            assert!(page.contains(&format!("href=\"/contacts/{kept}\"")), "{list} {typed}: {page}");
        }
    }
    let other = app.get("/contacts?q=maria@dos.example").await.body;
    assert!(!other.contains(&format!("href=\"/contacts/{kept}\"")), "only the whole address");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_of_who_was_joined_is_told_as_a_no(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    super::agree(&db, kept, monday_noon()).await;
    super::refuse(&db, gone, monday_noon()).await;
    let app = TestApp::new(db.clone());
    let path = format!("/contacts/{kept}/consents");
    let said = "Hay un no a las promociones, suyo o de una ficha unida: solo recibe mensajes de servicio.";
    assert!(!app.get(&path).await.text().contains(said));
    join(&db, kept, gone, &[]).await.unwrap();
    let page = app.get(&path).await.text();
    assert!(page.contains(said), "{page}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_has_the_address_by_now_is_named(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    let other = person(&db, ("Eva", "Paz"), "anamaria@dos.example", "", "").await;
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let back = staff.post(&format!("/merges/{id}/undoing"), &[]).await;
    let page = staff.get(back.location()).await.text();
    let said = format!("anamaria@dos.example, de la otra ficha, ya es de Eva Paz (contacto {other})");
    assert!(page.contains(&said), "{page}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_notes_of_both_are_kept_unless_it_is_said_otherwise(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    sqlx::query("update contacts set notes = 'Nota ' || id").execute(&db).await.unwrap();
    let app = TestApp::new(db.clone());
    let page = app.as_role(Role::Staff).await.get(&format!("/duplicates/{kept}/{gone}")).await.body;
    assert!(page.contains("name=\"notes\" value=\"gone\" checked"), "{page}");
    assert!(page.contains("name=\"email\" value=\"kept\" checked"), "{page}");
}
