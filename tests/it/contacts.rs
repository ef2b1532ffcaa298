//! Contacts: who they are, where they are found, what they agreed to.

use crate::support::monday_noon;
use chrono::{NaiveDate, TimeDelta};
use llovizna::{
    access::Actor,
    channels::Channel,
    contacts::{
        company::{self, Outcome},
        consent,
        contact::{self, Draft},
        contact_list::{self, Filter, Sort},
        preferences,
        vocabulary::{Basis, Kind, Lifecycle, Source},
    },
    db::keyset::Place,
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
    let page = contact_list::page(db, &filter, Sort::Name, Place::First, 50).await.unwrap();
    assert_eq!(
        contact_list::count(db, &filter, 1000).await.unwrap(),
        i64::try_from(page.rows.len()).unwrap()
    );
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
    assert_eq!(names(db, Filter { q: "%".to_owned(), ..Filter::default() }).await.len(), 3);
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
        loop {
            let page = contact_list::page(db, &Filter::default(), sort, place, 3).await.unwrap();
            seen.push(page.rows.iter().map(|it| it.id.0).collect::<Vec<_>>());
            assert_eq!(page.has_previous, place != Place::First);
            if !page.has_next {
                break;
            }
            place = Place::After(page.rows.last().unwrap().id.0);
        }
        assert_eq!(seen.concat(), whole);
        let back =
            contact_list::page(db, &Filter::default(), sort, Place::Before(seen[2][0]), 3).await.unwrap();
        assert_eq!(back.rows.iter().map(|it| it.id.0).collect::<Vec<_>>(), seen[1]);
        assert!(back.has_previous && back.has_next);
        let gone = contact_list::page(db, &Filter::default(), sort, Place::After(-1), 50).await.unwrap();
        assert_eq!(gone.rows.len(), 7, "a row that is gone leads to the first page");
    }
}
