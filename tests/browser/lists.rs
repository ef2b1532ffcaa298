//! Lists: who is put on them by hand, who is pasted, who is taken off again.

use crate::{
    app::App,
    chromium::{LAPTOP, Window},
    signing_in::sign_in,
};

#[tokio::test]
async fn a_list_takes_the_marked_and_the_pasted_and_gives_back_who_was_removed() {
    let app = App::start(&[]).await;
    app.run(
        "insert into contacts (first_name, last_name, email, search_key, created_at, updated_at) values
             ('Rosa', 'Gallardo', 'rosa@nadi.cl', 'rosa gallardo', now(), now()),
             ('Jaime', 'Muñoz', 'jaime@nadi.cl', 'jaime munoz', now(), now()),
             ('Pedro', 'Pérez', 'pedro@sur.cl', 'pedro perez', now(), now());",
    )
    .await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/lists").await;
    window.press("Nueva lista").await;
    window.fill("name", "Socios del convenio").await;
    window.press("Crear lista").await;
    window.sees("La lista quedó creada.").await;
    let list = window.path().await;

    // Two of the three are marked.
    window.open("/contacts").await;
    window.click("[aria-label='Marcar a Rosa Gallardo']").await;
    window.click("[aria-label='Marcar a Jaime Muñoz']").await;
    window.sees("2 marcados").await;
    window.press("Cambiar a los marcados").await;
    window.sees("Son las que marcaste en la lista.").await;
    window.fill("action", "LIST").await;
    window.fill("to_list", list.trim_start_matches("/lists/")).await;
    window.press("Cambiar a 2 personas").await;
    window.sees("Deshacer").await;
    window.open(&list).await;
    window.sees("2 integrantes").await;
    let text = window.text().await;
    assert!(text.contains("Rosa Gallardo") && text.contains("Jaime Muñoz"), "{text}");

    // Pasted: who is there already is known again, who is nobody's contact is kept as an address.
    window.fill("addresses", "ROSA@nadi.cl, pedro@sur.cl, vecina@lejos.cl").await;
    window.click("[action$='/members'] button").await;
    window.sees("Agregamos 1 contacto y 1 dirección suelta.").await;
    window.sees("1 dirección no es de ningún contacto").await;
    window.sees("4 integrantes").await;
    window.picture("list-pasted").await;

    window.click("[aria-label='Quitar de la lista a Rosa Gallardo']").await;
    window.sees("Ya no está en la lista.").await;
    window.sees("3 integrantes").await;
    assert!(!window.text().await.contains("Rosa Gallardo"));
    window.press("Deshacer").await;
    window.sees("Volvió a la lista.").await;
    window.sees("4 integrantes").await;
    window.sees("Rosa Gallardo").await;

    // All its people at once, and back: the bare address stays where it is.
    window.open(&format!("/contacts?list={}", list.trim_start_matches("/lists/"))).await;
    window.click("[data-bulk-item]").await;
    window.press("Cambiar a todos los que coinciden (3 contactos)").await;
    window.fill("action", "UNLIST").await;
    window.press("Cambiar a 3 personas").await;
    window.sees("Quitar de la lista «Socios del convenio»").await;
    window.sees("Deshacer").await;
    assert_eq!(app.one::<i64>("select count(*) from list_members").await, 1);
    window.press("Deshacer").await;
    window.sees("Se deshizo en 3 personas").await;
    window.open(&list).await;
    window.sees("4 integrantes").await;
    window.close().await;
}
