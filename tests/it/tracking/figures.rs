//! What a campaign shows of its messages, and the people behind each number.

use super::{asks, count, paths, person, run, sent, settle};
use crate::{
    campaigns::{app, execute},
    support::TestApp,
};
use chrono::TimeDelta;
use llovizna::{
    campaigns::figures,
    db::MIGRATIONS,
    ids::CampaignId,
    messaging::{kinds::Milestone, story},
};
use sqlx::{AssertSqlSafe, PgPool};

/// Where the sums differ from the log, in words.
async fn differences(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar(
        "with log as (
             select l.campaign_id, f.what, date_trunc('hour', f.at) as hour, split_part(l.destination, '@', 2) as domain, l.variant
             from communication_logs l cross join lateral (values
                 ('SENT', l.sent_at), ('DELIVERED', coalesce(l.delivered_at, l.opened_at, l.replied_at)), ('OPENED', l.opened_at),
                 ('CLICKED', l.clicked_at), ('REPLIED', l.replied_at), ('BOUNCED', case l.status when 'BOUNCED' then l.sent_at end),
                 ('UNSUBSCRIBED', l.unsubscribed_at),
                 ('MACHINE_OPENED', case when l.opened_at is null then l.machine_opened_at end),
                 ('MACHINE_CLICKED', case when l.clicked_at is null then l.machine_clicked_at end)) f (what, at)
             where l.origin = 'CAMPAIGN' and f.at is not null
         ), counted as (
             select campaign_id, what, hour, null as domain, null::smallint as variant, count(*) as n from log group by 1, 2, 3
             union all select campaign_id, what, null, domain, null, count(*) from log group by 1, 2, 4
             union all select campaign_id, what, null, null, variant, count(*) from log where variant is not null group by 1, 2, 5
         ), sums as (
             select campaign_id, what, hour, domain, variant, sum(messages)::bigint as n
             from campaign_figures group by 1, 2, 3, 4, 5 having sum(messages) <> 0
         )
         select 'log ' || d::text from (table counted except table sums) d
         union all select 'sums ' || d::text from (table sums except table counted) d",
    )
    .fetch_all(&app.state.db)
    .await
    .unwrap()
}

async fn agree(app: &TestApp) {
    assert_eq!(differences(app).await, Vec::<String>::new());
}

/// A campaign of which something of everything became.
async fn eventful(app: &TestApp) -> CampaignId {
    let (id, emails) = sent(app, 8, true).await;
    app.state.clock.advance(TimeDelta::minutes(50));
    for (email, link) in [(0, 3), (1, 3), (1, 0), (2, 1), (3, 0)] {
        app.state.clock.advance(TimeDelta::minutes(3));
        asks(app, &paths(app, &emails[email])[link]).await;
    }
    for email in [4, 3] {
        app.anonymous().header("user-agent", "Mozilla/5.0").get(&paths(app, &emails[email])[3]).await;
    }
    app.anonymous().header("user-agent", "curl/8").get(&paths(app, &emails[5])[0]).await;
    settle(app).await;
    for change in [
        "update communication_logs set status = 'DELIVERED', delivered_at = sent_at where id = (select max(id) from communication_logs)",
        "update communication_logs set status = 'BOUNCED' where id = (select max(id) - 1 from communication_logs)",
        "update communication_logs set unsubscribed_at = opened_at where opened_at is not null and clicked_at is null",
        "update communication_logs set status = 'REPLIED', replied_at = clicked_at where id = (select max(id) from communication_logs where clicked_at is not null)",
    ] {
        sqlx::query(AssertSqlSafe(change)).execute(&app.state.db).await.unwrap();
        agree(app).await;
    }
    id
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn they_say_what_the_log_says_however_often_they_are_added_up(db: PgPool) {
    let app = app(db);
    let id = eventful(&app).await;
    let mut db = app.state.db.acquire().await.unwrap();
    for _ in 0..2 {
        let it = figures::of(&mut db, id).await.unwrap();
        let all = Milestone::ALL.iter().map(|what| it.total(*what)).collect::<Vec<_>>();
        assert_eq!(all, [8, 5, 4, 3, 1, 1, 1, 1, 1]);
        assert_eq!(it.domains[0].0, "x.example");
        assert_eq!(it.domains[0].1[&Milestone::Opened], 4);
        let links: Vec<(&str, i64)> = it.links.iter().map(|it| (it.target.as_str(), it.people)).collect();
        assert_eq!(links, [("https://tienda.example/oferta?a=1&b=2", 2), ("https://tienda.example/mapa", 1)]);
        figures::fold(&app.state.db).await.unwrap();
        assert_eq!(count(&app, "select count(*) from campaign_figures where not folded").await, 0);
        agree(&app).await;
    }
    // More gathers on what was added up, and is taken back with what caused it.
    let mut tx = app.state.db.begin().await.unwrap();
    sqlx::query("update communication_logs set status = 'OPENED', opened_at = sent_at where status = 'SENT'")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    agree(&app).await;
    execute(
        &app,
        "update communication_logs set status = 'OPENED', opened_at = sent_at where status = 'SENT'",
    )
    .await;
    agree(&app).await;
    figures::fold(&app.state.db).await.unwrap();
    agree(&app).await;
    run(&app).await;
    agree(&app).await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_number_of_the_page_leads_to_as_many_people(db: PgPool) {
    let app = app(db);
    let id = eventful(&app).await;
    let page = app.get(&format!("/campaigns/{id}")).await;
    let text = page.text();
    for words in
        ["Abiertos por personas", "Por hora", "Por servicio de correo", "Enlaces que siguieron", "50,0 %"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    // The drawing says its hours and how many its tallest column is.
    let axis = page.body.split("columns-axis").nth(1).unwrap().split("</svg>").next().unwrap();
    for hour in [">12:00</text>", ">23-11</text>", ">18:00</text>", ">00:00</text>", ">24-11</text>"] {
        assert!(axis.contains(hour), "{hour}: {axis}");
    }
    assert!(text.contains("Enviados hasta 8"), "{text}");
    let mut followed = 0;
    for part in page.body.split("<a href=\"/messages?campaign=").skip(1) {
        let (query, rest) = part.split_once("\">").unwrap();
        if !["reached", "link"]
            .iter()
            .any(|it| query.contains(&format!("&#38;{it}=")) || query.contains(&format!("&amp;{it}=")))
        {
            continue;
        }
        let shown = rest.split("</a>").next().unwrap();
        let shown: usize = shown.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{rest:.80}"));
        let query = query.replace("&#38;", "&").replace("&amp;", "&");
        let list = app.get(&format!("/messages?campaign={query}")).await.body;
        assert_eq!(list.matches("data-label=\"Para\"").count(), shown, "{query}");
        followed += 1;
    }
    assert!(followed > 15, "{followed}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_comes_late_leaves_the_drawing_as_it_was(db: PgPool) {
    let app = app(db);
    let (id, emails) = sent(&app, 2, true).await;
    app.state.clock.advance(TimeDelta::days(100));
    asks(&app, &paths(&app, &emails[0])[0]).await;
    settle(&app).await;
    // Who leaves a year later is in no column of it.
    execute(&app, "update communication_logs set unsubscribed_at = '2027-11-23' where status = 'SENT'").await;
    let page = app.get(&format!("/campaigns/{id}")).await;
    let drawn = page.body.split("class=\"columns-row\"").nth(1).unwrap().split("</svg>").next().unwrap();
    assert!(drawn.contains("Enviados") && drawn.contains("<rect x="), "{drawn}");
    let axis = page.body.split("columns-axis").nth(1).unwrap().split("</svg>").next().unwrap();
    assert!(
        axis.contains(">23-11</text>") && axis.contains(">30-11</text>") && !axis.contains(':'),
        "{axis}"
    );
    let text = page.text();
    assert!(
        text.contains("El dibujo llega a los primeros 60 días. Después: Abiertos 1, Con clic 1."),
        "{text}"
    );
    let table = page.body.split("id=\"moments-table\"").nth(1).unwrap().split("</details>").next().unwrap();
    assert_eq!(
        table.matches("<tr>").count(),
        4,
        "its head, the two days on which something was, and the one on which somebody left: {table}"
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_without_the_picture_says_so_and_shows_no_openings(db: PgPool) {
    let app = app(db);
    let (id, _) = sent(&app, 2, false).await;
    let text = app.get(&format!("/campaigns/{id}")).await.text();
    assert!(text.contains("Sin píxel: esta campaña no mide aperturas ni clics."), "{text}");
    assert!(!text.contains("Abiertos por personas") && text.contains("Medición sin píxel"), "{text}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_that_ended_is_still_watched_for_a_while(db: PgPool) {
    let app = app(db);
    let (id, emails) = sent(&app, 1, true).await;
    let path = format!("/campaigns/{id}");
    assert!(app.get(&path).await.body.contains("hx-trigger=\"every 30s\""));
    app.state.clock.advance(TimeDelta::minutes(5));
    person(&app).get(&paths(&app, &emails[0])[3]).await;
    settle(&app).await;
    let part = app.admin().await.htmx().get(&format!("{path}/progress?status=FINISHED")).await;
    assert!(part.body.contains("reached=OPENED"), "{}", part.body);
    app.state.clock.advance(TimeDelta::days(8));
    assert!(!app.get(&path).await.body.contains("hx-trigger=\"every"));
    let filter =
        story::Filter { campaign: Some(id), reached: Some(Milestone::Opened), ..story::Filter::default() };
    let mut db = app.state.db.acquire().await.unwrap();
    assert_eq!(story::count(&mut db, &filter, 9).await.unwrap(), 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_looks_at_the_simulated_copy_opens_nothing(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 1, true).await;
    sqlx::query(
        "insert into outbox_messages (communication_log_id, message_id, sender, destination, subject, headers, html, plain, captured_at)
         values ($1, 'a', 'a', 'b', 'c', '[]', $2, 'd', now())",
    )
    .bind(emails[0].message)
    .bind(&emails[0].html)
    .execute(&app.state.db)
    .await
    .unwrap();
    let id = count(&app, "select max(id) from outbox_messages").await;
    let letter = app.get(&format!("/outbox/{id}/html")).await.body;
    assert!(letter.contains("/c/") && !letter.contains("/o/"), "{letter}");
}
