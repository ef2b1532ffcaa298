//! Written to from a list by hand, what comes of it, and why somebody gets something or does not.

use crate::{
    app::App,
    chromium::{LAPTOP, PHONE, Window},
    dairy::Worker,
    post_office::PostOffice,
    signing_in::sign_in,
};

/// Three who may be written to and one who never agreed.
const PEOPLE: &[Worker<'_>] = &[
    ("Ana", "Soto", "ana@nadi.cl", true),
    ("Eva", "Paz", "eva@nadi.cl", false),
    ("Ida", "Vera", "ida@nadi.cl", true),
    ("Luz", "Mora", "luz@nadi.cl", true),
];

/// Email leaves at all hours, three messages a day.
const ALL_HOURS: &str = r#"
    insert into settings (name, value, updated_at) values ('email', '{
        "daily_cap": 3,
        "business_hours": {"days": [true, true, true, true, true, true, true], "opens": "00:00:00", "closes": "23:59:00", "skip_holidays": false}
    }', now());"#;

const STATUS: &str = "select status from mailings";

/// However many were on their way as the sender was refused: the last one waits behind the two others.
const LAST_WAITS: &str = "update communication_logs set next_attempt_at = scheduled_at
    + case when id = (select max(id) from communication_logs where status = 'PENDING') then interval '10 minutes'
        else interval '0' end where status = 'PENDING'";

const MESSAGES: &str =
    "select string_agg(status, ' ' order by status) from communication_logs where mailing_id is not null";

/// One of those who got it.
const REACHED: &str = "select c.first_name || ' ' || c.last_name from communication_logs l
    join contacts c on c.id = l.contact_id where l.status = 'SENT' order by l.id limit 1";

#[tokio::test]
async fn those_who_were_marked_are_written_to_and_each_page_says_why_or_why_not() {
    let office = PostOffice::open();
    let app = App::start(&office.environment()).await;
    app.employ(PEOPLE).await;
    app.run(ALL_HOURS).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;

    // Whom it would reach is said before it is sent.
    window.open("/contacts").await;
    window.click("[data-bulk-all]").await;
    window.press("Escribir a los marcados").await;
    window.sees("Escribir a 4 personas").await;
    window.sees_in("#mailing-count", "De 4 personas, lo recibirían 3.").await;
    window.sees_in("#mailing-count", "1: Sin consentimiento ni otra base para promociones").await;
    window.press("Un texto libre").await;
    window.fill("subject", "{{ first_name }}, cambió la hora de retiro").await;
    window.fill_in("#field-body", "Hola {{ first_name }}: desde mañana el camión pasa a las 8.").await;
    window.sees_in("#preview", "Ana, cambió la hora de retiro").await;
    window.sees_in_frame(".letter-frame", "desde mañana el camión pasa a las 8.").await;
    window.picture("mailing-written").await;
    window.press("Poner en la cola").await;
    window.sees_in("#live", "Pendiente 3").await;
    window.sees_in("#live", "Bloqueado 1").await;
    let page = window.path().await;

    // The server takes nothing of our sender: it stops, nobody is lost, and it is said what to do.
    office.refuse_the_sender(true);
    assert_eq!(app.drip().await.sent, 0);
    window.open(&page).await;
    window.sees("Está en pausa").await;
    window.sees("550 5.7.1 Sender rejected").await;
    window.picture("mailing-paused").await;
    assert_eq!(app.one::<String>(STATUS).await, "PAUSED");
    window.open("/").await;
    window.sees("550 5.7.1 Sender rejected").await;
    office.refuse_the_sender(false);
    assert_eq!(app.drip().await.sent, 0, "what is paused stays");

    // It goes on: two now; and what has not left is taken back.
    app.run(LAST_WAITS).await;
    window.open(&page).await;
    window.press("Reanudar").await;
    window.sees("Sigue: lo que espera sale en las próximas corridas.").await;
    assert_eq!(app.drip().await.sent, 2);
    window.open(&page).await;
    window.sees_in("#live", "Enviado 2").await;
    window.sees_in("#live", "Pendiente 1").await;
    window.press("Cancelar lo que no ha salido").await;
    window.sees_in("#live", "Cancelado 1").await;
    window.picture("mailing-taken-back").await;
    assert_eq!(app.one::<String>(STATUS).await, "CANCELLED");
    assert_eq!(app.drip().await.sent, 0);
    assert_eq!(app.one::<String>(MESSAGES).await, "BLOCKED CANCELLED SENT SENT");
    let letters = office.letters();
    assert_eq!(letters.len(), 2);
    assert!(letters[0].body().contains(": desde mañana el camión pasa a las 8."), "{}", letters[0].body());

    // Why Eva got nothing, and why one who got it would wait for what comes next.
    window.press("Ver los mensajes").await;
    window.press("Eva Paz").await;
    window.press("Eva Paz").await;
    window.run("document.getElementById('why').scrollIntoView({behavior: 'instant'})", "").await;
    window.sees_in("#why", "Correo, si se le enviara ahora").await;
    window.sees_in("#why", "Sin consentimiento ni otra base para promociones. No saldría").await;
    window.sees_in("#why", "Transaccional Saldría ahora").await;
    window.picture("why-not").await;
    window.open("/contacts").await;
    window.press(&app.one::<String>(REACHED).await).await;
    window.run("document.getElementById('why').scrollIntoView({behavior: 'instant'})", "").await;
    window.sees_in("#why", "Tope de frecuencia de la persona: 1 de 1 en 7 días. Libre desde el").await;
    window.sees_in("#why", "Se autorizó").await;
    // Of one campaign too.
    window.press("¿Y esta campaña?").await;
    window.sees_in("#why .why-campaign", "Prospección Los Lagos Esperaría").await;
    window.picture("why-waits").await;
    window.run("document.getElementById('why').scrollIntoView({behavior: 'instant'})", "").await;
    window.picture("why-waits-close").await;
    let contact = window.path().await;
    let phone = Window::open_at(&app.url, PHONE).await;
    sign_in(&phone).await;
    for (page, picture) in [(&page, "mailing-phone"), (&format!("{contact}/why"), "why-phone")] {
        phone.open(page).await;
        phone.picture(picture).await;
        assert!(phone.overflow().await <= 0, "{page} is wider than a telephone");
    }
    phone.close().await;
    window.close().await;
}
