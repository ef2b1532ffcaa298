//! What messages carry, and where it leads.

use super::{BODY, after, asks, count, edit, paths, person, run, sent, settle};
use crate::campaigns::{app, get, seeded};
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use llovizna::{
    campaigns::{campaign, copies},
    db::MIGRATIONS,
    settings::EmailChannel,
};
use sqlx::PgPool;
use std::collections::HashSet;

#[sqlx::test(migrator = "MIGRATIONS")]
async fn without_the_picture_a_message_leaves_as_it_was_written(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 1, false).await;
    assert!(emails[0].html.contains("<a href=\"https://tienda.example/oferta?a=1&amp;b=2\">Ver</a>"));
    assert!(!emails[0].html.contains("<img"), "{}", emails[0].html);
    assert_eq!(paths(&app, &emails[0]), Vec::<String>::new());
    assert_eq!(count(&app, "select count(*) from message_links").await, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn links_and_picture_are_each_persons_own_and_lead_where_the_text_says(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 2, true).await;
    let all: Vec<Vec<String>> = emails.iter().map(|it| paths(&app, it)).collect();
    assert_eq!(all[0].len(), 4, "{:?}", all[0]);
    let different: HashSet<&String> = all.iter().flatten().collect();
    assert_eq!(different.len(), 8);
    let email = &emails[0];
    assert!(email.html.contains("mailto:hola@lluviasur.example") && email.html.contains("/baja/"));
    assert!(email.plain.contains("https://tienda.example/oferta?a=1&b=2"), "{}", email.plain);
    assert!(!email.plain.contains("/c/"), "{}", email.plain);
    for (path, target) in all[0].iter().zip([
        "https://tienda.example/oferta?a=1&b=2",
        "https://tienda.example/mapa",
        "https://tienda.example/tercera",
    ]) {
        let reply = asks(&app, path).await;
        assert_eq!((reply.status, reply.location()), (StatusCode::FOUND, target));
        assert!(reply.cookies().is_empty());
    }
    let picture = &all[0][3];
    assert!(picture.starts_with("/o/") && picture.strip_suffix(".gif").is_some(), "{picture}");
    let reply = asks(&app, picture).await;
    assert_eq!(
        (reply.status, reply.headers[header::CONTENT_TYPE].to_str().unwrap()),
        (StatusCode::OK, "image/gif")
    );
    assert_eq!(reply.headers["cross-origin-resource-policy"], "cross-origin", "mail is read on other sites");
    assert!(reply.headers[header::CACHE_CONTROL].to_str().unwrap().contains("no-store"));
    // The code tells neither who nor by what one unsubscribes.
    let unsubscribe = email.html.split("/baja/").nth(1).unwrap()[..22].to_owned();
    assert!(all[0].iter().all(|it| !it.contains(&unsubscribe)));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nobody_is_led_anywhere_else(db: PgPool) {
    let app = app(db);
    let (_, emails) = sent(&app, 1, true).await;
    app.state.clock.advance(chrono::TimeDelta::minutes(1));
    let link = paths(&app, &emails[0])[0].clone();
    let (code, _) = link.rsplit_once('.').unwrap();
    let longer = format!("{link}0");
    for wrong in [
        format!("{code}.9"),
        format!("{code}.-1"),
        format!("{code}.1.1"),
        code.to_owned(),
        longer,
        link.replacen("/c/", "/c/A", 1),
        "/c/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.1".to_owned(),
        "/c/https:%2F%2Fevil.example.1".to_owned(),
    ] {
        let reply = asks(&app, &wrong).await;
        assert_eq!((reply.status, reply.location()), (StatusCode::NOT_FOUND, ""), "{wrong}");
        assert!(reply.text().contains("Este enlace no funciona"), "{wrong}");
    }
    let asked = asks(&app, &format!("{link}?url=https://evil.example&u=//evil.example")).await;
    assert_eq!(asked.location(), "https://tienda.example/oferta?a=1&b=2");
    for wrong in ["/o/AAAA.gif", "/o/1.gif", &code.replacen("/c/", "/o/", 1)] {
        assert_eq!(asks(&app, wrong).await.status, StatusCode::NOT_FOUND, "{wrong}");
    }
    let nobody = person(&app);
    let posted = nobody.send(nobody.request(Method::POST, &link), Body::empty()).await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
    settle(&app).await;
    assert_eq!(count(&app, "select count(*) from link_clicks").await, 1, "forged ones are not heard");
    assert_eq!(after(&app, emails[0].message).await.len(), 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn links_of_old_messages_lead_where_their_own_text_said(db: PgPool) {
    let app = app(db);
    let (id, emails) = sent(&app, 1, true).await;
    let link = paths(&app, &emails[0])[0].clone();
    // Another version, whose first link is another.
    crate::campaigns::people(&app, "norte", 1).await;
    crate::campaigns::execute(
        &app,
        "update campaigns set enqueue_done = false, status = 'RUNNING', finished_at = null",
    )
    .await;
    edit(&app, id, |it| {
        it.source.body = BODY.replace("https://tienda.example/oferta", "https://tienda.example/nueva");
    })
    .await;
    llovizna::campaigns::launch::run_once(&app.state.db, app.now()).await.unwrap();
    run(&app).await;
    let all = app.mailbox.sent();
    let other = paths(&app, all.last().unwrap())[0].clone();
    assert_eq!(asks(&app, &other).await.location(), "https://tienda.example/nueva?a=1&b=2");
    assert_eq!(asks(&app, &link).await.location(), "https://tienda.example/oferta?a=1&b=2");
    // Nothing changes where they lead.
    let changed =
        sqlx::query("update message_links set target = target || '?evil'").execute(&app.state.db).await;
    assert!(changed.is_err());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_link_to_the_business_leads_where_it_is_today(db: PgPool) {
    let app = crate::support::TestApp::with(
        db,
        &[crate::campaigns::BUSINESS, &[("PUBLIC_URL", "https://crm.example")]].concat(),
    );
    crate::campaigns::people(&app, "sur", 1).await;
    let id = seeded(&app).await;
    let business = [
        ("name", "Lluvia Sur"),
        ("address", "Urmeneta 305, Puerto Montt"),
        ("email", "hola@lluviasur.example"),
        ("website", "lluviasur.example"),
    ];
    assert_eq!(app.post("/settings", &business).await.status, StatusCode::SEE_OTHER);
    edit(&app, id, |it| {
        it.tracks = true;
        "<a href=\"{{ business_website }}\">Sitio</a>".clone_into(&mut it.source.body);
        it.source.body_format = llovizna::messaging::template::BodyFormat::Html;
    })
    .await;
    crate::campaigns::start(&app, id).await.unwrap();
    run(&app).await;
    let email = app.mailbox.sent().pop().unwrap();
    let link = paths(&app, &email)[0].clone();
    assert!(email.html.contains(&format!("https://crm.example{link}")));
    assert_eq!(asks(&app, &link).await.location(), "https://lluviasur.example/");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_is_measured_as_the_settings_say_until_it_says_otherwise(db: PgPool) {
    let app = app(db);
    assert!(!get(&app, seeded(&app).await).await.tracks, "what there was before is as it was");
    let tracks = async |fields: &[(&str, &str)]| {
        let made = app.post("/campaigns", &[&[("name", "Otoño")][..], fields].concat()).await;
        let id = made.location().rsplit('/').next().unwrap().parse::<i64>().unwrap();
        get(&app, llovizna::ids::CampaignId(id)).await
    };
    let form = app.get("/campaigns/new").await.body;
    assert!(form.contains("name=\"tracks\" value=\"on\" checked"), "{form}");
    assert!(tracks(&[]).await.tracks);
    let quiet = tracks(&[("tracks", "off")]).await;
    assert!(!quiet.tracks);
    // An edit that does not speak of it, and a copy, leave it.
    app.post(&format!("/campaigns/{}", quiet.id), &[("name", "Invierno")]).await;
    assert!(!get(&app, quiet.id).await.tracks);
    let mut tx = app.state.db.begin().await.unwrap();
    let copy =
        copies::duplicate(&mut tx, app.now(), &llovizna::access::Actor::CommandLine, quiet.id).await.unwrap();
    assert!(!campaign::get(&mut tx, copy).await.unwrap().tracks);
    tx.commit().await.unwrap();
    // The default is the settings'.
    let saved = app.post("/settings/email", &[("daily_cap", "50")]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    let channel: EmailChannel =
        llovizna::settings::load(&app.state.db, &app.state.config.first_values).await.unwrap();
    assert!(!channel.tracks);
    assert!(!tracks(&[]).await.tracks);
    assert!(app.get("/campaigns/new").await.body.contains("name=\"tracks\" value=\"off\" checked"));
}
