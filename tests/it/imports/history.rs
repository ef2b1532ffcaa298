//! Histories: whose each purchase, visit or enrolment is, the same file twice, and taking it back.

use super::{Attempt, fates, now};
use llovizna::{
    access::Actor,
    contacts::bulk::HistoryKind,
    ids::ImportId,
    imports::{run, undo},
};
use sqlx::PgPool;

const PEOPLE: &str = "nombre,apellido,correo,telefono,empresa,rut empresa\n\
    Ana,Pérez,ana@x.example,9 8765 4321,,\n\
    Juan,Soto,,9 1111 2222,,\n\
    Eva,Rojas,eva@x.example,65 2 345678,Lácteos,76086428-5\n\
    Leo,Rojas,leo@x.example,65 2 345678,Lácteos,76086428-5\n";

const PAST: &str = "Correo,Celular,RUT,Nombre,Fecha,Tipo,Producto,Monto,Cantidad\n\
    ANA@x.example,,,,5/3/25,compra,Caja de quesos,$15.990,1\n\
    ana@x.example,,,,5/3/25,compra,Caja de quesos,$15.990,1\n\
    ,9 1111 2222,,,06-04-2025,visita,Tinaja,80.000,2\n\
    ,,76.086.428-5,Eva Rojas,07-05-2025,inscripción,Taller,35000,\n\
    ,65 2 345678,,Leo Rojas,08-06-2025,visita,,,\n";

async fn people(db: &PgPool) {
    assert_eq!(Attempt::contacts(PEOPLE).applied().run(db).await.counts.created, 4);
}

/// Who did what: "ana@x.example PURCHASE 2025-03-05 Caja de quesos 15990 1".
async fn entries(db: &PgPool) -> Vec<String> {
    sqlx::query_scalar!(
        r#"select concat_ws(' ', coalesce(c.email, c.phone), h.kind, h.occurred_on, h.item, h.amount, h.quantity) as "line!"
         from history_entries h join contacts c on c.id = h.contact_id order by h.occurred_on, h.id"#
    )
    .fetch_all(db)
    .await
    .unwrap()
}

/// Lifecycle, sums and visits of whoever has this first name.
async fn standing(db: &PgPool, first_name: &str) -> (String, i64, i32) {
    let it = sqlx::query!(
        r#"select c.lifecycle, coalesce(m.spent, 0) as "spent!", coalesce(m.visits, 0) as "visits!"
         from contacts c left join contact_metrics m on m.contact_id = c.id where c.first_name = $1"#,
        first_name
    )
    .fetch_one(db)
    .await
    .unwrap();
    (it.lifecycle, it.spent, it.visits)
}

async fn take_back(db: &PgPool, id: i64) {
    let mut tx = db.begin().await.unwrap();
    undo::ask(&mut tx, now(), &Actor::CommandLine, ImportId(id)).await.unwrap();
    tx.commit().await.unwrap();
    run::run_once(db, now()).await.unwrap();
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn each_event_finds_its_person_and_counts(db: PgPool) {
    people(&db).await;
    let seen = Attempt::history(PAST).run(&db).await;
    assert_eq!(fates(&seen), (5, 5, 0, 0, 0, 0), "{seen:?}");
    assert_eq!(entries(&db).await, Vec::<String>::new(), "a simulation writes nothing");
    let done = Attempt::history(PAST).applied().run(&db).await;
    assert_eq!(fates(&done), (5, 5, 0, 0, 0, 0), "{done:?}");
    assert_eq!(
        entries(&db).await,
        [
            "ana@x.example PURCHASE 2025-03-05 Caja de quesos 15990 1",
            "ana@x.example PURCHASE 2025-03-05 Caja de quesos 15990 1",
            "+56911112222 VISIT 2025-04-06 Tinaja 80000 2",
            "eva@x.example ENROLMENT 2025-05-07 Taller 35000 1",
            "leo@x.example VISIT 2025-06-08  0 1",
        ]
    );
    assert_eq!(standing(&db, "Ana").await, ("CLIENTE".to_owned(), 31_980, 0));
    assert_eq!(standing(&db, "Juan").await, ("CLIENTE".to_owned(), 80_000, 1));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_same_file_again_adds_nothing_and_a_longer_one_only_what_is_new(db: PgPool) {
    people(&db).await;
    Attempt::history(PAST).applied().run(&db).await;
    let again = Attempt::history(PAST).applied().run(&db).await;
    assert_eq!(fates(&again), (5, 0, 0, 5, 0, 0), "{again:?}");
    let longer = format!("{PAST}ana@x.example,,,,5/3/25,compra,Caja de quesos,15990,1\n");
    let third = Attempt::history(longer).applied().run(&db).await;
    assert_eq!(fates(&third), (6, 1, 0, 5, 0, 0), "a third equal purchase is one more");
    assert_eq!(entries(&db).await.len(), 6);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn whoever_is_unknown_is_rejected_or_created_as_asked(db: PgPool) {
    people(&db).await;
    let file = "correo,celular,nombre,fecha,monto\n\
        nueva@x.example,9 3333 4444,Paz Díaz,1-2-2025,1000\n\
        ,9 3333 4444,,2-2-2025,2000\n\
        sola@x.example,,,3-2-2025,3000\n\
        ,65 2 345678,,4-2-2025,4000\n";
    let refused = Attempt::history(file).run(&db).await;
    assert_eq!(fates(&refused), (4, 0, 0, 0, 0, 4), "{refused:?}");
    assert_eq!(
        (refused.rejections[0].column.as_str(), refused.rejections[0].value.as_str()),
        ("correo", "nueva@x.example")
    );
    assert!(refused.rejections[0].reason.contains("impórtalo primero"), "{refused:?}");
    assert!(refused.rejections[3].reason.contains("Más de una persona"), "{refused:?}");
    let created = Attempt::history(file).creating_people().applied().run(&db).await;
    assert_eq!(fates(&created), (4, 1, 0, 0, 0, 3), "the row without a name makes nobody: {created:?}");
    assert_eq!(created.people_created, 1);
    assert!(created.rejections[1].reason.contains("falta su nombre"), "{created:?}");
    assert_eq!(standing(&db, "Paz").await, ("CLIENTE".to_owned(), 1_000, 0));
    let again = Attempt::history(file).creating_people().applied().run(&db).await;
    assert_eq!(fates(&again), (4, 1, 0, 1, 0, 2), "now the telephone is known: {again:?}");
    assert_eq!(standing(&db, "Paz").await.1, 3_000);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_mobile_that_a_family_shares_gives_nobody_anothers_purchase(db: PgPool) {
    people(&db).await;
    // The mobile is Juan Soto's in the base; Rosa is somebody else, and a bare Juan is him.
    let file = "celular,nombre,fecha,monto\n\
        9 1111 2222,Rosa Paz,1-2-2025,1000\n\
        9 1111 2222,Juan,2-2-2025,2000\n\
        9 1111 2222,,3-2-2025,4000\n";
    let refused = Attempt::history(file).run(&db).await;
    assert_eq!(fates(&refused), (3, 2, 0, 0, 0, 1), "{refused:?}");
    assert!(refused.rejections[0].reason.contains("No está entre tus contactos"), "{refused:?}");
    let created = Attempt::history(file).creating_people().applied().run(&db).await;
    assert_eq!((fates(&created), created.people_created), ((3, 3, 0, 0, 0, 0), 1), "{created:?}");
    assert_eq!((standing(&db, "Rosa").await.1, standing(&db, "Juan").await.1), (1_000, 6_000));
    let again = Attempt::history(file).creating_people().applied().run(&db).await;
    assert_eq!(
        fates(&again),
        (3, 0, 0, 2, 0, 1),
        "of whom no name speaks, where two have it, nobody can tell: {again:?}"
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn people_of_one_mobile_whom_a_history_brings_are_told_apart_by_name(db: PgPool) {
    let file = "correo,celular,nombre,fecha,monto\n\
        ,9 5555 6666,Ana Soto,1-2-2025,1\n\
        ,9 5555 6666,Ana,2-2-2025,2\n\
        ,9 5555 6666,Leo Soto,3-2-2025,4\n\
        leo@x.example,9 5555 6666,Leo Soto,4-2-2025,8\n\
        ,9 7777 8888,Eva Paz,5-2-2025,16\n\
        ,9 7777 8888,Eva Luna,6-2-2025,32\n\
        ,9 7777 8888,Eva,7-2-2025,64\n";
    let it = Attempt::history(file).creating_people().applied().run(&db).await;
    assert_eq!((fates(&it), it.people_created), ((7, 6, 0, 0, 0, 1), 4), "{it:?}");
    assert!(it.rejections[0].reason.contains("Más de una persona"), "{it:?}");
    let sums: Vec<(String, i64)> = sqlx::query_as(
        "select first_name || ' ' || last_name, m.spent from contacts c join contact_metrics m on m.contact_id = c.id order by 1",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    let of = |name: &str| sums.iter().find(|it| it.0 == name).map(|it| it.1);
    assert_eq!(
        (of("Ana Soto"), of("Leo Soto"), of("Eva Paz"), of("Eva Luna")),
        (Some(3), Some(12), Some(16), Some(32))
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_rows_are_is_said_by_the_file_or_by_who_uploads_it(db: PgPool) {
    people(&db).await;
    Attempt::history("correo,fecha de visita\nana@x.example,1-2-2025\n").applied().run(&db).await;
    let mut chosen = Attempt::history("correo,fecha\nana@x.example,2-2-2025\n").applied();
    chosen.args.history_kind = Some(HistoryKind::Enrolment);
    chosen.run(&db).await;
    Attempt::history("correo,fecha\nana@x.example,3-2-2025\n").applied().run(&db).await;
    let kinds = sqlx::query_scalar!("select kind from history_entries order by occurred_on")
        .fetch_all(&db)
        .await
        .unwrap();
    assert_eq!(kinds, ["VISIT", "ENROLMENT", "PURCHASE"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_history_taken_back_leaves_everybody_as_before(db: PgPool) {
    people(&db).await;
    let first = Attempt::history("correo,fecha,monto\nana@x.example,1-1-2024,500\n").applied().run(&db).await;
    let file = format!("{PAST}nuevo@x.example,,,Paz Díaz,1-2-2025,compra,Té,1000,1\n");
    let second = Attempt::history(file).creating_people().applied().run(&db).await;
    assert_eq!((second.counts.created, second.people_created), (6, 1));
    take_back(&db, second.import_id).await;
    assert_eq!(entries(&db).await, ["ana@x.example PURCHASE 2024-01-01  500 1"]);
    assert_eq!(standing(&db, "Ana").await, ("CLIENTE".to_owned(), 500, 0));
    assert_eq!(standing(&db, "Juan").await, ("LEAD".to_owned(), 0, 0));
    let paz = sqlx::query_scalar!("select count(*) from contacts where first_name = 'Paz'")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(paz, Some(0), "whom it created goes with it");
    take_back(&db, first.import_id).await;
    assert_eq!(standing(&db, "Ana").await, ("LEAD".to_owned(), 0, 0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn people_whom_a_history_created_and_who_bought_since_stay(db: PgPool) {
    let file = "correo,nombre,fecha\npaz@x.example,Paz Díaz,1-2-2025\n";
    let first = Attempt::history(file).creating_people().applied().run(&db).await;
    Attempt::history("correo,fecha\npaz@x.example,2-2-2025\n").applied().run(&db).await;
    let mut tx = db.begin().await.unwrap();
    let refused = undo::ask(&mut tx, now(), &Actor::CommandLine, ImportId(first.import_id)).await;
    assert!(refused.unwrap_err().to_string().contains("compras"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_row_knows_whom_it_became(db: PgPool) {
    people(&db).await;
    let done = Attempt::history(PAST).creating_people().applied().run(&db).await;
    let rows = sqlx::query_scalar!(
        r#"select coalesce(c.first_name, '-') as "name!" from import_rows r left join contacts c on c.id = r.subject_id
         where r.import_id = $1 order by r.row_number"#,
        done.import_id
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!(rows, ["Ana", "Ana", "Juan", "Eva", "Leo"]);
}
