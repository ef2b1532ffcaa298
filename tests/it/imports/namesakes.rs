//! One trade name of several legal entities: nobody is put into one of them by luck.
//! And what an import says of companies that the base knows.

use super::{Attempt, fates, notes, population};
use llovizna::{
    access::Actor,
    contacts::{
        bulk::OnDuplicate,
        contact::{self, Draft},
    },
    ids::{ContactId, ImportId},
    imports::{run, undo},
};
use sqlx::PgPool;

const TWO: &str = "nombre,rut\nHotel Sur,76086428-5\nHotel Sur,12345678-5\n";

async fn company_of(db: &PgPool, email: &str) -> Option<String> {
    sqlx::query_scalar!(
        r#"select concat_ws(' ', k.name, k.rut) as "name!" from contacts c join companies k on k.id = c.company_id
         where c.email = $1"#,
        email
    )
    .fetch_optional(db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_person_of_a_shared_name_gets_no_company_and_a_word_about_it(db: PgPool) {
    Attempt::companies(TWO).applied().run(&db).await;
    let file = "nombre,correo,empresa,rut empresa\nAna,ana@x.example,HOTEL SUR,\nEva,eva@x.example,Hotel Sur,12345678-5\n";
    for _ in 0..2 {
        let it = Attempt::contacts(file).applied().run(&db).await;
        assert_eq!(it.warnings, 1);
        let said = notes(&db, it.import_id).await;
        assert!(said[0].contains("Hay 2 empresas llamadas «HOTEL SUR»"), "{said:?}");
        assert_eq!(company_of(&db, "ana@x.example").await, None);
        assert_eq!(company_of(&db, "eva@x.example").await.as_deref(), Some("Hotel Sur 12345678-5"));
    }
    assert_eq!(population(&db).await, (2, 2));
    // One that has no RUT is told by its name alone.
    Attempt::companies("nombre,rut\nHotel Norte,76086428-5\n")
        .on_duplicate(OnDuplicate::Overwrite)
        .applied()
        .run(&db)
        .await;
    let it = Attempt::contacts(file).applied().run(&db).await;
    assert_eq!((it.counts.updated, it.warnings), (1, 0));
    assert_eq!(company_of(&db, "ana@x.example").await.as_deref(), Some("Hotel Sur 12345678-5"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn namesakes_of_the_file_itself_count_too(db: PgPool) {
    let file = "nombre,correo,empresa,rut empresa\nAna,ana@x.example,Hotel Sur,\nEva,eva@x.example,Hotel Sur,12345678-5\n\
        Rosa,rosa@x.example,Hotel Sur,76086428-5\n";
    for _ in 0..2 {
        Attempt::contacts(file).applied().run(&db).await;
        assert_eq!(company_of(&db, "ana@x.example").await, None);
    }
    assert_eq!(population(&db).await, (3, 2));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_company_row_of_a_shared_name_is_rejected_with_its_reason(db: PgPool) {
    Attempt::companies(TWO).applied().run(&db).await;
    let file = "nombre,rut,rubro\nHotel Sur,,Turismo\nOtra,,Pesca\n";
    let it = Attempt::companies(file).applied().run(&db).await;
    assert_eq!(fates(&it), (2, 1, 0, 0, 0, 1));
    assert!(it.rejections[0].reason.contains("agrega el RUT"), "{it:?}");
    assert_eq!(it.rejections[0].column, "nombre");
    let report = Attempt::companies(file).report(&db).await;
    assert!(report.contains("Hotel Sur;;Turismo;2;nombre;"), "{report}");
    let touched = sqlx::query_scalar!("select count(*) from companies where industry = 'Turismo'");
    assert_eq!(touched.fetch_one(&db).await.unwrap(), Some(0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_contact_of_a_company_without_rut_can_be_edited_beside_a_namesake(db: PgPool) {
    Attempt::contacts("nombre,correo,empresa\nAna,ana@x.example,Hotel Sur\n").applied().run(&db).await;
    sqlx::query!(
        "insert into companies (name, name_key, rut, created_at, updated_at) values ('Hotel Sur', 'hotel sur', '12345678-5', $1, $1)",
        super::now()
    )
    .execute(&db)
    .await
    .unwrap();
    let id = sqlx::query_scalar!("select id from contacts").fetch_one(&db).await.unwrap();
    let it = contact::get(&db, ContactId(id)).await.unwrap();
    let draft = Draft { job_title: "Jefa".to_owned(), ..it.draft() };
    let mut tx = db.begin().await.unwrap();
    contact::update(
        &mut tx,
        super::now(),
        &Actor::CommandLine,
        it.id,
        it.updated_at,
        &draft.check(super::now()).unwrap(),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let after = contact::get(&db, it.id).await.unwrap();
    assert_eq!((after.company_id, after.job_title.as_deref()), (it.company_id, Some("Jefa")));
}

async fn base(db: &PgPool) -> Vec<Option<serde_json::Value>> {
    sqlx::query_scalar!(
        "(select to_jsonb(c) as row from contacts c order by id)
         union all (select to_jsonb(c) from companies c order by id)"
    )
    .fetch_all(db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_a_file_of_people_says_of_known_companies_and_of_their_origin_is_taken_and_undone(db: PgPool) {
    let header = "nombre,correo,empresa,rubro,web,origen\n";
    Attempt::contacts(format!("{header}Ana,ana@x.example,Uno,Pesca,,Google\n")).applied().run(&db).await;
    let before = base(&db).await;
    let next = format!("{header}Ana,ana@x.example,Uno,Turismo,www.uno.cl,Feria\n");
    let said = async || {
        let it = sqlx::query!(
            "select c.source, k.industry, k.website from contacts c join companies k on k.id = c.company_id"
        )
        .fetch_one(&db)
        .await
        .unwrap();
        (it.source, it.industry.unwrap_or_default(), it.website.unwrap_or_default())
    };
    let it = Attempt::contacts(&next).on_duplicate(OnDuplicate::Overwrite).applied().run(&db).await;
    assert_eq!(fates(&it), (1, 0, 1, 0, 0, 0));
    assert_eq!(said().await, ("EVENTO".to_owned(), "Turismo".to_owned(), "https://www.uno.cl".to_owned()));
    let again = Attempt::contacts(&next).on_duplicate(OnDuplicate::Overwrite).applied().run(&db).await;
    assert_eq!(fates(&again), (1, 0, 0, 1, 0, 0));
    let mut tx = db.begin().await.unwrap();
    undo::ask(&mut tx, super::now(), &Actor::CommandLine, ImportId(it.import_id)).await.unwrap();
    tx.commit().await.unwrap();
    run::run_once(&db, super::now()).await.unwrap();
    assert_eq!(base(&db).await, before);
    // A newcomer's row completes what the company lacks.
    let more = format!("{header}Eva,eva@x.example,Uno,Turismo,www.uno.cl,\n");
    Attempt::contacts(more).applied().run(&db).await;
    let website = sqlx::query!("select industry, website from companies").fetch_one(&db).await.unwrap();
    assert_eq!(
        (website.industry.as_deref(), website.website.as_deref()),
        (Some("Pesca"), Some("https://www.uno.cl"))
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_web_site_is_imported_by_the_rule_that_typed_ones_follow(db: PgPool) {
    let it =
        Attempt::companies("nombre,web\nUno,www.uno.cl\nDos,javascript:alert(1)\n").applied().run(&db).await;
    assert_eq!((it.counts.created, it.warnings), (2, 1));
    let sites =
        sqlx::query_scalar!("select website from companies order by id").fetch_all(&db).await.unwrap();
    assert_eq!(sites, [Some("https://www.uno.cl".to_owned()), None]);
}
