//! Verdicts, writing as a whole, importing again, undoing.

use super::{Attempt, fates, now, population};
use llovizna::{
    access::Actor,
    contacts::bulk::OnDuplicate,
    error::Error,
    ids::ImportId,
    imports::{self, Status, report, run, undo},
};
use proptest::{prelude::*, test_runner::TestRunner};
use sqlx::PgPool;

const HEADER: &str = "RUT Empresa,Empresa,Nombre,Apellidos,Email,Teléfono,Cargo,Comuna\n";

async fn undo_it(db: &PgPool, id: i64) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    undo::ask(&mut tx, now(), &Actor::CommandLine, ImportId(id)).await?;
    tx.commit().await?;
    run::run_once(db, now()).await?;
    Ok(())
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_dry_run_counts_and_writes_nothing(db: PgPool) {
    let file = format!(
        "{HEADER}76.086.428-5,Salmones SpA,Ana,Pérez,ana@x.example,987654321,,Ancud\n\
         76086428-5,Salmones SpA,ANA,Pérez,ANA@X.example,,,Ancud\n\
         760864281,Salmones SpA,Juan,Soto,juan@x.example,,,\n"
    );
    let it = Attempt::contacts(&file).run(&db).await;
    assert_eq!(fates(&it), (3, 1, 0, 0, 1, 1));
    assert_eq!((it.applied, it.companies_created), (false, 1));
    assert_eq!(it.rejections[0].row, 4);
    assert_eq!(it.rejections[0].column, "RUT Empresa");
    assert_eq!(it.rejections[0].value, "760864281");
    assert_eq!(population(&db).await, (0, 0));
}

/// Row numbers and names on all pages of `verdict`, as somebody who leafs through them reads them.
async fn leafed(db: &PgPool, id: i64, verdict: Option<&str>) -> Vec<(i32, String, String)> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = report::rows(db, ImportId(id), verdict, None, after, 101).await.unwrap();
        let Some(last) = page.last() else { return all };
        assert!(last.row_number > after, "a page is below the one before");
        after = last.row_number;
        all.extend(page.into_iter().map(|it| (it.row_number, it.verdict, it.email.unwrap_or_default())));
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn every_row_is_on_its_page_with_whom_it_became(db: PgPool) {
    const ROWS: i32 = 2300;
    let file = |from: i32| {
        let row = |n: i32| match n {
            _ if n % 700 == 0 => format!("Ana,p{}@x.example,\n", from + 1),
            _ if n % 900 == 0 => "Ana,nada,\n".to_owned(),
            // A telephone without a reading is a remark.
            _ if n % 800 == 0 => format!("Ana,p{}@x.example,sin\n", from + n),
            _ => format!("Ana,p{}@x.example,\n", from + n),
        };
        "Nombre,Email,Teléfono\n".to_owned() + &(1..=ROWS).map(row).collect::<String>()
    };
    let first = Attempt::contacts(file(0)).applied().run(&db).await;
    let second = Attempt::contacts(file(1100)).applied().run(&db).await;
    for (import, known) in [(&first, 0), (&second, 1200 - 5)] {
        let all = leafed(&db, import.import_id, None).await;
        assert_eq!(all.iter().map(|it| it.0).collect::<Vec<_>>(), (2..=ROWS + 1).collect::<Vec<_>>());
        for (row, verdict, email) in &all {
            if matches!(verdict.as_str(), "CREATED" | "UNCHANGED") {
                let n = if import.import_id == first.import_id { row - 1 } else { row - 1 + 1100 };
                assert_eq!(email, &format!("p{n}@x.example"), "row {row}");
            }
        }
        let counts = &import.counts;
        assert_eq!((counts.duplicates, counts.rejected), (3, 2));
        assert!((counts.unchanged - known).abs() < 10, "{counts:?}");
        for (verdict, count) in
            [("CREATED", counts.created), ("UNCHANGED", counts.unchanged), ("DUPLICATE", counts.duplicates)]
        {
            let own: Vec<_> = all.iter().filter(|it| it.1 == verdict).cloned().collect();
            assert_eq!(i64::try_from(own.len()).unwrap(), count, "{verdict}");
            assert_eq!(leafed(&db, import.import_id, Some(verdict)).await, own, "{verdict}");
        }
        let warned: Vec<_> =
            leafed(&db, import.import_id, Some("WARNED")).await.iter().map(|it| it.0).collect();
        assert_eq!(warned, [801, 1601]);
    }
    let blocks = sqlx::query_scalar!(
        r#"select count(*) as "count!" from import_quiet_rows where import_id = $1"#,
        first.import_id
    );
    assert_eq!(blocks.fetch_one(&db).await.unwrap(), 16, "a row of their own would be too dear for them");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_same_file_again_changes_nothing(db: PgPool) {
    let file = format!(
        "{HEADER}76.086.428-5,Salmones SpA,Ana,Pérez,ana@x.example,987654321,Jefa,Ancud\n\
         ,Ferretería Ñandú,Juan,Soto,juan@x.example,sin,,Castro\n\
         ,ferreteria  ÑANDU,Rosa,,,9 7654 3210,,\n"
    );
    let first = Attempt::contacts(&file).applied().run(&db).await;
    assert_eq!(fates(&first), (3, 3, 0, 0, 0, 0));
    assert_eq!(population(&db).await, (3, 2));
    for way in OnDuplicate::ALL {
        let again = Attempt::contacts(&file).applied().on_duplicate(way).run(&db).await;
        assert_eq!(fates(&again), (3, 0, 0, 3, 0, 0), "{way:?}");
    }
    assert_eq!(population(&db).await, (3, 2));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn known_rows_are_skipped_filled_or_overwritten(db: PgPool) {
    Attempt::contacts(format!("{HEADER},Uno,Ana,,ana@x.example,,Jefa,\n")).applied().run(&db).await;
    let next = format!("{HEADER},Dos,Anita,Pérez,ana@x.example,987654321,Gerenta,Ancud\n");
    let person = async || {
        let it = sqlx::query!(
            "select c.first_name, c.last_name, c.phone, c.job_title, c.comuna, c.search_key, o.name
             from contacts c join companies o on o.id = c.company_id"
        )
        .fetch_one(&db)
        .await
        .unwrap();
        let show = |it: Option<String>| it.unwrap_or_default();
        assert!(
            it.search_key
                .starts_with(&llovizna::chile::text::fold(&format!("{} {}", it.first_name, it.last_name)))
        );
        format!(
            "{} {} {} {} {} {}",
            it.first_name,
            it.last_name,
            show(it.phone),
            show(it.job_title),
            show(it.comuna),
            it.name
        )
    };
    let run = async |way| fates(&Attempt::contacts(&next).applied().on_duplicate(way).run(&db).await);
    assert_eq!(run(OnDuplicate::Skip).await, (1, 0, 0, 1, 0, 0));
    assert_eq!(person().await, "Ana   Jefa  Uno");
    assert_eq!(run(OnDuplicate::Fill).await, (1, 0, 1, 0, 0, 0));
    assert_eq!(person().await, "Ana Pérez +56987654321 Jefa 10202 Uno");
    assert_eq!(run(OnDuplicate::Overwrite).await, (1, 0, 1, 0, 0, 0));
    assert_eq!(person().await, "Anita Pérez +56987654321 Gerenta 10202 Dos");
    let blank = format!("{HEADER},,,,ana@x.example,,,\n");
    let it = Attempt::contacts(blank).applied().on_duplicate(OnDuplicate::Overwrite).run(&db).await;
    assert_eq!(it.counts.unchanged, 1, "a blank cell erases nothing");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn without_an_address_the_telephone_tells_who_it_is(db: PgPool) {
    let file = "nombre,apellido,correo,telefono\n\
        Ana,Pérez,,987654321\nAna,P.,,+56 9 8765 4321\n\
        Juan,Soto,,65 2 345678\nRosa,Haro,,(65) 2345678\nJuan,Soto,,652345678\n";
    let it = Attempt::contacts(file).applied().run(&db).await;
    assert_eq!(fates(&it), (5, 3, 0, 0, 2, 0), "a fixed line is shared, a mobile is not");
    let brings = "nombre,apellido,correo,telefono\nAna,Pérez,ana@x.example,987654321\n";
    let it = Attempt::contacts(brings).applied().run(&db).await;
    assert_eq!(fates(&it), (1, 0, 1, 0, 0, 0), "the address completes the person known by telephone");
    assert_eq!(population(&db).await.0, 3);
    let both = "nombre,apellido,correo,telefono\nAna,Pérez,,987654321\nAna,Pérez,ana@x.example,\n";
    let it = Attempt::contacts(both).applied().run(&db).await;
    assert_eq!(fates(&it), (2, 0, 0, 1, 1, 0), "the row with the address is the person");
    assert_eq!(population(&db).await.0, 3);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn names_that_begin_alike_are_two_people_on_a_shared_line(db: PgPool) {
    let header = "nombre,apellido,correo,telefono\n";
    Attempt::contacts(format!("{header}Anabel,Soto,,65 2 345678\n")).applied().run(&db).await;
    let it = Attempt::contacts(format!("{header}Ana,,,65 2 345678\n")).applied().run(&db).await;
    assert_eq!(fates(&it), (1, 1, 0, 0, 0, 0));
    let it = Attempt::contacts(format!("{header}Anabel,Soto,,65 2 345678\n")).applied().run(&db).await;
    assert_eq!(fates(&it), (1, 0, 0, 1, 0, 0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_column_of_family_names_and_names_is_parted_in_that_order(db: PgPool) {
    let file = "Apellidos y Nombres,Correo\nPérez Soto Ana María,ana@x.example\nHaro Juan,juan@x.example\n\
        Soto Lagos Eva,eva@x.example\n\"Muñoz Díaz, Rosa\",rosa@x.example\n";
    Attempt::contacts(file).applied().run(&db).await;
    let names =
        sqlx::query_scalar!(r#"select first_name || '/' || last_name as "name!" from contacts order by id"#)
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(names, ["Ana María/Pérez Soto", "Juan/Haro", "Eva/Soto Lagos", "Rosa/Muñoz Díaz"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn companies_are_known_by_rut_then_by_name(db: PgPool) {
    let header = "nombre,rut,rubro,ciudad,web\n";
    let it = Attempt::companies(format!(
        "{header}Salmones SpA,76086428-5,,,\nSALMONES SPA,12345678-5,,,\nÑandú,,Turismo,Ancud,\nnandu,,,,\n,,x,,\nMala,76086428-1,,,\n"
    ))
    .applied()
    .run(&db)
    .await;
    assert_eq!(fates(&it), (6, 3, 0, 0, 1, 2), "one trade name, two legal entities");
    let it = Attempt::companies(format!(
        "{header}Ñandú,11111111-1,Otro,Castro,x.example\nSalmones,76086428-5,Pesca,,\n"
    ))
    .applied()
    .run(&db)
    .await;
    assert_eq!(fates(&it), (2, 0, 2, 0, 0, 0));
    let nandu = sqlx::query!("select name, rut, industry, website from companies where name_key = 'nandu'")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(nandu.rut.as_deref(), Some("11111111-1"), "it learns its RUT");
    assert_eq!(
        (nandu.industry.as_deref(), nandu.website.as_deref()),
        (Some("Turismo"), Some("https://x.example"))
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_import_is_undone_as_a_whole(db: PgPool) {
    Attempt::contacts(format!("{HEADER},Uno,Ana,,ana@x.example,,,\n")).applied().run(&db).await;
    let before = snapshot(&db).await;
    let file = format!(
        "{HEADER}76086428-5,Uno,Ana,Pérez,ana@x.example,987654321,Jefa,Ancud\n12345678-5,Dos,Juan,Soto,juan@x.example,,,\n"
    );
    let it = Attempt::contacts(file)
        .with_consent("feria")
        .applied()
        .on_duplicate(OnDuplicate::Overwrite)
        .run(&db)
        .await;
    assert_eq!((it.counts.created, it.counts.updated), (1, 1));
    assert_ne!(snapshot(&db).await, before);
    undo_it(&db, it.import_id).await.unwrap();
    assert_eq!(imports::get(&db, ImportId(it.import_id)).await.unwrap().status, Status::Undone);
    assert_eq!(snapshot(&db).await, before);
    assert!(undo_it(&db, it.import_id).await.is_err(), "once");
    let ledger = sqlx::query_scalar!("select basis from consent_events order by id").fetch_all(&db).await;
    assert_eq!(ledger.unwrap(), ["CONSENT", "REVERSED"], "what was stated stays on record, without effect");
}

async fn snapshot(db: &PgPool) -> Vec<Option<serde_json::Value>> {
    sqlx::query_scalar!(
        "(select to_jsonb(c) as row from contacts c order by id)
         union all (select to_jsonb(c) from companies c order by id)"
    )
    .fetch_all(db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_import_whose_rows_were_touched_stays(db: PgPool) {
    let file = format!("{HEADER},Uno,Ana,,ana@x.example,,,\n,Uno,Juan,,juan@x.example,,,\n");
    let it = Attempt::contacts(file).applied().run(&db).await;
    sqlx::query!(
        "update contacts set notes = 'x', updated_at = $1 where first_name = 'Ana'",
        now() + chrono::TimeDelta::hours(1)
    )
    .execute(&db)
    .await
    .unwrap();
    let Err(Error::Refused(sentence)) = undo_it(&db, it.import_id).await else { panic!("undone") };
    assert!(sentence.contains("1 contacto cambió después"), "{sentence}");
    assert_eq!(population(&db).await, (2, 1));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn every_row_has_one_fate_and_only_what_was_counted_is_written(db: PgPool) {
    let cell =
        prop_oneof![Just(""), Just("ana@x.example"), Just("b@x.example"), Just("malo"), Just("c@X.example ")];
    let phone =
        prop_oneof![Just(""), Just("987654321"), Just("65 2 345678"), Just("sin"), Just("9 1111 2222")];
    let name = prop_oneof![Just(""), Just("Ana"), Just("=1"), Just("Íñigo")];
    let company = prop_oneof![Just(""), Just("Uno"), Just("ÚNO."), Just("Dos")];
    let rut = prop_oneof![Just(""), Just("76086428-5"), Just("1-9"), Just("1-8")];
    let rows = proptest::collection::vec((rut, company, name, cell, phone), 1..12);
    let handle = tokio::runtime::Handle::current();
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 25, failure_persistence: None, ..ProptestConfig::default() });
    let pool = db.clone();
    tokio::task::spawn_blocking(move || {
        runner
            .run(&rows, |rows| {
                let body: String = rows
                    .iter()
                    .flat_map(|(r, c, n, e, p)| [r, ",", c, ",", n, ",,", e, ",", p, ",x,\n"])
                    .collect();
                handle.block_on(async {
                    let before = population(&pool).await;
                    let it = Attempt::contacts(format!("{HEADER}{body}")).applied().run(&pool).await;
                    let (rows_read, created, updated, unchanged, duplicates, rejected) = fates(&it);
                    assert_eq!(rows_read, i64::try_from(rows.len()).unwrap());
                    assert_eq!(rows_read, created + updated + unchanged + duplicates + rejected);
                    let after = population(&pool).await;
                    assert_eq!(after.0 - before.0, created);
                    assert_eq!(after.1 - before.1, it.companies_created);
                    let again = Attempt::contacts(format!("{HEADER}{body}")).applied().run(&pool).await;
                    assert_eq!((again.counts.created, again.counts.updated), (0, 0), "{body}");
                });
                Ok(())
            })
            .unwrap();
    })
    .await
    .unwrap();
}
