//! Messages that failed are looked at with what the server said, and tried again together.

use crate::{
    accessible,
    app::App,
    campaign::started,
    chromium::{LAPTOP, Window},
    dairy::Worker,
    post_office::PostOffice,
    signing_in::sign_in,
};

const PEOPLE: &[Worker<'_>] = &[
    ("Ana", "Soto", "ana@nadi.cl", true),
    ("Eva", "Paz", "eva@nadi.cl", true),
    ("Ida", "Rey", "ida@nadi.cl", true),
];

/// How each person's message stands, with how often it was tried since somebody decided.
const STANDS: &str =
    "select string_agg(split_part(destination, '@', 1) || ' ' || status || ' ' || attempts, ', '
    order by destination) from communication_logs where origin = 'CAMPAIGN'";

const CAMPAIGN: &str = "select status from campaigns where launched_at is not null";

#[tokio::test]
async fn those_that_failed_go_back_into_the_queue_together() {
    let office = PostOffice::open();
    let app = App::start(&[&office.environment()[..], &[("EMAIL_DAILY_CAP", "0")]].concat()).await;
    app.employ(PEOPLE).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    let campaign = started(&window, 3).await;

    // Two mailboxes are full.
    office.fill_up(&["ana@nadi.cl", "ida@nadi.cl"]);
    let run = app.drip().await;
    assert_eq!((run.sent, run.failed, run.pending), (1, 2, 0));
    assert_eq!(app.one::<String>(STANDS).await, "ana FAILED 1, eva SENT 1, ida FAILED 1");
    assert_eq!(app.one::<String>(CAMPAIGN).await, "FINISHED");
    window.open(&campaign).await;
    window.sees_in("#live", "Fallidos 2").await;
    window.sees_in("#live", "Reintentar los 2 que fallaron").await;
    window.picture("retries").await;
    accessible::holds(&window).await;

    // Who they are, and what was said of them.
    window.click("#live a.tile[href*='status=FAILED']").await;
    window.sees("552 5.2.2 Mailbox full").await;
    let list = window.text().await;
    assert!(list.contains("Ana Soto") && list.contains("Ida Rey") && !list.contains("Eva Paz"), "{list}");
    accessible::holds(&window).await;

    // One by itself, then the other by the campaign's button, which counts who is left.
    window.press("Ana Soto").await;
    window.sees("No se volverá a intentar, salvo que tú lo decidas.").await;
    accessible::holds(&window).await;
    window.press("Intentarlo de nuevo").await;
    window.sees("Volvió a la cola").await;
    assert_eq!(app.one::<String>(STANDS).await, "ana PENDING 0, eva SENT 1, ida FAILED 1");
    window.open(&campaign).await;
    window.sees_in("#live", "Reintentar el que falló").await;
    assert_eq!(app.drip().await.failed, 1, "her mailbox is still full");
    window.open(&campaign).await;
    window.press("Reintentar los 2 que fallaron").await;
    window.sees("2 mensajes de vuelta en la cola.").await;
    window.sees_in("#live", "En cola 2").await;
    window.sees_in("#live", "Fallidos 0").await;
    assert!(!window.text().await.contains("Reintentar"), "there is nothing left to retry");
    window.picture("retries-queued").await;
    accessible::holds(&window).await;
    assert_eq!(app.one::<String>(STANDS).await, "ana PENDING 0, eva SENT 1, ida PENDING 0");
    assert_eq!(app.one::<String>(CAMPAIGN).await, "RUNNING", "there is something to send again");
    let kept = "select after ->> 'messages' from audit_events where action = 'campaign.retry_failed'";
    assert_eq!(app.one::<String>(kept).await, "2");

    // The mailboxes have room again.
    office.fill_up(&[]);
    assert_eq!(app.drip().await.sent, 2);
    window.sees("3 de 3").await;
    assert_eq!(app.one::<String>(STANDS).await, "ana SENT 1, eva SENT 1, ida SENT 1");
    assert_eq!(app.one::<String>(CAMPAIGN).await, "FINISHED");
    assert_eq!(office.letters().len(), 3, "nobody got it twice");
    let excluded = "select count(*) from suppressions";
    assert_eq!(app.one::<i64>(excluded).await, 0, "a mailbox that was full for once is nobody's fault");
    window.close().await;
}
