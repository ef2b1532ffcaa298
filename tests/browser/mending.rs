//! What comes in badly is mended: cells of a file, one person twice. And who is meant by
//! a rule is seen while it is written.

use crate::{
    app::App,
    chromium::{LAPTOP, Window},
    importing,
    signing_in::sign_in,
};
use fantoccini::key::Key;

#[tokio::test]
async fn bad_cells_are_corrected_on_the_spot_and_an_import_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::start(&[]).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    importing::simulate(&window, &importing::csv_in(folder.path())).await;
    window.sees("Corrige aquí las filas rechazadas").await;
    // The bad cell is the one that is marked.
    assert_eq!(window.value(".mend .is-invalid").await, "carla.elroble.cl");
    let cell = window.attribute(".mend .is-invalid", "name").await;
    window.fill(&cell, "carla@elroble.cl").await;
    window.picture("import-mend").await;
    window.press("Volver a simular con lo corregido").await;
    window.sees("Nuevas 3").await;
    window.sees("Rechazadas 0").await;
    assert_eq!(app.one::<i64>("select count(*) from contacts").await, 0, "nothing is written before the yes");
    importing::confirm(&window).await;
    assert_eq!(app.one::<i64>("select count(*) from contacts where email = 'carla@elroble.cl'").await, 1);
    window.press("Deshacer").await;
    window.press("Deshacer la importación").await;
    window.sees("Deshecha").await;
    assert_eq!(app.one::<i64>("select count(*) from contacts").await, 0);
    window.close().await;
}

#[tokio::test]
async fn two_cards_of_one_person_are_joined_side_by_side_and_taken_apart() {
    let app = App::start(&[]).await;
    app.run(
        "insert into contacts (first_name, last_name, email, phone, job_title, search_key, created_at, updated_at) values
             ('Rosa', 'González', 'rosa@sur.cl', '+56987654321', 'Dueña', 'rosa gonzalez', now(), now()),
             ('Rosa', 'Gonzales', 'rosag@correo.cl', '+56987654321', 'Gerenta', 'rosa gonzales', now(), now())",
    )
    .await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/duplicates").await;
    window.press("Buscar ahora").await;
    window.open("/duplicates").await;
    window.sees("1 par por revisar").await;
    window.press("Comparar y unir").await;
    window.sees("¿Son la misma persona?").await;
    let field = window.attribute("tr:has(td:nth-child(3)) input[value=gone][name*=job]", "name").await;
    window.tick(&field, "gone", true).await;
    window.picture("duplicates").await;
    window.press("Unir en una sola ficha").await;
    window.sees("Las dos fichas son una.").await;
    window.sees("Gerenta").await;
    assert_eq!(app.one::<i64>("select count(*) from contacts where merged_into is null").await, 1);
    window.press("Deshacer").await;
    window.sees("Volvieron a ser dos fichas").await;
    assert_eq!(app.one::<i64>("select count(*) from contacts where merged_into is null").await, 2);
    let titles =
        "select count(*) from contacts where job_title in ('Dueña', 'Gerenta') and merged_into is null";
    assert_eq!(app.one::<i64>(titles).await, 2, "each with its own");
    window.close().await;
}

#[tokio::test]
async fn a_rule_is_counted_while_it_is_written_explains_itself_and_is_written_to() {
    let app = App::start(&[]).await;
    app.run(
        "insert into contacts (first_name, last_name, email, lifecycle, email_basis, search_key, created_at, updated_at) values
             ('Ana', 'Soto', 'ana@sur.cl', 'CLIENTE', 'CONSENT', 'ana soto', now(), now()),
             ('Eva', 'Paz', 'eva@sur.cl', 'CLIENTE', null, 'eva paz', now(), now()),
             ('Ida', 'Vera', 'ida@sur.cl', 'LEAD', 'CONSENT', 'ida vera', now(), now());
         insert into contact_metrics (contact_id, visits, spent)
         select id, 3, 60000 from contacts where first_name = 'Ana'",
    )
    .await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/segments/new").await;
    window.fill("name", "Clientes que vuelven").await;
    window.fill("r-0.value", "CLIENTE").await;
    window.holds("input[name='r-0.value']", "CLIENTE").await;
    window.sees_in("#segment-preview", "2 personas").await;
    window.press("Condición").await;
    window.holds("[name='r-1.was']", "LIFECYCLE").await;
    window.fill("r-1.field", "VISITS").await;
    window.holds("[name='r-1.was']", "VISITS").await;
    window.fill("r-1.op", "AT_LEAST").await;
    window.holds("[name='r-1.was_op']", "AT_LEAST").await;
    window.fill("r-1.value", "2").await;
    window.sees_in("#segment-preview", "1 persona").await;
    window.sees_in("#segment-preview", "Ana Soto").await;
    window.picture("segment-writer").await;
    window.press("Guardar segmento").await;
    window.sees("1 persona ahora").await;
    let segment = window.path().await;

    // Why one is in and another is out, condition by condition.
    window.press("¿Por qué?").await;
    window.sees("Está en el segmento").await;
    window.open(&segment).await;
    window.fill_in("#why-q", "eva").await;
    window.key(&Key::Enter.to_string()).await;
    window.press("Eva Paz").await;
    window.sees("No está en el segmento").await;
    window.picture("segment-why").await;

    // It is whom a campaign goes to.
    window.open(&segment).await;
    window.press("Usar en una campaña").await;
    window.sees("1 persona en la audiencia").await;
    window.close().await;
}
