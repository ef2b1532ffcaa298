//! From a file to letters in a real mailbox, by the campaign that comes ready, and
//! to the person who says no.

use crate::{
    app::{ADMIN, App, Drip},
    chromium::{LAPTOP, PHONE, Window},
    importing,
    post_office::PostOffice,
    signing_in::sign_in,
};
use sqlx::{Connection as _, PgConnection};

/// Someone who never agreed to be written to.
async fn someone_without_consent(app: &App) {
    let mut db = PgConnection::connect(&app.database_url).await.unwrap();
    sqlx::raw_sql(
        "insert into contacts (company_id, first_name, last_name, email, search_key, created_at, updated_at)
         select id, 'Jorge', 'Paz', 'jorge@elroble.cl', 'jorge paz', '2026-11-01', '2026-11-01'
         from companies where name_key like 'ferreteria%'",
    )
    .execute(&mut db)
    .await
    .unwrap();
}

/// How many addresses must not be written to.
async fn suppressed(app: &App) -> i64 {
    let mut db = PgConnection::connect(&app.database_url).await.unwrap();
    sqlx::query_scalar("select count(*) from suppressions").fetch_one(&mut db).await.unwrap()
}

/// Open the campaign called `name` and give it hours of its own that are always open.
pub(crate) async fn open_at_all_hours(window: &Window, name: &str) {
    window.open("/campaigns").await;
    window.press(name).await;
    window.press("Editar").await;
    window.fill("window", "own").await;
    for day in 1..=7 {
        window.tick("days", &day.to_string(), true).await;
    }
    window.fill("opens", "00:00").await;
    window.fill("closes", "23:59").await;
    window.fill("skip_holidays", "off").await;
    window.fill("spacing_seconds", "0").await;
}

/// From its page, start it and see its people in the queue.
pub(crate) async fn start(window: &Window, people: usize) {
    window.press("Iniciar").await;
    window.press("Iniciar ahora").await;
    window.sees(&format!("0 de {people}")).await;
}

/// The campaign that comes ready, at all hours, started for so many `people`. Gives its page.
pub(crate) async fn started(window: &Window, people: usize) -> String {
    open_at_all_hours(window, "Prospección Los Lagos").await;
    window.press("Guardar").await;
    window.sees("Lista para iniciar").await;
    start(window, people).await;
    window.path().await
}

/// Press a button of the campaign's form in the very moment in which a preview comes back.
async fn press_as_a_preview_arrives(window: &Window, text: &str) {
    let script = "const pressed = [...document.querySelectorAll('button')].find(it => it.textContent.includes(arguments[0]));
        const preview = document.getElementById('preview');
        pressed.click();
        preview.dispatchEvent(new CustomEvent('htmx:afterSwap', {bubbles: true, detail: {target: preview}}));";
    window.run(script, text).await;
}

#[tokio::test]
async fn the_campaign_that_comes_ready_reaches_people_until_they_say_no() {
    let office = PostOffice::open();
    let roomy = [("EMAIL_DAILY_CAP", "0"), ("EMAIL_WEEKLY_LIMIT", "10"), ("EMAIL_MONTHLY_LIMIT", "40")];
    let app = App::start(&[&office.environment()[..], &roomy].concat()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = importing::csv_in(folder.path());
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    importing::simulate(&window, &file).await;
    importing::confirm(&window).await;
    someone_without_consent(&app).await;

    // Hours, and what the checklist says.
    open_at_all_hours(&window, "Prospección Los Lagos").await;
    window.sees("3 personas en la audiencia; la recibirían 2").await;
    window.picture("campaign-form").await;
    window.press("Guardar").await;
    window.sees("Lista para iniciar").await;
    window.picture("campaign-draft").await;

    // A test to oneself: it arrives, and counts for nothing.
    window.press("Enviarme una prueba").await;
    window.sees("prueba").await;
    assert_eq!(office.letters_for(ADMIN.0).len(), 1, "{:?}", office.letters());

    // Start, drip, and what the page tells.
    start(&window, 2).await;
    let Drip { sent, failed, blocked, pending } = app.drip().await;
    assert_eq!((sent, failed, blocked, pending), (2, 0, 0, 0));
    window.sees("2 de 2").await;
    window.picture("campaign-running").await;

    let letters = office.letters_for("maria.soto@nandu.cl");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].body().contains("a Hostal Ñandú le puede servir"), "{}", letters[0].body());
    assert!(letters[0].body().contains("Avenida Alemania 451"), "{}", letters[0].body());
    assert_eq!(office.letters_for("pedro@elroble.cl").len(), 1);
    assert!(office.letters_for("jorge@elroble.cl").is_empty());

    // Every number is a link to its people, and each message tells its story.
    let campaign = window.path().await;
    window.click("#live a.tile[href*='left=1']").await;
    let list = window.text().await;
    assert!(list.contains("María Soto") && list.contains("Pedro Muñoz") && !list.contains("Jorge"), "{list}");
    window.picture("messages").await;
    window.press("María Soto").await;
    window.sees("Historia").await;
    window.sees("250 2.0.0 Ok").await;
    window.picture("message").await;
    window.open(&campaign).await;
    let text = window.text().await;
    assert!(text.contains("Quiénes quedaron fuera y por qué"), "{text}");

    // The mail program's own button: no cookies, one field.
    let address = letters[0].one_click();
    assert!(address.starts_with(&app.url), "{address}");
    let looked = app.http.get(&address).send().await.unwrap();
    assert_eq!((looked.status().as_u16(), suppressed(&app).await), (200, 0), "looking changes nothing");
    let asked = app.http.post(&address).header("content-type", "application/x-www-form-urlencoded");
    let done = asked.body("List-Unsubscribe=One-Click").send().await.unwrap();
    assert_eq!((done.status().as_u16(), suppressed(&app).await), (200, 1));

    // Her file comes again; she does not.
    importing::simulate(&window, &file).await;
    importing::confirm(&window).await;

    // The next campaign leaves her out, and says so.
    window.open("/campaigns/new").await;
    window.fill("name", "Segunda vuelta").await;
    window.fill("subject", "Volvemos a escribirte, {{ company }}").await;
    window.fill("body", "Hola {{ first_name }}: esta es la segunda carta.").await;
    press_as_a_preview_arrives(&window, "Guardar borrador").await;
    window.sees("El mensaje").await;
    open_at_all_hours(&window, "Segunda vuelta").await;
    window.press("Guardar").await;
    window.sees("Lista para iniciar").await;
    start(&window, 1).await;
    assert_eq!(app.drip().await.sent, 1);
    assert_eq!(office.letters_for("maria.soto@nandu.cl").len(), 1, "she said no");
    assert_eq!(office.letters_for("pedro@elroble.cl").len(), 2);
    window.sees("1 de 1").await;
    window.picture("campaign-second").await;

    // The same page on a telephone.
    let phone = Window::open_at(&app.url, PHONE).await;
    sign_in(&phone).await;
    phone.open(&campaign).await;
    assert!(phone.overflow().await <= 0, "the campaign page is wider than a telephone");
    phone.picture("campaign-phone").await;
    phone.close().await;
    window.close().await;
}
