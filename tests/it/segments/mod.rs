//! Segments and lists: what rules mean, how they are kept, who is on them, and
//! campaigns to them.

mod lists;
mod pages;
mod random;

use crate::support::{TestApp, monday_noon};
use llovizna::{
    access::Actor,
    bulk_actions::run,
    chile::time,
    contacts::company::Outcome,
    error::{Error, Result},
    ids::{ContactId, SegmentId},
    segments::{
        evaluate::Library,
        facts,
        field::{Field, Op},
        list, list_bulk, members,
        rule::{Condition, Group},
        segment,
        value::{self, Thresholds},
    },
};
use sqlx::PgPool;

/// A private person with so many visits and pesos, and consent by email.
pub(super) async fn person(db: &PgPool, name: &str, visits: i32, spent: i64) -> ContactId {
    let id: i64 = sqlx::query_scalar(
        "with c as (
             insert into contacts (first_name, email, email_basis, search_key, created_at, updated_at)
             values ($1, lower($1) || '@x.example', 'CONSENT', lower($1) || ' x example', $4, $4) returning id
         ), m as (
             insert into contact_metrics (contact_id, visits, spent) select id, $2, $3 from c where $2 + $3 > 0
         )
         select id from c",
    )
    .bind(name)
    .bind(visits)
    .bind(spent)
    .bind(monday_noon())
    .fetch_one(db)
    .await
    .unwrap();
    ContactId(id)
}

pub(super) fn spenders() -> Group {
    Group::all([Condition::with(Field::Spent, Op::MoreThan, &["50000"])])
}

pub(super) async fn keep(db: &PgPool, name: &str, rule: &Group) -> Result<SegmentId> {
    let mut tx = db.begin().await.unwrap();
    let id = segment::create(&mut tx, monday_noon(), &Actor::CommandLine, name, rule).await?;
    tx.commit().await.unwrap();
    Ok(id)
}

async fn change(db: &PgPool, id: SegmentId, name: &str, rule: &Group) -> Result<bool> {
    let mut tx = db.begin().await.unwrap();
    let seen = segment::get(&mut *tx, id).await?.version;
    let changed = segment::update(&mut tx, monday_noon(), &Actor::CommandLine, id, seen, name, rule).await?;
    tx.commit().await.unwrap();
    Ok(changed == Outcome::Saved)
}

fn within(id: SegmentId) -> Group {
    Group::all([Condition::with(Field::Segment, Op::Is, &[&id.to_string()])])
}

fn said(error: &Error) -> String {
    match error {
        Error::Invalid(fields) => fields.iter().map(|it| it.message.as_str()).collect(),
        Error::Refused(sentence) => sentence.clone(),
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_edit_is_a_new_version_and_the_old_ones_stay(db: PgPool) {
    let id = keep(&db, "Gastan", &spenders()).await.unwrap();
    let other = Group::all([Condition::with(Field::Spent, Op::MoreThan, &["90000"])]);
    assert!(change(&db, id, "Gastan más", &other).await.unwrap());
    assert!(!change(&db, id, "Gastan más", &other).await.unwrap(), "nothing changed");
    let versions = segment::versions(&db, id).await.unwrap();
    let told: Vec<_> = versions.iter().map(|it| (it.version, it.name.as_str())).collect();
    assert_eq!(told, [(2, "Gastan más"), (1, "Gastan")]);
    assert_eq!(versions[1].rule, spenders());
    let taken = keep(&db, "gastan MÁS", &spenders()).await.unwrap_err();
    assert!(said(&taken).contains("Ya hay un segmento"));
    let audited: i64 = sqlx::query_scalar("select count(*) from audit_events where subject_kind = 'segment'")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(audited, 2);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_segment_cannot_come_back_to_itself(db: PgPool) {
    let first = keep(&db, "Uno", &spenders()).await.unwrap();
    let second = keep(&db, "Dos", &within(first)).await.unwrap();
    let third = keep(&db, "Tres", &within(second)).await.unwrap();
    for rule in [within(first), within(second), within(third)] {
        let refused = change(&db, first, "Uno", &rule).await.unwrap_err();
        assert!(said(&refused).contains("depender de sí mismo"));
    }
    let ana = person(&db, "Ana", 1, 60_000).await;
    person(&db, "Luis", 1, 0).await;
    let mut connection = db.acquire().await.unwrap();
    let found =
        members::page(&mut connection, monday_noon(), &within(third), ContactId(0), 10).await.unwrap();
    assert_eq!(found, [ana]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_is_used_is_not_removed_and_what_is_removed_comes_back(db: PgPool) {
    let first = keep(&db, "Uno", &spenders()).await.unwrap();
    let second = keep(&db, "Dos", &within(first)).await.unwrap();
    let remove = async |id| {
        let mut tx = db.begin().await.unwrap();
        let done = segment::delete(&mut tx, monday_noon(), &Actor::CommandLine, id).await;
        tx.commit().await.unwrap();
        done
    };
    assert!(said(&remove(first).await.unwrap_err()).contains("lo usa el segmento «Dos»"));
    remove(second).await.unwrap();
    remove(first).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    segment::restore(&mut tx, monday_noon(), &Actor::CommandLine, first).await.unwrap();
    tx.commit().await.unwrap();
    let left: Vec<_> = segment::list(&db).await.unwrap().into_iter().filter(|it| it.key.is_none()).collect();
    assert_eq!(left.iter().map(|it| it.id).collect::<Vec<_>>(), [first]);
    assert!(remove(SegmentId(1)).await.is_err(), "an automatic one stays");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_automatic_segments_are_seeded_and_follow_their_thresholds(db: PgPool) {
    let at = Thresholds::default();
    let kept: Vec<_> = segment::list(&db).await.unwrap().into_iter().filter(|it| it.key.is_some()).collect();
    let kept: Vec<_> = kept.into_iter().map(|it| (it.key.unwrap(), it.name, it.rule)).collect();
    assert_eq!(kept, value::automatic(&at), "the migration and the program say the same");

    person(&db, "Nadie", 0, 0).await;
    person(&db, "Ana", 6, 150_001).await;
    let luis = person(&db, "Luis", 2, 50_000).await;
    let mut connection = db.acquire().await.unwrap();
    let grid = value::grid(&mut connection, &at).await.unwrap();
    assert_eq!(grid.len(), 9);
    for cell in &grid {
        // The grid counts in one pass what each segment counts by its rule.
        let rule = segment::get(&db, cell.id).await.unwrap().rule;
        let counted = members::count(&mut connection, monday_noon(), &rule).await.unwrap();
        assert_eq!(counted, Some(cell.people), "{:?} {:?}", cell.frequency, cell.spend);
    }
    assert_eq!(grid.iter().map(|it| it.people).sum::<i64>(), 3);
    assert_eq!(grid.iter().map(|it| it.spent).sum::<i64>(), 200_001);
    let standing = value::of(&db, &at, luis).await.unwrap().unwrap();
    assert_eq!(standing.name, "Regular, gasto medio");
    assert!(
        standing.reason.contains("2 visitas") && standing.reason.contains("$50.000"),
        "{}",
        standing.reason
    );

    let strict = Thresholds { regular_from: 3, inactive_days: 60, ..at };
    let mut tx = db.begin().await.unwrap();
    value::set(&mut tx, monday_noon(), &Actor::CommandLine, &at, &strict).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(value::of(&db, &strict, luis).await.unwrap().unwrap().name, "Nuevo, gasto medio");
    let named = segment::list(&db).await.unwrap();
    let quiet = named.iter().find(|it| it.key.as_deref() == Some("INACTIVE_90_DAYS")).unwrap();
    assert_eq!((quiet.name.as_str(), quiet.version), ("Sin actividad hace 60 días", 2));
}

/// Make a segment ask about another behind the program's back, as two saved at once could.
async fn force(db: &PgPool, id: SegmentId, rule: &Group) {
    sqlx::query("update segments set rule = $2 where id = $1")
        .bind(id.0)
        .bind(serde_json::to_value(rule).unwrap())
        .execute(db)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn segments_that_ask_about_each_other_end_nothing_but_the_question(db: PgPool) {
    let ana = person(&db, "Ana", 1, 60_000).await;
    let first = keep(&db, "Uno", &spenders()).await.unwrap();
    let second = keep(&db, "Dos", &within(first)).await.unwrap();
    force(&db, first, &within(second)).await;
    let mut connection = db.acquire().await.unwrap();
    let facts = facts::of(&mut connection, ana).await.unwrap();
    let library = Library::from([(first.0, within(second)), (second.0, within(first))]);
    assert!(!facts.satisfy(&within(first), &library, time::local_date(monday_noon())));
    let asked = members::count(&mut connection, monday_noon(), &within(first)).await.unwrap_err();
    assert!(said(&asked).contains("no se puede calcular"));
    // It can be looked at where it is mended.
    let app = TestApp::new(db.clone());
    let page = app.get(&format!("/segments/{first}/edit")).await;
    assert_eq!(page.status, axum::http::StatusCode::OK);
    assert!(change(&db, first, "Uno", &spenders()).await.unwrap());
    assert_eq!(members::count(&mut connection, monday_noon(), &within(second)).await.unwrap(), Some(1));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_segment_asks_about_those_that_exist_and_not_about_too_many(db: PgPool) {
    let refused = keep(&db, "Futuro", &within(SegmentId(9_999))).await.unwrap_err();
    assert!(said(&refused).contains("no existe"));
    // Each asks twice about the one before.
    let mut last = keep(&db, "0", &spenders()).await.unwrap();
    let twice = |id: SegmentId| {
        let it = Condition::with(Field::Segment, Op::Is, &[&id.to_string()]);
        Group::any([it.clone(), it])
    };
    let mut refused = None;
    for n in 1..10 {
        match keep(&db, &n.to_string(), &twice(last)).await {
            Ok(id) => last = id,
            Err(error) => {
                refused = Some(said(&error));
                break;
            }
        }
    }
    assert!(refused.unwrap().contains("demasiados segmentos"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn two_segments_saved_at_once_cannot_ask_about_each_other(db: PgPool) {
    let first = keep(&db, "Uno", &spenders()).await.unwrap();
    let second = keep(&db, "Dos", &spenders()).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let actor = Actor::CommandLine;
    segment::update(&mut tx, monday_noon(), &actor, first, 1, "Uno", &within(second)).await.unwrap();
    let late = tokio::spawn({
        let db = db.clone();
        async move { change(&db, second, "Dos", &within(first)).await }
    });
    // The second is looked at when the first is kept, not before.
    let waits = "select exists (select from pg_locks where locktype = 'advisory' and not granted)";
    while !late.is_finished() && !sqlx::query_scalar::<_, bool>(waits).fetch_one(&db).await.unwrap() {}
    tx.commit().await.unwrap();
    assert!(said(&late.await.unwrap().unwrap_err()).contains("depender de sí mismo"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_segment_or_a_list_is_looked_at_exported_and_changed_like_any_filter(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = person(&db, "Ana", 1, 60_000).await;
    let luis = person(&db, "Luis", 1, 10).await;
    let segment = keep(&db, "Gastan", &spenders()).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let actor = Actor::CommandLine;
    let feria = list::create(&mut tx, monday_noon(), &actor, "Feria", "").await.unwrap();
    list_bulk::attach(&mut tx, monday_noon(), &actor, feria, &[luis.0]).await.unwrap();
    tx.commit().await.unwrap();
    for (filter, inside, outside) in [
        (format!("segment={segment}"), (ana, "Ana"), (luis, "Luis")),
        (format!("list={feria}"), (luis, "Luis"), (ana, "Ana")),
    ] {
        let page = app.get(&format!("/contacts?{filter}")).await;
        let shows = |it: ContactId| page.body.contains(&format!("href=\"/contacts/{it}\""));
        assert!(shows(inside.0) && !shows(outside.0), "{filter}");
        let csv = app.post("/contacts/exports", &[("list", &filter), ("format", "csv")]).await;
        assert!(csv.body.contains(inside.1) && !csv.body.contains(outside.1), "{}", csv.body);
    }
    assert!(app.get(&format!("/contacts?segment={segment}")).await.text().contains("Segmento: Gastan"));
    let page = app.get(&format!("/segments/{segment}")).await;
    let encoded = format!("/bulk-actions/new?scope=all&amp;list=segment%3D{segment}");
    assert!(page.body.contains(&encoded) && page.text().contains("Ver en contactos"));
    let filter = format!("segment={segment}");
    let form =
        [("scope", "all"), ("list", filter.as_str()), ("action", "LIFECYCLE"), ("lifecycle", "CLIENTE")];
    // What is confirmed is what was shown.
    let other = app.post("/bulk-actions", &[&form[..], &[("shown", "2")]].concat()).await;
    assert_eq!(other.status, axum::http::StatusCode::UNPROCESSABLE_ENTITY);
    assert!(other.text().contains("ahora a 1 persona"), "{}", other.text());
    let done = app.post("/bulk-actions", &[&form[..], &[("shown", "1")]].concat()).await;
    assert_eq!(done.status, axum::http::StatusCode::SEE_OTHER);
    // Who comes to belong before the engine gets to it was not confirmed.
    sqlx::query("update contact_metrics set spent = 90000").execute(&db).await.unwrap();
    while run::run_once(&db, app.now()).await.unwrap() {}
    let changed: Vec<i64> = sqlx::query_scalar("select id from contacts where lifecycle = 'CLIENTE'")
        .fetch_all(&db)
        .await
        .unwrap();
    assert_eq!(changed, [ana.0]);
    let nobody = app.get("/contacts?segment=x").await.text();
    assert!(nobody.contains("Ningún contacto"), "no rule, nobody: {nobody}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_edit_is_refused_that_those_who_ask_about_it_could_not_bear(db: PgPool) {
    let base = keep(&db, "Base", &spenders()).await.unwrap();
    let mut last = base;
    let mut before = base;
    for n in 1..9 {
        let it = Condition::with(Field::Segment, Op::Is, &[&last.to_string()]);
        before = last;
        last = keep(&db, &format!("Nivel {n}"), &Group::any([it.clone(), it])).await.unwrap();
    }
    let two = Group::any([spenders().conditions()[0].clone(), Condition::with(Field::Email, Op::Known, &[])]);
    let refused = change(&db, base, "Base", &two).await.unwrap_err();
    assert!(said(&refused).contains("el segmento «Nivel 8» combinaría demasiados segmentos"), "{refused:?}");
    let other = Group::all([Condition::with(Field::Spent, Op::MoreThan, &["9"])]);
    assert!(change(&db, base, "Base", &other).await.unwrap(), "no more than it was");

    // A campaign asks too.
    let mut tx = db.begin().await.unwrap();
    segment::delete(&mut tx, monday_noon(), &Actor::CommandLine, last).await.unwrap();
    tx.commit().await.unwrap();
    sqlx::query(
        "insert into campaigns (name, audience, created_at, updated_at)
         values ('Otoño', jsonb_build_object('segment_ids', jsonb_build_array($1::bigint, $1)), '2026-01-01', '2026-01-01')",
    )
    .bind(before.0)
    .execute(&db)
    .await
    .unwrap();
    let refused = change(&db, base, "Base", &two).await.unwrap_err();
    assert!(said(&refused).contains("la campaña «Otoño» combinaría demasiados segmentos"), "{refused:?}");
    sqlx::query("delete from campaigns where name = 'Otoño'").execute(&db).await.unwrap();
    assert!(change(&db, base, "Base", &two).await.unwrap(), "nobody who is there asks too much");
    // And who was not there does not come back to more than can be asked.
    let mut tx = db.begin().await.unwrap();
    let refused = segment::restore(&mut tx, monday_noon(), &Actor::CommandLine, last).await.unwrap_err();
    assert!(said(&refused).contains("No volvió"), "{refused:?}");
}
