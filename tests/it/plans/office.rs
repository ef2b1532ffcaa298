//! The pages of the daily work look up what they show, however much work there was
//! before: no table of it is read whole, and no index walked from end to end.

use super::{BIG, filled, reads_of};
use crate::support::{Browser, TestApp};
use sqlx::PgPool;
use std::collections::BTreeMap;

/// What the work of an office adds to the address book.
const OFFICE: &str = include_str!("office.sql");

/// Tables that grow with that work.
const WORK: &[&str] = &[
    "audit_events",
    "bulk_action_rows",
    "duplicate_candidates",
    "import_changes",
    "import_quiet_rows",
    "import_rows",
    "interactions",
    "list_members",
    "list_removals",
    "pipeline_cards",
    "pipeline_moves",
    "tasks",
];

/// Rows or entries of a relation that a page may look at: what it shows, with what stands around it.
const MOST: i64 = 3_000;

/// The same where a page counts up to ten thousand.
const COUNTED: i64 = 10_001 + MOST;

/// What a page may read.
struct Page {
    path: String,
    most: i64,
    /// Tables and indexes of which it adds everything up: it may read them once.
    whole: &'static [&'static str],
}

fn page(path: impl Into<String>) -> Page {
    Page { path: path.into(), most: MOST, whole: &[] }
}

/// How far each big table was read without an index, and each of its indexes walked, so far. Of an index it is the
/// entries that it gave, or, since it may pass over others, the blocks that were looked at. And how many each holds.
async fn walks(app: &TestApp) -> BTreeMap<String, (i64, f32)> {
    let tables = [BIG, WORK].concat();
    // Whatever was read is told of by now.
    reads_of(app, &tables).await;
    let rows: Vec<(String, i64, f32)> = sqlx::query_as(
        "select c.relname::text, walked, reltuples
         from (select relid, seq_tup_read as walked from pg_stat_user_tables where relname = any ($1)
               union all
               select i.indexrelid, greatest(i.idx_tup_read, b.idx_blks_read + b.idx_blks_hit)
               from pg_stat_user_indexes i join pg_statio_user_indexes b using (indexrelid) where i.relname = any ($1)) walks
         join pg_class c on c.oid = walks.relid",
    )
    .bind(tables)
    .fetch_all(&app.state.db)
    .await
    .unwrap();
    rows.into_iter().map(|it| (it.0, (it.1, it.2))).collect()
}

/// What asking for `page` read that it should not have.
async fn trespasses(app: &TestApp, who: &Browser<'_>, page: &Page) -> Vec<String> {
    let before = walks(app).await;
    let reply = who.get(&page.path).await;
    assert!(reply.status.is_success(), "{}: {}", page.path, reply.status);
    let mut found = Vec::new();
    for (relation, (is, all)) in walks(app).await {
        let read = is - before.get(&relation).map_or(0, |it| it.0);
        let once = page.whole.contains(&relation.as_str());
        if read as f32 > page.most as f32 + if once { all } else { 0.0 } {
            found.push(format!("{}: {read} of {all} of {relation}", page.path));
        }
    }
    found
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn pages_of_the_daily_work_walk_no_index_from_end_to_end(db: PgPool) {
    // All is asked over one connection, which is soon asked often.
    let app = filled(&db, "set bench.contacts = 12000", 1).await;
    sqlx::raw_sql(OFFICE).execute(&app.state.db).await.unwrap();
    // Only the second time all pages are known to be seen by all.
    for _ in 0..2 {
        sqlx::raw_sql("vacuum (analyze, index_cleanup on)").execute(&app.state.db).await.unwrap();
    }
    let one = async |text: &'static str| -> i64 {
        sqlx::query_scalar(text).fetch_one(&app.state.db).await.unwrap()
    };
    let first = one("select id from lists where name = 'Primeros'").await;
    let few = one("select id from lists where name = 'Feria'").await;
    let place = one("select id from list_members where list_id = (select id from lists where name = 'Primeros') order by id offset 6000 limit 1").await;
    let segment = one("select id from segments where name = 'De Eva'").await;
    let owner = one("select id from staff_users where name = 'Eva'").await;
    let stage = one("select id from pipeline_stages where position = 3").await;
    let card = one("select contact_id from pipeline_cards p join pipeline_stages s on s.id = stage_id where position = 3 order by moved_at offset 700 limit 1").await;
    let pair = one("select first_id from duplicate_candidates where dismissed_at is null order by first_id desc offset 2000 limit 1").await;
    let waiting = one("select id from imports where status = 'READY'").await;
    let written = one("select max(id) from imports where status = 'DONE'").await;
    let bulk = one("select max(id) from bulk_actions").await;
    let interest = one("select id from interests where key = 'pilates'").await;
    let person = one("select id from contacts order by id offset 4000 limit 1").await;
    // The board adds up what all of its cards are worth.
    let board = |path: String| Page { whole: &["pipeline_cards", "pipeline_cards_by_stage"], ..page(path) };
    let mut pages = vec![
        board("/pipeline".to_owned()),
        board(format!("/pipeline?stage={stage}&after={card}")),
        // Whom somebody looks after is left out of these.
        Page {
            whole: &["pipeline_cards", "pipeline_cards_by_stage", "contacts_by_owner"],
            ..page(format!("/pipeline?owner=none&stage={stage}&after={card}"))
        },
        page(format!("/pipeline?owner={owner}")),
        page(format!("/pipeline?owner={owner}&stage={stage}")),
        page("/duplicates"),
        page(format!("/duplicates?after={pair}-{pair}")),
        Page { most: 3 * COUNTED, ..page("/lists") },
        page(format!("/lists/{few}")),
        Page { most: COUNTED, ..page(format!("/lists/{first}")) },
        Page { most: COUNTED, ..page(format!("/lists/{first}?after={place}")) },
        Page { most: COUNTED, ..page(format!("/lists/{first}?before={place}")) },
        // The grid adds everybody up, in what is kept of them.
        Page { whole: &["contact_metrics", "contacts_by_creation"], ..page("/segments/value") },
        page("/segments"),
        page(format!("/segments/{segment}")),
        page(format!("/contacts?segment={segment}")),
        page(format!("/contacts?list={few}")),
        page(format!("/contacts?list={first}")),
        page(format!("/contacts?interest={interest}")),
        page(format!("/contacts?owner={owner}")),
        page(format!("/contacts?changed_by={bulk}")),
        Page { most: COUNTED, ..page("/interests") },
        page("/search?q=gonsalez"),
        page("/companies?q=empresa%20700"),
        page(format!("/contacts/{person}")),
        page(format!("/contacts/{person}/timeline")),
        page(format!("/contacts/{person}/consents")),
        page("/messages"),
        page("/suppressions"),
        page("/campaigns"),
        page("/imports"),
        page(format!("/imports/{waiting}")),
        page("/bulk-actions"),
        page(format!("/bulk-actions/{bulk}")),
        page("/tasks"),
        page("/audit"),
        page("/"),
    ];
    for import in [waiting, written] {
        for verdict in ["", "CREATED", "UPDATED", "UNCHANGED", "DUPLICATE", "REJECTED", "WARNED"] {
            pages.push(page(format!("/imports/{import}/rows?verdict={verdict}&after=6000")));
        }
        pages.push(page(format!("/imports/{import}/rows?verdict=REJECTED&column=email&reason=Motivo%201")));
        pages.push(page(format!(
            "/imports/{import}/rows?verdict=WARNED&reason=Se%20dej%C3%B3%20fuera%20%C2%AB…%C2%BB"
        )));
    }
    let admin = app.admin().await;
    let mut found = Vec::new();
    for page in &pages {
        found.extend(trespasses(&app, &admin, page).await);
        // Of a statement that is asked often Postgres keeps one plan for whatever is asked.
        for _ in 0..5 {
            admin.get(&page.path).await;
        }
        found.extend(trespasses(&app, &admin, page).await.into_iter().map(|it| format!("{it}, asked often")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    // Where counting stops, more is said to be there, and not a number that is none.
    for (path, said) in [
        (format!("/lists/{first}"), "Más de 10.000 integrantes"),
        ("/lists".to_owned(), "Más de 10.000"),
        (format!("/lists/{few}"), "60 integrantes"),
        ("/duplicates".to_owned(), "Más de 1.000 pares por revisar"),
    ] {
        let page = admin.get(&path).await.text();
        assert!(page.contains(said), "{path}: {page}");
    }
    let mut unseen = Vec::new();
    // The measure sees what it should: without its index, each of these pages reads what is none of its business.
    for (index, page) in [
        ("import_rows_remarkable", page(format!("/imports/{waiting}"))),
        ("list_members_by_list", page(format!("/lists/{few}"))),
        ("pipeline_cards_by_stage", board(format!("/pipeline?stage={stage}&after={card}"))),
        ("contacts_by_owner", page(format!("/pipeline?owner={owner}"))),
        ("interactions_by_contact", page(format!("/contacts/{person}"))),
        ("tasks_by_contact", page(format!("/contacts/{person}"))),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("drop index {index}")))
            .execute(&app.state.db)
            .await
            .unwrap();
        if trespasses(&app, &admin, &page).await.is_empty() {
            unseen.push(format!("{} lacks {index}", page.path));
        }
    }
    assert!(unseen.is_empty(), "nobody would see that {unseen:#?}");
}
