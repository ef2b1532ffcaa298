//! What a file says of the relationship with its people: interests, stage, who looks after them.

use super::{Attempt, fates, notes, now};
use crate::support::TestApp;
use llovizna::{
    access::{Actor, Role},
    contacts::{bulk::OnDuplicate, interests::catalogue},
    ids::{ImportId, InterestId},
    imports::{self, Status, undo},
};
use sqlx::PgPool;

const FILE: &str = "Nombre,Correo,Etiquetas,Etapa,Responsable\n\
    Ana,ana@x.example,\"Yoga, Pilates\",Cliente,Berta Soto\n\
    Eva,eva@x.example,yoga; Uñas,Prospecto,berta@negocio.example\n\
    Luz,luz@x.example,,,Nadie Conocido\n";

/// Each person with what stands of the relationship: interests, stage, who looks after them.
async fn people(db: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "select concat_ws(' | ', c.first_name, coalesce((select string_agg(i.name, ', ' order by i.key)
                from contact_interests t join interests i on i.id = t.interest_id where t.contact_id = c.id), '-'),
            c.lifecycle, coalesce(s.name, '-'))
         from contacts c left join staff_users s on s.id = c.owner_id order by c.first_name",
    )
    .fetch_all(db)
    .await
    .unwrap()
}

async fn one<T>(db: &PgPool, query: &'static str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(query).fetch_one(db).await.unwrap()
}

/// Take an import back; gives how it stands then.
async fn taken_back(db: &PgPool, id: i64) -> Status {
    let mut tx = db.begin().await.unwrap();
    undo::ask(&mut tx, now(), &Actor::CommandLine, ImportId(id)).await.unwrap();
    tx.commit().await.unwrap();
    imports::run::run_once(db, now()).await.unwrap();
    imports::get(db, ImportId(id)).await.unwrap().status
}

async fn berta(db: &PgPool) {
    sqlx::query(
        "insert into staff_users (email, name, role, password_hash, active, created_at, updated_at)
         values ('berta@negocio.example', 'Berta Soto', 'STAFF', 'x', true, $1, $1),
            ('ida@negocio.example', 'Ida Paz', 'STAFF', 'x', false, $1, $1)",
    )
    .bind(now())
    .execute(db)
    .await
    .unwrap();
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn new_people_come_with_their_interests_stage_and_who_looks_after_them(db: PgPool) {
    berta(&db).await;
    let simulated = Attempt::contacts(FILE).run(&db).await;
    let import = imports::get(&db, ImportId(simulated.import_id)).await.unwrap();
    assert_eq!(import.new_interests, ["Pilates", "Uñas", "Yoga"]);
    assert_eq!(one::<i64>(&db, "select count(*) from interests").await, 0, "a simulation makes none");

    let done = Attempt::contacts(FILE).applied().run(&db).await;
    assert_eq!(fates(&done), (3, 3, 0, 0, 0, 0));
    let all = [
        "Ana | Pilates, Yoga | CLIENTE | Berta Soto",
        "Eva | Uñas, Yoga | PROSPECTO | Berta Soto",
        "Luz | - | LEAD | -",
    ];
    assert_eq!(people(&db).await, all);
    assert_eq!(
        notes(&db, done.import_id).await,
        ["No hay nadie activo del equipo llamado «Nadie Conocido»: quedó sin responsable"]
    );
    assert_eq!(
        one::<i64>(&db, "select count(*) from audit_events where action = 'interest.create'").await,
        3
    );

    let again = Attempt::contacts(FILE).on_duplicate(OnDuplicate::Overwrite).applied().run(&db).await;
    assert_eq!(fates(&again), (3, 0, 0, 3, 0, 0), "nothing of it is new");

    assert_eq!(taken_back(&db, done.import_id).await, Status::Undone);
    assert_eq!(one::<i64>(&db, "select count(*) from interests").await, 0, "nobody else uses them");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_is_known_gets_what_they_lack_and_loses_nothing(db: PgPool) {
    berta(&db).await;
    let known = "Nombre,Correo,Intereses,Etapa\nAna,ana@x.example,Spa,Cliente\n";
    Attempt::contacts(known).applied().run(&db).await;
    let says = "Nombre,Correo,Intereses,Etapa,Responsable\nAna,ana@x.example,\"spa,Yoga\",Lead,BERTA SOTO\n";
    let attempt = |way| Attempt::contacts(says).on_duplicate(way).applied();

    let skipped = attempt(OnDuplicate::Skip).run(&db).await;
    assert_eq!(fates(&skipped), (1, 0, 0, 1, 0, 0));
    assert_eq!(people(&db).await, ["Ana | Spa | CLIENTE | -"]);

    let filled = attempt(OnDuplicate::Fill).run(&db).await;
    assert_eq!(fates(&filled), (1, 0, 1, 0, 0, 0));
    assert_eq!(people(&db).await, ["Ana | Spa, Yoga | CLIENTE | Berta Soto"], "the stage is the system's");
    assert_eq!(taken_back(&db, filled.import_id).await, Status::Undone);
    assert_eq!(people(&db).await, ["Ana | Spa | CLIENTE | -"]);
    assert_eq!(one::<i64>(&db, "select count(*) from interests").await, 1, "what it made went with it");

    let replaced = attempt(OnDuplicate::Overwrite).run(&db).await;
    assert_eq!(people(&db).await, ["Ana | Spa, Yoga | LEAD | Berta Soto"]);
    let moves = "select string_agg(concat_ws(' ', from_lifecycle, to_lifecycle, cause), ', ' order by id) from lifecycle_changes";
    assert_eq!(one::<String>(&db, moves).await, "CLIENTE LEAD IMPORT");
    assert_eq!(taken_back(&db, replaced.import_id).await, Status::Undone);
    assert_eq!(people(&db).await, ["Ana | Spa | CLIENTE | -"]);
    assert_eq!(one::<String>(&db, moves).await, "CLIENTE LEAD IMPORT, LEAD CLIENTE UNDONE");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_interest_alone_is_a_change_and_the_rows_say_which(db: PgPool) {
    let app = TestApp::new(db.clone());
    berta(&db).await;
    Attempt::contacts("Nombre,Correo,Intereses\nAna,ana@x.example,Spa\n").applied().run(&db).await;
    let says = "Nombre,Correo,Intereses,Responsable\nAna,ana@x.example,\"SPA, Yoga\",berta@negocio.example\n";
    let id = Attempt::contacts(says).ready(&db).await;
    let admin = app.as_role(Role::Admin).await;
    let rows = format!("/imports/{id}/rows?verdict=UPDATED");
    let changes = ["Intereses : Spa → Spa, Yoga", "Responsable : (vacío) → Berta Soto"];
    let page = admin.get(&rows).await.text();
    for words in changes {
        assert!(page.contains(words), "foreseen, {words}: {page}");
    }
    let page = admin.get(&format!("/imports/{id}")).await.text();
    assert!(page.contains("1 interés nuevo: «Yoga»."), "{page}");
    admin.post(&format!("/imports/{id}/confirmation"), &[("simulation", "1")]).await;
    while imports::run::step(&db, now(), id).await.unwrap() {}
    let page = admin.get(&rows).await.text();
    for words in changes {
        assert!(page.contains(words), "written, {words}: {page}");
    }
    let page = admin.get(&format!("/imports/{id}")).await.body;
    assert!(page.contains("<a href=\"/interests\">1 interés nuevo</a>: «Yoga»."), "{page}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_column_of_something_else_makes_no_interests(db: PgPool) {
    let rows = |count: usize| {
        let rows = (0..count).map(|it| format!("Ana,a{it}@x.example,Tema {it}\n")).collect::<String>();
        format!("Nombre,Correo,Etiquetas\n{rows}")
    };
    let sentence = Attempt::contacts(rows(201)).applied().refusal(&db).await;
    assert!(sentence.contains("«Etiquetas» trae más de 200 intereses"), "{sentence}");
    assert_eq!(
        one::<i64>(&db, "select (select count(*) from interests) + (select count(*) from contacts)").await,
        0
    );
    let done = Attempt::contacts(rows(200)).applied().run(&db).await;
    assert_eq!(done.counts.created, 200);
    assert_eq!(one::<i64>(&db, "select count(*) from interests").await, 200);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_has_no_reading_is_said_and_the_row_is_taken(db: PgPool) {
    let long = "x".repeat(61);
    let file = format!("Nombre,Correo,Etapa,Intereses\nAna,ana@x.example,Pagado,\"Yoga, {long}\"\n");
    let done = Attempt::contacts(file).applied().run(&db).await;
    assert_eq!(people(&db).await, ["Ana | Yoga | LEAD | -"]);
    let said = one::<String>(&db, "select warning from import_rows").await;
    assert!(
        said.contains("La etapa «Pagado» no es lead") && said.contains("pasa de 60 caracteres"),
        "{said}"
    );
    assert_eq!(done.counts.created, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_interest_that_somebody_uses_meanwhile_stays_when_the_import_is_taken_back(db: PgPool) {
    Attempt::contacts("Nombre,Correo\nEva,eva@x.example\n").applied().run(&db).await;
    let done = Attempt::contacts("Nombre,Correo,Intereses\nAna,ana@x.example,\"Yoga,Spa,Kayak\"\n")
        .applied()
        .run(&db)
        .await;
    sqlx::query(
        "insert into contact_interests (contact_id, interest_id, at)
         select c.id, i.id, $1 from contacts c, interests i where c.first_name = 'Eva' and i.key = 'yoga'",
    )
    .bind(now())
    .execute(&db)
    .await
    .unwrap();
    sqlx::query(
        "insert into segments (name, rule, version, created_at, updated_at)
         select 'Navegan', jsonb_build_object('all', true, 'items', jsonb_build_array(jsonb_build_object(
            'field', 'INTEREST', 'op', 'ANY', 'values', jsonb_build_array(id::text)))), 1, $1, $1
         from interests where key = 'kayak'",
    )
    .bind(now())
    .execute(&db)
    .await
    .unwrap();
    assert_eq!(taken_back(&db, done.import_id).await, Status::Undone);
    assert_eq!(
        one::<String>(&db, "select string_agg(name, ', ' order by key) from interests").await,
        "Kayak, Yoga"
    );
    assert_eq!(people(&db).await, ["Eva | Yoga | LEAD | -"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn of_two_who_are_called_the_same_the_name_tells_none(db: PgPool) {
    berta(&db).await;
    sqlx::query(
        "insert into staff_users (email, name, role, password_hash, active, created_at, updated_at)
         values ('otra@negocio.example', 'BERTA SOTO', 'STAFF', 'x', true, $1, $1)",
    )
    .bind(now())
    .execute(&db)
    .await
    .unwrap();
    let file =
        "Nombre,Correo,Responsable\nAna,ana@x.example,Berta Soto\nEva,eva@x.example,Berta@negocio.example\n";
    let done = Attempt::contacts(file).applied().run(&db).await;
    assert_eq!(people(&db).await, ["Ana | - | LEAD | -", "Eva | - | LEAD | Berta Soto"]);
    assert_eq!(
        notes(&db, done.import_id).await,
        ["Hay más de una persona del equipo llamada «Berta Soto», escribe su correo: quedó sin responsable"]
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_is_foreseen_is_what_is_done(db: PgPool) {
    let app = TestApp::new(db.clone());
    berta(&db).await;
    let known = "Nombre,Correo,Intereses,Responsable\nAna,ana@x.example,Spa,Berta Soto\n";
    Attempt::contacts(known).applied().run(&db).await;
    let says = "Nombre,Correo,Cargo,Intereses,Responsable,Acepta correo\nAna,ana@x.example,Jefa,Yoga,berta soto,No\n";
    let admin = app.as_role(Role::Admin).await;
    let foreseen = async |way| {
        let id = Attempt::contacts(says).on_duplicate(way).ready(&db).await;
        let page = admin.get(&format!("/imports/{id}/rows?verdict=UPDATED")).await.text();
        page.split_once("Con cambios Sin").map_or(page.clone(), |it| it.1.to_owned())
    };
    let replaced = foreseen(OnDuplicate::Overwrite).await;
    assert!(
        replaced.contains("Cargo : (vacío) → Jefa") && replaced.contains("Spa → Spa, Yoga"),
        "{replaced}"
    );
    assert!(!replaced.contains("Responsable :"), "she is that already, however she is written: {replaced}");
    // A no counts whatever is done with the rest of the row.
    let left = foreseen(OnDuplicate::Skip).await;
    assert!(!left.contains("Intereses :") && !left.contains("Cargo :"), "{left}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_interest_that_somebody_gave_too_stays_when_the_import_is_taken_back(db: PgPool) {
    let app = TestApp::new(db.clone());
    let plain = "Nombre,Correo\nAna,ana@x.example\nEva,eva@x.example\n";
    Attempt::contacts(plain).applied().run(&db).await;
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from contacts order by id").fetch_all(&db).await.unwrap();
    let admin = app.as_role(Role::Admin).await;
    let (ana, eva) = (ids[0], ids[1]);
    // Ana is given by hand what a file then says in other words; Eva what a file said before.
    admin.post(&format!("/contacts/{ana}/interests"), &[("interest", "Masaje")]).await;
    let tagged = "Nombre,Correo,Intereses\nAna,ana@x.example,Masajes\nEva,eva@x.example,Masajes\n";
    let done = Attempt::contacts(tagged).applied().run(&db).await;
    admin.post(&format!("/contacts/{eva}/interests"), &[("interest", "masajes")]).await;
    let id = async |key: &str| -> InterestId {
        InterestId(
            sqlx::query_scalar("select id from interests where key = $1")
                .bind(key)
                .fetch_one(&db)
                .await
                .unwrap(),
        )
    };
    let (from, into) = (id("masaje").await, id("masajes").await);
    let mut tx = db.begin().await.unwrap();
    catalogue::join(&mut tx, now(), &Actor::CommandLine, from, into).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(taken_back(&db, done.import_id).await, Status::Undone);
    assert_eq!(people(&db).await, ["Ana | Masajes | LEAD | -", "Eva | Masajes | LEAD | -"]);
}
