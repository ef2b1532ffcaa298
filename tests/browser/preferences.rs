//! The recipient's side: less, later, of what; and what is held on them. Without an account, on a telephone.

use crate::{
    app::App,
    campaign::{open_at_all_hours, start},
    chromium::{LAPTOP, PHONE, Window},
    post_office::PostOffice,
    signing_in::sign_in,
};

const ROSA: &str = "
    with k as (
        insert into companies (name, name_key, created_at, updated_at)
        values ('Lechería Ñadi', 'lecheria nadi', now(), now()) returning id
    )
    insert into contacts (company_id, first_name, last_name, email, email_basis, phone, notes, search_key, created_at, updated_at)
    select k.id, 'Rosa', 'Gallardo', 'rosa@nadi.cl', 'CONSENT', '+56987654321', 'Le gusta el lago', 'rosa gallardo', now(), now() from k;";

/// What holds of what she asked for.
const RHYTHM: &str = "select coalesce(min_days::text, '-') || ' ' || coalesce(paused_until::text, '-')
    from contact_rhythms order by id desc limit 1";

/// In three weeks, as fields hold days, and as people read them.
const DAY: &str = "select ((now() at time zone 'America/Santiago')::date + 21)::text";
const DAY_AS_READ: &str = "select to_char((now() at time zone 'America/Santiago')::date + 21, 'DD-MM-YYYY')";

/// Send the campaign called `name` to Rosa.
async fn send(app: &App, window: &Window, name: &str) -> u32 {
    open_at_all_hours(window, name).await;
    window.press("Guardar").await;
    window.sees("Lista para iniciar").await;
    start(window, 1).await;
    app.drip().await.sent
}

#[tokio::test]
async fn a_recipient_asks_for_less_and_for_a_pause_and_reads_what_is_held_on_them() {
    let office = PostOffice::open();
    let roomy = [("EMAIL_DAILY_CAP", "0"), ("EMAIL_WEEKLY_LIMIT", "10"), ("EMAIL_MONTHLY_LIMIT", "40")];
    let app = App::start(&[&office.environment()[..], &roomy].concat()).await;
    app.run(ROSA).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    assert_eq!(send(&app, &window, "Prospección Los Lagos").await, 1);

    // The link of the letter, on her telephone.
    let link = office.letters_for("rosa@nadi.cl")[0].one_click();
    let hers = Window::open_at(&app.url, PHONE).await;
    hers.open(link.trim_start_matches(&app.url)).await;
    hers.sees("¿Dejar de recibir promociones?").await;
    hers.picture("recipient-no").await;
    hers.press("Prefiero recibir menos").await;
    hers.sees("Qué quieres recibir").await;
    hers.sees("r•••@nadi.cl").await;
    hers.picture("recipient-preferences").await;
    assert!(hers.overflow().await <= 0, "the preferences are wider than a telephone");
    let preferences = hers.path().await;

    // Less often.
    hers.fill("every", "30").await;
    hers.press("Guardar mis preferencias").await;
    hers.sees("Guardamos tus preferencias. Rigen desde ya.").await;
    assert_eq!(hers.value("[name=every]").await, "30");
    assert_eq!(app.one::<String>(RHYTHM).await, "30 -");

    // Not before a day of her own; a pause without its day is told where it is lacking.
    hers.fill("pause", "date").await;
    hers.press("Guardar mis preferencias").await;
    hers.sees("Elige una fecha, como 24-12-2026.").await;
    hers.picture("recipient-without-a-day").await;
    assert_eq!(app.one::<String>(RHYTHM).await, "30 -");
    let day = app.one::<String>(DAY).await;
    hers.fill("paused_until", &day).await;
    hers.press("Guardar mis preferencias").await;
    hers.sees("Guardamos tus preferencias. Rigen desde ya.").await;
    assert_eq!(app.one::<String>(RHYTHM).await, format!("30 {day}"));
    let read = app.one::<String>(DAY_AS_READ).await;
    hers.sees_in("[name=pause] option:checked", &format!("Sigue hasta el {read}")).await;
    hers.picture("recipient-paused").await;

    // What is held on her, half hidden, since links are forwarded.
    hers.press("Qué guardamos de ti").await;
    hers.sees("R••• G•••").await;
    hers.sees("•••321").await;
    hers.sees("1 con la prueba de lo que se te envió").await;
    hers.sees("Pediste a lo más un mensaje cada 30 días.").await;
    hers.sees(&format!("Pediste una pausa hasta el {read}.")).await;
    hers.sees("Puedes pedir una copia completa").await;
    let text = hers.text().await;
    assert!(!text.contains("Gallardo") && !text.contains("87654321") && !text.contains("lago"), "{text}");
    hers.picture("recipient-held").await;
    assert!(hers.overflow().await <= 0, "what is held is wider than a telephone");

    // It holds for what is sent next, and the staff can see why.
    window.open("/campaigns").await;
    window.press("Prospección Los Lagos").await;
    window.click("summary[aria-label='Más acciones']").await;
    window.press("Duplicar").await;
    window.sees("Este borrador es una copia.").await;
    window.fill("name", "La segunda").await;
    window.press("Guardar").await;
    window.sees("La segunda").await;
    assert_eq!(send(&app, &window, "La segunda").await, 0);
    window.sees_in("#live", "La persona pidió una pausa").await;
    assert_eq!(office.letters_for("rosa@nadi.cl").len(), 1);
    window.open("/contacts").await;
    window.press("Rosa Gallardo").await;
    window.run("document.getElementById('why').scrollIntoView({behavior: 'instant'})", "").await;
    window.sees_in("#why", "La persona pidió una pausa").await;
    window.picture("recipient-why").await;

    // And no more at all.
    hers.open(&preferences).await;
    hers.fill("subscribed", "off").await;
    hers.press("Guardar mis preferencias").await;
    hers.sees("Guardamos tus preferencias. Rigen desde ya.").await;
    assert_eq!(app.one::<String>("select destination from suppressions").await, "rosa@nadi.cl");
    hers.close().await;
    window.close().await;
}
