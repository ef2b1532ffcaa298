//! What holds for every file: each row has one fate, and a second time there is nothing new.

use super::{Attempt, fates, now, run};
use crate::imports::KindArg;
use chrono::TimeDelta;
use llovizna::{
    access::Actor,
    cli::import::Outcome,
    clock::Clock,
    contacts::{bulk::OnDuplicate, search_index},
    ids::ImportId,
    imports::{self, Status, run as engine, undo},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
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
    let accepts = one_of(&["", "", "sí", "no", "quizás"]);
    let interests = one_of(&["", "", "Yoga", "yoga, Spa", "Spa|Kayak", "-"]);
    let stage = one_of(&["", "", "Cliente", "prospecto", "ex cliente", "otra"]);
    let owner = one_of(&["", "Berta", "berta@negocio.example", "Nadie"]);
    let row = ((email, phone, name, company, rut, day), (amount, accepts, interests, stage, owner)).prop_map(
        |((a, b, c, d, e, f), (g, h, i, j, k))| vec![a, b, c, d, e, f, g, h, format!("\"{i}\""), j, k],
    );
    proptest::collection::vec(row, 1..40)
}

fn csv(rows: &[Vec<String>]) -> String {
    let mut text =
        "correo;telefono;nombre;empresa;rut empresa;fecha;monto;acepta;intereses;etapa;responsable\n"
            .to_owned();
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

/// Files that are written and taken back.
const TAKEN_BACK: u8 = 30;

/// What the base holds, without what imports keep of themselves.
async fn base(db: &PgPool) -> serde_json::Value {
    search_index::tidy(db).await.unwrap();
    sqlx::query_scalar(
        "select jsonb_build_object(
            -- When a row was last written is told anew.
            'contacts', (select jsonb_agg(to_jsonb(t) - 'updated_at' order by id) from contacts t),
            'companies', (select jsonb_agg(to_jsonb(t) - 'updated_at' order by id) from companies t),
            'words', (select jsonb_agg(to_jsonb(t) order by contact_id) from contact_words t),
            'history', (select jsonb_agg(to_jsonb(t) order by id) from history_entries t),
            'interests', (select jsonb_agg(to_jsonb(t) order by contact_id, interest_id) from contact_interests t),
            'catalogue', (select jsonb_agg(to_jsonb(t) order by id) from interests t),
            -- No row means zeros.
            'metrics', (select jsonb_agg(to_jsonb(t) order by contact_id) from contact_metrics t
                where visits + purchases + enrolments + spent > 0 or first_activity_at is not null),
            'lists', (select jsonb_agg(to_jsonb(t) order by list_id, contact_id) from list_members t),
            -- Nothing is taken out of the ledger: what counts is whether the last word of each is a no.
            'noes', (select jsonb_agg(jsonb_build_array(id, channel, (select basis = 'WITHDRAWN' from consent_events e
                    where e.contact_id = c.id and e.communication_type = channel order by e.id desc limit 1) is true) order by id, channel)
                from contacts c, unnest(array['EMAIL', 'SMS', 'WHATSAPP']) channel))",
    )
    .fetch_one(db)
    .await
    .unwrap()
}

/// How many rows of `import` have each fate, by what is kept of them.
async fn decided(db: &PgPool, import: i64) -> (i64, i64, i64, i64, i64, i64) {
    let of = sqlx::query_as::<_, (i64, i64, i64, i64, i64, i64)>(
        "with fates as (
             select row_number, verdict from import_rows where import_id = $1
             union all
             select unnest(row_numbers), verdict from import_quiet_rows where import_id = $1
         )
         select count(distinct row_number), count(*) filter (where verdict = 'CREATED'), count(*) filter (where verdict = 'UPDATED'),
             count(*) filter (where verdict = 'UNCHANGED'), count(*) filter (where verdict = 'DUPLICATE'),
             count(*) filter (where verdict = 'REJECTED')
         from fates",
    );
    of.bind(import).fetch_one(db).await.unwrap()
}

/// A file, and how it is brought in.
fn file() -> impl Strategy<Value = (KindArg, OnDuplicate, bool, Vec<Vec<String>>)> {
    (
        proptest::sample::select(vec![0u8, 1, 2]),
        proptest::sample::select(vec![OnDuplicate::Skip, OnDuplicate::Fill, OnDuplicate::Overwrite]),
        any::<bool>(),
        rows(),
    )
        .prop_map(|(kind, way, consents, rows)| {
            let kind = match kind {
                0 => KindArg::Contacts,
                1 => KindArg::Companies,
                _ => KindArg::History,
            };
            (kind, way, consents && matches!(kind, KindArg::Contacts), rows)
        })
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn any_file_is_counted_row_by_row_and_can_be_taken_back(db: PgPool) {
    let (mut at, mut taken_back) = (now(), 0);
    sqlx::query(
        "insert into staff_users (email, name, role, password_hash, active, created_at, updated_at)
         values ('berta@negocio.example', 'Berta', 'STAFF', 'x', true, $1, $1)",
    )
    .bind(at)
    .execute(&db)
    .await
    .unwrap();
    for seed in 0..TAKEN_BACK {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        // Some files stay: what comes after meets them.
        for stays in [seed % 3 == 0, false] {
            let (kind, way, consents, rows) = file().new_tree(&mut runner).unwrap().current();
            let text = csv(&rows);
            let told = format!("seed {seed}, {kind:?}, {way:?}, {consents}:\n{text}");
            let attempt =
                Attempt::of(kind, "a.csv", text.as_bytes()).creating_people().on_duplicate(way).applied();
            let attempt = if consents { attempt.with_consent("Feria") } else { attempt };
            let before = base(&db).await;
            at += TimeDelta::minutes(1);
            let Ok(done) = run(&db, &Clock::fixed(at), &attempt.args).await else {
                assert_eq!(base(&db).await, before, "nothing is written of a file that is refused: {told}");
                continue;
            };
            check(&done, &rows, &told);
            assert_eq!(decided(&db, done.import_id).await, fates(&done), "{told}");
            if stays {
                continue;
            }
            let mut tx = db.begin().await.unwrap();
            undo::ask(&mut tx, at, &Actor::CommandLine, ImportId(done.import_id)).await.unwrap();
            tx.commit().await.unwrap();
            engine::run_once(&db, at).await.unwrap();
            let import = imports::get(&db, ImportId(done.import_id)).await.unwrap();
            assert_eq!(import.status, Status::Undone, "{:?}: {told}", import.failure);
            let after = base(&db).await;
            for (what, was) in before.as_object().unwrap() {
                assert_eq!(after[what], *was, "{what}: {told}");
            }
            taken_back += 1;
        }
    }
    assert!(taken_back >= usize::from(TAKEN_BACK), "{taken_back}");
}
