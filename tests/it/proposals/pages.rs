//! The pages: what is said before the click, what is seen after it, what it costs, and what never shows.

use super::{KEY, asking, draft, first, newest, provider::*, settle, with_provider, write};
use crate::{
    campaigns::{app, get, people},
    support::TestApp,
};
use axum::http::StatusCode;
use llovizna::{access::Role, db::MIGRATIONS, proposals::Decision};
use sqlx::PgPool;

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_page_says_what_goes_where_before_anybody_presses(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    people(&app, "sur", 2).await;
    let path = format!("/campaigns/{id}/proposals");
    let page = app.get(&path).await;
    let text = page.text();
    for said in [
        "China",
        "ley 21.719",
        "transferencia internacional",
        "Abrimos de martes a domingo",
        "Pedir propuestas",
        "Responde solo con un objeto JSON",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!page.body.contains(KEY));
    let one = app
        .post(&format!("{path}/preview"), &[("scope", "industries"), ("hints", "Con calma, ana@sur.cl")])
        .await;
    let text = one.text();
    assert!(text.contains("Rubro Lechería") && text.contains("Con calma, [correo]"), "{text}");
    assert!(provider.asked().is_empty());
    let asked = app.post(&path, &[("scope", "industries")]).await;
    assert_eq!((asked.status, asked.location()), (StatusCode::SEE_OTHER, path.as_str()));
    let waiting = app.get(&path).await;
    assert!(
        waiting.body.contains("hx-trigger=\"every 2s\"") && waiting.text().contains("Espera su turno"),
        "{}",
        waiting.text()
    );
    settle(&app).await;
    let request = newest(&app, id).await.id;
    let live = app.admin().await.htmx().get(&format!("{path}/live?request={request}")).await;
    assert!(live.body.trim_start().starts_with("<section") && live.body.contains("Una semana sin apuro"));
    assert!(!live.body.contains("every 2s"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_answer_is_shown_as_text_whatever_it_holds(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    let path = format!("/campaigns/{id}/proposals");
    provider.says([completion(
        &proposals(&[
            ("<img src=x onerror=alert(1)>", "Ignora todo y <script>alert(1)</script>"),
            ("Bien", "Uno <3 dos \"tres\""),
        ]),
        "stop",
    )]);
    app.post(&path, &[("scope", "campaign")]).await;
    settle(&app).await;
    for page in [path.clone(), format!("/campaigns/{id}/copy-calls"), "/copy-calls".to_owned()] {
        let body = app.get(&page).await.body;
        assert!(!body.contains("<img src=x") && !body.contains("<script>alert"), "{page}");
    }
    assert!(app.get(&path).await.text().contains("Trae HTML"));
    // One that cannot be used has no button, and pressing it all the same does nothing.
    let all = newest(&app, id).await.proposals;
    assert_eq!(all[0].decision, Decision::Unusable);
    let seen = get(&app, id).await.updated_at.to_rfc3339();
    let form = [("take", "subject"), ("subject", "x"), ("seen", seen.as_str())];
    app.post(&format!("{path}/{}/approval", all[0].id), &form).await;
    assert_eq!(get(&app, id).await.source.subject, "Termas en otoño");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_person_approves_edits_and_discards_in_the_panel(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    let id = draft(&app).await;
    let path = format!("/campaigns/{id}/proposals");
    let writer = app.as_role(Role::Staff).await;
    writer.post(&path, &[("scope", "campaign")]).await;
    settle(&app).await;
    let seen = get(&app, id).await.updated_at.to_rfc3339();
    let one = first(&app, id).await;
    let form = [
        ("seen", seen.as_str()),
        ("take", "subject"),
        ("take", "opening"),
        ("subject", "Sin apuro"),
        ("opening", "Con calma."),
    ];
    let done = writer.post(&format!("{path}/{one}/approval"), &form).await;
    assert_eq!(done.location(), path);
    let page = writer.get(&path).await.text();
    assert!(
        page.contains("El borrador tomó la propuesta") && page.contains("el asunto editado: «Sin apuro»"),
        "{page}"
    );
    assert_eq!(get(&app, id).await.source.subject, "Sin apuro");
    let other = newest(&app, id).await.proposals[1].id;
    writer.post(&format!("{path}/{other}/refusal"), &[]).await;
    assert_eq!(newest(&app, id).await.proposals[1].decision, Decision::Refused);
    let reader = app.as_role(Role::ReadOnly).await;
    let page = reader.get(&path).await;
    assert!(
        page.status.is_success()
            && !page.body.contains("Pedir propuestas")
            && !page.body.contains("/approval")
    );
    assert_eq!(reader.post(&path, &[("scope", "campaign")]).await.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_comes_anew_is_still_of_the_draft_that_was_looked_at(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    let id = draft(&app).await;
    let path = format!("/campaigns/{id}/proposals");
    app.post(&path, &[("scope", "campaign")]).await;
    let page = app.get(&path).await.body;
    let (_, rest) = page.split_once("hx-get=\"").and_then(|it| it.1.split_once("/live?")).unwrap();
    let live = format!("{path}/live?{}", rest.split('"').next().unwrap().replace("&amp;", "&"));
    // Somebody else writes another text while the answer is on its way.
    app.state.clock.advance(chrono::TimeDelta::seconds(1));
    write(&app, id, "De otra persona", "Otro texto.").await;
    settle(&app).await;
    let part = app.admin().await.htmx().get(&live).await.body;
    let (_, rest) = part.split_once("name=\"seen\" value=\"").unwrap();
    let seen = rest.split('"').next().unwrap().to_owned();
    let one = first(&app, id).await;
    let form = [("seen", seen.as_str()), ("take", "subject"), ("subject", "Sin apuro")];
    let browser = app.admin().await;
    browser.post(&format!("{path}/{one}/approval"), &form).await;
    assert!(browser.get(&path).await.text().contains("cambió mientras mirabas"));
    assert_eq!(get(&app, id).await.source.subject, "De otra persona");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn names_are_looked_up_only_for_who_may_ask(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    let id = draft(&app).await;
    let path = format!("/campaigns/{id}/proposals");
    write(&app, id, "Camila Barría te espera", "Texto.").await;
    let reader = app.as_role(Role::ReadOnly).await;
    // Where the base could not be asked for names, the page of who asks for nothing still opens.
    crate::campaigns::execute(&app, "alter table contact_words rename to elsewhere").await;
    assert!(reader.get(&path).await.status.is_success());
    assert_eq!(app.get(&path).await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_record_shows_what_was_said_and_what_it_cost(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    let id = draft(&app).await;
    app.post(&format!("/campaigns/{id}/proposals"), &[("scope", "campaign")]).await;
    settle(&app).await;
    let page = app.get(&format!("/campaigns/{id}/copy-calls")).await.text();
    for said in [
        "Respondió",
        "1.000 + 300",
        "400 en su caché",
        "$0,49",
        "deepseek-flash",
        "Abrimos de martes a domingo",
        "sin apuro",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let month = app.get("/copy-calls").await.text();
    assert!(
        month.contains("Registro de la IA: noviembre de 2026") && month.contains("$0,49 de $3.000"),
        "{month}"
    );
    assert!(app.get("/copy-calls?month=2026-10").await.text().contains("Nada se ha pedido"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn without_a_key_the_page_says_that_it_is_off_and_how_to_turn_it_on(db: PgPool) {
    let app = app(db);
    let id = draft(&app).await;
    let path = format!("/campaigns/{id}/proposals");
    let page = app.get(&path).await.text();
    assert!(page.contains("La IA está apagada: no hay clave") && page.contains("DEEPSEEK_API_KEY"), "{page}");
    assert!(!page.contains("Pedir propuestas") && page.contains("Ver lo que se enviaría"), "{page}");
    app.post(&path, &[("scope", "campaign")]).await;
    assert!(app.get(&path).await.text().contains("Aún no se ha pedido nada"));
    assert!(app.get(&format!("/campaigns/{id}")).await.body.contains(&path));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn turned_off_by_the_provider_it_is_turned_on_by_a_person(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    let path = format!("/campaigns/{id}/proposals");
    provider.says([status(402)]);
    app.post(&path, &[("scope", "campaign")]).await;
    settle(&app).await;
    let page = app.get(&path).await.text();
    assert!(
        page.contains("no tiene saldo")
            && page.contains("Volver a intentar")
            && !page.contains("Pedir propuestas"),
        "{page}"
    );
    let lifted = app.post("/copy-calls/pause?_method=DELETE", &[("campaign", &id.to_string())]).await;
    assert_eq!(lifted.location(), path);
    assert!(app.get(&path).await.text().contains("Pedir propuestas"));
    assert!(app.get("/audit").await.text().contains("reanudó los textos con IA"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn budget_and_prices_are_set_in_the_panel(db: PgPool) {
    let app = asking(db, "http://127.0.0.1:9");
    let path = "/settings/copywriter";
    let page = app.get(path).await;
    assert!(
        page.text().contains("Valor de fábrica") && page.body.contains("value=\"0,04\""),
        "{}",
        page.text()
    );
    assert!(!page.body.contains(KEY));
    let form = [
        ("monthly_budget", "12.000"),
        ("max_tokens", "600"),
        ("cache_days", "0"),
        ("price_sent", "1,5"),
        ("price_cached", "0,02"),
        ("price_written", "4"),
        ("rate", "131,25"),
    ];
    assert_eq!(app.post(path, &form).await.location(), path);
    let page = app.get(path).await;
    assert!(
        page.body.contains("value=\"131,25\"") && page.text().contains("De fábrica: 135."),
        "{}",
        page.text()
    );
    let wrong: Vec<(&str, &str)> =
        form.iter().map(|it| if it.0 == "rate" { ("rate", "mucho") } else { *it }).collect();
    let refused = app.post(path, &wrong).await;
    assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.body.contains("error-rate"));
    // Whatever is a number is held to what each may be, in the same words.
    for text in ["-3", "199", "99999999999"] {
        let wrong: Vec<(&str, &str)> =
            form.iter().map(|it| if it.0 == "max_tokens" { (it.0, text) } else { *it }).collect();
        let refused = app.post(path, &wrong).await.text();
        assert!(refused.contains("Escribe un número entre 200 y 4.000."), "{text}: {refused}");
    }
    let wrong: Vec<(&str, &str)> =
        form.iter().map(|it| if it.0 == "monthly_budget" { (it.0, "-$3") } else { *it }).collect();
    let refused = app.post(path, &wrong).await.text();
    assert!(refused.contains("Escribe pesos entre 0 y 10.000.000."), "{refused}");
    assert!(app.get("/audit").await.text().contains("Textos con IA"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_retired_model_is_told_on_every_page_of_it(db: PgPool) {
    let app = TestApp::with(db, &[("DEEPSEEK_API_KEY", KEY), ("DEEPSEEK_MODEL", "deepseek-reasoner")]);
    for page in ["/copy-calls", "/settings/copywriter"] {
        assert!(app.get(page).await.text().contains("retiró el modelo «deepseek-reasoner»"), "{page}");
    }
}
