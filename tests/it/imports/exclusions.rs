//! Lists of people not to be disturbed: nobody on them becomes reachable, whatever is deleted or imported.

use super::Attempt;
use crate::support::TestApp;
use axum::http::StatusCode;
use llovizna::{
    access::Role,
    channels::Channel,
    messaging::{
        gate::{self, Asked},
        kinds::{MessageType, SuppressionReason},
    },
};
use sqlx::PgPool;

const LIST: &str = "Correo;Teléfono\nANA@x.example;\n;9 1111 2222\n;;\nnadie;\n";

async fn held(db: &PgPool, channel: Channel, address: &str, kind: MessageType) -> Option<SuppressionReason> {
    let mut conn = db.acquire().await.unwrap();
    let asked =
        Asked { contact: None, destination: Some(address.to_owned()), kind, is_test: false, asked_for: None };
    gate::facts(&mut conn, channel, &[asked], None).await.unwrap()[0].suppressed
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn whoever_is_on_a_list_stays_unreachable_though_deleted_and_imported_again(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let people = "nombre,correo\nAna,ana@x.example\nEva,eva@x.example\n";
    Attempt::contacts(people).applied().with_consent("feria").run(&db).await;
    let reply =
        browser.upload("/suppressions/lists", &[], ("file", "no molestar.csv", LIST.as_bytes())).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    let shown = browser.get("/suppressions").await.text();
    assert!(shown.contains("1 correo y 1 teléfono") && shown.contains("1 fila"), "{shown}");
    assert!(
        shown.contains("a•••@x.example") && !shown.contains("ana@x.example"),
        "only a hint is kept: {shown}"
    );
    let found = browser.post("/suppressions/search", &[("address", "+56 9 1111 2222")]).await.text();
    assert!(found.contains("+569••••••222"), "the whole address finds it: {found}");

    let no = Some(SuppressionReason::NoMolestar);
    assert_eq!(held(&db, Channel::Email, "ana@x.example", MessageType::Promocional).await, no);
    assert_eq!(held(&db, Channel::Email, "ana@x.example", MessageType::Transactional).await, None);
    assert_eq!(held(&db, Channel::Email, "eva@x.example", MessageType::Promocional).await, None);
    assert_eq!(held(&db, Channel::Sms, "+56911112222", MessageType::Promocional).await, no);
    assert_eq!(held(&db, Channel::Whatsapp, "+56911112222", MessageType::Promocional).await, no);
    let reachable = browser.get("/contacts?contactable=yes").await;
    assert!(!reachable.text().contains("ana@x.example"), "{}", reachable.text());

    sqlx::query!("delete from contacts").execute(&db).await.unwrap();
    Attempt::contacts(people).applied().with_consent("otra feria").run(&db).await;
    let bases =
        sqlx::query!("select email, email_basis from contacts order by email").fetch_all(&db).await.unwrap();
    assert_eq!(bases[0].email_basis, None, "the import makes her no promise of reach");
    assert_eq!(bases[1].email_basis.as_deref(), Some("CONSENT"));
    assert_eq!(held(&db, Channel::Email, "ana@x.example", MessageType::Promocional).await, no);
    let kept = sqlx::query_scalar!("select count(*) from suppressions where destination is not null")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(kept, Some(0), "no address of the list is kept");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_same_list_again_adds_nothing_and_a_wrong_file_is_refused(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    for _ in 0..2 {
        browser.upload("/suppressions/lists", &[], ("file", "lista.csv", LIST.as_bytes())).await;
    }
    let entries = sqlx::query_scalar!("select count(*) from suppressions").fetch_one(&db).await.unwrap();
    assert_eq!(entries, Some(3), "an address, and a telephone on two channels");
    assert!(browser.get("/suppressions").await.text().contains("Todos estaban excluidos de antes"));
    let wrong = browser.upload("/suppressions/lists", &[], ("file", "a.csv", b"color;talla\nrojo;m\n")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("ningún correo ni teléfono"), "{}", wrong.text());
    let reader = app.as_role(Role::ReadOnly).await;
    let refused = reader.upload("/suppressions/lists", &[], ("file", "lista.csv", LIST.as_bytes())).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn every_address_of_every_visible_sheet_is_taken(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let book = super::xlsx(&[
        ("Portada", &[&["Reporte de noviembre"], &["Escribir a dudas@lista.example"]]),
        (
            "Lista",
            &[
                &["RUT", "Correo", "Observación"],
                &["96.806.980-2", "ana@x.example; eva@x.example", "también luis@x.example / 9 1111 2222"],
            ],
        ),
    ]);
    browser.upload("/suppressions/lists", &[], ("file", "lista.xlsx", &book)).await;
    let no = Some(SuppressionReason::NoMolestar);
    for email in ["ana@x.example", "eva@x.example", "luis@x.example"] {
        assert_eq!(held(&db, Channel::Email, email, MessageType::Promocional).await, no, "{email}");
    }
    assert_eq!(held(&db, Channel::Sms, "+56911112222", MessageType::Promocional).await, no);
    assert_eq!(
        held(&db, Channel::Sms, "+56968069802", MessageType::Promocional).await,
        None,
        "a RUT is none"
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_address_is_looked_up_and_never_stands_in_an_address_of_a_page(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::ReadOnly).await;
    sqlx::query!(
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         select 'EMAIL', 'ana' || n || '@x.example', 'ALL', 'HARD_BOUNCE', $1::timestamptz from generate_series(1, 60) n
         union all select 'SMS', '+56987654321', 'ALL', 'MANUAL', $1
         union all select 'EMAIL', 'mariana@x.example', 'ALL', 'MANUAL', $1",
        app.now()
    )
    .execute(&db)
    .await
    .unwrap();
    let look = async |address: &str, before: &str| {
        browser.post("/suppressions/search", &[("address", address), ("before", before)]).await
    };
    let first = look(" ANA", "").await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(first.body.matches("@x.example<").count(), 50, "{}", first.text());
    assert!(!first.body.contains("mariana"), "it begins with what was typed");
    assert!(!first.body.contains("address=") && !first.body.contains("?before="), "{}", first.body);
    let (_, rest) = first.body.split_once("name=\"before\" value=\"").expect("a further page");
    let second = look("ana", rest.split('"').next().unwrap()).await;
    assert_eq!(second.body.matches("@x.example<").count(), 10);
    assert!(look("9 8765 4321", "").await.body.contains("+56987654321"));
    assert!(look("ana_", "").await.text().contains("Nadie con esa dirección"));
    let all = browser.get("/suppressions?address=ana").await;
    assert!(
        !all.body.contains("ana\"") && all.body.contains("mariana"),
        "an address in the URL is not taken"
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn looking_for_an_address_reads_an_index_and_not_the_list(db: PgPool) {
    sqlx::raw_sql(
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         select 'EMAIL', 'p' || n || '@x.example', 'ALL', 'HARD_BOUNCE', '2026-11-23 15:00Z' from generate_series(1, 20000) n;
         insert into suppressions (communication_type, address_hash, hint, scope, reason, created_at)
         select 'EMAIL', sha256(n::text::bytea), 'h', 'PROMOTIONAL', 'NO_MOLESTAR', '2026-11-23 15:00Z'
         from generate_series(1, 20000) n;
         analyze suppressions",
    )
    .execute(&db)
    .await
    .unwrap();
    let mut conn = db.acquire().await.unwrap();
    sqlx::raw_sql("select pg_stat_reset()").execute(&mut *conn).await.unwrap();
    for address in ["p19999@x.example", "nadie@x.example", "9 8765 4321"] {
        llovizna::messaging::suppression::list(&mut conn, Some(address), None, 51).await.unwrap();
    }
    sqlx::raw_sql("select pg_stat_force_next_flush()").execute(&mut *conn).await.unwrap();
    sqlx::raw_sql("select pg_stat_clear_snapshot()").execute(&mut *conn).await.unwrap();
    let read: i64 = sqlx::query_scalar(
        "select coalesce(seq_tup_read + idx_tup_fetch, -1) from pg_stat_user_tables where relname = 'suppressions'",
    )
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    assert!((1..100).contains(&read), "{read} rows were read");
}
