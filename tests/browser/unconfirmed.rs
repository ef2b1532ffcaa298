//! The line was cut as messages were handed over: nobody knows whether they left, and a person decides.

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
    ("Ana", "Soto", "asoto@nadi.cl", true),
    ("Ana", "Vera", "avera@nadi.cl", true),
    ("Eva", "Paz", "epaz@nadi.cl", true),
    ("Eva", "Mora", "emora@nadi.cl", true),
    ("Ida", "Rey", "irey@nadi.cl", true),
];

/// How each person's message stands.
const STANDS: &str =
    "select string_agg(split_part(destination, '@', 1) || ' ' || status, ', ' order by destination)
    from communication_logs";

/// What people decided, in order, and who.
const DECIDED: &str = "select string_agg(e.kind || ' ' || s.email, ', ' order by e.id)
    from communication_events e join staff_users s on s.id = e.staff_user_id where e.kind <> 'QUEUED'";

const LIST: &str = "/messages?status=UNCONFIRMED";

#[tokio::test]
async fn what_was_cut_off_is_decided_on_a_page_at_a_time_and_one_by_one() {
    let office = PostOffice::open();
    let alone = [("EMAIL_DAILY_CAP", "0"), ("EMAIL_CONNECTIONS", "1")];
    let app = App::start(&[&office.environment()[..], &alone].concat()).await;
    app.employ(PEOPLE).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    let campaign = started(&window, 5).await;

    // The server takes each and hangs up before it says so. A line like that is left alone after three.
    office.cut_the_line(true);
    assert_eq!(app.drip().await.sent, 0);
    assert_eq!(app.drip().await.sent, 0);
    let all = "asoto UNCONFIRMED, avera UNCONFIRMED, emora UNCONFIRMED, epaz UNCONFIRMED, irey UNCONFIRMED";
    assert_eq!(app.one::<String>(STANDS).await, all);
    assert_eq!(office.letters().len(), 5, "they arrived, which nobody here knows");
    assert_eq!(app.drip().await.pending, 0, "nothing is sent twice by itself");

    // From the campaign to those in doubt.
    window.open(&campaign).await;
    window.sees_in("#live", "Por confirmar 5").await;
    window.click("#live a.tile[href*='status=UNCONFIRMED']").await;
    window.sees("Decide por los 5 de esta página").await;
    window.sees("puede que salieran").await;
    window.picture("unconfirmed").await;
    accessible::holds(&window).await;

    // Some of them: those who are called Ana did get it.
    window.open(LIST).await;
    window.fill("to", "Ana").await;
    window.click("form.list-search button").await;
    window.sees("Decide por los 2 de esta página").await;
    window.press("Salieron").await;
    window.sees("2 mensajes quedaron como enviados.").await;
    window.sees("Decide por los 3 de esta página").await;
    let stands = "asoto SENT, avera SENT, emora UNCONFIRMED, epaz UNCONFIRMED, irey UNCONFIRMED";
    assert_eq!(app.one::<String>(STANDS).await, stands);

    // One alone, on her page: she says that nothing came.
    window.press("Ida Rey").await;
    window.sees("El envío se cortó justo al entregar el mensaje").await;
    window.sees("No se reenvía solo").await;
    window.picture("unconfirmed-one").await;
    accessible::holds(&window).await;
    window.press("No llegó: enviarlo de nuevo").await;
    window.sees("Volvió a la cola").await;
    window.sees("Está en la cola").await;
    let stands = "asoto SENT, avera SENT, emora UNCONFIRMED, epaz UNCONFIRMED, irey PENDING";
    assert_eq!(app.one::<String>(STANDS).await, stands);
    office.cut_the_line(false);
    assert_eq!(app.drip().await.sent, 1);
    assert_eq!(office.letters_for("irey@nadi.cl").len(), 2);

    // The others of the page again, and the line is cut once more.
    window.open(LIST).await;
    window.sees("Decide por los 2 de esta página").await;
    window.press("Enviar de nuevo").await;
    window.sees("2 mensajes volvieron a la cola.").await;
    window.sees("Ningún mensaje con este filtro").await;
    accessible::holds(&window).await;
    let stands = "asoto SENT, avera SENT, emora PENDING, epaz PENDING, irey SENT";
    assert_eq!(app.one::<String>(STANDS).await, stands);
    office.cut_the_line(true);
    assert_eq!(app.drip().await.sent, 0);
    window.open(LIST).await;
    window.sees("Decide por los 2 de esta página").await;
    window.press("No enviar").await;
    window.sees("2 mensajes quedaron cancelados.").await;
    let stands = "asoto SENT, avera SENT, emora CANCELLED, epaz CANCELLED, irey SENT";
    assert_eq!(app.one::<String>(STANDS).await, stands);
    assert_eq!(app.drip().await.pending, 0);

    // Who decided what stays with the messages.
    let who = crate::app::ADMIN.0;
    let decided = ["CONFIRMED", "CONFIRMED", "REQUEUED", "REQUEUED", "REQUEUED", "CANCELLED", "CANCELLED"];
    assert_eq!(app.one::<String>(DECIDED).await, decided.map(|it| format!("{it} {who}")).join(", "));
    let kept = "select count(*) from audit_events where action = 'message.decide'";
    assert_eq!(app.one::<i64>(kept).await, 7);
    window.open(&campaign).await;
    window.sees_in("#live", "Cancelados 2").await;
    window.close().await;
}
