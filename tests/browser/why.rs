//! "¿Por qué?" on a contact: what was decided on their messages, what would happen now, and when they are free again.

use crate::{
    accessible,
    chromium::{LAPTOP, Window},
    dairy::{self, Worker},
    signing_in::sign_in,
    within::{Nowhere, Within},
};
use chrono::TimeDelta;

/// One without a wish of her own yet, one who never agreed, and one more.
const PEOPLE: &[Worker<'_>] = &[
    ("Ana", "Soto", "ana@nadi.cl", true),
    ("Eva", "Paz", "eva@nadi.cl", false),
    ("Ida", "Rey", "ida@nadi.cl", true),
];

/// Ana wants no messages before two.
const QUIET: &str =
    "update contacts set quiet_from = '11:00', quiet_until = '14:00' where first_name = 'Ana'";

/// All that a decision writes.
const WRITTEN: &str =
    "select (select count(*) from communication_logs) + (select count(*) from communication_events)
    + (select count(*) from communication_reservations) + (select count(*) from audit_events)";

/// Open the page of `name` and bring «¿Por qué?» into sight, which then comes by itself.
async fn look_at(window: &Window, name: &str) {
    window.open("/contacts").await;
    window.press(name).await;
    window.sees("Límites y próximos mensajes").await;
    window.run("document.getElementById('why').scrollIntoView({behavior: 'instant'})", "").await;
    window.sees_in("#why", "Correo, si se le enviara ahora").await;
}

#[tokio::test]
async fn a_contact_tells_what_was_decided_what_would_happen_and_when_they_are_free() {
    let app = Within::start(Nowhere).await;
    dairy::employs(&mut app.state.db.acquire().await.unwrap(), PEOPLE).await;
    sqlx::query(QUIET).execute(&app.state.db).await.unwrap();
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;

    // Before anything was sent: nothing was decided, and each would fare in their own way.
    look_at(&window, "Ida Rey").await;
    window.sees_in("#why", "Promocional Saldría ahora").await;
    window.sees_in("#why", "Aún no se ha decidido nada sobre un mensaje suyo.").await;
    accessible::holds(&window).await;

    window.open("/campaigns").await;
    window.press("Prospección Los Lagos").await;
    window.sees("Lista para iniciar").await;
    window.press("Iniciar").await;
    window.press("Iniciar ahora").await;
    window.sees("Empieza en").await;
    app.state.clock.advance(TimeDelta::minutes(3));
    assert_eq!(app.drip().await.sent, 1);
    let written: i64 = app.one(WRITTEN).await;

    // Ida has had hers: the next promotion waits a week, what she asks for herself does not.
    look_at(&window, "Ida Rey").await;
    let said = "Promocional Tope de frecuencia de la persona: 1 de 1 en 7 días. Libre desde el lunes 30-11-2026 a las 09:00. Esperaría";
    window.sees_in("#why", said).await;
    window.sees_in("#why", "Transaccional Saldría ahora").await;
    window.sees_in("#why", "Prospección Los Lagos 23-11-2026 12:03").await;
    window.sees_in("#why", "Se autorizó").await;
    accessible::holds(&window).await;

    // Ana's waits for her hour.
    look_at(&window, "Ana Soto").await;
    let said =
        "Promocional Horas de silencio de la persona. Libre desde el lunes 23-11-2026 a las 14:00. Esperaría";
    window.sees_in("#why", said).await;
    let decided = "Horas de silencio de la persona · hasta el 23-11-2026 14:00 Se pospuso";
    window.sees_in("#why", decided).await;
    window.picture("why-quiet").await;
    accessible::holds(&window).await;
    // A decision leads to its message, which tells the same.
    window.click("#why ul.used:last-of-type a[href^='/messages/']").await;
    window.sees("Espera por «Horas de silencio de la persona».").await;
    window.sees("Se vuelve a intentar desde el 23-11-2026 14:00").await;

    // Eva never agreed: nothing that is promoted leaves for her, and no day is told.
    look_at(&window, "Eva Paz").await;
    window.sees_in("#why", "Promocional Sin consentimiento ni otra base para promociones. No saldría").await;
    window.sees_in("#why", "No salió").await;
    let why = window.texts_of("#why").await.remove(0);
    assert!(!why.contains("Libre desde"), "{why}");
    let contact = window.path().await;

    // The same as a page of its own, where a campaign may be asked about.
    window.open(&format!("{contact}/why")).await;
    window.sees("¿Por qué le llega, o no?").await;
    window.sees_in("#why", "No saldría").await;
    window.picture("why-page").await;
    accessible::holds(&window).await;
    window.press("¿Y esta campaña?").await;
    window.sees_in("#why .why-campaign", "Ya tiene su mensaje de «Prospección Los Lagos»: bloqueado.").await;
    accessible::holds(&window).await;
    assert_eq!(app.one::<i64>(WRITTEN).await, written, "asking writes nothing");

    // She agrees, and the page says so.
    window.press("Permisos, pruebas y preferencias").await;
    window.press("Anotar un sí o un no").await;
    window.fill("communication_type", "EMAIL").await;
    window.fill("basis", "CONSENT").await;
    window.fill("source", "Lo dijo en la feria").await;
    window.click("[action$='/consents'] button").await;
    window.sees("Quedó anotado con su prueba.").await;
    look_at(&window, "Eva Paz").await;
    window.sees_in("#why", "Promocional Saldría ahora").await;

    // At two, Ana gets hers: what was said came true.
    app.state.clock.advance(TimeDelta::hours(2));
    assert_eq!(app.drip().await.sent, 1);
    let sent =
        "select string_agg(split_part(destination, '@', 1) || ' ' || status, ', ' order by destination)
        from communication_logs";
    assert_eq!(app.one::<String>(sent).await, "ana SENT, eva BLOCKED, ida SENT");
    look_at(&window, "Ana Soto").await;
    window.sees_in("#why", "Libre desde el lunes 30-11-2026 a las 09:00").await;
    window.sees_in("#why", "Se autorizó").await;
    window.sees_in("#why", "Se pospuso").await;
    window.close().await;
}
