//! The nine segments by visits and spending, and where one ends and the next begins.

use crate::{
    app::App,
    chromium::{LAPTOP, Window},
    signing_in::sign_in,
};

/// How many people each of the nine holds, from new with little to VIP with much.
async fn counts(window: &Window) -> Vec<String> {
    let cells = window.texts_of(".value-cell .tile-figure").await;
    assert_eq!(cells.len(), 9);
    cells
}

#[tokio::test]
async fn a_threshold_is_moved_and_people_go_to_the_segment_beside() {
    let app = App::start(&[]).await;
    app.run(
        "insert into contacts (first_name, last_name, email, search_key, created_at, updated_at) values
             ('Ana', 'Soto', 'ana@sur.cl', 'ana soto', now(), now()), ('Eva', 'Vera', 'eva@sur.cl', 'eva vera', now(), now());
         insert into contact_metrics (contact_id, visits, spent, last_visit_on, last_activity_at)
         select id, case first_name when 'Ana' then 4 else 12 end, case first_name when 'Ana' then 100000 else 900000 end, now(), now()
         from contacts;",
    )
    .await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/segments/value").await;
    window.press("Cambiar los límites").await;
    for (field, limit) in
        [("regular_from", "3"), ("vip_from", "10"), ("medium_from", "50.000"), ("high_above", "500.000")]
    {
        window.fill(field, limit).await;
    }
    window.press("Guardar").await;
    window.sees("Los segmentos de valor ya usan los límites nuevos.").await;
    assert_eq!(counts(&window).await, ["0", "0", "0", "0", "1", "0", "0", "0", "1"]);

    window.press("Cambiar los límites").await;
    window.fill("vip_from", "4").await;
    window.press("Guardar").await;
    window.sees("Los segmentos de valor ya usan los límites nuevos.").await;
    assert_eq!(counts(&window).await, ["0", "0", "0", "0", "0", "0", "0", "1", "1"]);
    window.picture("value-segments").await;

    // Each leads to its people, and these say where they stand.
    window.click("tbody tr:nth-child(3) td:nth-of-type(2) a").await;
    window.arrives_at("/segments/").await;
    window.sees("Ana Soto").await;
    assert!(!window.text().await.contains("Eva Vera"));
    window.press("Ana Soto").await;
    window.sees_in(".record-standing", "VIP").await;

    // Limits that cross are refused where they were typed.
    window.open("/settings/segments").await;
    window.fill("vip_from", "2").await;
    window.press("Guardar").await;
    window.seen("[name=vip_from].is-invalid, [name=regular_from].is-invalid").await;
    window.open("/segments/value").await;
    assert_eq!(counts(&window).await, ["0", "0", "0", "0", "0", "0", "0", "1", "1"]);
    window.close().await;
}
