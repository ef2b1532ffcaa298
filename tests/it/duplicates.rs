//! People who are here twice: found, joined, told apart again.

use crate::support::{TestApp, monday_noon};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    channels::Channel,
    contacts::{
        consent,
        contact::{self, Draft},
        contact_list::{self, Filter, Sort},
        duplicates::{self, Reason},
        merge::{self, Field},
        metrics,
    },
    db::keyset::Place,
    error::Error,
    ids::ContactId,
    reports::timeline::{self, Kind},
};
use sqlx::PgPool;
use std::collections::BTreeSet;

pub(crate) async fn person(
    db: &PgPool,
    name: (&str, &str),
    email: &str,
    phone: &str,
    company: &str,
) -> ContactId {
    let typed = Draft {
        first_name: name.0.to_owned(),
        last_name: name.1.to_owned(),
        email: email.to_owned(),
        phone: phone.to_owned(),
        company: company.to_owned(),
        ..Draft::default()
    };
    let mut tx = db.begin().await.unwrap();
    let id =
        contact::create(&mut tx, monday_noon(), &Actor::CommandLine, &typed.check(monday_noon()).unwrap())
            .await
            .unwrap();
    tx.commit().await.unwrap();
    id
}

pub(crate) async fn join(
    db: &PgPool,
    kept: ContactId,
    gone: ContactId,
    taken: &[Field],
) -> Result<i64, Error> {
    let mut tx = db.begin().await.unwrap();
    let now = monday_noon() + TimeDelta::hours(1);
    let taken: BTreeSet<Field> = taken.iter().copied().collect();
    let id = merge::merge(&mut tx, now, &Actor::CommandLine, kept, gone, &taken).await?;
    tx.commit().await.unwrap();
    Ok(id)
}

pub(crate) async fn separate(db: &PgPool, id: i64) -> Result<(), Error> {
    let mut tx = db.begin().await.unwrap();
    merge::undo(&mut tx, monday_noon() + TimeDelta::hours(2), &Actor::CommandLine, id).await?;
    tx.commit().await.unwrap();
    Ok(())
}

/// All that is known of these people, but for when it was last written.
pub(crate) async fn all_of(db: &PgPool, ids: &[ContactId]) -> serde_json::Value {
    let ids: Vec<i64> = ids.iter().map(|it| it.0).collect();
    sqlx::query_scalar(
        "select jsonb_build_object(
            'contacts', (select jsonb_agg(to_jsonb(c) - 'updated_at' order by id) from contacts c where id = any($1)),
            'words', (select jsonb_agg(to_jsonb(w) order by contact_id) from contact_words w where contact_id = any($1)),
            'interactions', (select jsonb_agg(to_jsonb(i) order by id) from interactions i where contact_id = any($1)),
            'history', (select jsonb_agg(to_jsonb(h) order by id) from history_entries h where contact_id = any($1)),
            'tasks', (select jsonb_agg(to_jsonb(t) order by id) from tasks t where contact_id = any($1)),
            'interests', (select jsonb_agg(to_jsonb(x) order by contact_id, interest_id) from contact_interests x where contact_id = any($1)),
            'preferences', (select jsonb_agg(to_jsonb(p) order by contact_id, message_type) from contact_preferences p where contact_id = any($1)),
            'metrics', (select jsonb_agg(to_jsonb(m) order by contact_id) from contact_metrics m where contact_id = any($1) and first_activity_at is not null),
            'cards', (select jsonb_agg(to_jsonb(p) order by contact_id) from pipeline_cards p where contact_id = any($1)),
            'messages', (select jsonb_agg(to_jsonb(l) order by id) from communication_logs l where contact_id = any($1)))",
    )
    .bind(ids)
    .fetch_one(db)
    .await
    .unwrap()
}

/// Two fichas of one person, each with things of its own.
pub(crate) async fn twice(db: &PgPool) -> (ContactId, ContactId) {
    let kept = person(db, ("Ana", "Soto"), "ana@uno.example", "", "Lácteos del Sur").await;
    let gone =
        person(db, ("Ana María", "Soto Paz"), "anamaria@dos.example", "9 8765 4321", "Lácteos del Sur").await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "insert into interactions (contact_id, kind, summary, at, created_at) values
             ({kept}, 'CALL', 'Preguntó precios', '2026-11-20', '2026-11-20'), ({gone}, 'NOTE', 'Prefiere la tarde', '2026-11-19', '2026-11-19');
         insert into history_entries (contact_id, kind, occurred_on, item, amount, created_at) values
             ({gone}, 'PURCHASE', '2026-10-01', 'Tinaja', 45000, '2026-11-01');
         insert into tasks (title, contact_id, due_on, created_at) values ('Llamar', {gone}, '2026-11-30', '2026-11-20');
         insert into interests (name, key, created_at) values ('Yoga', 'yoga', '2026-11-01'), ('Vino', 'vino', '2026-11-01');
         insert into contact_interests select {gone}, id, '2026-11-02' from interests;
         insert into contact_interests select {kept}, id, '2026-11-03' from interests where key = 'yoga';
         insert into contact_preferences values ({gone}, 'EMAIL', 'NEWSLETTER', false, '2026-11-05');
         insert into pipeline_cards (contact_id, stage_id, value, moved_at) select {gone}, min(id), 90000, '2026-11-06' from pipeline_stages;
         insert into communication_logs (origin, contact_id, destination, communication_type, message_type, status,
             scheduled_at, next_attempt_at, created_at, dedupe_key)
             values ('MANUAL', {gone}, 'anamaria@dos.example', 'EMAIL', 'PROMOCIONAL', 'PENDING', '2026-11-01', '2026-11-01', '2026-11-01', 'k')"
    )))
    .execute(db)
    .await
    .unwrap();
    let mut tx = db.begin().await.unwrap();
    metrics::recount(&mut tx, monday_noon(), &[kept.0, gone.0]).await.unwrap();
    tx.commit().await.unwrap();
    (kept, gone)
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn joining_keeps_everything_in_one_ficha(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    join(&db, kept, gone, &[Field::Name]).await.unwrap();
    let it = contact::get(&db, kept).await.unwrap();
    assert_eq!((it.first_name.as_str(), it.last_name.as_str()), ("Ana María", "Soto Paz"));
    assert_eq!((it.email.as_deref(), it.phone.as_deref()), (Some("ana@uno.example"), Some("+56987654321")));
    let mut db = db.acquire().await.unwrap();
    let weight = merge::weight(&mut db, kept).await.unwrap();
    assert_eq!((weight.interactions, weight.history, weight.tasks, weight.interests), (2, 1, 1, 2));
    assert_eq!(
        merge::weight(&mut db, gone).await.unwrap().messages,
        1,
        "what was sent stays where it was sent"
    );
    assert_eq!(merge::survivor(&mut db, gone).await.unwrap(), kept);
    let found = |q: &str| Filter { q: q.to_owned(), ..Filter::default() };
    for q in ["", "soto", "98765", "anamaria"] {
        let page = contact_list::page(&mut db, &found(q), Sort::Newest, Place::First, 10).await.unwrap();
        let ids: Vec<ContactId> = page.rows.iter().map(|it| it.id).collect();
        let expected = if q == "anamaria" { vec![] } else { vec![kept] };
        assert_eq!(ids, expected, "{q}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn joining_and_taking_it_back_changes_nothing(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let before = all_of(&db, &[kept, gone]).await;
    for taken in [&[][..], &Field::ALL[..]] {
        let id = join(&db, kept, gone, taken).await.unwrap();
        assert_ne!(all_of(&db, &[kept, gone]).await, before);
        separate(&db, id).await.unwrap();
        assert_eq!(all_of(&db, &[kept, gone]).await, before, "{taken:?}");
        assert!(matches!(separate(&db, id).await, Err(Error::NotFound)), "not twice");
    }
    // And with the two the other way round.
    let id = join(&db, gone, kept, &[Field::Email]).await.unwrap();
    separate(&db, id).await.unwrap();
    assert_eq!(all_of(&db, &[kept, gone]).await, before);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_was_changed_after_joining_survives_taking_it_back(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    let it = contact::get(&db, kept).await.unwrap();
    let mut typed = it.draft();
    typed.job_title = "Gerenta".to_owned();
    typed.phone = "9 1111 2222".to_owned();
    let details = typed.check(monday_noon()).unwrap();
    let mut tx = db.begin().await.unwrap();
    contact::update(&mut tx, monday_noon(), &Actor::CommandLine, kept, it.updated_at, &details)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    separate(&db, id).await.unwrap();
    let (ours, theirs) = (contact::get(&db, kept).await.unwrap(), contact::get(&db, gone).await.unwrap());
    assert_eq!((ours.job_title.as_deref(), ours.phone.as_deref()), (Some("Gerenta"), Some("+56911112222")));
    assert_eq!(theirs.phone.as_deref(), Some("+56987654321"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_of_either_stays_a_no(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let (now, who) = (monday_noon(), Actor::CommandLine);
    let grant = consent::Draft {
        communication_type: "EMAIL".to_owned(),
        basis: "CONSENT".to_owned(),
        source: "Feria".to_owned(),
        obtained_on: String::new(),
    };
    let mut tx = db.begin().await.unwrap();
    consent::grant(&mut tx, now, &who, kept, &grant.check(now).unwrap()).await.unwrap();
    consent::withdraw(&mut tx, now, &who, gone, Channel::Email, "Por teléfono", None).await.unwrap();
    tx.commit().await.unwrap();
    let id = join(&db, kept, gone, &[]).await.unwrap();
    assert_eq!(contact::get(&db, kept).await.unwrap().email_basis, None);
    assert_eq!(consent::ledger(&db, kept, 1).await.unwrap()[0].basis, None, "the ledger tells it too");
    separate(&db, id).await.unwrap();
    assert!(contact::get(&db, kept).await.unwrap().email_basis.is_some());
    assert_eq!(contact::get(&db, gone).await.unwrap().email_basis, None);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn losing_a_basis_with_an_address_is_no_no(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let now = monday_noon();
    let grant = consent::Draft {
        communication_type: "EMAIL".to_owned(),
        basis: "CONSENT".to_owned(),
        source: "Feria".to_owned(),
        obtained_on: String::new(),
    };
    let mut tx = db.begin().await.unwrap();
    consent::grant(&mut tx, now, &Actor::CommandLine, kept, &grant.check(now).unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    let words = async || -> Vec<String> {
        sqlx::query_scalar("select basis from consent_events where contact_id = $1 order by id")
            .bind(kept.0)
            .fetch_all(&db)
            .await
            .unwrap()
    };
    // The address of the other comes without a basis.
    let id = join(&db, kept, gone, &[Field::Email]).await.unwrap();
    assert_eq!(contact::get(&db, kept).await.unwrap().email_basis, None);
    assert_eq!(words().await, ["CONSENT", "REVERSED"]);
    separate(&db, id).await.unwrap();
    assert_eq!(words().await, ["CONSENT", "REVERSED", "CONSENT"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_story_of_the_joined_one_is_read_with_the_others(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let messages = async || {
        let mut db = db.acquire().await.unwrap();
        let (entries, _) = timeline::page(&mut db, kept, Some(Kind::Message), None, 20).await.unwrap();
        entries.len()
    };
    assert_eq!(messages().await, 0);
    let id = join(&db, kept, gone, &[]).await.unwrap();
    assert_eq!(messages().await, 1);
    separate(&db, id).await.unwrap();
    assert_eq!(messages().await, 0);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn nobody_is_joined_twice_or_with_themselves(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let third = person(&db, ("Eva", "Paz"), "eva@x.example", "", "").await;
    assert!(matches!(join(&db, kept, kept, &[]).await, Err(Error::Refused(_))));
    assert!(matches!(join(&db, kept, ContactId(99_999), &[]).await, Err(Error::NotFound)));
    let first = join(&db, kept, gone, &[]).await.unwrap();
    assert!(matches!(join(&db, third, gone, &[]).await, Err(Error::Refused(_))));
    // Whoever had been joined follows, and comes back in the same order.
    let second = join(&db, third, kept, &[]).await.unwrap();
    assert_eq!(merge::survivor(&mut db.acquire().await.unwrap(), gone).await.unwrap(), third);
    assert!(matches!(separate(&db, first).await, Err(Error::Refused(_))), "the newer one first");
    separate(&db, second).await.unwrap();
    assert_eq!(merge::survivor(&mut db.acquire().await.unwrap(), gone).await.unwrap(), kept);
    separate(&db, first).await.unwrap();
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn pairs_are_found_by_mobile_and_by_near_names_and_a_no_is_kept(db: PgPool) {
    let a = person(&db, ("Ana", "Muñoz"), "a@x.example", "9 8765 4321", "").await;
    let b = person(&db, ("Otra", "Persona"), "b@x.example", "+56 9 8765 4321", "").await;
    let c = person(&db, ("José", "Pérez Soto"), "c@x.example", "", "Hostal").await;
    let d = person(&db, ("Jose", "Perez Soto"), "d@x.example", "", "Hostal").await;
    let e = person(&db, ("José", "Perez Sotto"), "e@x.example", "", "Hostal").await;
    // A shared fixed line and a namesake elsewhere are no pairs.
    person(&db, ("Uno", "Solo"), "f@x.example", "65 225 1234", "").await;
    person(&db, ("Dos", "Aparte"), "g@x.example", "65 225 1234", "").await;
    person(&db, ("José", "Pérez Soto"), "h@x.example", "", "Otra empresa").await;
    assert_eq!(duplicates::look(&db, monday_noon()).await.unwrap(), 4);
    let mut conn = db.acquire().await.unwrap();
    let pairs = duplicates::open(&mut conn, None, 10).await.unwrap();
    let pairs: Vec<_> = pairs.iter().map(|it| (it.first.id, it.second.id, it.reason)).collect();
    assert_eq!(
        pairs,
        [
            (d, e, Reason::NearName),
            (c, e, Reason::NearName),
            (c, d, Reason::SameName),
            (a, b, Reason::SamePhone)
        ]
    );
    let rest = duplicates::open(&mut conn, Some((d, e)), 10).await.unwrap();
    assert_eq!(rest.len(), 3);
    let others: Vec<_> = duplicates::of(&mut conn, c).await.unwrap().into_iter().map(|it| it.0.id).collect();
    assert_eq!(others, [d, e]);
    drop(conn);
    let mut tx = db.begin().await.unwrap();
    duplicates::dismiss(&mut tx, monday_noon(), &Actor::CommandLine, (b, a), true).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(duplicates::look(&db, monday_noon()).await.unwrap(), 3, "not asked again");
    join(&db, c, d, &[]).await.unwrap();
    assert_eq!(duplicates::look(&db, monday_noon()).await.unwrap(), 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn where_many_work_pairs_are_found_by_what_few_share(db: PgPool) {
    let a = person(&db, ("Rocío", "Quilodrán Vera"), "a@x.example", "", "Clínica").await;
    let b = person(&db, ("Rocio", "Quilodran Vera"), "b@x.example", "", "Clínica").await;
    let c = person(&db, ("Rosío", "Quilodrán Vera"), "c@x.example", "", "Clínica").await;
    let d = person(&db, ("Juan", "Soto"), "d@x.example", "", "Clínica").await;
    let e = person(&db, ("Juan", "Soto"), "e@x.example", "", "Clínica").await;
    sqlx::query(
        "insert into contacts (first_name, last_name, email, search_key, company_id, created_at, updated_at)
         select 'Juan', 'Empleado' || chr(65 + n / 26) || chr(65 + n % 26), n || '@z.example', 'juan', company_id, created_at, created_at
         from contacts, generate_series(1, 60) n where id = $1",
    )
    .bind(a.0)
    .execute(&db)
    .await
    .unwrap();
    duplicates::look(&db, monday_noon()).await.unwrap();
    let mut conn = db.acquire().await.unwrap();
    let pairs = duplicates::open(&mut conn, None, 1000).await.unwrap();
    let pairs: Vec<_> = pairs.iter().map(|it| (it.first.id, it.second.id, it.reason)).collect();
    assert_eq!(
        pairs,
        [
            (d, e, Reason::SameName),
            (b, c, Reason::NearName),
            (a, c, Reason::NearName),
            (a, b, Reason::SameName)
        ]
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_page_joins_and_gives_a_way_back(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    duplicates::look(&db, monday_noon()).await.unwrap();
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let list = staff.get("/duplicates").await;
    assert!(list.text().contains("1 par por revisar"), "{}", list.text());
    let page = staff.get(&format!("/duplicates/{kept}/{gone}")).await;
    assert!(page.text().contains("Unir en una sola ficha"), "{}", page.text());
    let done = staff.post(&format!("/duplicates/{kept}/{gone}"), &[("email", "gone")]).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, format!("/contacts/{kept}").as_str()));
    let it = contact::get(&db, kept).await.unwrap();
    assert_eq!(it.email.as_deref(), Some("anamaria@dos.example"));
    let moved = staff.get(&format!("/contacts/{gone}")).await;
    assert_eq!(
        (moved.status, moved.location()),
        (StatusCode::SEE_OTHER, format!("/contacts/{kept}").as_str())
    );
    let shut = staff.get(&format!("/duplicates/{kept}/{gone}")).await;
    assert!(shut.text().contains("ya está unida"), "{}", shut.text());
    let id: i64 = sqlx::query_scalar("select id from contact_merges").fetch_one(&db).await.unwrap();
    let back = staff.post(&format!("/merges/{id}/undoing"), &[]).await;
    assert_eq!(back.location(), format!("/duplicates/{kept}/{gone}"));
    let reader = app.as_role(Role::ReadOnly).await;
    let refused = reader.post(&format!("/duplicates/{kept}/{gone}"), &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(!reader.get("/duplicates").await.text().contains("Son dos personas"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn any_two_are_joined_from_the_page_of_one(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let path = format!("/contacts/{kept}/other");
    let link = format!("href=\"{path}\"");
    assert!(staff.get(&format!("/contacts/{kept}")).await.body.contains(&link));
    assert!(!staff.get(&path).await.body.contains("/duplicates/"), "nothing was looked for");
    let found = staff.get(&format!("{path}?q=soto")).await.body;
    assert!(found.contains(&format!("href=\"/duplicates/{kept}/{gone}\"")), "{found}");
    assert!(!found.contains(&format!("/duplicates/{kept}/{kept}")), "nobody is joined with themselves");
    let alike = staff.get(&format!("{path}?q=mrai")).await.text();
    assert!(alike.contains("Parecidos a «mrai»") || alike.contains("No hay otra ficha"), "{alike}");
    assert!(staff.get(&format!("{path}?q=wxyzk")).await.text().contains("No hay otra ficha"));
    let reader = app.as_role(Role::ReadOnly).await;
    assert!(!reader.get(&format!("/contacts/{kept}")).await.body.contains(&link));
    assert_eq!(reader.get(&path).await.status, StatusCode::FORBIDDEN);
}
