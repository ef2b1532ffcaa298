//! What came back and nobody could match: a person says of which message it speaks, or sets it aside.

use crate::{
    accessible,
    app::{ADMIN, App},
    campaign::started,
    chromium::{LAPTOP, Window},
    dairy::Worker,
    post_office::PostOffice,
    signing_in::sign_in,
};

const PEOPLE: &[Worker<'_>] = &[("Eva", "Paz", "eva@nadi.cl", true), ("Ida", "Rey", "ida@nadi.cl", true)];

/// As a mailbox that was read leaves them: Ida's answer, which names no message of ours, and a bounce of somebody
/// to whom nothing was ever sent.
const STRAYS: &str = "
    insert into inbound_events (source, external_id, communication_type, kind, cause, occurred_at, received_at, recipient,
        message_ids, status_code, diagnostic, sender, subject, body, raw, status, next_attempt_at) values
        ('MAILBOX', 'a', 'EMAIL', 'REPLY', null, now(), now(), 'ida@nadi.cl', '{}', null, null, 'ida@nadi.cl',
            'Re: una idea', 'Me interesa: ¿cuánto cuesta para cuarenta personas?', 'Subject: Re: una idea', 'UNMATCHED', now()),
        ('MAILBOX', 'b', 'EMAIL', 'HARD_BOUNCE', 'DEAD', now(), now(), 'nadie@lejos.cl', '{}', '5.1.1', '550 5.1.1 No such user',
            null, null, null, 'Action: failed', 'UNMATCHED', now());";

/// How each stands, by whom it was matched, and who decided.
const EVENTS: &str =
    "select string_agg(concat_ws(' ', e.external_id, e.status, e.matched_by, s.email), ', ' order by e.id)
    from inbound_events e left join staff_users s on s.id = e.decided_by";

const MESSAGES: &str =
    "select string_agg(split_part(destination, '@', 1) || ' ' || status, ', ' order by destination)
    from communication_logs";

const UNMATCHED: &str = "/inbound?kind=unmatched";

#[tokio::test]
async fn an_answer_is_given_its_message_by_hand_and_what_is_not_ours_is_set_aside() {
    let office = PostOffice::open();
    let app = App::start(&[&office.environment()[..], &[("EMAIL_DAILY_CAP", "0")]].concat()).await;
    app.employ(PEOPLE).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/inbound").await;
    window.sees("Aún no ha vuelto nada").await;
    accessible::holds(&window).await;
    let campaign = started(&window, 2).await;
    assert_eq!(app.drip().await.sent, 2);
    app.run(STRAYS).await;

    // The menu says how many wait for somebody.
    window.open("/").await;
    window.sees_in("nav a[href='/inbound']", "2").await;
    window.press("Rebotes y respuestas").await;
    window.press("Sin asignar").await;
    window.arrives_at(UNMATCHED).await;
    window.sees_in("tbody", "ida@nadi.cl").await;
    window.sees_in("tbody", "Re: una idea").await;
    window.sees_in("tbody", "nadie@lejos.cl").await;
    window.sees_in("tbody", "La dirección no existe: 550 5.1.1 No such user").await;
    window.picture("returned").await;
    accessible::holds(&window).await;

    // Her answer is read, and a number that is nobody's is refused.
    window.click("tbody tr:last-child td:first-child a").await;
    window.sees("No sabemos de qué mensaje habla.").await;
    window.sees("¿cuánto cuesta para cuarenta personas?").await;
    let event = window.path().await;
    window.picture("returned-answer").await;
    accessible::holds(&window).await;
    window.fill_in("#message", "99999").await;
    window.click("form:has([inputmode=numeric]) button").await;
    window.sees("No hay un mensaje enviado con ese número.").await;
    assert_eq!(app.one::<String>(EVENTS).await, "a UNMATCHED, b UNMATCHED");

    // Hers is the one that is offered.
    window.open(&event).await;
    window.sees_in("section[aria-labelledby=assign] li", "Prospección Los Lagos").await;
    window.press("Asignar a este").await;
    window.sees("Quedó asignado y ya hizo lo que significa.").await;
    window.sees("El mensaje quedó como respondido").await;
    window.sees_in("aside[aria-label=Datos]", "a mano, por").await;
    assert!(!window.text().await.contains("¿De qué mensaje habla?"), "it is decided");
    assert_eq!(app.one::<String>(EVENTS).await, format!("a APPLIED HAND {}, b UNMATCHED", ADMIN.0));
    assert_eq!(app.one::<String>(MESSAGES).await, "eva SENT, ida REPLIED");

    // It is in her log, with her words, and counts for the campaign.
    window.press("Ida Rey").await;
    window.sees_in("#timeline", "Re: una idea").await;
    window.sees_in("#timeline", "¿cuánto cuesta para cuarenta personas?").await;
    assert_eq!(app.one::<i64>("select count(*) from interactions").await, 1);
    window.open(&campaign).await;
    window.click("#live .bars a[href*='reached=REPLIED']").await;
    window.sees("Ida Rey").await;
    assert_eq!(window.texts_of("tbody tr").await.len(), 1);

    // The other is nobody's here.
    window.open(UNMATCHED).await;
    assert_eq!(window.texts_of("tbody tr").await.len(), 1);
    window.click("tbody td:first-child a").await;
    window.press("Descartar: no es de aquí").await;
    window.sees("Quedó descartado. No se borra").await;
    window.sees("Nada por aquí").await;
    let stands = format!("a APPLIED HAND {who}, b SET_ASIDE {who}", who = ADMIN.0);
    assert_eq!(app.one::<String>(EVENTS).await, stands);
    assert_eq!(app.one::<i64>("select count(*) from suppressions").await, 0, "anybody can write a mail");
    let kept =
        "select string_agg(action, ' ' order by id) from audit_events where subject_kind = 'inbound_event'";
    assert_eq!(app.one::<String>(kept).await, "inbound_event.assign inbound_event.set_aside");
    window.press("Ver todo lo que volvió").await;
    window.sees_in("tbody", "Descartado").await;
    window.sees_in("tbody", "Ida Rey").await;
    window.picture("returned-decided").await;
    accessible::holds(&window).await;
    window.close().await;
}
