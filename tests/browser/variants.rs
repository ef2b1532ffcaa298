//! Which text does best is tried on a part of the audience; the rest waits for it.

use crate::{
    app::App,
    campaign::open_at_all_hours,
    chromium::{LAPTOP, PHONE, Window},
    dairy::Worker,
    post_office::PostOffice,
    signing_in::sign_in,
};

/// Everybody of the sample who got B followed its link.
const THEY_CLICK: &str =
    "update communication_logs set status = 'CLICKED', clicked_at = now() where in_sample and variant = 1";

/// Row of the text `letter` in the table of those that are tried.
fn row(letter: &str) -> String {
    format!("tr:has(button[aria-label='Elegir el texto {letter} para el resto'])")
}

#[tokio::test]
async fn several_texts_are_tried_and_a_person_chooses_the_one_for_the_rest() {
    let office = PostOffice::open();
    let app = App::start(&[&office.environment()[..], &[("EMAIL_DAILY_CAP", "0")]].concat()).await;
    let addresses: Vec<(String, String)> =
        (1..=40).map(|n| (format!("Ana{n}"), format!("ana{n}@nadi.cl"))).collect();
    let people: Vec<Worker<'_>> =
        addresses.iter().map(|(name, address)| (name.as_str(), "", address.as_str(), true)).collect();
    app.employ(&people).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    open_at_all_hours(&window, "Prospección Los Lagos").await;
    window.fill("subject", "Quesos de invierno").await;
    window.fill("batch_size", "500").await;
    window.press("Guardar").await;
    window.sees("Lista para iniciar").await;

    // Two texts beside its own: another subject, another beginning.
    window.press("Probar varios textos").await;
    window.sees("Quesos de invierno").await;
    window.fill("subject_1", "Lo que madura en julio").await;
    window.fill("opening_2", "Hola {{ first_name }}: el queso de este año ya está.").await;
    window.fill("percent", "60").await;
    window.fill("by", "CLICKS").await;
    window.fill("hours", "4").await;
    window.picture("variants-form").await;
    window.click(".form-actions button[type=submit]").await;
    window.sees("Guardado. Envíate una prueba de cada texto").await;
    window.sees_in("#variants", "El 60 % de la audiencia los recibe al azar.").await;
    window.sees_in("#variants", "Lo que madura en julio").await;
    window.sees("Se prueban 3 textos en el 60 % de la audiencia").await;
    // Each is read as people would get it.
    let campaign = window.path().await;
    window.fill("variant", "2").await;
    window.arrives_at(&format!("{campaign}?variant=2")).await;
    window.sees_in_frame(".letter-frame", "el queso de este año ya está.").await;
    window.picture("variants-draft").await;

    // It starts: only the sample gets it, a part of it each text.
    window.press("Iniciar").await;
    window.press("Iniciar ahora").await;
    window.sees("0 de 40").await;
    let sample = i64::from(app.drip().await.sent);
    assert!((10..=36).contains(&sample), "{sample}");
    assert_eq!(app.one::<i64>("select count(*) from communication_logs where in_sample").await, sample);
    let waits = "select count(*) from communication_logs where status = 'PENDING' and defer_reason = 'AWAITING_WINNER'";
    assert_eq!(app.one::<i64>(waits).await, 40 - sample);
    window.sees(&format!("{sample} de 40")).await;
    window.sees_in("#trial", "Textos en prueba").await;
    let with_b =
        office.letters().iter().filter(|it| it.header("Subject") == "Lo que madura en julio").count();
    assert!(with_b > 0);
    app.run(THEY_CLICK).await;
    // What each text came to is asked for anew every half a minute.
    window.open(&campaign).await;
    window.sees_in(&row("B"), &format!("{with_b} 0 {with_b} 0 100")).await;
    window.sees_in("#trial", &format!("Esperan el texto que se elija: {}", 40 - sample)).await;
    window.picture("variants-tried").await;
    assert_eq!(app.drip().await.sent, 0, "the rest waits");
    let phone = Window::open_at(&app.url, PHONE).await;
    sign_in(&phone).await;
    phone.open(&campaign).await;
    phone.seen(&row("B")).await;
    phone.run("document.getElementById('contest').scrollIntoView({behavior: 'instant'})", "").await;
    phone.picture("variants-tried-phone").await;
    assert!(phone.overflow().await <= 0, "the page of texts that are tried is wider than a telephone");
    phone.close().await;

    // A person chooses before the hours are over, and the rest gets that one.
    window.click("button[aria-label='Elegir el texto B para el resto']").await;
    window.sees("El resto recibe el texto B, desde la próxima corrida.").await;
    window.sees_in("#trial", "Elegido").await;
    assert_eq!(i64::from(app.drip().await.sent), 40 - sample);
    window.sees("40 de 40").await;
    window.picture("variants-chosen").await;
    let rest = office.letters().split_off(usize::try_from(sample).unwrap());
    assert!(rest.iter().all(|it| it.header("Subject") == "Lo que madura en julio"), "{rest:?}");
    assert_eq!(office.letters().len(), 40);
    let chosen = "select count(*) from communication_logs where not in_sample and variant = 1";
    assert_eq!(app.one::<i64>(chosen).await, 40 - sample);
    window.close().await;
}
