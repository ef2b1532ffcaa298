//! Two minutes to change one's mind: a campaign that was just started counts down, and "Detener" takes it back.

use crate::{
    app::App,
    campaign::open_at_all_hours,
    chromium::{LAPTOP, PHONE, Window},
    importing,
    post_office::PostOffice,
    signing_in::sign_in,
};

/// Seconds that the countdown shows, as `0:23`.
async fn shows(window: &Window) -> i64 {
    let text = window.texts_of("[data-countdown]").await.remove(0);
    let (minutes, seconds) = text.split_once(':').unwrap();
    minutes.parse::<i64>().unwrap() * 60 + seconds.parse::<i64>().unwrap()
}

#[tokio::test]
async fn a_launch_is_taken_back_while_it_counts_down_and_leaves_when_it_is_not() {
    let office = PostOffice::open();
    let roomy = [("EMAIL_DAILY_CAP", "0"), ("LAUNCH_HOLD_SECONDS", "25")];
    let app = App::start(&[&office.environment()[..], &roomy].concat()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = importing::csv_in(folder.path());
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    importing::simulate(&window, &file).await;
    importing::confirm(&window).await;
    open_at_all_hours(&window, "Prospección Los Lagos").await;
    window.press("Guardar").await;
    window.sees("Lista para iniciar").await;
    window.sees("2 mensajes en 1 día").await;
    window.picture("campaign-calendar").await;

    window.press("Iniciar").await;
    window.sees("tienes 25 segundos para detenerla").await;
    window.press("Iniciar ahora").await;
    window.sees("Empieza en").await;
    window.picture("campaign-held").await;
    let first = shows(&window).await;
    while shows(&window).await >= first {
        assert!(first <= 25, "{first}");
        tokio::task::yield_now().await;
    }
    assert_eq!(app.drip().await.sent, 0);
    window.press("Detener").await;
    window.sees("vuelve a ser un borrador").await;
    window.sees("Lista para iniciar").await;
    assert_eq!(app.drip().await.sent, 0);
    assert!(office.letters().is_empty());

    // Once more, and nobody stops it: the page sees by itself that its time is over.
    let campaign = window.path().await;
    let phone = Window::open_at(&app.url, PHONE).await;
    sign_in(&phone).await;
    window.press("Iniciar").await;
    window.press("Iniciar ahora").await;
    window.sees("Empieza en").await;
    phone.open(&campaign).await;
    assert!(phone.overflow().await <= 0, "the campaign page is wider than a telephone");
    phone.picture("campaign-held-phone").await;
    phone.close().await;
    while window.text().await.contains("Empieza en") {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(app.drip().await.sent, 2);
    window.sees("2 de 2").await;
    assert_eq!(office.letters().len(), 2);
    window.close().await;
}
