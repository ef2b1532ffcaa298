//! What the draft takes by itself where the business does not look first, what keeps it from that, and how it is undone.

use super::{
    ask, draft, newest, number,
    provider::{Provider, Say, completion, proposals},
    refusal, settle, terms, turn, with_provider, write, writer,
};
use crate::{
    campaigns::{execute, get, people, start},
    own_texts::put,
    support::TestApp,
    variants::{other, try_texts},
};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::Role,
    campaigns::{
        campaign::Status,
        own_texts,
        variants::{Plan, Variant},
    },
    db::MIGRATIONS,
    ids::{CampaignId, ContactId},
    proposals::{Decision, ask::Wish, by_itself},
};
use sqlx::PgPool;

const FIRST: &str = "Una semana sin apuro";
const OPENING: &str = "Bajamos el ritmo para que tu semana respire.";

/// The application, a provider, and a draft to people of one industry; nobody looks at what comes.
async fn unseen(db: PgPool) -> (TestApp, Provider, CampaignId) {
    let (app, provider) = with_provider(db).await;
    terms(&app, |it| it.review_first = false).await;
    people(&app, "sur", 2).await;
    let id = draft(&app).await;
    (app, provider, id)
}

async fn words(app: &TestApp, id: CampaignId) -> Option<(String, String)> {
    let mut db = app.state.db.acquire().await.unwrap();
    let found = own_texts::words(&mut db, id, "Lechería").await.unwrap();
    found.map(|Variant { subject, opening }| (subject, opening))
}

async fn decisions(app: &TestApp, id: CampaignId) -> Vec<Decision> {
    newest(app, id).await.proposals.iter().map(|it| it.decision).collect()
}

async fn take_back(app: &TestApp, id: CampaignId) -> llovizna::error::Result<()> {
    let proposal = newest(app, id).await.proposals[0].id;
    let actor = writer(app).await;
    let mut tx = app.state.db.begin().await.unwrap();
    by_itself::take_back(&mut tx, app.now(), &actor, &app.state.config, (id, proposal)).await?;
    tx.commit().await.unwrap();
    Ok(())
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nothing_is_taken_while_the_business_looks_first(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    people(&app, "sur", 2).await;
    let id = draft(&app).await;
    let before = get(&app, id).await.source;
    for wish in [Wish::Campaign, Wish::Industries] {
        ask(&app, id, wish).await.unwrap();
        settle(&app).await;
        assert_eq!(decisions(&app, id).await, [Decision::Proposed; 3]);
    }
    assert_eq!((get(&app, id).await.source, words(&app, id).await), (before, None));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_was_asked_for_everybody_becomes_the_campaigns_text_in_the_name_of_who_asked(db: PgPool) {
    let (app, _provider, id) = unseen(db).await;
    let before = get(&app, id).await.source;
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    let after = get(&app, id).await.source;
    assert_eq!(after.subject, FIRST);
    assert_eq!(after.body, before.body.replace("Abrimos de martes a domingo.", OPENING));
    assert_eq!(decisions(&app, id).await, [Decision::Approved, Decision::Proposed, Decision::Proposed]);
    let kept = newest(&app, id).await.proposals.remove(0);
    assert!(kept.taken_by_itself && kept.used_subject.as_deref() == Some(FIRST));
    let page = app.get(&format!("/campaigns/{id}/proposals")).await.text();
    assert!(page.contains("El borrador la tomó por sí solo, a pedido de Persona Equipo"), "{page}");
    let by = "select count(*) from audit_events e join copy_requests r on r.created_by = e.staff_user_id
        where e.action = 'proposal.take'";
    assert_eq!(number(&app, by).await, 1);
    assert!(app.get("/audit").await.text().contains("usó sin revisar la propuesta de la IA"));
    // Asked again, it comes from what is there, and is taken all the same.
    assert!(app.get(&format!("/campaigns/{id}/proposals")).await.text().contains("por sí solo la primera"));

    take_back(&app, id).await.unwrap();
    assert_eq!(get(&app, id).await.source, before);
    assert_eq!(decisions(&app, id).await, [Decision::Proposed; 3]);
    assert!(refusal(take_back(&app, id).await).contains("ya se quitó"));
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    assert!(newest(&app, id).await.from_cache);
    assert_eq!(get(&app, id).await.source.subject, FIRST);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_was_asked_for_an_industry_becomes_its_own_text(db: PgPool) {
    let (app, _provider, id) = unseen(db).await;
    let before = get(&app, id).await.source;
    ask(&app, id, Wish::Industries).await.unwrap();
    settle(&app).await;
    assert_eq!(get(&app, id).await.source, before);
    assert_eq!(words(&app, id).await, Some((FIRST.into(), OPENING.into())));
    take_back(&app, id).await.unwrap();
    assert_eq!(words(&app, id).await, None);
    // One that stood there before comes back.
    put(&app, id, "Lechería", "A mano", "").await.unwrap();
    ask(&app, id, Wish::Industries).await.unwrap();
    settle(&app).await;
    assert_eq!(words(&app, id).await, Some((FIRST.into(), OPENING.into())));
    let reader = app.as_role(Role::ReadOnly).await;
    let proposal = newest(&app, id).await.proposals[0].id;
    let path = format!("/campaigns/{id}/proposals/{proposal}/approval?_method=DELETE");
    assert_eq!(reader.post(&path, &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.post(&path, &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(words(&app, id).await, Some(("A mano".into(), String::new())));
    assert!(app.get("/audit").await.text().contains("quitó del borrador la propuesta de la IA"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_first_is_taken_that_nothing_speaks_against(db: PgPool) {
    let (app, provider, id) = unseen(db).await;
    let before = get(&app, id).await.source;
    let doubtful = ("Con 30 % de descuento", "Solo esta semana.");
    let broken = ("Mira https://otra.example", "Hola.");
    provider.says([
        completion(&proposals(&[broken, doubtful, ("Sin reparos", "Y un comienzo.")]), "stop"),
        completion(&proposals(&[doubtful, broken]), "stop"),
    ]);
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    assert_eq!(get(&app, id).await.source.subject, "Sin reparos");
    assert_eq!(decisions(&app, id).await, [Decision::Unusable, Decision::Proposed, Decision::Approved]);
    write(&app, id, &before.subject, &before.body).await;
    ask(&app, id, Wish::Industries).await.unwrap();
    settle(&app).await;
    assert_eq!((words(&app, id).await, get(&app, id).await.source), (None, before), "it waits for a person");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_a_person_wrote_since_they_asked_stays(db: PgPool) {
    let (app, _provider, id) = unseen(db).await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    write(&app, id, "Escrito a mano", "Hola:\n\nAbrimos de martes a domingo.\n\nTe esperamos.").await;
    ask(&app, id, Wish::Industries).await.unwrap();
    put(&app, id, "Lechería", "También a mano", "").await.unwrap();
    settle(&app).await;
    assert_eq!(get(&app, id).await.source.subject, "Escrito a mano");
    assert_eq!(words(&app, id).await, Some(("También a mano".into(), String::new())));
    assert_eq!(number(&app, "select count(*) from copy_proposals where status = 'PROPOSED'").await, 6);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_was_changed_since_it_was_taken_is_not_undone(db: PgPool) {
    let (app, _provider, id) = unseen(db).await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    write(&app, id, "Mejor así", "Hola:\n\nOtro comienzo.\n\nTe esperamos.").await;
    assert!(refusal(take_back(&app, id).await).contains("Alguien cambió ese texto"));
    assert_eq!(get(&app, id).await.source.subject, "Mejor así");
    ask(&app, id, Wish::Industries).await.unwrap();
    settle(&app).await;
    put(&app, id, "Lechería", "Mejor para la leche", "").await.unwrap();
    assert!(refusal(take_back(&app, id).await).contains("Alguien cambió ese texto"));
    assert_eq!(words(&app, id).await, Some(("Mejor para la leche".into(), String::new())));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_that_started_or_tries_texts_takes_nothing(db: PgPool) {
    let (app, provider, id) = unseen(db).await;
    // Two texts are tried: none of an industry beside them.
    try_texts(&app, id, &Plan { variants: vec![other("Asunto B", "")], ..Plan::default() }).await.unwrap();
    ask(&app, id, Wish::Industries).await.unwrap();
    settle(&app).await;
    assert_eq!((words(&app, id).await, decisions(&app, id).await), (None, vec![Decision::Proposed; 3]));
    execute(&app, "delete from campaign_variants").await;
    execute(&app, "update campaigns set sample_percent = null, winner_by = null, winner_after_hours = null")
        .await;
    // It is started while the answer is under way.
    ask(&app, id, Wish::Campaign).await.unwrap();
    let before = get(&app, id).await.source;
    let held = provider.hold().await;
    let meanwhile = async {
        provider.until_asked(2).await;
        start(&app, id).await.unwrap();
        drop(held);
    };
    tokio::join!(turn(&app), meanwhile);
    assert_eq!(get(&app, id).await.status, Status::Running);
    assert_eq!(
        (get(&app, id).await.source, decisions(&app, id).await),
        (before, vec![Decision::Proposed; 3])
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nobody_is_bypassed(db: PgPool) {
    let (app, provider, id) = unseen(db).await;
    let before = get(&app, id).await.source;
    // What was asked for one person is for no one else to get unseen.
    let contact: i64 =
        sqlx::query_scalar("select min(id) from contacts").fetch_one(&app.state.db).await.unwrap();
    ask(&app, id, Wish::Contact(ContactId(contact))).await.unwrap();
    settle(&app).await;
    assert_eq!((get(&app, id).await.source, words(&app, id).await), (before.clone(), None));
    // Whoever asked may not write campaigns any more by the time it comes.
    ask(&app, id, Wish::Campaign).await.unwrap();
    let held = provider.hold().await;
    let gone = async {
        provider.until_asked(2).await;
        execute(&app, "update staff_users set active = false").await;
        drop(held);
    };
    tokio::join!(turn(&app), gone);
    assert_eq!(get(&app, id).await.source, before);
    execute(&app, "update staff_users set active = true").await;
    // Nothing comes: the text stays, and the campaign starts with it.
    app.state.clock.advance(TimeDelta::days(40));
    provider.says([Say::Answer(400, "", "{}".into())]);
    ask(&app, id, Wish::Industries).await.unwrap();
    settle(&app).await;
    assert_eq!((get(&app, id).await.source, words(&app, id).await), (before, None));
    start(&app, id).await.unwrap();
}
