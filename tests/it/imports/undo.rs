//! What keeps an import from being taken back, and what is let go when it is.

use super::{Attempt, now, population};
use crate::support::{Browser, TestApp};
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    accounts::cleanup,
    channels::Channel,
    contacts::{bulk::OnDuplicate, preferences},
    error::Error,
    ids::{ContactId, ImportId, StaffId},
    imports::{self, Status, run, undo},
};
use sqlx::PgPool;

const KNOWN: &str = "nombre,correo\nAna,ana@x.example\n";

async fn ask(db: &PgPool, id: i64) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    undo::ask(&mut tx, now(), &Actor::CommandLine, ImportId(id)).await?;
    tx.commit().await?;
    Ok(())
}

/// Why `id` can't be taken back.
async fn refusal(db: &PgPool, id: i64) -> String {
    match ask(db, id).await {
        Err(Error::Refused(sentence)) => sentence,
        other => panic!("not refused: {other:?}"),
    }
}

async fn contact(db: &PgPool) -> ContactId {
    ContactId(sqlx::query_scalar!("select id from contacts").fetch_one(db).await.unwrap())
}

/// Chunks and rows that are kept.
async fn kept(db: &PgPool) -> (i64, i64) {
    let it = sqlx::query!(
        r#"select (select count(*) from import_chunks) as "chunks!", (select count(*) from import_rows)
            + (select coalesce(sum(cardinality(row_numbers)), 0) from import_quiet_rows) as "rows!""#
    )
    .fetch_one(db)
    .await
    .unwrap();
    (it.chunks, it.rows)
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_basis_that_was_used_is_not_taken_back(db: PgPool) {
    Attempt::contacts(KNOWN).applied().run(&db).await;
    let it = Attempt::contacts(KNOWN).with_consent("feria").applied().run(&db).await;
    sqlx::query!(
        "insert into communication_logs (origin, contact_id, communication_type, message_type, destination, scheduled_at,
            next_attempt_at, created_at)
         select 'MANUAL', id, 'EMAIL', 'PROMOCIONAL', email, $1, $1, $1 from contacts",
        now()
    )
    .execute(&db)
    .await
    .unwrap();
    let sentence = refusal(&db, it.import_id).await;
    assert!(sentence.contains("1 contacto ya tiene mensajes"), "{sentence}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_a_person_told_staff_is_not_lost_by_taking_back(db: PgPool) {
    let it = Attempt::contacts(KNOWN).applied().run(&db).await;
    let mut tx = db.begin().await.unwrap();
    let choices = [("PROMOCIONAL", false)];
    preferences::choose(&mut tx, now(), &Actor::CommandLine, contact(&db).await, Channel::Email, &choices)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let sentence = refusal(&db, it.import_id).await;
    assert!(sentence.contains("1 contacto eligió después qué recibir"), "{sentence}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_undo_that_would_collide_is_given_up_and_the_next_import_goes_on(db: PgPool) {
    let companies = "nombre,rut\nÑandú,\n";
    Attempt::companies(companies).applied().run(&db).await;
    let it = Attempt::companies("nombre,rut\nÑandú,76086428-5\n").applied().run(&db).await;
    assert_eq!(it.counts.updated, 1);
    // Somebody makes another of the same name, which now is free.
    sqlx::query!(
        "insert into companies (name, name_key, created_at, updated_at) values ('Ñandú', 'nandu', $1, $1)",
        now()
    )
    .execute(&db)
    .await
    .unwrap();
    ask(&db, it.import_id).await.unwrap();
    let next = uploaded(&db).await;
    run::run_once(&db, now()).await.unwrap();
    let import = imports::get(&db, ImportId(it.import_id)).await.unwrap();
    assert_eq!(import.status, Status::Done);
    assert!(import.failure.unwrap().contains("Se deja todo como está"));
    run::run_once(&db, now()).await.unwrap();
    assert_eq!(imports::get(&db, next).await.unwrap().status, Status::Ready);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_undo_that_was_cut_off_too_often_is_given_up(db: PgPool) {
    let it = Attempt::contacts(KNOWN).applied().run(&db).await;
    ask(&db, it.import_id).await.unwrap();
    sqlx::query!("update imports set attempts = 5 where id = $1", it.import_id).execute(&db).await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    let import = imports::get(&db, ImportId(it.import_id)).await.unwrap();
    assert_eq!((import.status, population(&db).await.0), (Status::Done, 1));
    assert!(import.failure.unwrap().contains("Se deja todo como está"));
}

async fn uploaded(db: &PgPool) -> ImportId {
    Attempt::contacts(KNOWN).uploaded(db).await
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_is_given_up_or_taken_back_keeps_nobodys_data(db: PgPool) {
    let simulated = Attempt::contacts(KNOWN).ready(&db).await;
    assert_eq!(kept(&db).await, (1, 1));
    let mut tx = db.begin().await.unwrap();
    imports::cancel(&mut tx, now(), &Actor::CommandLine, simulated).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(kept(&db).await, (0, 0));
    let it = Attempt::contacts(KNOWN).applied().run(&db).await;
    ask(&db, it.import_id).await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    assert_eq!((kept(&db).await, population(&db).await.0), ((0, 0), 0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_nobody_decided_on_for_a_month_is_let_go(db: PgPool) {
    let ready = Attempt::contacts(KNOWN).ready(&db).await;
    Attempt::contacts("color\nrojo\n").outcome(&db).await.unwrap_err();
    assert_eq!(kept(&db).await, (2, 1));
    cleanup::run_once(&db, now() + TimeDelta::days(29)).await.unwrap();
    assert_eq!(kept(&db).await, (2, 1));
    cleanup::run_once(&db, now() + TimeDelta::days(31)).await.unwrap();
    assert_eq!(kept(&db).await, (0, 0));
    let import = imports::get(&db, ready).await.unwrap();
    assert_eq!(import.status, Status::Cancelled);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_address_that_waited_on_a_list_stays_there_when_its_people_are_taken_back(db: PgPool) {
    sqlx::raw_sql(
        "insert into lists (name, created_at, updated_at) values ('Feria', '2026-01-01', '2026-01-01');
         insert into list_members (list_id, email, added_at) select id, 'ana@sur.example', '2026-01-01' from lists",
    )
    .execute(&db)
    .await
    .unwrap();
    let bare = async || {
        sqlx::query_scalar::<_, bool>(
            "select contact_id is null and email = 'ana@sur.example' from list_members",
        )
        .fetch_all(&db)
        .await
        .unwrap()
    };
    let it = Attempt::contacts("correo,nombre\nana@sur.example,Ana\n").applied().run(&db).await;
    assert_eq!(bare().await, [false], "she is on it now");
    ask(&db, it.import_id).await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    assert_eq!((population(&db).await.0, bare().await), (0, vec![true]));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn people_put_on_a_list_or_given_an_interest_are_not_taken_back(db: PgPool) {
    let it = Attempt::contacts(KNOWN).applied().run(&db).await;
    let id = contact(&db).await.0;
    sqlx::query!("insert into lists (id, name, created_at, updated_at) overriding system value values (1, 'Feria', $1, $1)", now())
        .execute(&db)
        .await
        .unwrap();
    sqlx::query!("insert into list_members (list_id, contact_id, added_at) values (1, $1, $2)", id, now())
        .execute(&db)
        .await
        .unwrap();
    assert!(refusal(&db, it.import_id).await.contains("intereses o listas"));
    sqlx::query!("delete from list_members").execute(&db).await.unwrap();
    sqlx::query!(
        "with kept as (insert into interests (name, key, created_at) values ('Kayak', 'kayak', $2) returning id)
         insert into contact_interests (contact_id, interest_id, at) select $1, id, $2 from kept",
        id,
        now()
    )
    .execute(&db)
    .await
    .unwrap();
    assert!(refusal(&db, it.import_id).await.contains("intereses o listas"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_is_decided_about_an_import_needs_the_permission_in_the_domain_too(db: PgPool) {
    let reader = Actor::Staff { id: StaffId(1), name: "Lee".to_owned(), role: Role::ReadOnly };
    let id = uploaded(&db).await;
    run::run_once(&db, now()).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let confirmed = imports::confirm(&mut tx, now(), &reader, id, 1).await;
    assert!(matches!(confirmed, Err(Error::Forbidden)), "{confirmed:?}");
    let cancelled = imports::cancel(&mut tx, now(), &reader, id).await;
    assert!(matches!(cancelled, Err(Error::Forbidden)), "{cancelled:?}");
    drop(tx);
    let it = Attempt::contacts(KNOWN).applied().run(&db).await;
    let mut tx = db.begin().await.unwrap();
    let undone = undo::ask(&mut tx, now(), &reader, ImportId(it.import_id)).await;
    assert!(matches!(undone, Err(Error::Forbidden)), "{undone:?}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_keeps_it_from_being_taken_back_is_named_with_a_link(db: PgPool) {
    let app = TestApp::new(db.clone());
    let file = "nombre,correo,empresa\nAna,ana@x.example,Norte\nEva,eva@x.example,Sur\nLuz,luz@x.example,\n";
    let it = Attempt::contacts(file).applied().run(&db).await;
    sqlx::query("update contacts set notes = 'x', updated_at = updated_at + interval '1 day' where first_name = 'Ana'")
        .execute(&db)
        .await
        .unwrap();
    sqlx::query(
        "update companies set notes = 'x', updated_at = updated_at + interval '1 day' where name = 'Sur'",
    )
    .execute(&db)
    .await
    .unwrap();
    let admin = app.as_role(Role::Admin).await;
    let page = format!("/imports/{}", it.import_id);
    admin.post(&format!("{page}/undo"), &[]).await;
    let shown = admin.get(&page).await;
    assert!(shown.text().contains("1 contacto cambió después, 1 empresa cambió después"), "{}", shown.text());
    assert!(shown.body.contains(&format!("{page}/obstacles")), "{}", shown.body);
    let told = admin.get(&format!("{page}/obstacles")).await;
    let text = told.text();
    assert!(
        text.contains("1 contacto cambió después") && text.contains("Ana") && text.contains("Sur"),
        "{text}"
    );
    assert!(!text.contains("Luz") && !text.contains("Norte"), "{text}");
    let ana: i64 =
        sqlx::query_scalar("select id from contacts where first_name = 'Ana'").fetch_one(&db).await.unwrap();
    assert!(told.body.contains(&format!("href=\"/contacts/{ana}\"")), "{}", told.body);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_import_is_taken_back_though_the_company_that_was_left_is_deleted(db: PgPool) {
    Attempt::contacts("nombre,correo,empresa\nAna,ana@x.example,Norte\n").applied().run(&db).await;
    let other = "nombre,correo,empresa\nAna,ana@x.example,Sur\n";
    let it = Attempt::contacts(other).on_duplicate(OnDuplicate::Overwrite).applied().run(&db).await;
    assert_eq!(it.counts.updated, 1);
    sqlx::query("delete from companies where name = 'Norte'").execute(&db).await.unwrap();
    ask(&db, it.import_id).await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    let import = imports::get(&db, ImportId(it.import_id)).await.unwrap();
    assert_eq!((import.status, import.failure), (Status::Undone, None));
    assert_eq!(population(&db).await, (1, 0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_keeps_it_from_being_taken_back_is_offered_where_there_is_somebody_and_who_may_look(db: PgPool) {
    let app = TestApp::new(db.clone());
    let it = Attempt::contacts(KNOWN).applied().run(&db).await;
    ask(&db, it.import_id).await.unwrap();
    sqlx::query!("update imports set attempts = 5 where id = $1", it.import_id).execute(&db).await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    let (admin, reader) = (app.as_role(Role::Admin).await, app.as_role(Role::ReadOnly).await);
    let page = format!("/imports/{}", it.import_id);
    let offered = async |browser: &Browser<'_>| browser.get(&page).await.body.contains("Ver quiénes son");
    assert!(!offered(&admin).await, "nobody stands in the way");
    sqlx::query("update contacts set updated_at = updated_at + interval '1 day'").execute(&db).await.unwrap();
    assert!(offered(&admin).await);
    assert!(!offered(&reader).await, "it would be refused to them");
    sqlx::query!("update imports set status = 'UNDONE', failure = null where id = $1", it.import_id)
        .execute(&db)
        .await
        .unwrap();
    admin.post(&format!("{page}/undo"), &[]).await;
    let told = admin.get(&page).await;
    assert!(told.text().contains("Solo se puede deshacer") && !told.body.contains("Ver quiénes son"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_a_person_asked_for_since_is_not_lost_by_taking_back(db: PgPool) {
    let it = Attempt::contacts(KNOWN).applied().run(&db).await;
    let id = contact(&db).await;
    sqlx::query!(
        "insert into contact_rhythms (contact_id, communication_type, min_days, source, at) values ($1, 'EMAIL', 30, 'lo pidió', $2)",
        id.0,
        now()
    )
    .execute(&db)
    .await
    .unwrap();
    let sentence = refusal(&db, it.import_id).await;
    assert!(sentence.contains("1 contacto pidió después recibir menos mensajes"), "{sentence}");
    assert_eq!(population(&db).await.0, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_was_excluded_since_stays(db: PgPool) {
    let it = Attempt::contacts(KNOWN).applied().run(&db).await;
    sqlx::query!(
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         values ('EMAIL', 'ana@x.example', 'ALL', 'MANUAL', $1)",
        now()
    )
    .execute(&db)
    .await
    .unwrap();
    let sentence = refusal(&db, it.import_id).await;
    assert!(sentence.contains("1 contacto quedó después en la lista de exclusión"), "{sentence}");
}
