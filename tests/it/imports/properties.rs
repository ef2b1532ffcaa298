//! What holds for every file: each row has one fate, and a second time there is nothing new.

use super::{Attempt, fates};
use crate::imports::KindArg;
use llovizna::cli::import::Outcome;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use sqlx::PgPool;

/// Files tried of each kind.
const FILES: usize = 6;

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(words).prop_map(str::to_owned)
}

/// A few addresses, telephones and names, so that they meet; and what people write where nothing should stand.
fn rows() -> impl Strategy<Value = Vec<Vec<String>>> {
    let email =
        one_of(&["", "a@x.example", "A@x.example ", "b@x.example", "c@x.example", "malo", "@", "\"\""]);
    let phone = one_of(&["", "987654321", "9 8765 4321", "+56911112222", "652345678", "123", "sin"]);
    let name = one_of(&["", "Ana", "ana", "Juan Soto", "=1+1", "Ñ", "  "]);
    let company = one_of(&["", "Uno", "UNO SpA", "Dos", "-"]);
    let rut = one_of(&["", "76.086.428-5", "76086428-1", "12531909-2", "k"]);
    let day = one_of(&["", "1-2-2025", "45000", "ayer", "31/12/2199"]);
    let amount = one_of(&["", "$15.990", "0", "-1", "mucho"]);
    let row = (email, phone, name, company, rut, day, amount)
        .prop_map(|(a, b, c, d, e, f, g)| vec![a, b, c, d, e, f, g]);
    proptest::collection::vec(row, 1..40)
}

fn csv(rows: &[Vec<String>]) -> String {
    let mut text = "correo;telefono;nombre;empresa;rut empresa;fecha;monto\n".to_owned();
    for row in rows {
        text.push_str(&row.join(";"));
        text.push('\n');
    }
    text
}

fn check(it: &Outcome, rows: &[Vec<String>], file: &str) {
    let (total, created, updated, unchanged, duplicates, rejected) = fates(it);
    let filled = rows.iter().filter(|row| row.iter().any(|cell| !matches!(cell.trim(), "" | "\"\""))).count();
    assert_eq!(usize::try_from(total), Ok(filled), "{file}");
    assert_eq!(total, created + updated + unchanged + duplicates + rejected, "{file}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn every_row_of_any_file_has_one_fate(db: PgPool) {
    let mut runner = TestRunner::deterministic();
    for kind in [KindArg::Contacts, KindArg::Companies, KindArg::History] {
        for _ in 0..FILES {
            let rows = rows().new_tree(&mut runner).unwrap().current();
            let file = csv(&rows);
            let attempt = || Attempt::of(kind, "a.csv", file.as_bytes()).creating_people();
            let Ok(seen) = attempt().outcome(&db).await else {
                // Nothing but blanks below the header.
                continue;
            };
            check(&seen, &rows, &file);
            let done = attempt().applied().run(&db).await;
            assert_eq!(fates(&done), fates(&seen), "what was foretold is what is done: {file}");
            let kept = sqlx::query_scalar!(
                r#"select (select count(*) from import_rows where import_id = $1)
                    + (select coalesce(sum(cardinality(row_numbers)), 0) from import_quiet_rows where import_id = $1) as "count!""#,
                done.import_id
            )
            .fetch_one(&db)
            .await
            .unwrap();
            assert_eq!(kept, done.counts.rows, "each row is kept with its fate: {file}");
            let again = attempt().applied().run(&db).await;
            check(&again, &rows, &file);
            // Whose a telephone is may be told once the others of the file are in, or not any more.
            if kind != KindArg::Contacts {
                assert_eq!(again.counts.rejected, done.counts.rejected, "{file}");
                assert_eq!((again.counts.created, again.counts.updated), (0, 0), "{file}");
            }
        }
    }
}
