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
    let asked = Asked { contact: None, destination: Some(address.to_owned()), kind, is_test: false };
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
    let found = browser.get("/suppressions?address=%2B56%209%201111%202222").await.text();
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
