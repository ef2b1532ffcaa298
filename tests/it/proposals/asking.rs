//! What leaves the house, what comes back, what it costs, what is not asked twice.

use super::{
    KEY, ask, draft, newest, number,
    provider::{completion, proposals},
    refusal, settle, terms, turn, with_provider, write, writer,
};
use crate::campaigns::{execute, get, people};
use chrono::TimeDelta;
use llovizna::{
    copywriter::{
        calls::{self, Which},
        outcome::Outcome,
    },
    db::MIGRATIONS,
    proposals::{
        Decision, Status,
        ask::{self as asking, Wish},
        prompt::TEXT,
    },
};
use sqlx::PgPool;

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_draft_gets_proposals_and_stays_as_it_was(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    let before = get(&app, id).await;
    assert_eq!(ask(&app, id, Wish::Campaign).await.unwrap(), 1);
    assert_eq!(newest(&app, id).await.status, Status::Pending);
    settle(&app).await;
    let request = newest(&app, id).await;
    assert_eq!((request.status, request.about.as_str()), (Status::Done, "Toda la campaña"));
    assert_eq!(request.proposals.len(), 3);
    assert!(request.proposals.iter().all(|it| it.decision == Decision::Proposed && it.caution.is_none()));
    assert_eq!(request.proposals[0].subject, "Una semana sin apuro");
    let after = get(&app, id).await;
    assert_eq!((after.source, after.version), (before.source, before.version));
    let asked = provider.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].head.starts_with("POST /chat/completions HTTP/1.1"), "{}", asked[0].head);
    assert!(asked[0].head.contains(&format!("Bearer {KEY}")) && !asked[0].body.contains(KEY));
    let body = asked[0].json();
    assert_eq!(
        (body["model"].as_str(), body["thinking"]["type"].as_str()),
        (Some("deepseek-flash"), Some("disabled"))
    );
    assert_eq!(body["max_tokens"], 800);
    let call = calls::list(&mut app.state.db.acquire().await.unwrap(), Which::Campaign(id), None, 9)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (call.outcome, call.prompt_tokens, call.cached_tokens, call.completion_tokens),
        (Some(Outcome::Answered), 1000, 400, 300)
    );
    assert_eq!((call.cost_micro, call.cost_is_estimate), (162_000 + 2160 + 324_000, false));
    assert!(
        call.prompt == body["messages"][1]["content"].as_str().unwrap()
            && call.answer.unwrap().contains("sin apuro")
    );
    assert_eq!(call.asked_by_name, "Persona Equipo");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nothing_that_names_anybody_leaves_the_house(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    let all = people(&app, "sur", 2).await;
    execute(
        &app,
        "update companies set name = 'Lácteos Quillaipe SpA', name_key = 'lacteos quillaipe spa', rut = '76543210-3',
             industry = 'Lechería de Rosamel Huenchumil +56 65 225 0011', email = 'ventas@quillaipe.example', phone = '+56652250011'",
    )
    .await;
    execute(
        &app,
        "update contacts set first_name = 'Rosamel', last_name = 'Huenchumil', phone = '+56987654321',
             email = 'rosamel@quillaipe.example', search_key = 'rosamel huenchumil rosamel quillaipe example 56987654321'
         where email = 'sur1@x.example'",
    )
    .await;
    write(
        &app,
        id,
        "Para Rosamel Huenchumil y los demás",
        "Estimada Rosamel:\n\nComo nos dijo Rosamel Huenchumil, de Lácteos Quillaipe, abrimos otra sala. Su RUT es \
         12.345.678-5 y el de la empresa 76.543.210-3. Escribe a rosamel@quillaipe.example o al +56 9 8765 4321, o mira \
         https://quillaipe.example/rosamel. Firma {{ first_name | default(\"Rosamel Huenchumil\") }}, de Lluvia Sur, \
         Urmeneta 305.\n\nTe saluda Persona Equipo.",
    )
    .await;
    for wish in [Wish::Campaign, Wish::Industries, Wish::Contact(all[0])] {
        ask(&app, id, wish).await.unwrap();
    }
    settle(&app).await;
    let asked = provider.asked();
    assert_eq!(asked.len(), 3);
    for it in &asked {
        let said = it.json()["messages"][1]["content"].as_str().unwrap().to_owned();
        for secret in [
            "Rosamel",
            "Huenchumil",
            "Quillaipe",
            "76.543",
            "76543210",
            "12.345",
            "8765",
            "225 0011",
            "@",
            "https",
            "Persona Equipo",
            "Prospección Los Lagos",
            "Lluvia Sur",
            "Sur2",
        ] {
            assert!(!it.body.contains(secret), "{secret}: {said}");
        }
        assert!(
            said.contains("{{ first_name }}")
                && said.contains("{{ business_name }}")
                && said.contains("abrimos otra sala"),
            "{said}"
        );
    }
    let person = asked[2].json()["messages"][1]["content"].as_str().unwrap().to_owned();
    assert!(
        person.contains("en etapa «lead»")
            && person.contains("comuna de Puerto Montt")
            && person.contains("Lechería"),
        "{person}"
    );
    // Nor is it kept.
    for table in ["copy_requests", "copy_calls", "copy_proposals"] {
        let held: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "select count(*) from {table} t where t::text ~* 'rosamel|huenchumil|quillaipe|8765'"
        )))
        .fetch_one(&app.state.db)
        .await
        .unwrap();
        assert_eq!(held, 0, "{table}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_cut_off_is_cut_after_names_went_out(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    people(&app, "sur", 1).await;
    execute(
        &app,
        "update contacts set first_name = 'Rosamel Andrea', last_name = 'Huenchumil Paz',
             search_key = 'rosamel andrea huenchumil paz'",
    )
    .await;
    // Each stands across the last letter that is sent, whatever went out before it.
    for secret in [
        "rosamel@quillaipe.example",
        "+56 9 8765 4321",
        "Rosamel Huenchumil",
        "Rosamel A. Huenchumil",
        "{{ first_name | default(\"Rosamel Huenchumil\") }}",
    ] {
        for kept in [3, 9, 30] {
            let words = format!("{}\n", "a".repeat(99)).repeat(60);
            let rest = " z".repeat(50);
            write(&app, id, "Asunto", &format!("{}\n{secret}{rest}", &words[..TEXT - 1 - kept])).await;
            let campaign = get(&app, id).await;
            let hints = format!("{} {secret}{rest}", "b".repeat(500 - 1 - kept));
            let mut db = app.state.db.acquire().await.unwrap();
            let plan =
                asking::plan(&mut db, app.now(), &app.state.config, &campaign, Wish::Campaign, &hints).await;
            let plan = plan.unwrap();
            let sent = plan.questions[0].prompt.to_lowercase();
            for part in ["a\nros", "a\n+56", "b ros", "b +56", "default("] {
                assert!(!sent.contains(part), "{part}, {secret}, {kept}: {sent}");
            }
            assert!(plan.is_cut, "{secret}, {kept}");
        }
    }
    assert!(provider.asked().is_empty());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_shown_before_is_what_is_sent(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    people(&app, "sur", 2).await;
    execute(&app, "insert into companies (name, name_key, industry, created_at, updated_at) values ('Otra', 'otra', 'Turismo', now(), now())").await;
    execute(&app, "update contacts set company_id = (select id from companies where name = 'Otra') where email = 'sur2@x.example'").await;
    let campaign = get(&app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let plan =
        asking::plan(&mut db, app.now(), &app.state.config, &campaign, Wish::Industries, "").await.unwrap();
    drop(db);
    let about: Vec<&str> = plan.questions.iter().map(|it| it.about.as_str()).collect();
    assert_eq!(about, ["Rubro Lechería", "Rubro Turismo"]);
    assert_eq!(ask(&app, id, Wish::Industries).await.unwrap(), 2);
    settle(&app).await;
    let sent: Vec<String> = provider
        .asked()
        .iter()
        .map(|it| it.json()["messages"][1]["content"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sent, plan.questions.iter().map(|it| it.prompt.clone()).collect::<Vec<_>>());
    assert!(provider.asked().iter().all(|it| it.json()["messages"][0]["content"] == plan.instructions));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn pressing_twice_asks_once(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    assert_eq!(ask(&app, id, Wish::Campaign).await.unwrap(), 1);
    assert_eq!(ask(&app, id, Wish::Campaign).await.unwrap(), 0);
    settle(&app).await;
    assert_eq!(provider.asked().len(), 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_same_question_is_answered_from_what_is_there_until_it_is_old(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    // Not even a budget of nothing stands in the way of what costs nothing.
    terms(&app, |it| it.monthly_budget = 0).await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    let again = newest(&app, id).await;
    assert!(again.from_cache && again.status == Status::Done && again.proposals.len() == 3);
    assert_eq!(provider.asked().len(), 1);
    assert_eq!(number(&app, "select count(*) from copy_calls where from_cache and cost_micro = 0").await, 1);
    terms(&app, |it| it.monthly_budget = 3000).await;
    app.state.clock.advance(TimeDelta::days(31));
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    assert_eq!(provider.asked().len(), 2);
    // Another text is another question.
    write(&app, id, "Otro asunto", "Otro texto.").await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    assert_eq!(provider.asked().len(), 3);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_answer_that_grows_old_while_it_waits_is_not_asked_beyond_the_budget(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    terms(&app, |it| it.monthly_budget = 0).await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    app.state.clock.advance(TimeDelta::days(31));
    settle(&app).await;
    let it = newest(&app, id).await;
    assert_eq!(it.status, Status::Failed);
    assert!(it.failure.unwrap().contains("presupuesto"));
    assert_eq!(provider.asked().len(), 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn two_clicks_at_once_cannot_both_take_what_is_left_of_the_budget(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    let id = draft(&app).await;
    people(&app, "sur", 1).await;
    let campaign = get(&app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let plan =
        asking::plan(&mut db, app.now(), &app.state.config, &campaign, Wish::Industries, "").await.unwrap();
    drop(db);
    // Enough for one and not for two.
    let pesos = u32::try_from(plan.most() / 1_000_000 + 1).unwrap();
    terms(&app, |it| it.monthly_budget = pesos).await;
    let actor = writer(&app).await;
    let other = {
        let mut tx = app.state.db.begin().await.unwrap();
        let it = llovizna::campaigns::copies::duplicate(&mut tx, app.now(), &actor, id).await.unwrap();
        tx.commit().await.unwrap();
        it
    };
    let mut first = app.state.db.begin().await.unwrap();
    asking::ask(&mut first, app.now(), &actor, &app.state.config, id, Wish::Industries, "").await.unwrap();
    let second = async {
        let mut tx = app.state.db.begin().await.unwrap();
        let done =
            asking::ask(&mut tx, app.now(), &actor, &app.state.config, other, Wish::Campaign, "").await;
        if done.is_ok() {
            tx.commit().await.unwrap();
        }
        done
    };
    let mut second = std::pin::pin!(second);
    // Without the lock the second is let through at once, while the first is still undecided.
    let second = tokio::select! {
        done = &mut second => done,
        () = crate::support::until_waiting(&app.state.db, 1) => {
            first.commit().await.unwrap();
            second.await
        }
    };
    let sentence = refusal(second);
    assert!(
        sentence.contains("No se pidió: podría costar") && sentence.contains("El borrador sigue igual"),
        "{sentence}"
    );
    assert_eq!(number(&app, "select count(*) from copy_requests").await, 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_budget_counts_what_was_spent_and_begins_anew_each_month(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    execute(&app, "update copy_calls set cost_micro = 2999000000").await;
    write(&app, id, "Otro asunto", "Otro texto.").await;
    assert!(refusal(ask(&app, id, Wish::Campaign).await).contains("quedan $1,00"));
    // 23 November at noon: in eight days it is December.
    app.state.clock.advance(TimeDelta::days(8));
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    assert_eq!(provider.asked().len(), 2);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_cannot_be_used_is_kept_with_its_reason(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    let long = "a".repeat(120);
    provider.says([completion(
        &format!(
            "```json\n{}\n```",
            proposals(&[
                ("Hola {{ nombre }}", "Uno."),
                (long.as_str(), "Dos."),
                ("", "Tres."),
                ("Bien", "<b>Cuatro</b>"),
                ("Con 50 % menos", "Cinco."),
            ])
        ),
        "stop",
    )]);
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    let all = newest(&app, id).await.proposals;
    let said: Vec<String> = all.iter().map(|it| it.problem.clone().unwrap_or_default()).collect();
    assert!(
        said[0].contains("La variable {{ nombre }} no existe. ¿Quisiste decir {{ first_name }}?"),
        "{said:?}"
    );
    assert!(
        said[1].contains("120 caracteres") && said[2].contains("en blanco") && said[3].contains("HTML"),
        "{said:?}"
    );
    assert_eq!(all.iter().filter(|it| it.decision == Decision::Unusable).count(), 4);
    assert!(all[4].caution.as_ref().unwrap().contains("«50»"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn without_a_key_or_a_draft_or_a_text_nothing_is_asked(db: PgPool) {
    let off = crate::campaigns::app(db.clone());
    let id = draft(&off).await;
    assert!(refusal(ask(&off, id, Wish::Campaign).await).contains("no hay clave de DeepSeek"));
    let retired = crate::support::TestApp::with(
        db.clone(),
        &[("DEEPSEEK_API_KEY", KEY), ("DEEPSEEK_MODEL", "deepseek-chat")],
    );
    assert!(refusal(ask(&retired, id, Wish::Campaign).await).contains("retiró el modelo «deepseek-chat»"));
    let (app, provider) = with_provider(db).await;
    assert!(refusal(ask(&app, id, Wish::Industries).await).contains("rubro"));
    write(&app, id, "", "").await;
    assert!(refusal(ask(&app, id, Wish::Campaign).await).contains("aún no tiene asunto ni texto"));
    execute(&app, "update campaigns set status = 'CANCELLED'").await;
    assert!(refusal(ask(&app, id, Wish::Campaign).await).contains("se canceló"));
    assert!(!turn(&app).await && provider.asked().is_empty());
}
