//! What a person agreed to and asked for, written down by the staff: each with its proof.

use crate::{
    app::App,
    chromium::{LAPTOP, Window},
    signing_in::sign_in,
};

#[tokio::test]
async fn a_yes_a_slower_pace_a_pause_and_a_no_show_with_their_proof() {
    let app = App::start(&[]).await;
    app.run(
        "insert into contacts (first_name, last_name, email, search_key, created_at, updated_at)
         values ('Rosa', 'Gallardo', 'rosa@nadi.cl', 'rosa gallardo', now(), now());",
    )
    .await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/contacts/1").await;
    window.press("Permisos, pruebas y preferencias").await;
    window.sees("Sin una base legal anotada no se le envían promociones.").await;

    // A yes, with where it came from and when.
    window.press("Anotar un sí o un no").await;
    window.fill("communication_type", "EMAIL").await;
    window.fill("basis", "CONSENT").await;
    window.fill("source", "Formulario de la feria, folio 12").await;
    window.fill("obtained_on", "2025-03-14").await;
    window.click("[action$='/consents'] button").await;
    window.sees("Quedó anotado con su prueba.").await;
    for said in ["consentimiento", "Formulario de la feria, folio 12", "Dado el 14-03-2025"] {
        window.sees_in("#consent tbody tr", said).await;
    }
    assert_eq!(
        app.one::<String>("select email_basis from contacts").await,
        "CONSENT",
        "what holds follows the ledger"
    );

    // Less often, and not for a while.
    window.click("#preferences [aria-label='Anotar lo que pidió por Correo']").await;
    window.fill("every", "30").await;
    window.fill("pause", "60").await;
    window.fill("how", "PHONE").await;
    window.fill("detail", "A Ana, vuelve de viaje en marzo").await;
    window.click("[action$='/rhythms'] button").await;
    window.sees("Quedó anotado con su prueba. Rige desde ya.").await;
    window.sees_in("#preferences .used", "Correo: a lo más un mensaje cada 30 días y pausa hasta el").await;
    window.sees_in("#preferences", "A Ana, vuelve de viaje en marzo").await;
    window.sees_in("#preferences", "lo anotó").await;
    window.picture("consents-noted").await;

    // The pause ends before its day; the pace stays.
    window.click("#preferences [aria-label='Anotar lo que pidió por Correo']").await;
    window.fill("pause", "").await;
    window.fill("how", "IN_PERSON").await;
    window.click("[action$='/rhythms'] button").await;
    window.sees("Rige desde ya.").await;
    let stands = window.texts_of("#preferences .used:first-of-type li").await;
    assert!(stands[0].starts_with("Correo: a lo más un mensaje cada 30 días"), "{stands:?}");
    assert!(!stands[0].contains("pausa"), "{stands:?}");

    // A no, and the page of the person says so.
    window.press("Anotar un sí o un no").await;
    window.fill("communication_type", "EMAIL").await;
    window.fill("basis", "WITHDRAWN").await;
    window.fill("source", "Lo dijo por teléfono a Ana").await;
    window.click("[action$='/consents'] button").await;
    window.sees("ya no recibirá promociones por ese canal").await;
    window.sees_in("#consent tbody tr:first-child", "ya no quiere").await;
    window.sees_in("#consent tbody tr:first-child", "Lo dijo por teléfono a Ana").await;
    window.picture("consents-withdrawn").await;
    assert!(app.one::<bool>("select email_basis is null from contacts").await);
    window.open("/contacts/1?kind=consents").await;
    window.sees_in("#timeline", "Lo dijo por teléfono a Ana").await;
    window.sees_in("#timeline", "Formulario de la feria, folio 12").await;
    window.close().await;
}
