//! A letter is put together from blocks, seen while it is written, and sent to people chosen from the list.

use crate::{
    app::App,
    chromium::{LAPTOP, Window},
    importing,
    signing_in::sign_in,
};

#[tokio::test]
async fn a_letter_of_blocks_is_written_to_people_who_were_marked() {
    let app = App::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    importing::simulate(&window, &importing::csv_in(folder.path())).await;
    importing::confirm(&window).await;

    // Blocks come, move and go without the page being asked for anew.
    window.open("/templates/new").await;
    window.fill("name", "Tarde de tinas").await;
    window.fill("subject", "Hola {{ first_name }}").await;
    window.fill_in("[aria-label='Bloque 1: título']", "Tinas calientes").await;
    window.fill_in("[aria-label='Bloque 2: texto']", "Te esperamos, {{ first_name }}.").await;
    window.click("button[value='add:DIVIDER']").await;
    window.click("button[value='add:BUTTON']").await;
    window.fill_in("[name='block_link']", "https://lluviasur.example/tinas").await;
    window.fill_in("li:nth-child(4) [name='block_text']", "Reservar").await;
    window.click("button[value='remove:2']").await;
    window.click("button[value='up:2']").await;
    window.holds("li:nth-child(2) [name='block_text']", "Reservar").await;
    assert_eq!(window.value("[name='name']").await, "Tarde de tinas");
    // The preview follows what is typed; a variable that there is not is told at once.
    window.sees_in("#preview", "Hola Camila").await;
    window.fill("subject", "Hola {{ nombre }}").await;
    window.sees_in("#preview", "¿Quisiste decir {{ first_name }}?").await;
    window.fill("subject", "Hola {{ first_name }}").await;
    window.sees_in("#preview", "Hola Camila").await;
    window.fill("width", "phone").await;
    window.picture("template-form").await;
    window.click(".form-actions button[type=submit]").await;
    window.sees("Guardamos la plantilla").await;
    window.picture("template").await;

    // Everybody of the list whom it may reach.
    window.open("/contacts").await;
    window.click("[data-bulk-all]").await;
    window.press("Escribir a los marcados").await;
    window.sees("Escribir a").await;
    window.sees_in("#mailing-count", "recibirían").await;
    window.press("Un texto libre").await;
    window.seen("#field-footer").await;
    window.press("Una plantilla").await;
    window
        .run(
            "const select = document.getElementById('field-template');
         select.value = [...select.options].find(it => it.textContent === arguments[0]).value;
         select.dispatchEvent(new Event('change', {bubbles: true}));",
            "Tarde de tinas",
        )
        .await;
    window.sees_in("#preview", "Hola ").await;
    window.picture("mailing-form").await;
    window.press("Poner en la cola").await;
    window.sees("En la cola").await;
    window.sees("Pendiente").await;
    window.picture("mailing").await;
    window.press("Ver los mensajes").await;
    window.sees("Envío a mano: Tarde de tinas").await;
    window.close().await;
}
