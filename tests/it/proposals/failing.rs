//! All that can come instead of an answer: each is told, nothing is lost, the text stays, and nobody else waits.

use super::{
    KEY, ask, asking, draft, newest, number,
    provider::{Provider, Say, completion, status},
    refusal, settle, turn, with_provider, write, writer,
};
use crate::{
    campaigns::{execute, get, people, start},
    support::TestApp,
};
use chrono::TimeDelta;
use llovizna::{
    copywriter::standing::{self, Standing},
    db::MIGRATIONS,
    ids::CampaignId,
    proposals::{Status, ask::Wish, run},
};
use sqlx::PgPool;
use tokio::net::TcpListener;

/// Ask, and let time pass until it is over. The failure, and how often the provider was asked.
async fn failure(app: &TestApp, provider: &Provider, id: CampaignId) -> (String, usize) {
    let before = provider.asked().len();
    let source = get(app, id).await.source;
    ask(app, id, Wish::Campaign).await.unwrap();
    for _ in 0..9 {
        settle(app).await;
        app.state.clock.advance(TimeDelta::minutes(10));
    }
    let it = newest(app, id).await;
    assert_eq!(it.status, Status::Failed);
    assert_eq!(get(app, id).await.source, source);
    (it.failure.unwrap(), provider.asked().len() - before)
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_failure_is_told_in_its_own_words_and_asked_as_often_as_makes_sense(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    let blank = || completion(" \n ", "stop");
    let cases: Vec<(Vec<Say>, &str, usize)> = vec![
        (vec![blank(), blank()], "en blanco dos veces", 2),
        (vec![completion("{\"propuestas\":[{\"asu", "length")], "llegó cortada", 1),
        (vec![completion("", "content_filter")], "filtro de contenido", 1),
        (vec![completion("Claro, aquí tienes tres ideas:", "stop")], "no viene en el formato pedido", 1),
        (vec![completion("{\"otra\":1}", "stop")], "no viene en el formato pedido", 1),
        (vec![Say::Answer(200, "", "<html>Portal cautivo</html>".into())], "no es de DeepSeek", 1),
        (vec![Say::Answer(302, "location: http://127.0.0.1:1/\r\n", String::new())], "no es de DeepSeek", 1),
        (vec![status(400)], "rechazó el pedido", 1),
        (vec![status(422)], "rechazó el pedido", 1),
        (vec![status(429), status(429), status(429)], "demasiados pedidos", 3),
        (vec![status(500), status(503), status(500)], "con fallas", 3),
        (vec![Say::Half, Say::Half], "se cortó dos veces", 2),
        (vec![Say::Silence], "tardó demasiado", 1),
        (
            vec![
                completion("", "insufficient_system_resource"),
                completion("", "insufficient_system_resource"),
            ],
            "sin recursos",
            2,
        ),
    ];
    for (answers, sentence, asked) in cases {
        provider.says(answers);
        let (failure, times) = failure(&app, &provider, id).await;
        assert!(failure.contains(sentence) && failure.contains("no cambió"), "{sentence}: {failure}");
        assert_eq!(times, asked, "{sentence}");
    }
    // What the provider may charge for is in the books, the rest is not.
    let unpaid =
        "select count(*) from copy_calls where cost_micro > 0 and outcome in ('REJECTED', 'BUSY', 'DOWN')";
    assert_eq!(number(&app, unpaid).await, 0);
    let paid = "select count(*) from copy_calls where cost_micro = 0 and outcome not in ('REJECTED', 'BUSY', 'DOWN')";
    assert_eq!(number(&app, paid).await, 0);
    assert_eq!(
        number(
            &app,
            "select count(*) from copy_calls where cost_is_estimate and outcome in ('SLOW', 'CUT', 'GARBAGE')"
        )
        .await,
        5
    );
    assert_eq!(number(&app, "select coalesce(sum(reserved_micro), 0)::bigint from copy_requests where status in ('PENDING', 'RUNNING')").await, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_blank_answer_is_asked_for_once_more(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    provider.says([completion("", "stop")]);
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    assert_eq!((newest(&app, id).await.status, provider.asked().len()), (Status::Done, 2));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_busy_provider_is_asked_again_when_it_says_so_and_not_before(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    provider.says([Say::Answer(429, "retry-after: 60\r\n", "{}".into())]);
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    let waiting = newest(&app, id).await;
    assert_eq!((waiting.status, waiting.tries), (Status::Pending, 1));
    app.state.clock.advance(TimeDelta::seconds(59));
    assert!(!turn(&app).await);
    app.state.clock.advance(TimeDelta::seconds(1));
    settle(&app).await;
    assert_eq!((newest(&app, id).await.status, provider.asked().len()), (Status::Done, 2));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nobody_at_the_address_is_told_and_costs_nothing(db: PgPool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let app = asking(db, &url);
    let id = draft(&app).await;
    let provider = Provider::start().await;
    let (failure, _) = failure(&app, &provider, id).await;
    assert!(failure.contains("No se pudo conectar con DeepSeek en tres intentos"), "{failure}");
    assert_eq!(
        number(&app, "select count(*) from copy_calls where outcome = 'UNREACHABLE' and cost_micro = 0")
            .await,
        3
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_refused_key_or_an_empty_account_turns_it_off_until_a_person_tries_again(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    people(&app, "sur", 1).await;
    for (code, sentence) in [(401, "no acepta la clave"), (402, "no tiene saldo")] {
        ask(&app, id, Wish::Campaign).await.unwrap();
        ask(&app, id, Wish::Industries).await.unwrap();
        provider.says([status(code)]);
        let before = provider.asked().len();
        settle(&app).await;
        // The one that waits is not tried on it.
        assert_eq!(provider.asked().len(), before + 1);
        assert_eq!(number(&app, "select count(*) from copy_requests where status <> 'FAILED'").await, 0);
        assert!(newest(&app, id).await.failure.unwrap().contains(sentence));
        assert!(refusal(ask(&app, id, Wish::Campaign).await).contains(sentence));
        let mut tx = app.state.db.begin().await.unwrap();
        standing::lift(&mut tx, app.now(), &writer(&app).await).await.unwrap();
        assert_eq!(standing::of(&mut *tx, &app.state.config).await.unwrap(), Standing::On);
        tx.commit().await.unwrap();
    }
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    assert_eq!(newest(&app, id).await.status, Status::Done);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_call_that_was_cut_off_is_paid_for_and_taken_up_once(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    for n in 1..=2 {
        provider.says([Say::Silence]);
        let state = app.state.clone();
        // The process dies while it waits: its connections close, and with them its locks.
        let mut work =
            tokio::spawn(
                async move { run::run_once(&state.db, &state.clock, &state.config, &state.stop).await },
            );
        tokio::select! {
            () = provider.until_asked(n) => (),
            done = &mut work => panic!("nobody was asked: {done:?}"),
        }
        assert_eq!(newest(&app, id).await.status, Status::Running);
        // Somebody else who looks meanwhile leaves it alone.
        assert!(!turn(&app).await);
        assert_eq!(newest(&app, id).await.status, Status::Running);
        work.abort();
        assert!(work.await.unwrap_err().is_cancelled());
        let lock = "select count(*) from pg_locks where locktype = 'advisory' and classid = 12
                    and database = (select oid from pg_database where datname = current_database())";
        while number(&app, lock).await > 0 {
            tokio::task::yield_now().await;
        }
    }
    settle(&app).await;
    let it = newest(&app, id).await;
    assert_eq!((it.status, provider.asked().len()), (Status::Failed, 2));
    assert!(it.failure.unwrap().contains("se detuvo dos veces"));
    let told = "select count(*) from copy_calls where outcome = 'INTERRUPTED' and cost_is_estimate and cost_micro > 0";
    assert_eq!(number(&app, told).await, 2);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn stopping_the_program_waits_for_no_answer_and_the_request_goes_on_later(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    provider.says([Say::Silence]);
    let stop = tokio_util::sync::CancellationToken::new();
    let (state, token) = (app.state.clone(), stop.clone());
    let work =
        tokio::spawn(async move { run::run_once(&state.db, &state.clock, &state.config, &token).await });
    provider.until_asked(1).await;
    stop.cancel();
    assert!(work.await.unwrap().unwrap());
    assert_eq!(newest(&app, id).await.status, Status::Pending);
    settle(&app).await;
    assert_eq!((newest(&app, id).await.status, provider.asked().len()), (Status::Done, 2));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_starts_and_sends_while_the_provider_says_nothing(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    people(&app, "sur", 2).await;
    write(&app, id, "Termas", "Abrimos otra sala.").await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    provider.says([Say::Silence]);
    let state = app.state.clone();
    let work =
        tokio::spawn(async move { run::run_once(&state.db, &state.clock, &state.config, &state.stop).await });
    provider.until_asked(1).await;
    start(&app, id).await.unwrap();
    crate::templates::drip(&app).await;
    assert_eq!(app.mailbox.sent().len(), 2);
    assert_eq!(app.mailbox.sent()[0].subject, "Termas");
    work.await.unwrap().unwrap();
    assert_eq!(newest(&app, id).await.status, Status::Failed);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_waits_is_not_asked_once_its_campaign_started_or_its_writer_may_not(db: PgPool) {
    let (app, provider) = with_provider(db).await;
    let id = draft(&app).await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    execute(&app, "update staff_users set active = false where role = 'STAFF'").await;
    settle(&app).await;
    assert!(newest(&app, id).await.failure.unwrap().contains("ya no puede escribir campañas"));
    execute(&app, "update staff_users set active = true").await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    execute(&app, "update campaigns set status = 'CANCELLED'").await;
    settle(&app).await;
    assert!(newest(&app, id).await.failure.unwrap().contains("así que no se preguntó"));
    assert!(provider.asked().is_empty());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_deleted_draft_takes_its_proposals_along_and_leaves_what_it_cost(db: PgPool) {
    let (app, _provider) = with_provider(db).await;
    let id = draft(&app).await;
    ask(&app, id, Wish::Campaign).await.unwrap();
    settle(&app).await;
    let mut tx = app.state.db.begin().await.unwrap();
    llovizna::campaigns::copies::delete(&mut tx, app.now(), &writer(&app).await, id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(number(&app, "select count(*) from copy_proposals").await, 0);
    assert_eq!(
        number(&app, "select count(*) from copy_calls where campaign_id is null and cost_micro > 0").await,
        1
    );
    let page = app.get("/copy-calls").await;
    assert!(page.text().contains("(eliminada)") && !page.body.contains(KEY));
}
