//! Files as businesses have them, through the panel: simulated, confirmed,
//! their rejected rows corrected and brought again.

use crate::{
    app::App,
    chromium::{LAPTOP, PHONE, Window},
    signing_in::sign_in,
};
use rust_xlsxwriter::Workbook;
use std::path::{Path, PathBuf};

/// As Excel in Spanish saves a CSV: semicolons, Windows-1252. One address lacks its @, one row comes twice.
const SHEET: &str = "Nombre;Apellido;Correo;Teléfono;Empresa\r\n\
    María;Soto;maria.soto@nandu.cl;9 8765 4321;Hostal Ñandú\r\n\
    Pedro;Muñoz;pedro@elroble.cl;;Ferretería El Roble\r\n\
    Carla;Vera;carla.elroble.cl;;Ferretería El Roble\r\n\
    María;Soto;MARIA.SOTO@nandu.cl;;Hostal Ñandú\r\n";

/// The sheet above, as a file in `folder`.
pub(crate) fn csv_in(folder: &Path) -> PathBuf {
    let bytes: Vec<u8> = SHEET.chars().map(|it| u8::try_from(u32::from(it)).unwrap()).collect();
    let path = folder.join("clientes.csv");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Let a file with that name go over the words of the box.
const LET_GO: &str = "const held = new DataTransfer(); held.items.add(new File(['Nombre'], arguments[0]));
    const over = { bubbles: true, cancelable: true, dataTransfer: held };
    document.querySelector('.drop p').dispatchEvent(new DragEvent('drop', over));";

/// Upload `file` of contacts who agreed to be written to, and see the simulation end.
pub(crate) async fn simulate(window: &Window, file: &Path) {
    window.open("/imports/new").await;
    window.fill("kind", "contacts").await;
    window.choose_file(file).await;
    window.fill("consent_basis", "CONSENT").await;
    window.fill("consent_source", "Formulario de la feria de Osorno").await;
    window.fill("consent_obtained_on", "2026-10-01").await;
    window.press("Subir y simular").await;
    window.sees("Confirmar").await;
}

/// Confirm what was simulated, and see it written.
pub(crate) async fn confirm(window: &Window) {
    window.press("Confirmar").await;
    window.sees("Deshacer").await;
}

/// What the tiles of an import's page say.
async fn outcome(window: &Window) -> String {
    window.texts_of(".tile").await.join(", ")
}

#[tokio::test]
async fn files_come_in_and_their_bad_rows_go_out_to_be_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::start(&[]).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;

    // A file that is let go beside the field, anywhere in the box, is taken.
    window.open("/imports/new").await;
    window.run(LET_GO, "suelta.csv").await;
    let taken = window.ask("arguments[0]([document.getElementById('field-file').files[0].name])").await;
    assert_eq!(taken, ["suelta.csv"]);

    // The simulation says what would happen, and writes nobody.
    simulate(&window, &csv_in(folder.path())).await;
    let expected = "Nuevas 2, Con cambios 0, Sin cambios 0, Duplicadas 1, Rechazadas 1";
    assert_eq!(outcome(&window).await, expected);
    window.sees("Por qué se rechazan").await;
    window.picture("import-simulated").await;
    let import = window.path().await;
    window.open("/contacts").await;
    assert!(!window.text().await.contains("María Soto"), "a simulation wrote someone");

    window.open(&import).await;
    confirm(&window).await;
    window.picture("import-done").await;
    window.open("/contacts").await;
    window.sees("María Soto").await;
    window.sees("Hostal Ñandú").await;

    // The rejected rows, with their reasons, corrected and uploaded again.
    window.open(&import).await;
    let address = format!("{}{}", app.url, window.link("Descargar rechazadas").await);
    let asked = app.http.get(address).header("cookie", window.cookies().await).send().await.unwrap();
    let rejected = asked.error_for_status().unwrap().text().await.unwrap();
    assert!(rejected.contains("carla.elroble.cl") && rejected.contains("motivo"), "{rejected}");
    assert!(!rejected.contains("Pedro"), "{rejected}");
    let corrected = folder.path().join("corregidas.csv");
    std::fs::write(&corrected, rejected.replace("carla.elroble.cl", "carla@elroble.cl")).unwrap();
    simulate(&window, &corrected).await;
    let expected = "Nuevas 1, Con cambios 0, Sin cambios 0, Duplicadas 0, Rechazadas 0";
    assert_eq!(outcome(&window).await, expected);
    confirm(&window).await;

    // A workbook: one new, one that is there already.
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (row, cells) in [
        ["Nombre", "Apellido", "Correo", "Empresa"],
        ["Jorge", "Paz", "jorge@nandu.cl", "Hostal Ñandú"],
        ["Pedro", "Muñoz", "pedro@elroble.cl", "Ferretería El Roble"],
    ]
    .iter()
    .enumerate()
    {
        for (column, cell) in cells.iter().enumerate() {
            sheet.write(u32::try_from(row).unwrap(), u16::try_from(column).unwrap(), *cell).unwrap();
        }
    }
    let workbook = folder.path().join("clientes.xlsx");
    book.save(&workbook).unwrap();
    simulate(&window, &workbook).await;
    let expected = "Nuevas 1, Con cambios 0, Sin cambios 1, Duplicadas 0, Rechazadas 0";
    assert_eq!(outcome(&window).await, expected);
    confirm(&window).await;

    // The same page on a telephone.
    let phone = Window::open_at(&app.url, PHONE).await;
    sign_in(&phone).await;
    phone.open(&import).await;
    phone.picture("import-phone").await;
    assert!(phone.overflow().await <= 0, "the page of an import is wider than a telephone");
    phone.close().await;
    window.close().await;
}
