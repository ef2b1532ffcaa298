//! The address book as people work in it: one box that finds anyone, a list that is
//! worked, a customer's page.

use crate::{
    app::App,
    chromium::{LAPTOP, Window},
    signing_in::sign_in,
};
use fantoccini::key::Key;

/// Some people and companies, as an import would leave them.
async fn people(app: &App) {
    app.run(
        "insert into companies (name, name_key, rut, created_at, updated_at)
         values ('Salmones Quellón', 'salmones quellon', '76086428-5', now(), now());
         insert into contacts (company_id, first_name, last_name, email, phone, search_key, created_at, updated_at)
         select k.id, p.* from (values
             ('Rosa', 'González', 'rosa@quellon.cl', '+56987654321', 'rosa gonzalez rosa quellon cl 56987654321', now(), now()),
             ('Jaime', 'Muñoz', 'jaime@quellon.cl', null, 'jaime munoz jaime quellon cl', now(), now()),
             ('Andrea', 'Rodríguez', 'andrea@quellon.cl', null, 'andrea rodriguez andrea quellon cl', now(), now())
         ) p, companies k;
         insert into contacts (first_name, last_name, email, search_key, created_at, updated_at)
         values ('Pedro', 'Pérez', 'pedro@sur.cl', 'pedro perez pedro sur cl', now(), now());",
    )
    .await;
}

#[tokio::test]
async fn anyone_is_found_in_one_box() {
    let app = App::start(&[]).await;
    people(&app).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;

    // The key goes to the box from anywhere, and writes nothing in it.
    for typed in ["gonsales", "+56 9 8765 4321", "rosa@que"] {
        window.open("/").await;
        window.key("/").await;
        assert_eq!(window.focus().await, "q");
        window.key(&format!("{typed}{}", char::from(Key::Enter))).await;
        window.arrives_at("/contacts?q=").await;
        window.sees("Rosa González").await;
        let text = window.text().await;
        assert!(!text.contains("Pedro Pérez"), "{typed}: {text}");
        assert_eq!(text.contains("Resultados parecidos"), typed == "gonsales", "{typed}: {text}");
    }
    window.open("/").await;
    window.key("/").await;
    window.key(&format!("76.086.428-5{}", char::from(Key::Enter))).await;
    window.sees("3 contactos").await;

    // The palette: typed with a slip, walked by arrows, gone to by Enter.
    window.key(&(Key::Control + "k")).await;
    window.key(&Key::Null.to_string()).await;
    window.key("samlones").await;
    window.sees("Empresas parecidas a «samlones»").await;
    window.picture("palette").await;
    window.key(&Key::Escape.to_string()).await;
    window.key(&(Key::Control + "k")).await;
    window.key(&Key::Null.to_string()).await;
    // Nobody waits for the answer before Enter, and what still shows was found for other words.
    window.key(&format!("embudo{}", char::from(Key::Enter))).await;
    window.arrives_at("/pipeline").await;
    window.close().await;
}

#[tokio::test]
async fn a_list_is_filtered_tagged_as_a_whole_taken_back_and_taken_out() {
    let app = App::start(&[]).await;
    people(&app).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;

    window.open("/contacts").await;
    // The panel comes once it is opened.
    window.press("Filtros").await;
    window.sees("Aplicar filtros").await;
    window.fill("kind", "B2B").await;
    window.press("Aplicar filtros").await;
    window.sees("3 contactos").await;
    window.picture("list-filtered").await;

    // One marked brings the bar; all that match are meant.
    window.click("[data-bulk-item]").await;
    window.sees("1 marcado").await;
    window.press("Cambiar a todos los que coinciden (3 contactos)").await;
    window.sees("Cambiar a 3 personas").await;
    window.fill("interest", "Masajes").await;
    window.press("Cambiar a 3 personas").await;
    window.sees("Deshacer").await;
    assert_eq!(app.one::<i64>("select count(*) from contact_interests").await, 3);
    window.picture("bulk-done").await;
    window.press("Deshacer").await;
    window.sees("Se deshizo en 3 personas").await;
    assert_eq!(app.one::<i64>("select count(*) from contact_interests").await, 0);

    // The file holds whom the list shows.
    window.open("/contacts?kind=B2B&sort=name").await;
    let form = [
        ("csrf_token", window.value("[action='/contacts/exports'] [name=csrf_token]").await),
        ("list", window.value("[action='/contacts/exports'] [name=list]").await),
        ("format", "csv".to_owned()),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form).finish();
    let asked = app.http.post(format!("{}/contacts/exports", app.url)).body(body);
    let asked = asked.header("content-type", "application/x-www-form-urlencoded");
    let file = asked.header("cookie", window.cookies().await).send().await.unwrap();
    let file = file.error_for_status().unwrap().text().await.unwrap();
    assert_eq!(file.lines().count(), 4, "{file}");
    assert!(file.contains("Rosa;González") && !file.contains("Pedro"), "{file}");
    window.close().await;
}

#[tokio::test]
async fn a_customer_is_called_planned_for_and_corrected_on_their_page() {
    let app = App::start(&[]).await;
    people(&app).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/contacts").await;
    window.press("Rosa González").await;
    window.sees("Historia").await;
    let page = window.path().await;

    // A call is what the log offers first: a line, and one press.
    window.fill("summary", "Pidió precios de las tinajas").await;
    window.press("Anotar").await;
    window.sees("Anotado en la bitácora.").await;
    window.sees("Pidió precios de las tinajas").await;

    window.press("Nueva tarea").await;
    window.fill("title", "Enviar la cotización").await;
    window.press("Crear tarea").await;
    window.sees("Tarea creada.").await;

    // Edited in place. Enter saves, and the line below the name says it too.
    window.click("#fact-job_title [data-fact-edit]").await;
    window.sees_in("#fact-job_title", "Guardar").await;
    assert_eq!(window.focus().await, "job_title");
    window.key(&format!("Gerenta{}", char::from(Key::Enter))).await;
    window.sees_in("#fact-job_title", "Gerenta").await;
    window.sees_in("#record-lead", "Gerenta").await;
    assert!(window.focused_in("#fact-job_title").await, "the keyboard stays where it was");

    // A press on the words opens them too, and leaving saves.
    window.click("#fact-source .fact-text").await;
    window.sees_in("#fact-source", "Guardar").await;
    // Left as it was, it closes; called off after typing, it is as it was.
    window.click("#timeline-title").await;
    window.sees_in("#fact-source:not(.is-open)", "Otro").await;
    window.click("#fact-job_title [data-fact-edit]").await;
    window.sees_in("#fact-job_title", "Guardar").await;
    window.key("Dueña").await;
    window.press("Cancelar").await;
    window.sees_in("#fact-job_title", "Gerenta").await;
    window.click("#fact-phone [data-fact-edit]").await;
    window.sees_in("#fact-phone", "Guardar").await;
    window.key("9 1111 2222").await;
    window.click("#timeline-title").await;
    window.sees_in("#record-lead", "+56 9 1111 2222").await;
    assert_eq!(
        app.one::<String>("select phone from contacts where first_name = 'Rosa'").await,
        "+56911112222"
    );

    // What was emptied and left is not lost.
    window.click("#fact-phone [data-fact-edit]").await;
    window.sees_in("#fact-phone", "Guardar").await;
    window.key(&Key::Delete.to_string()).await;
    window.click("#timeline-title").await;
    window.sees_in("#fact-phone:not(.is-open)", "+56 9 1111 2222").await;
    assert_eq!(
        app.one::<String>("select phone from contacts where first_name = 'Rosa'").await,
        "+56911112222"
    );

    // Escape leaves it as it was.
    window.click("#fact-email [data-fact-edit]").await;
    window.sees_in("#fact-email", "Guardar").await;
    window.key(&format!("otra{}", char::from(Key::Escape))).await;
    window.sees_in("#fact-email", "rosa@quellon.cl").await;
    assert_eq!(
        app.one::<String>("select email from contacts where first_name = 'Rosa'").await,
        "rosa@quellon.cl"
    );

    // What is wrong is said at the field, and what was typed is kept.
    window.click("#fact-email [data-fact-edit]").await;
    window.sees_in("#fact-email", "Guardar").await;
    window.key(&format!("pedro@sur.cl{}", char::from(Key::Enter))).await;
    window.sees_in("#fact-email", "Este correo ya es de otro contacto.").await;
    assert_eq!(window.value("#fact-email [name=email]").await, "pedro@sur.cl");
    window.picture("fact-wrong").await;
    window.press("Cancelar").await;

    // From one field straight to the next: both are saved.
    window.click("#fact-birth_date [data-fact-edit]").await;
    window.sees_in("#fact-birth_date", "Guardar").await;
    window.fill("birth_date", "1985-02-28").await;
    window.click("#fact-notes [data-fact-edit]").await;
    window.sees_in("#fact-birth_date", "28-02-1985").await;
    window.sees_in("#fact-notes", "Guardar").await;
    window.key("Prefiere la tarde").await;
    window.key(&(Key::Control + &char::from(Key::Enter).to_string())).await;
    window.sees_in("#fact-notes", "Prefiere la tarde").await;
    window.open(&page).await;
    let text = window.text().await;
    assert!(text.contains("28-02-1985") && text.contains("Prefiere la tarde"), "{text}");
    window.picture("customer").await;
    window.close().await;
}

#[tokio::test]
async fn a_list_follows_what_is_typed_and_is_kept_as_a_view_of_ones_own_columns() {
    let app = App::start(&[]).await;
    people(&app).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;

    // The rows follow the letters, the box keeps the focus, and arrows walk from it to the rows.
    window.open("/contacts?kind=B2B").await;
    window.sees_in("#list-count", "3 contactos").await;
    window.point_at("#f-q").await;
    window.key("jai").await;
    window.sees_in("#list-count", "1 contacto").await;
    window.arrives_at("/contacts?q=jai").await;
    assert_eq!(window.focus().await, "q");
    window.picture("list-typed").await;
    // What can be done with the rows is still about these.
    window.click("#results [data-bulk-item]").await;
    window.sees("1 marcado").await;
    window.point_at("#f-q").await;
    window.key(&char::from(Key::Down).to_string()).await;
    assert!(window.focused_in("#results tbody").await);
    window.key(&char::from(Key::Enter).to_string()).await;
    window.sees("Historia").await;

    // The box at the top does so from anywhere.
    window.open("/").await;
    window.key("/").await;
    window.key("andre").await;
    window.sees_in("#search-found", "Andrea Rodríguez").await;
    window.picture("search-typed").await;
    window.key(&char::from(Key::Escape).to_string()).await;
    window.seen("#search:focus").await;
    assert!(window.texts_of("#search-found").await.concat().is_empty(), "put away");
    window.key("a").await;
    window.sees_in("#search-found", "Andrea Rodríguez").await;
    window.key(&char::from(Key::Down).to_string()).await;
    assert!(window.focused_in("#search-found").await);
    window.key(&char::from(Key::Enter).to_string()).await;
    window.sees("Historia").await;

    // Columns of one's own, kept under a name.
    window.open("/contacts?kind=B2B").await;
    window.press("Columnas").await;
    window.tick("column", "birth_date", true).await;
    window.press("Mostrar estas").await;
    window.sees_in("thead", "Nacimiento").await;
    window.press("Guardar vista").await;
    window.fill_in("[action='/contacts/views'] [name=name]", "Cumpleaños de empresas").await;
    window.press("Guardar vista nueva").await;
    window.sees_in("#views [aria-current]", "Cumpleaños de empresas").await;
    window.open("/contacts").await;
    window.press("Cumpleaños de empresas").await;
    window.sees_in("#list-count", "3 contactos").await;
    window.sees_in("thead", "Nacimiento").await;

    // Who is deleted is gone; what goes and stays was told before.
    window.press("Rosa González").await;
    window.press("Más").await;
    window.press("Eliminar el contacto…").await;
    window.sees("Esto no se puede deshacer").await;
    window.picture("contact-deletion").await;
    window.press("Eliminar a Rosa González").await;
    window.sees("El contacto se eliminó.").await;
    assert_eq!(app.one::<i64>("select count(*) from contacts").await, 3);
    window.close().await;
}
