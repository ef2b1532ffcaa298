//! All that a list shows, meant at once: changed, taken back, shared as a view, taken out as a file.

use crate::{
    app::{ADMIN, App},
    chromium::{LAPTOP, Window},
    signing_in::{sign_in, sign_in_as},
};
use calamine::Reader as _;
use sqlx::Connection as _;

/// Of the staff, with the password of the first administrator.
const PEOPLE: &str = "
    insert into staff_users (email, name, role, password_hash, created_at, updated_at)
    select 'eva@prueba.cl', 'Eva Vera', 'STAFF', password_hash, now(), now() from staff_users limit 1;
    insert into contacts (first_name, last_name, email, lifecycle, search_key, created_at, updated_at)
    select 'Persona', 'Número ' || n, 'p' || n || '@sur.cl', case when n <= 501 then 'PROSPECTO' else 'LEAD' end, 'persona numero ' || n, now(), now()
    from generate_series(1, 520) n;";

async fn change_all(window: &Window, action: &str, field: &str, value: &str) {
    window.open("/contacts?lifecycle=PROSPECTO").await;
    window.sees_in("#list-count", "501 contactos").await;
    window.click("[data-bulk-item]").await;
    window.press("Cambiar a todos los que coinciden (501 contactos)").await;
    window.sees("Son todas las que muestra la lista con sus filtros.").await;
    window.fill("action", action).await;
    window.fill(field, value).await;
    window.press("Cambiar a 501 personas").await;
    window.arrives_at("/bulk-actions/").await;
}

#[tokio::test]
async fn all_that_match_are_tagged_and_given_an_owner_with_their_progress_and_taken_back() {
    let app = App::start(&[]).await;
    app.run(PEOPLE).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;

    // It shows how far it is, and goes on by itself.
    let held = app.hold("lock table contact_interests in exclusive mode").await;
    change_all(&window, "TAG", "interest", "Masajes").await;
    window.seen("#live progress").await;
    window.sees("Sigue aunque cierres esta página.").await;
    window.picture("bulk-running").await;
    held.close().await.unwrap();
    window.open("/bulk-actions/1").await;
    window.sees("Deshacer").await;
    assert_eq!(app.one::<i64>("select count(*) from contact_interests").await, 501);

    let eva = app.one::<i64>("select id from staff_users where email = 'eva@prueba.cl'").await;
    change_all(&window, "OWNER", "owner", &eva.to_string()).await;
    window.sees("Deshacer").await;
    assert_eq!(app.one::<i64>("select count(*) from contacts where owner_id is not null").await, 501);
    window.press("Deshacer").await;
    window.sees("Se deshizo en 501 personas").await;
    assert_eq!(app.one::<i64>("select count(*) from contacts where owner_id is not null").await, 0);
    assert_eq!(app.one::<i64>("select count(*) from contact_interests").await, 501, "the other change stays");
    window.close().await;
}

/// Ask for the file of the page, as its button does.
async fn file_of(app: &App, window: &Window) -> reqwest::Response {
    let form = [
        ("csrf_token", window.value("[action='/contacts/exports'] [name=csrf_token]").await),
        ("list", window.value("[action='/contacts/exports'] [name=list]").await),
        ("format", "xlsx".to_owned()),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form).finish();
    let asked = app.http.post(format!("{}/contacts/exports", app.url)).body(body);
    let asked = asked.header("content-type", "application/x-www-form-urlencoded");
    asked.header("cookie", window.cookies().await).send().await.unwrap()
}

#[tokio::test]
async fn a_shared_view_shows_the_team_its_columns_and_a_workbook_holds_exactly_its_rows() {
    let app = App::start(&[]).await;
    app.run(PEOPLE).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/contacts?lifecycle=PROSPECTO").await;
    window.press("Columnas").await;
    window.tick("column", "birth_date", true).await;
    window.press("Mostrar estas").await;
    window.sees_in("thead", "Nacimiento").await;
    window.press("Guardar vista").await;
    window.fill_in("[action='/contacts/views'] [name=name]", "Prospectos del equipo").await;
    window.click("[action='/contacts/views'] [name=shared]").await;
    window.press("Guardar vista nueva").await;
    window.sees_in("#views [aria-current]", "Prospectos del equipo").await;

    let file = file_of(&app, &window).await.error_for_status().unwrap().bytes().await.unwrap();
    let mut book = calamine::Xlsx::new(std::io::Cursor::new(file)).unwrap();
    let sheet = book.worksheet_range_at(0).unwrap().unwrap();
    let rows: Vec<String> = sheet.rows().map(|row| row.iter().map(|it| format!("{it};")).collect()).collect();
    assert_eq!(rows.len(), 502, "the heading and each of those who show");
    assert!(rows[0].contains("Nacimiento"), "{}", rows[0]);
    assert!(
        rows.iter().any(|it| it.contains("Número 501")) && !rows.iter().any(|it| it.contains("Número 502"))
    );

    // Whoever is of the staff sees the view, and may not take out as many.
    let hers = Window::open_at(&app.url, LAPTOP).await;
    sign_in_as(&hers, ("eva@prueba.cl", ADMIN.1)).await;
    hers.open("/contacts").await;
    hers.press("Prospectos del equipo").await;
    hers.sees_in("#list-count", "501 contactos").await;
    hers.sees_in("thead", "Nacimiento").await;
    hers.press("Exportar").await;
    hers.sees("Tu rol exporta hasta 500 a la vez.").await;
    hers.picture("export-few").await;
    hers.press("Excel (XLSX)").await;
    hers.sees("Tu rol puede exportar hasta 500 contactos y estos filtros muestran más. No se exportó nada.")
        .await;
    // One fewer is no more than that.
    app.run("update contacts set lifecycle = 'LEAD' where email = 'p1@sur.cl'").await;
    hers.open("/contacts?lifecycle=PROSPECTO").await;
    assert!(file_of(&app, &hers).await.status().is_success());
    hers.close().await;
    window.close().await;
}
