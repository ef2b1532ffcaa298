//! What happened with a customer: brought in from a file, and read on their page.

use crate::{
    app::App,
    chromium::{LAPTOP, Window},
    signing_in::sign_in,
};
use sqlx::Connection as _;
use std::path::Path;

const ROSA: &str = "
    insert into contacts (first_name, last_name, email, search_key, created_at, updated_at)
    values ('Rosa', 'Gallardo', 'rosa@nadi.cl', 'rosa gallardo', now(), now());";

/// Three rows of Rosa's, one of somebody whom nobody knows.
const SHEET: &str = "Correo;Fecha;Tipo;Detalle;Monto\n\
    rosa@nadi.cl;14-03-2025;Visita;Tinaja para cuatro;80.000\n\
    rosa@nadi.cl;02-05-2025;Visita;Tinaja para dos;45.000\n\
    rosa@nadi.cl;02-05-2025;Compra;Caja de quesos;25.000\n\
    nadie@lejos.cl;03-05-2025;Compra;Miel;9.000\n";

/// Its name in the folder of [`shop`].
const FILE: &str = "ventas.csv";

/// A shop with Rosa in it, somebody signed in, and a folder with the sheet.
async fn shop() -> (App, Window, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), SHEET).unwrap();
    let app = App::start(&[]).await;
    app.run(ROSA).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    (app, window, folder)
}

async fn upload(window: &Window, kind: &str, file: &Path) {
    window.open("/imports/new").await;
    window.fill("kind", kind).await;
    window.choose_file(file).await;
    window.press("Subir y simular").await;
    window.arrives_at("/imports/").await;
}

#[tokio::test]
async fn a_file_of_purchases_becomes_visits_and_spending_of_customers() {
    let (app, window, folder) = shop().await;
    let file = folder.path().join(FILE);

    upload(&window, "history", &file).await;
    window.sees("Confirmar").await;
    assert_eq!(app.one::<i64>("select count(*) from history_entries").await, 0, "a simulation wrote");
    let told = window.texts_of(".tile").await.join(", ");
    assert!(told.contains("Nuevas 3") && told.contains("Rechazadas 1"), "{told}");
    window.press("Confirmar").await;
    window.sees("Deshacer").await;
    window.picture("history-imported").await;

    window.open("/contacts/1").await;
    let figures = window.texts_of(".figures .tile").await;
    assert_eq!(figures[..2], ["2 visitas", "$150.000 total gastado"], "{figures:?}");
    window.sees_in("#timeline", "Tinaja para cuatro").await;
    window.sees_in("#timeline", "$25.000").await;
    window.picture("history-customer").await;
    window.close().await;
}

#[tokio::test]
async fn an_import_is_called_off_while_it_waits_and_while_it_runs() {
    let (app, window, folder) = shop().await;
    let file = folder.path().join(FILE);

    // It waits for somebody to confirm it.
    upload(&window, "history", &file).await;
    window.sees("Confirmar").await;
    window.press("Cancelar").await;
    window.sees("Importación cancelada. No se guardó nada.").await;
    window.sees_in("h1", "Cancelada").await;

    // It is being simulated, and cannot go on for a while.
    let held = app.hold("lock table import_rows in exclusive mode").await;
    upload(&window, "history", &file).await;
    let began = std::time::Instant::now();
    // There may be no row yet: what was pressed is still on its way.
    let stands = "select coalesce((select status from imports where id = 2), '')";
    while app.one::<String>(stands).await != "ANALYSING" {
        assert!(began.elapsed().as_secs() < 20, "it never begins");
        tokio::task::yield_now().await;
    }
    window.press("Cancelar").await;
    window.sees("Pediste cancelarla: se detiene en cuanto pueda").await;
    held.close().await.unwrap();
    window.sees_in("h1", "Cancelada").await;
    window.picture("import-cancelled").await;
    assert_eq!(app.one::<i64>("select count(*) from history_entries").await, 0);
    window.close().await;
}

#[tokio::test]
async fn an_import_is_called_off_while_it_is_written() {
    let (app, window, folder) = shop().await;
    upload(&window, "history", &folder.path().join(FILE)).await;
    window.sees("Confirmar").await;
    // What happened cannot be written down for a while.
    let held = app.hold("lock table history_entries in exclusive mode").await;
    window.press("Confirmar").await;
    window.sees("Guardando en la base").await;
    let began = std::time::Instant::now();
    while app.one::<i16>("select progress from imports").await < 50 {
        assert!(began.elapsed().as_secs() < 20, "it never begins to write");
        tokio::task::yield_now().await;
    }
    window.picture("import-writing").await;
    window.press("Cancelar").await;
    window.sees("Pediste cancelarla: se detiene en cuanto pueda").await;
    assert_eq!(app.one::<String>("select status from imports").await, "APPLYING", "it is not over yet");
    held.close().await.unwrap();
    window.sees_in("h1", "Cancelada").await;
    assert_eq!(app.one::<i64>("select count(*) from history_entries").await, 0);
    assert_eq!(
        app.one::<i64>("select count(*) from import_rows").await,
        0,
        "nor is what was read of it kept"
    );
    // Nothing of it stands in the way of the same file.
    upload(&window, "history", &folder.path().join(FILE)).await;
    window.sees("Confirmar").await;
    window.press("Confirmar").await;
    window.sees("Deshacer").await;
    assert_eq!(app.one::<i64>("select count(*) from history_entries").await, 3);
    window.close().await;
}

#[tokio::test]
async fn a_story_is_narrowed_to_one_kind_and_goes_on_where_it_is_scrolled_to() {
    let app = App::start(&[]).await;
    app.run(ROSA).await;
    app.run(
        "insert into interactions (contact_id, kind, summary, at, created_at)
         select 1, 'NOTE', 'Nota ' || n, timestamptz '2025-03-01' + n * interval '1 hour', now() from generate_series(1, 55) n;
         insert into history_entries (contact_id, kind, occurred_on, item, amount, created_at)
         values (1, 'PURCHASE', '2025-06-01', 'Caja de quesos', 25000, now());",
    )
    .await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/contacts/1").await;
    window.sees_in("#timeline", "Caja de quesos").await;
    window.press("Compras y visitas").await;
    window.arrives_at("/contacts/1?kind=history").await;
    window.sees_in("#timeline", "Caja de quesos").await;
    assert_eq!(window.texts_of("#timeline .event").await.len(), 1);
    window.picture("timeline-of-a-kind").await;

    // Only as far as it is read.
    window.press("Bitácora").await;
    window.arrives_at("/contacts/1?kind=interactions").await;
    window.sees_in("#timeline", "Nota 55").await;
    let mut titles = window.texts_of("#timeline .event-title").await;
    assert!(titles.len() < 55, "all of it came at once");
    let began = std::time::Instant::now();
    while titles.len() < 55 {
        assert!(began.elapsed().as_secs() < 20, "it stops at {}", titles.len());
        let last = "document.querySelector('#timeline .events').lastElementChild.scrollIntoView({behavior: 'instant'})";
        window.run(last, "").await;
        // A list that grows while it is read is read again.
        window.seen("#timeline .event:last-child, #timeline .event-more").await;
        titles = window.texts_of("#timeline .event-title").await;
    }
    let expected: Vec<_> = (1..=55).rev().map(|n| format!("Nota {n}")).collect();
    assert_eq!(titles, expected, "each once, newest first");
    assert!(!window.text().await.contains("Ver lo anterior"));
    window.close().await;
}
