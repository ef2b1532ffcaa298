//! What a campaign brought in: whose purchases count, for which campaign, for how long, and for which of its texts.

use crate::{
    campaigns::{get, people, save, seeded, start},
    drip::run,
    support::TestApp,
    variants::{all_click_b, app, draft},
};
use chrono::TimeDelta;
use llovizna::{
    access::Actor,
    campaigns::{
        copies, figures,
        income::{self, Income, Sum},
    },
    chile::time,
    db::MIGRATIONS,
    ids::{CampaignId, ContactId},
    messaging::kinds::Milestone,
};
use sqlx::PgPool;
use std::collections::BTreeMap;

/// `who` buys for `amount` so many days from today.
async fn buys(app: &TestApp, who: ContactId, amount: i64, days: i64) {
    let on = time::local_date(app.now()) + TimeDelta::days(days);
    sqlx::query(
        "insert into history_entries (contact_id, kind, occurred_on, item, amount, created_at)
         values ($1, 'PURCHASE', $2, 'Queso', $3, $4)",
    )
    .bind(who.0)
    .bind(on)
    .bind(amount)
    .bind(app.now())
    .execute(&app.state.db)
    .await
    .unwrap();
}

async fn of(app: &TestApp, id: CampaignId) -> Income {
    income::of(&app.state.db, id).await.unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_people_buy_is_the_last_campaigns_that_reached_them(db: PgPool) {
    let app = app(db);
    let who = people(&app, "sur", 5).await;
    let first = seeded(&app).await;
    start(&app, first).await.unwrap();
    run(&app).await;
    buys(&app, who[0], 1_000, -1).await;
    assert_eq!(of(&app, first).await, Income::default(), "that was before it");
    buys(&app, who[0], 10_000, 0).await;
    buys(&app, who[0], 20_000, 30).await;
    buys(&app, who[0], 40_000, 31).await;
    buys(&app, who[1], 0, 3).await;
    let all = Sum { people: 1, purchases: 2, amount: 30_000 };
    assert_eq!(of(&app, first).await, Income { all, texts: BTreeMap::new() });
    // One that came back reached nobody.
    buys(&app, who[2], 100_000, 2).await;
    sqlx::query("update communication_logs set status = 'BOUNCED' where contact_id = $1")
        .bind(who[2].0)
        .execute(&app.state.db)
        .await
        .unwrap();
    // Another campaign, a week later: from then on what they buy is that one's.
    buys(&app, who[3], 3_000, 2).await;
    buys(&app, who[3], 5_000, 9).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let second = copies::duplicate(&mut tx, app.now(), &Actor::CommandLine, first).await.unwrap();
    tx.commit().await.unwrap();
    save(&app, second, |it| it.name = "Segunda".to_owned()).await.unwrap();
    app.state.clock.advance(TimeDelta::days(8));
    start(&app, second).await.unwrap();
    run(&app).await;
    assert!(get(&app, second).await.launched_at.is_some());
    let (one, two) = (of(&app, first).await.all, of(&app, second).await.all);
    assert_eq!((one.amount, one.people), (13_000, 2), "{one:?} {two:?}");
    assert_eq!((two.amount, two.people), (65_000, 2), "the one of day 31 is within its thirty days: {two:?}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_text_is_counted_whoever_drew_it_and_every_number_opens_its_people(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    start(&app, id).await.unwrap();
    run(&app).await;
    all_click_b(&app).await;
    app.state.clock.advance(TimeDelta::hours(5));
    run(&app).await;
    let mut conn = app.state.db.acquire().await.unwrap();
    let found = figures::of(&mut conn, id).await.unwrap();
    drop(conn);
    let sent: Vec<i64> = found.texts.values().map(|it| it[&Milestone::Sent]).collect();
    assert_eq!(sent.iter().sum::<i64>(), 60);
    assert!(sent[1] > sent[0], "the rest got the better one: {sent:?}");
    let of_text: Vec<(i64, i64)> = sqlx::query_as(
        "select min(contact_id), count(*) from communication_logs where sent_at is not null group by variant order by variant",
    )
    .fetch_all(&app.state.db)
    .await
    .unwrap();
    assert_eq!(of_text.iter().map(|it| it.1).collect::<Vec<_>>(), sent);
    buys(&app, ContactId(of_text[0].0), 7_000, 1).await;
    buys(&app, ContactId(of_text[1].0), 50_000, 1).await;
    let sums: Vec<(i16, i64)> = of(&app, id).await.texts.iter().map(|it| (*it.0, it.1.amount)).collect();
    assert_eq!(sums, [(0, 7_000), (1, 50_000)]);
    let browser = app.admin().await;
    let page = browser.get(&format!("/campaigns/{id}/income")).await;
    assert!(page.text().contains("$57.000 en 2 compras de 2 personas"), "{}", page.text());
    let shown = browser.get(&format!("/campaigns/{id}")).await;
    assert!(shown.body.contains(&format!("hx-get=\"/campaigns/{id}/income\"")), "{}", shown.body);
    assert!(shown.text().contains("Por texto"), "{}", shown.text());
    let lines = async |query: &str| {
        let list = browser.get(&format!("/messages?campaign={id}&{query}")).await;
        list.body.matches("@x.example").count()
    };
    assert_eq!(lines("bought=1").await, 2);
    assert_eq!(lines("bought=1&variant=text1").await, 1);
    assert_eq!(lines("reached=SENT&variant=text0").await, usize::try_from(sent[0]).unwrap());
}
