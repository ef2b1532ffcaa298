//! Contacts: who they are, where they are found, what they agreed to.

use crate::support::{TestApp, monday_noon};
use axum::http::StatusCode;
use chrono::{NaiveDate, TimeDelta};
use futures_util::TryStreamExt as _;
use llovizna::{
    access::{Actor, Role},
    channels::Channel,
    contacts::{
        company::{self, Outcome},
        consent,
        contact::{self, Draft},
        contact_list::{self, Filter, Listed, Sort},
        preferences,
        vocabulary::{Basis, Kind, Lifecycle, Source},
    },
    db::keyset::{Edge, Place},
    error::Error,
    ids::ContactId,
};
use sqlx::{PgConnection, PgPool};

fn draft(first_name: &str, email: &str) -> Draft {
    Draft { first_name: first_name.to_owned(), email: email.to_owned(), ..Draft::default() }
}

async fn create(db: &PgPool, draft: &Draft) -> Result<ContactId, Error> {
    let mut tx = db.begin().await.unwrap();
    let details = draft.check(monday_noon())?;
    let id = contact::create(&mut tx, monday_noon(), &Actor::CommandLine, &details).await?;
    tx.commit().await.unwrap();
    Ok(id)
}

fn fields(error: &Error) -> Vec<&'static str> {
    match error {
        Error::Invalid(fields) => fields.iter().map(|it| it.field).collect(),
        other => panic!("expected wrong fields, not {other}"),
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_contact_is_kept_in_normal_form_with_their_company(db: PgPool) {
    let typed = Draft {
        first_name: " Ana  María ".to_owned(),
        last_name: "Muñoz".to_owned(),
        email: " ANA@Salmones.example ".to_owned(),
        phone: "9 8765 4321".to_owned(),
        company: "Salmones del Sur".to_owned(),
        job_title: "Gerenta".to_owned(),
        birth_date: "28-02-1985".to_owned(),
        comuna: "ancud".to_owned(),
        source: "EVENTO".to_owned(),
        lifecycle: "CLIENTE".to_owned(),
        notes: "uno\r\ndos".to_owned(),
        ..Draft::default()
    };
    let id = create(&db, &typed).await.unwrap();
    let it = contact::get(&db, id).await.unwrap();
    assert_eq!((it.first_name.as_str(), it.email.as_deref()), ("Ana María", Some("ana@salmones.example")));
    assert_eq!(it.phone.as_deref(), Some("+56987654321"));
    assert_eq!(it.company.as_deref(), Some("Salmones del Sur"));
    assert_eq!(it.birth_date, NaiveDate::from_ymd_opt(1985, 2, 28));
    assert_eq!((it.source, it.lifecycle), (Source::Event, Lifecycle::Customer));
    assert_eq!(it.email_basis, None, "nobody has agreed to anything yet");
    assert_eq!(it.draft().check(monday_noon()).unwrap(), typed.check(monday_noon()).unwrap());
    // A second one at the same company, spelt otherwise, makes no second company.
    let other = Draft { company: "SALMONES DEL SUR".to_owned(), ..draft("Juan", "juan@salmones.example") };
    let other = create(&db, &other).await.unwrap();
    assert_eq!(contact::get(&db, other).await.unwrap().company_id, it.company_id);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_contact_needs_a_way_to_be_reached_and_a_name_or_an_email(db: PgPool) {
    assert_eq!(fields(&create(&db, &draft("Ana", "")).await.unwrap_err()), ["email"]);
    let nameless = Draft { phone: "987654321".to_owned(), ..Draft::default() };
    assert_eq!(fields(&create(&db, &nameless).await.unwrap_err()), ["first_name"]);
    assert!(create(&db, &draft("", "ventas@sur.example")).await.is_ok());
    let wrong = Draft {
        phone: "87654321".to_owned(),
        birth_date: "2030-01-01".to_owned(),
        source: "TIKTOK".to_owned(),
        comuna: "Gotham".to_owned(),
        ..draft("Ana", "ana@sur")
    };
    assert_eq!(
        fields(&create(&db, &wrong).await.unwrap_err()),
        ["email", "phone", "comuna", "source", "birth_date"]
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_email_belongs_to_one_contact(db: PgPool) {
    let first = create(&db, &draft("Ana", "ana@sur.example")).await.unwrap();
    assert_eq!(fields(&create(&db, &draft("Otra Ana", "ANA@sur.example")).await.unwrap_err()), ["email"]);
    let holder = contact::by_email(&db, "ana@sur.example").await.unwrap();
    assert_eq!(holder, Some((first, "Ana".to_owned())));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_company_of_several_with_the_name_must_be_chosen_by_rut(db: PgPool) {
    for rut in ["76086428-5", "76354771-K"] {
        let mut tx = db.begin().await.unwrap();
        let details =
            company::Draft { name: "Sur SpA".to_owned(), rut: rut.to_owned(), ..Default::default() };
        company::create(&mut tx, monday_noon(), &Actor::CommandLine, &details.check().unwrap())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let at = |company: &str| Draft { company: company.to_owned(), ..draft("Ana", "ana@sur.example") };
    assert_eq!(fields(&create(&db, &at("Sur SpA")).await.unwrap_err()), ["company"]);
    assert_eq!(fields(&create(&db, &at("12.531.909-2")).await.unwrap_err()), ["company"]);
    let id = create(&db, &at("Sur SpA · 76.354.771-K")).await.unwrap();
    assert_eq!(contact::get(&db, id).await.unwrap().company_rut.as_deref(), Some("76354771-K"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_edit_does_not_overwrite_what_it_has_not_seen(db: PgPool) {
    let id = create(&db, &draft("Ana", "ana@sur.example")).await.unwrap();
    let seen = contact::get(&db, id).await.unwrap();
    let change = async |title: &str| {
        let details = Draft { job_title: title.to_owned(), ..seen.draft() }.check(monday_noon()).unwrap();
        let mut tx = db.begin().await.unwrap();
        let later = monday_noon() + TimeDelta::minutes(1);
        let it = contact::update(&mut tx, later, &Actor::CommandLine, id, seen.updated_at, &details)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        it
    };
    assert_eq!(change("").await, Outcome::Unchanged);
    assert_eq!(change("Gerenta").await, Outcome::Saved);
    assert_eq!(change("Dueña").await, Outcome::Stale);
    assert_eq!(contact::get(&db, id).await.unwrap().job_title.as_deref(), Some("Gerenta"));
    let (before, after): (serde_json::Value, serde_json::Value) =
        sqlx::query_as("select before, after from audit_events where action = 'contact.update'")
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(before, serde_json::json!({ "job_title": null }));
    assert_eq!(after, serde_json::json!({ "job_title": "Gerenta" }));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_yes_and_a_no_are_in_the_ledger_and_on_the_contact(db: PgPool) {
    let id = create(&db, &draft("Ana", "ana@sur.example")).await.unwrap();
    let typed = consent::Draft {
        communication_type: "EMAIL".to_owned(),
        basis: "CONSENT".to_owned(),
        source: "Formulario de la feria de Puerto Montt".to_owned(),
        obtained_on: "20-11-2026".to_owned(),
    };
    let mut tx = db.begin().await.unwrap();
    let grant = typed.check(monday_noon()).unwrap();
    consent::grant(&mut tx, monday_noon(), &Actor::CommandLine, id, &grant).await.unwrap();
    tx.commit().await.unwrap();
    let it = contact::get(&db, id).await.unwrap();
    assert_eq!((it.basis(Channel::Email), it.basis(Channel::Sms)), (Some(Basis::Consent), None));
    let mut tx = db.begin().await.unwrap();
    consent::withdraw(&mut tx, monday_noon(), &Actor::System, id, Channel::Email, "Enlace de baja", None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(contact::get(&db, id).await.unwrap().email_basis, None);
    let ledger = consent::ledger(&db, id, 10).await.unwrap();
    assert_eq!(ledger.iter().map(|it| it.basis).collect::<Vec<_>>(), [None, Some(Basis::Consent)]);
    assert_eq!(ledger[1].obtained_on, NaiveDate::from_ymd_opt(2026, 11, 20));
    let no_proof = consent::Draft { source: " ".to_owned(), obtained_on: "2026-11-24".to_owned(), ..typed };
    assert_eq!(fields(&no_proof.check(monday_noon()).unwrap_err()), ["source", "obtained_on"]);
    let mut tx = db.begin().await.unwrap();
    let nobody =
        consent::grant(&mut tx, monday_noon(), &Actor::CommandLine, ContactId(id.0 + 1), &grant).await;
    assert!(matches!(nobody, Err(Error::NotFound)));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn choices_and_quiet_hours_are_kept_and_audited_once(db: PgPool) {
    let id = create(&db, &draft("Ana", "ana@sur.example")).await.unwrap();
    let actor = Actor::CommandLine;
    let mut tx = db.begin().await.unwrap();
    let choices = [("NEWSLETTER", false), ("PROMOCIONAL", true)];
    assert!(preferences::choose(&mut tx, monday_noon(), &actor, id, Channel::Email, &choices).await.unwrap());
    assert!(
        !preferences::choose(&mut tx, monday_noon(), &actor, id, Channel::Email, &choices).await.unwrap()
    );
    let quiet = preferences::quiet_hours("21:00", "08:30").unwrap();
    assert!(preferences::set_quiet_hours(&mut tx, monday_noon(), &actor, id, quiet).await.unwrap());
    assert!(!preferences::set_quiet_hours(&mut tx, monday_noon(), &actor, id, quiet).await.unwrap());
    tx.commit().await.unwrap();
    let kept = preferences::of(&db, id).await.unwrap();
    assert_eq!(kept.len(), 1, "yes is the rule, only the no is kept: {kept:?}");
    assert_eq!((kept[0].message_type.as_str(), kept[0].allowed), ("NEWSLETTER", false));
    assert_eq!(contact::get(&db, id).await.unwrap().quiet, quiet);
    let audited: i64 = sqlx::query_scalar(
        "select count(*) from audit_events where action in ('preferences.update', 'quiet_hours.update')",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(audited, 2);
}

async fn names(db: &mut PgConnection, filter: Filter) -> Vec<String> {
    let Listed { page, count, .. } =
        contact_list::page_and_count(db, &filter, Sort::Name, Place::First, 50, 1000, &[]).await.unwrap();
    assert_eq!(count, i64::try_from(page.rows.len()).unwrap());
    page.rows.into_iter().map(|it| it.name).collect()
}

async fn three(db: &PgPool) -> [ContactId; 3] {
    let ana = Draft {
        last_name: "Muñoz".to_owned(),
        company: "Salmones del Sur".to_owned(),
        phone: "987654321".to_owned(),
        ..draft("Ana", "ana@salmones.example")
    };
    let beto = Draft {
        comuna: "Temuco".to_owned(),
        source: "WEB".to_owned(),
        lifecycle: "CLIENTE".to_owned(),
        ..draft("Beto", "beto@correo.example")
    };
    let carla = Draft { email: String::new(), phone: "65 2 345678".to_owned(), ..draft("Carla", "") };
    let ids = [
        create(db, &ana).await.unwrap(),
        create(db, &beto).await.unwrap(),
        create(db, &carla).await.unwrap(),
    ];
    sqlx::query("update companies set rut = '76086428-5', industry = 'Salmonicultura', comuna = '10101'")
        .execute(db)
        .await
        .unwrap();
    ids
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn contacts_are_found_in_any_spelling(db: PgPool) {
    three(&db).await;
    let db = &mut *db.acquire().await.unwrap();
    for (q, found) in [
        ("munoz ANA", "Ana Muñoz"),
        ("salmones.example", "Ana Muñoz"),
        ("9 8765-4321", "Ana Muñoz"),
        ("8765 4321", "Ana Muñoz"),
        ("+56 65 234 5678", "Carla"),
        ("Salmones del sur", "Ana Muñoz"),
        ("76.086.428-5", "Ana Muñoz"),
        ("be", "Beto"),
    ] {
        assert_eq!(names(db, Filter { q: q.to_owned(), ..Filter::default() }).await, [found], "{q}");
    }
    assert!(names(db, Filter { q: "nadie".to_owned(), ..Filter::default() }).await.is_empty());
    assert!(names(db, Filter { q: "%".to_owned(), ..Filter::default() }).await.is_empty());
    assert_eq!(names(db, Filter { q: " ".to_owned(), ..Filter::default() }).await.len(), 3);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn filters_narrow_the_list(db: PgPool) {
    let [ana, ..] = three(&db).await;
    let company = contact::get(&db, ana).await.unwrap().company_id;
    let db = &mut *db.acquire().await.unwrap();
    let all = Filter::default();
    assert_eq!(names(db, Filter { company, ..all.clone() }).await, ["Ana Muñoz"]);
    assert_eq!(names(db, Filter { comuna: Some("10".to_owned()), ..all.clone() }).await, ["Ana Muñoz"]);
    assert_eq!(names(db, Filter { comuna: Some("09101".to_owned()), ..all.clone() }).await, ["Beto"]);
    assert_eq!(
        names(db, Filter { industry: Some("Salmonicultura".to_owned()), ..all.clone() }).await,
        ["Ana Muñoz"]
    );
    assert_eq!(names(db, Filter { kind: Some(Kind::Person), ..all.clone() }).await, ["Beto", "Carla"]);
    assert_eq!(names(db, Filter { source: Some(Source::Web), ..all.clone() }).await, ["Beto"]);
    assert_eq!(names(db, Filter { lifecycle: Some(Lifecycle::Customer), ..all.clone() }).await, ["Beto"]);
    assert!(names(db, Filter { contactable: Some(true), ..all.clone() }).await.is_empty());
    sqlx::query("update contacts set email_basis = 'CONSENT'").execute(&mut *db).await.unwrap();
    assert_eq!(names(db, Filter { contactable: Some(true), ..all.clone() }).await, ["Ana Muñoz", "Beto"]);
    sqlx::query(
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         values ('EMAIL', 'beto@correo.example', 'PROMOTIONAL', 'UNSUBSCRIBED', now())",
    )
    .execute(&mut *db)
    .await
    .unwrap();
    assert_eq!(names(db, Filter { contactable: Some(true), ..all.clone() }).await, ["Ana Muñoz"]);
    assert_eq!(names(db, Filter { contactable: Some(false), ..all }).await, ["Beto", "Carla"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_word_that_thousands_share_is_found_and_narrowed_too(db: PgPool) {
    sqlx::query(
        "insert into contacts (first_name, email, search_key, comuna, created_at, updated_at)
         select 'Ana', n || '@sur.example', 'ana ' || n || ' sur example', case when n > 5995 then '10101' end, now(), now()
         from generate_series(1, 6000) n",
    )
    .execute(&db)
    .await
    .unwrap();
    let db = &mut *db.acquire().await.unwrap();
    let filter = Filter { q: "ana".to_owned(), ..Filter::default() };
    let Listed { page, count, .. } =
        contact_list::page_and_count(db, &filter, Sort::Newest, Place::First, 50, 1001, &[]).await.unwrap();
    assert_eq!((page.rows.len(), page.has_next, count), (50, true, 1001));
    let by_name = contact_list::page(db, &filter, Sort::Name, Place::First, 50).await.unwrap();
    assert_eq!(by_name.rows[1].email.as_deref(), Some("10@sur.example"));
    let after = Place::After(by_name.rows[49].edge(Sort::Name));
    let next = contact_list::page(db, &filter, Sort::Name, after, 50).await.unwrap();
    let back = contact_list::page(db, &filter, Sort::Name, Place::Before(next.rows[0].edge(Sort::Name)), 50)
        .await
        .unwrap();
    let ids = |rows: &[contact_list::Row]| rows.iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(ids(&back.rows), ids(&by_name.rows));
    let narrow = Filter { comuna: Some("10101".to_owned()), ..filter };
    assert_eq!(names(db, narrow).await.len(), 5);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn pages_neither_skip_nor_repeat_in_both_orders_and_directions(db: PgPool) {
    for number in 0..7 {
        // Two of each name, so that the row decides among equals.
        let name = format!("Nombre {}", (7 - number) / 2);
        create(&db, &draft(&name, &format!("p{number}@sur.example"))).await.unwrap();
    }
    let db = &mut *db.acquire().await.unwrap();
    for sort in [Sort::Name, Sort::Newest] {
        let whole = contact_list::page(db, &Filter::default(), sort, Place::First, 50).await.unwrap();
        let whole: Vec<i64> = whole.rows.iter().map(|it| it.id.0).collect();
        let mut place = Place::First;
        let mut seen = Vec::new();
        let mut edges = Vec::new();
        loop {
            let page = contact_list::page(db, &Filter::default(), sort, place.clone(), 3).await.unwrap();
            edges.push(page.rows[0].edge(sort));
            seen.push(page.rows.iter().map(|it| it.id.0).collect::<Vec<_>>());
            assert_eq!(page.has_previous, place != Place::First);
            if !page.has_next {
                break;
            }
            place = Place::After(page.rows.last().unwrap().edge(sort));
        }
        assert_eq!(seen.concat(), whole);
        let back = contact_list::page(db, &Filter::default(), sort, Place::Before(edges[2].clone()), 3)
            .await
            .unwrap();
        assert_eq!(back.rows.iter().map(|it| it.id.0).collect::<Vec<_>>(), seen[1]);
        assert!(back.has_previous && back.has_next);
    }
    let other = Place::After(Edge::row(1));
    let first = contact_list::page(db, &Filter::default(), Sort::Name, other, 50).await.unwrap();
    assert_eq!(first.rows.len(), 7, "an edge of another order leads to the first page");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_next_page_goes_on_where_the_last_row_stood_though_it_moved_or_is_gone(db: PgPool) {
    for number in 1..=6 {
        create(&db, &draft(&format!("Nombre {number}"), &format!("p{number}@sur.example"))).await.unwrap();
    }
    // The last three gave a sign of life, came and bought, the sixth the latest and most; the others never did.
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from contacts order by id").fetch_all(&db).await.unwrap();
    for (place, id) in [3_usize, 4, 5].into_iter().map(|it| (it, ids[it])) {
        sqlx::query(
            "insert into contact_metrics (contact_id, last_activity_at, spent, visits) values ($1, $2, $3 * 990, $3)
             on conflict (contact_id) do update set last_activity_at = $2, spent = $3 * 990, visits = $3",
        )
        .bind(id)
        .bind(monday_noon() + TimeDelta::hours(place as i64))
        .bind(i32::try_from(place).unwrap())
        .execute(&db)
        .await
        .unwrap();
    }
    for sort in [Sort::Name, Sort::Newest, Sort::Activity, Sort::Spent, Sort::Visits] {
        // Within those with a sign of life, and at the first of those without.
        for size in [2, 4, 5] {
            for moved in [true, false] {
                let mut tx = db.begin().await.unwrap();
                let whole =
                    contact_list::page(&mut tx, &Filter::default(), sort, Place::First, 50).await.unwrap();
                let first =
                    contact_list::page(&mut tx, &Filter::default(), sort, Place::First, size).await.unwrap();
                let last = first.rows.last().unwrap();
                let change = if moved {
                    "with m as (insert into contact_metrics (contact_id, last_activity_at, spent, visits) values ($1, '2026-01-01', 1, 1)
                         on conflict (contact_id) do update set last_activity_at = '2026-01-01', spent = 1, visits = 1)
                     update contacts set search_key = 'zz' where id = $1"
                } else {
                    "delete from contacts where id = $1"
                };
                sqlx::query(change).bind(last.id.0).execute(&mut *tx).await.unwrap();
                let place = Place::After(last.edge(sort));
                let next = contact_list::page(&mut tx, &Filter::default(), sort, place, 50).await.unwrap();
                let next: Vec<ContactId> =
                    next.rows.iter().map(|it| it.id).filter(|it| *it != last.id).collect();
                let expected: Vec<ContactId> = whole.rows[size..].iter().map(|it| it.id).collect();
                assert_eq!(next, expected, "{sort:?} {size} {moved}");
                let place = Place::Before(last.edge(sort));
                let back = contact_list::page(&mut tx, &Filter::default(), sort, place, 50).await.unwrap();
                let back: Vec<ContactId> =
                    back.rows.iter().map(|it| it.id).filter(|it| *it != last.id).collect();
                let expected: Vec<ContactId> = whole.rows[..size - 1].iter().map(|it| it.id).collect();
                assert_eq!(back, expected, "back: {sort:?} {size} {moved}");
                tx.rollback().await.unwrap();
            }
        }
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_spent_most_comes_first_in_the_list_its_file_and_a_saved_view(db: PgPool) {
    let app = TestApp::new(db.clone());
    for (number, spent, visits) in [(1, 5_000, 1), (2, 0, 9), (3, 90_000, 0), (4, 5_000, 3)] {
        create(&db, &draft(&format!("Nombre {number}"), &format!("p{number}@sur.example"))).await.unwrap();
        sqlx::query(
            "insert into contact_metrics (contact_id, spent, visits) select max(id), $1, $2 from contacts
             on conflict (contact_id) do update set spent = $1, visits = $2",
        )
        .bind(i64::from(spent))
        .bind(visits)
        .execute(&db)
        .await
        .unwrap();
    }
    create(&db, &draft("Nombre 5", "p5@sur.example")).await.unwrap();
    let admin = app.admin().await;
    for (sort, head, expected) in [("spent", "Gastado", "34152"), ("visits", "Visitas", "24153")] {
        let page = admin.get(&format!("/contacts?sort={sort}")).await;
        let order = |text: &str| {
            let found = text.split("Nombre ").skip(1).filter_map(|it| it.chars().next());
            found.filter(char::is_ascii_digit).collect::<String>()
        };
        assert!(page.body.contains(head), "what it is ordered by shows: {sort}");
        assert_eq!(order(&page.text()), expected, "{sort}: {}", page.text());
        let filter = Filter::default();
        let found = contact_list::matching(
            &mut db.acquire().await.unwrap(),
            &filter,
            if sort == "spent" { Sort::Spent } else { Sort::Visits },
        )
        .await
        .unwrap();
        let mut whole = found.whole(i64::MAX);
        let mut db = db.acquire().await.unwrap();
        let rows: Vec<contact_list::Row> = whole.rows(&mut db).try_collect().await.unwrap();
        let names: Vec<String> = rows.into_iter().map(|it| it.name).collect();
        assert_eq!(order(&names.join(" ")), expected, "its file: {sort}");
        drop(db);
        let saved =
            admin.post("/contacts/views", &[("list", &*format!("sort={sort}")), ("name", sort)]).await;
        let shown = admin.get(saved.location()).await;
        let chosen = format!("<option value=\"{sort}\" selected>");
        assert!(shown.body.contains(&chosen), "a saved view keeps it: {}", saved.location());
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_empty_list_teaches_and_a_reader_sees_no_buttons(db: PgPool) {
    let app = TestApp::new(db);
    let page = app.get("/contacts").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("Aún no hay contactos"), "{}", page.text());
    assert!(page.body.contains("/imports/new?kind=contacts"));
    let reader = app.as_role(Role::ReadOnly).await;
    let page = reader.get("/contacts").await;
    assert!(!page.body.contains("/contacts/new"));
    assert_eq!(reader.get("/contacts/new").await.status, StatusCode::FORBIDDEN);
    assert_eq!(reader.post("/contacts", &[("email", "ana@sur.example")]).await.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_contact_is_made_shown_and_changed_through_the_panel(db: PgPool) {
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let fields = [
        ("first_name", "Ana"),
        ("last_name", "<b>Muñoz</b>"),
        ("email", "ana@sur.example"),
        ("phone", "9 8765 4321"),
        ("company", "Sur SpA"),
    ];
    let made = staff.post("/contacts", &fields).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let page = staff.get(made.location()).await;
    assert!(page.text().contains("Contacto creado"), "{}", page.text());
    assert!(page.body.contains("+56 9 8765 4321") && page.body.contains("Sur SpA"));
    assert!(!page.body.contains("<b>Muñoz"), "typed text never becomes markup");
    let edit = staff.get(&format!("{}/edit", made.location())).await;
    let seen = value_of(&edit.body, "seen");
    app.state.clock.advance(TimeDelta::minutes(5));
    let changed = [("first_name", "Ana María"), ("email", "ana@sur.example"), ("seen", seen.as_str())];
    let saved = staff.post(made.location(), &changed).await;
    assert_eq!(saved.location(), made.location(), "{}", saved.text());
    // A second tab still holds the old form: nothing is lost, and both versions are shown.
    let stale = [("first_name", "Anita"), ("email", "ana@sur.example"), ("seen", seen.as_str())];
    let conflict = staff.post(made.location(), &stale).await;
    assert_eq!(conflict.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(conflict.text().contains("Otra persona guardó cambios"), "{}", conflict.text());
    assert!(conflict.body.contains("<td>Ana María</td><td>Anita</td>"), "{}", conflict.body);
    // Having seen them, saving again is a choice.
    let seen = value_of(&conflict.body, "seen");
    let chosen = [("first_name", "Anita"), ("email", "ana@sur.example"), ("seen", seen.as_str())];
    assert_eq!(staff.post(made.location(), &chosen).await.status, StatusCode::SEE_OTHER);
    let audited: i64 = sqlx::query_scalar("select count(*) from audit_events where subject_kind = 'contact'")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(audited, 3);
}

/// Value of the hidden field `name`.
fn value_of(body: &str, name: &str) -> String {
    let (_, rest) = body.split_once(&format!("name=\"{name}\" value=\"")).expect("the field");
    rest.split('"').next().unwrap().replace("&#43;", "+")
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_wrong_form_keeps_what_was_typed_and_says_who_has_the_email(db: PgPool) {
    let app = TestApp::new(db.clone());
    let holder = create(&db, &draft("Ana", "ana@sur.example")).await.unwrap();
    let again = app
        .post("/contacts", &[("first_name", "Otra"), ("email", "ana@sur.example"), ("phone", "9 8765 4321")])
        .await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.text().contains("Este correo ya es de otro contacto"), "{}", again.text());
    assert!(again.body.contains(&format!("href=\"/contacts/{holder}\"")));
    assert!(again.body.contains("value=\"9 8765 4321\""), "what was typed stays as it was typed");
    let wrong = app.post("/contacts", &[("first_name", "Otra"), ("phone", "123")]).await;
    assert!(wrong.body.contains("id=\"error-phone\""));
    let nobody = app.post("/contacts", &[("email", "x@sur.example"), ("owner_id", "999999")]).await;
    assert!(nobody.text().contains("Esa persona ya no está en el equipo"), "{}", nobody.text());
    assert_eq!(app.get("/contacts/999999").await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        app.post("/contacts/999999", &[("email", "x@sur.example")]).await.status,
        StatusCode::NOT_FOUND
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_yes_a_no_and_preferences_are_written_from_the_page(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = create(&db, &draft("Ana", "ana@sur.example")).await.unwrap();
    let staff = app.as_role(Role::Staff).await;
    let path = |rest: &str| format!("/contacts/{id}{rest}");
    let yes = [("communication_type", "EMAIL"), ("basis", "CONSENT"), ("source", "")];
    let wrong = staff.post(&path("/consents"), &yes).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("<details class=\"inner-form\" open>"), "the form stays open");
    let yes =
        [("communication_type", "EMAIL"), ("basis", "CONSENT"), ("source", "Feria de Osorno, folio 12")];
    assert_eq!(staff.post(&path("/consents"), &yes).await.status, StatusCode::SEE_OTHER);
    let page = staff.get(&path("")).await.text();
    assert!(page.contains("Recibe promociones") && page.contains("Feria de Osorno, folio 12"), "{page}");
    let no = [("communication_type", "EMAIL"), ("basis", "WITHDRAWN"), ("source", "Llamó por teléfono")];
    assert_eq!(staff.post(&path("/consents"), &no).await.status, StatusCode::SEE_OTHER);
    assert_eq!(contact::get(&db, id).await.unwrap().email_basis, None);
    assert_eq!(
        staff.post(&path("/preferences"), &[("EMAIL.PROMOCIONAL", "on")]).await.status,
        StatusCode::SEE_OTHER
    );
    let refused = preferences::of(&db, id).await.unwrap();
    assert!(
        refused.iter().all(|it| !it.allowed && it.message_type != "PROMOCIONAL") && refused.len() == 8,
        "{refused:?}"
    );
    let yes =
        [("communication_type", "EMAIL"), ("basis", "CONSENT"), ("source", "Feria de Osorno, folio 12")];
    assert_eq!(staff.post(&path("/consents"), &yes).await.status, StatusCode::SEE_OTHER);
    let page = staff.get(&path("")).await.text();
    assert!(
        page.contains("Recibe promociones") && page.contains("Prefirió no recibir 4 de 5 tipos"),
        "{page}"
    );
    assert_eq!(staff.post(&path("/preferences"), &[]).await.status, StatusCode::SEE_OTHER);
    let page = staff.get(&path("")).await.text();
    assert!(page.contains("No quiere promociones") && !page.contains("Recibe promociones"), "{page}");
    let half = staff.post(&path("/quiet-hours"), &[("quiet_from", "21:00")]).await;
    assert_eq!(half.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(half.body.contains("value=\"21:00\""));
    let whole = [("quiet_from", "21:00"), ("quiet_until", "08:00")];
    assert_eq!(staff.post(&path("/quiet-hours"), &whole).await.status, StatusCode::SEE_OTHER);
    assert!(contact::get(&db, id).await.unwrap().quiet.is_some());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn not_contacting_anymore_covers_every_address_and_only_deciders_lift_it(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = create(&db, &Draft { phone: "987654321".to_owned(), ..draft("Ana", "ana@sur.example") })
        .await
        .unwrap();
    sqlx::query("update contacts set email_basis = 'CONSENT'").execute(&db).await.unwrap();
    let staff = app.as_role(Role::Staff).await;
    let path = format!("/contacts/{id}/suppressions");
    let unexplained = staff.post(&path, &[("scope", "ALL")]).await;
    assert_eq!(unexplained.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(staff.post(&path, &[("detail", "Lo pidió por teléfono")]).await.status, StatusCode::SEE_OTHER);
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "select id, communication_type, destination from suppressions where reason = 'MANUAL' order by id",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    let covered: Vec<_> = rows.iter().map(|it| (it.1.as_str(), it.2.as_str())).collect();
    assert_eq!(
        covered,
        [("EMAIL", "ana@sur.example"), ("SMS", "+56987654321"), ("WHATSAPP", "+56987654321")]
    );
    assert_eq!(contact::get(&db, id).await.unwrap().email_basis, None);
    let page = staff.get(&format!("/contacts/{id}")).await;
    assert!(
        page.text().contains("No recibe promociones desde el 23-11-2026: agregada a mano"),
        "{}",
        page.text()
    );
    let lift = format!("{path}/{}?_method=DELETE", rows[0].0);
    assert_eq!(staff.post(&lift, &[]).await.status, StatusCode::FORBIDDEN);
    let admin = app.as_role(Role::Admin).await;
    let other = create(&db, &draft("Otra", "otra@sur.example")).await.unwrap();
    let foreign = format!("/contacts/{other}/suppressions/{}?_method=DELETE", rows[0].0);
    assert_eq!(
        admin.post(&foreign, &[]).await.status,
        StatusCode::NOT_FOUND,
        "another person's entry is not theirs to lift"
    );
    assert_eq!(admin.post(&lift, &[]).await.status, StatusCode::SEE_OTHER);
    let left: i64 = sqlx::query_scalar("select count(*) from suppressions where lifted_at is null")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(left, 2);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_list_filters_and_pages_by_its_address(db: PgPool) {
    let app = TestApp::new(db.clone());
    three(&db).await;
    let page = app.get("/contacts?q=mu%C3%B1oz").await;
    assert!(
        page.text().contains("1 contacto")
            && page.text().contains("Ana Muñoz")
            && !page.text().contains("Beto")
    );
    assert!(page.body.contains("aria-label=\"Quitar filtro: «muñoz»\""));
    let none = app.get("/contacts?lifecycle=INACTIVO").await.text();
    assert!(none.contains("Ningún contacto con estos filtros"), "{none}");
    for path in [
        "/contacts?company=x&import=y&kind=z&before=w",
        "/contacts?comuna=%00&q=%27%3B--&industry=%00",
        "/contacts?after=99999999999999",
    ] {
        assert_eq!(app.get(path).await.status, StatusCode::OK, "{path}");
    }
    sqlx::query(
        "insert into contacts (first_name, email, search_key, created_at, updated_at)
         select 'N', n || '@sur.example', 'n ' || n, now(), now() from generate_series(1, 60) n",
    )
    .execute(&db)
    .await
    .unwrap();
    let first = app.get("/contacts?sort=name").await;
    let next = first
        .body
        .split("rel=\"next\" href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .replace("&#38;", "&");
    assert!(next.starts_with("/contacts?sort=name&after=") && !next.contains('@'), "{next}");
    let second = app.get(&next).await;
    assert!(second.body.contains("rel=\"prev\"") && !second.body.contains("rel=\"next\""));
    // Who stood last on the first page is deleted before the second is asked for.
    let rows = |body: &str| body.matches("class=\"row-link\"").count();
    let (before, edge) = (rows(&second.body), next.split("after=").nth(1).unwrap());
    let id: i64 = edge.split('.').next().unwrap().parse().unwrap();
    sqlx::query("delete from contacts where id = $1").bind(id).execute(&db).await.unwrap();
    let second = app.get(&next).await;
    assert!(second.body.contains("rel=\"prev\""), "not the first page again");
    assert_eq!(rows(&second.body), before, "the same people");
}
