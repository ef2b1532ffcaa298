//! What people decide: the draft takes a proposal, as it is or as they edit it, or nothing happens.

use super::{ask, draft, first, newest, refusal, settle, with_provider, write, writer};
use crate::{
    campaigns::{execute, get, people},
    support::TestApp,
};
use llovizna::{
    access::Role,
    campaigns::{own_texts, variants},
    db::MIGRATIONS,
    error::Error,
    ids::{CampaignId, ProposalId},
    proposals::{
        Decision,
        ask::Wish,
        decide::{self, Chosen, ForWhom},
    },
};
use sqlx::PgPool;

async fn approve(
    app: &TestApp,
    id: CampaignId,
    proposal: ProposalId,
    chosen: Chosen,
) -> llovizna::error::Result<()> {
    let seen = get(app, id).await.updated_at;
    let actor = writer(app).await;
    let mut tx = app.state.db.begin().await.unwrap();
    decide::approve(&mut tx, app.now(), &actor, &app.state.config, (id, proposal), seen, chosen).await?;
    tx.commit().await.unwrap();
    Ok(())
}

fn both(subject: &str, opening: &str) -> Chosen {
    Chosen { subject: Some(subject.into()), opening: Some(opening.into()), for_whom: ForWhom::All }
}

async fn proposed(app: &TestApp) -> (CampaignId, ProposalId) {
    let id = draft(app).await;
    ask(app, id, Wish::Campaign).await.unwrap();
    settle(app).await;
    (id, first(app, id).await)
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_approved_proposal_becomes_subject_and_first_paragraph(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    let (id, proposal) = proposed(&app).await;
    let version = get(&app, id).await.version;
    approve(&app, id, proposal, both("Una semana sin apuro", "Editado por  mí.")).await.unwrap();
    let it = get(&app, id).await;
    assert_eq!(it.source.subject, "Una semana sin apuro");
    assert_eq!(
        it.source.body,
        "Hola {{ first_name | default(\"Hola\") }}:\n\nEditado por  mí.\n\nTe esperamos."
    );
    assert_eq!(it.version, version + 1);
    let kept = newest(&app, id).await.proposals.remove(0);
    assert_eq!((kept.decision, kept.used_opening.as_deref()), (Decision::Approved, Some("Editado por  mí.")));
    assert_eq!(kept.opening, "Bajamos el ritmo para que tu semana respire.");
    assert!(refusal(approve(&app, id, proposal, both("a", "b")).await).contains("Persona Equipo ya decidió"));
    let audit = app.get("/audit").await.text();
    assert!(
        audit.contains("aprobó la propuesta de la IA")
            && audit.contains("pidió a la IA textos para la campaña"),
        "{audit}"
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn only_what_was_chosen_changes_and_nothing_when_it_does_not_fit(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    let (id, proposal) = proposed(&app).await;
    let before = get(&app, id).await.source;
    let none = approve(&app, id, proposal, Chosen::default()).await;
    assert!(refusal(none).contains("Marca el asunto"));
    assert!(refusal(approve(&app, id, proposal, both(" ", "x")).await).contains("en blanco"));
    assert!(
        refusal(approve(&app, id, proposal, both("{{ nombre }}", "x")).await)
            .contains("La variable {{ nombre }} no existe")
    );
    assert_eq!(get(&app, id).await.source, before);
    let subject = Chosen { subject: Some("Solo el asunto".into()), ..Chosen::default() };
    approve(&app, id, proposal, subject).await.unwrap();
    let after = get(&app, id).await.source;
    assert_eq!((after.subject.as_str(), after.body), ("Solo el asunto", before.body));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_draft_that_changed_meanwhile_or_was_started_is_left_alone(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    let (id, proposal) = proposed(&app).await;
    let seen = get(&app, id).await.updated_at;
    app.state.clock.advance(chrono::TimeDelta::seconds(1));
    write(&app, id, "De otra persona", "Otro texto.").await;
    let actor = writer(&app).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let late =
        decide::approve(&mut tx, app.now(), &actor, &app.state.config, (id, proposal), seen, both("a", "b"))
            .await;
    drop(tx);
    assert!(refusal(late).contains("cambió mientras mirabas"));
    execute(&app, "update campaigns set status = 'CANCELLED'").await;
    assert!(refusal(approve(&app, id, proposal, both("a", "b")).await).contains("se canceló"));
    assert_eq!(get(&app, id).await.source.subject, "De otra persona");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_refused_proposal_changes_nothing_and_belongs_to_its_campaign_alone(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    let (id, proposal) = proposed(&app).await;
    let before = get(&app, id).await.source;
    let actor = writer(&app).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let other = decide::refuse(&mut tx, app.now(), &actor, (CampaignId(id.0 + 1000), proposal)).await;
    assert!(matches!(other, Err(Error::NotFound)));
    decide::refuse(&mut tx, app.now(), &actor, (id, proposal)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(newest(&app, id).await.proposals[0].decision, Decision::Refused);
    assert_eq!(get(&app, id).await.source, before);
    let path = format!("/campaigns/{id}/proposals/{proposal}/approval");
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post(&path, &[("take", "subject"), ("subject", "x")]).await.status, 403);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_approved_proposal_may_be_tried_beside_the_text_of_the_draft(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    let (id, proposal) = proposed(&app).await;
    let before = get(&app, id).await.source;
    let beside = Chosen { for_whom: ForWhom::Some, ..both("Una semana sin apuro", "Otro comienzo.") };
    approve(&app, id, proposal, beside).await.unwrap();
    assert_eq!(get(&app, id).await.source, before);
    let plan = variants::plan(&mut app.state.db.acquire().await.unwrap(), id).await.unwrap();
    let tried: Vec<_> = plan.variants.iter().map(|it| (it.subject.as_str(), it.opening.as_str())).collect();
    assert_eq!(tried, [("Una semana sin apuro", "Otro comienzo.")]);
    let kept = newest(&app, id).await.proposals.remove(0);
    assert!(kept.decision == Decision::Approved && kept.tried_beside);
    let page = app.get(&format!("/campaigns/{id}/proposals")).await.text();
    assert!(page.contains("Se prueba junto al texto propio"), "{page}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_proposal_for_an_industry_may_be_for_those_people_alone(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    people(&app, "sur", 2).await;
    let id = draft(&app).await;
    ask(&app, id, Wish::Industries).await.unwrap();
    settle(&app).await;
    let before = get(&app, id).await.source;
    let page = app.get(&format!("/campaigns/{id}/proposals")).await;
    // Enter in a field presses the first button of its form.
    let first_button =
        page.body.find("<button class=\"btn btn-primary\" type=\"submit\" name=\"whom\"").unwrap();
    assert!(
        page.body[first_button..].starts_with(
            "<button class=\"btn btn-primary\" type=\"submit\" name=\"whom\" value=\"industry\""
        )
    );
    let proposals = newest(&app, id).await.proposals;
    let only = |subject: Option<&str>, opening: Option<&str>| Chosen {
        subject: subject.map(str::to_owned),
        opening: opening.map(str::to_owned),
        for_whom: ForWhom::Industry,
    };
    approve(&app, id, proposals[0].id, only(Some("Para la leche"), Some("Comienzo."))).await.unwrap();
    assert_eq!(get(&app, id).await.source, before, "the others get the campaign's own");
    let kept = newest(&app, id).await.proposals.remove(0);
    assert!(kept.decision == Decision::Approved && kept.for_industry);
    // Another takes its place; of what is not chosen, what they had stays.
    approve(&app, id, proposals[1].id, only(Some("Otra leche"), None)).await.unwrap();
    let words = own_texts::words(&mut app.state.db.acquire().await.unwrap(), id, "Lechería").await.unwrap();
    assert_eq!(words.map(|it| (it.subject, it.opening)), Some(("Otra leche".into(), "Comienzo.".into())));
    let page = app.get(&format!("/campaigns/{id}/proposals")).await.text();
    assert!(page.contains("Solo para ese rubro el asunto"), "{page}");
    // One that was asked for everybody is for no industry.
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    let wrong = approve(&app, id, first(&app, id).await, only(Some("x"), None)).await;
    assert!(refusal(wrong).contains("no se pidió para un rubro"));
}
