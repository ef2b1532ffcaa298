//! A mobile that several people share: the name decides whose it is, and nobody is lost or changed for another.

use super::{Attempt, fates, notes, population};
use llovizna::contacts::bulk::OnDuplicate;
use sqlx::PgPool;

/// Who is in the base: name, address and comuna of each, the oldest first.
async fn people(db: &PgPool) -> Vec<String> {
    sqlx::query_scalar!(
        r#"select concat_ws('/', first_name, nullif(last_name, ''), email, notes) as "who!" from contacts order by id"#
    )
    .fetch_all(db)
    .await
    .unwrap()
}

const HEADER: &str = "nombre,apellido,correo,telefono,notas\n";

fn file(rows: &str) -> Attempt {
    Attempt::contacts(format!("{HEADER}{rows}")).applied()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn of_several_who_have_a_mobile_the_name_decides(db: PgPool) {
    file("Ana,Soto,ana@x.example,987654321,\nJuan,Rojas,juan@x.example,987654321,\n").run(&db).await;
    for way in [OnDuplicate::Fill, OnDuplicate::Overwrite] {
        let it = file("JUAN,Rojas,,987654321,socio\n").on_duplicate(way).run(&db).await;
        assert_eq!(it.counts.created, 0, "{it:?}");
    }
    assert_eq!(people(&db).await, ["Ana/Soto/ana@x.example", "JUAN/Rojas/juan@x.example/socio"]);
    // Less of a name is enough where it fits one alone.
    let it = file("Júan,,,987654321,\n").run(&db).await;
    assert_eq!(fates(&it), (1, 0, 0, 1, 0, 0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn where_several_would_fit_the_row_stays_out_with_its_reason(db: PgPool) {
    file("Juan,Soto,juan@x.example,987654321,\nJuan,Rojas,rojas@x.example,987654321,\n").run(&db).await;
    let before = people(&db).await;
    let attempt = file("Juan,,,987654321,socio\n,,,987654321,nadie\n").on_duplicate(OnDuplicate::Overwrite);
    let it = attempt.run(&db).await;
    assert_eq!(fates(&it), (2, 0, 0, 0, 0, 2), "{it:?}");
    assert!(it.rejections[0].reason.contains("Más de una persona de tu base tiene ese teléfono"), "{it:?}");
    assert_eq!(it.rejections[0].column, "telefono");
    assert_eq!(people(&db).await, before);
    let report = Attempt::contacts(format!("{HEADER}Juan,,,987654321,socio\n")).report(&db).await;
    assert!(report.contains("Juan;;;987654321;socio"), "it comes back whole: {report}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_is_called_otherwise_is_another_person_and_it_is_told(db: PgPool) {
    file("Ana,Soto,,987654321,\n").run(&db).await;
    let rows = "Juan,Soto,,987654321,hijo\nEva,Soto,eva@x.example,987654321,hija\n";
    let it = file(rows).on_duplicate(OnDuplicate::Overwrite).run(&db).await;
    assert_eq!(fates(&it), (2, 2, 0, 0, 0, 0), "{it:?}");
    assert_eq!(people(&db).await, ["Ana/Soto", "Juan/Soto/hijo", "Eva/Soto/eva@x.example/hija"]);
    let said = notes(&db, it.import_id).await;
    assert!(
        said.len() == 2 && said.iter().all(|it| it.contains("Comparte el teléfono con «Ana Soto»")),
        "{said:?}"
    );
    let again = file(rows).run(&db).await;
    assert_eq!(fates(&again), (2, 0, 0, 2, 0, 0), "each is known now: {again:?}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn two_people_of_one_file_with_one_mobile_are_two(db: PgPool) {
    let rows = "Ana,Soto,,987654321,\nJuan,Soto,,987654321,hijo\nJUAN,Soto,,987654321,\nJuan,,,987654321,\n";
    for round in 0..2 {
        let it = file(rows).run(&db).await;
        assert_eq!((it.counts.duplicates, it.counts.rejected), (2, 0), "{it:?}");
        assert_eq!(people(&db).await, ["Ana/Soto", "Juan/Soto/hijo"]);
        if round == 0 {
            let said = notes(&db, it.import_id).await;
            assert_eq!(said.len(), 2, "{said:?}");
            assert!(said[1].contains("Comparte el teléfono con la fila «2»"), "{said:?}");
        }
    }
    // Of whom a bare name speaks where two have it, nobody can tell.
    let it =
        file("Eva,Paz,,911112222,\nEva,Luna,,911112222,\nEva,,,911112222,\n,,,911112222,\n").run(&db).await;
    assert_eq!((it.counts.created, it.counts.rejected), (2, 2), "{it:?}");
    assert!(it.rejections[0].reason.contains("Más de una persona del archivo"), "{it:?}");
    assert_eq!(population(&db).await.0, 4);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn two_rows_that_would_be_one_known_person_are_not_both(db: PgPool) {
    file("Juan,,,987654321,\n").run(&db).await;
    let it = file("Juan,Soto,,987654321,\nJuan,Rojas,,987654321,primo\n").run(&db).await;
    assert_eq!((it.counts.updated, it.counts.created), (1, 1), "{it:?}");
    assert_eq!(people(&db).await, ["Juan/Soto", "Juan/Rojas/primo"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_by_a_shared_mobile_is_of_whom_it_names(db: PgPool) {
    file("Ana,Soto,ana@x.example,987654321,\nJuan,Rojas,juan@x.example,987654321,\n")
        .with_consent("feria")
        .run(&db)
        .await;
    Attempt::contacts("nombre,apellido,telefono,acepta correo\nJuan,Rojas,987654321,No\n")
        .applied()
        .run(&db)
        .await;
    let reachable =
        sqlx::query_scalar!(r#"select email as "email!" from contacts where email_basis is not null"#);
    assert_eq!(reachable.fetch_all(&db).await.unwrap(), ["ana@x.example"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_number_that_stands_in_for_a_missing_one_is_nobodys(db: PgPool) {
    let rows: String = (0..60).map(|at| format!("Persona{at},,,911111111,\n")).collect();
    let it = file(&rows).run(&db).await;
    assert_eq!(fates(&it), (60, 0, 0, 0, 0, 60));
    assert!(it.rejections[0].reason.contains("Más de 50 personas"), "{it:?}");
}
