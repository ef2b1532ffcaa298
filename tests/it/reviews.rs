//! What a checklist tells that only the outside knows: the domain's DNS, cards that may be one person, a test that arrived.

use crate::{
    campaigns::{BUSINESS, get, people, seeded},
    support::TestApp,
};
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    campaigns::checklist::{self, Item, Level},
    contacts::duplicates,
    db::MIGRATIONS,
    deliverability::{Asking, Doctor, Kind, Names},
    ids::CampaignId,
    scheduler::{self, jobs},
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// Knows all that a careful sender publishes, or nothing.
struct Fake(bool);

impl Names for Fake {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a> {
        let found = match (name, kind) {
            _ if !self.0 => Vec::new(),
            ("termas.cl", Kind::Txt) => vec!["v=spf1 ip4:192.0.2.7 -all".to_owned()],
            ("_dmarc.termas.cl", Kind::Txt) => {
                vec!["v=DMARC1; p=quarantine; rua=mailto:d@termas.cl".to_owned()]
            }
            _ => Vec::new(),
        };
        Box::pin(async move { Ok(found) })
    }
}

fn app(db: PgPool, knows: bool) -> TestApp {
    let sender = [("DEFAULT_FROM_EMAIL", "hola@termas.cl"), ("EMAIL_HOST", "smtp.termas.cl")];
    TestApp::with(db, &[BUSINESS, &sender].concat()).with_doctor(Doctor::new(Some(Box::new(Fake(knows)))))
}

async fn item(app: &TestApp, id: CampaignId, key: &str) -> Option<Item> {
    let campaign = get(app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let all = checklist::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
    all.items.into_iter().find(|it| it.key == key)
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_the_dns_says_is_told_once_somebody_asked(db: PgPool) {
    let app = app(db, false);
    let id = seeded(&app).await;
    let unknown = item(&app, id, "domain").await.unwrap();
    assert_eq!(
        (unknown.level, unknown.link.as_deref()),
        (Level::Amber, Some("/settings/deliverability?report=1"))
    );
    assert!(unknown.found.contains("Nadie ha revisado qué dice el DNS de termas.cl"), "{unknown:?}");
    let job = jobs::find("domain").unwrap();
    scheduler::run_now(&app.state, &Actor::CommandLine, job, &CancellationToken::new()).await.unwrap();
    let said = app.get("/jobs").await.text();
    assert!(said.contains("partes por mirar"), "{said}");
    let known = item(&app, id, "domain").await.unwrap();
    assert!(
        known.level == Level::Amber && known.found.contains("SPF") && known.found.contains("DMARC"),
        "{known:?}"
    );
    // Whoever opens the page asks too, and the answer is kept: findings that are all well are green for a week.
    sqlx::query("update domain_checks set faults = '[]'").execute(&app.state.db).await.unwrap();
    assert_eq!(item(&app, id, "domain").await.unwrap().level, Level::Green);
    app.state.clock.advance(chrono::TimeDelta::days(8));
    let old = item(&app, id, "domain").await.unwrap();
    assert!(old.level == Level::Amber && old.found.contains("desde entonces nadie lo revisa"), "{old:?}");
    app.get("/settings/deliverability?report=1").await;
    let again = item(&app, id, "domain").await.unwrap();
    assert!(again.found.contains("SPF"), "{again:?}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn without_a_server_no_domain_is_told_of(db: PgPool) {
    let app = TestApp::with(db, BUSINESS);
    let id = seeded(&app).await;
    assert_eq!(item(&app, id, "domain").await, None);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn cards_that_may_be_one_person_are_told_where_both_would_get_it(db: PgPool) {
    let app = app(db, true);
    let who = people(&app, "sur", 3).await;
    let id = seeded(&app).await;
    assert_eq!(item(&app, id, "duplicates").await.unwrap().level, Level::Green);
    for it in &who[..2] {
        sqlx::query("update contacts set first_name = 'Ana', last_name = 'Soto' where id = $1")
            .bind(it.0)
            .execute(&app.state.db)
            .await
            .unwrap();
    }
    duplicates::look(&app.state.db, app.now()).await.unwrap();
    let told = item(&app, id, "duplicates").await.unwrap();
    assert_eq!((told.level, told.link.as_deref()), (Level::Amber, Some("/duplicates")));
    assert!(told.found.contains("Dos fichas"), "{told:?}");
    // One of them is no part of the audience any more.
    sqlx::query("update contacts set company_id = null where id = $1")
        .bind(who[0].0)
        .execute(&app.state.db)
        .await
        .unwrap();
    assert_eq!(item(&app, id, "duplicates").await.unwrap().level, Level::Green);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_test_is_green_once_it_arrived(db: PgPool) {
    let app = app(db, true);
    let id = seeded(&app).await;
    let admin = app.admin().await;
    assert_eq!(item(&app, id, "trial").await.unwrap().level, Level::Amber);
    let none = admin.post(&format!("/campaigns/{id}/receipts"), &[]).await;
    assert!(admin.get(none.location()).await.text().contains("Aún no hay una prueba"));
    admin.post(&format!("/campaigns/{id}/test"), &[]).await;
    let left = item(&app, id, "receipt").await.unwrap();
    assert!(left.level == Level::Amber && left.found.contains("falta saber si llegó"), "{left:?}");
    let page = admin.get(&format!("/campaigns/{id}?checklist=1")).await;
    assert!(page.body.contains(&format!("action=\"/campaigns/{id}/receipts\"")), "{}", page.body);
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post(&format!("/campaigns/{id}/receipts"), &[]).await.status, StatusCode::FORBIDDEN);
    admin.post(&format!("/campaigns/{id}/receipts"), &[]).await;
    assert_eq!(item(&app, id, "trial").await.unwrap().level, Level::Green);
    assert_eq!(item(&app, id, "receipt").await, None);
    // One that came back is no test that arrived.
    sqlx::query("delete from trial_receipts").execute(&app.state.db).await.unwrap();
    sqlx::query("update communication_logs set status = 'BOUNCED'").execute(&app.state.db).await.unwrap();
    let returned = item(&app, id, "trial").await.unwrap();
    assert!(returned.found.contains("rebotó"), "{returned:?}");
}
