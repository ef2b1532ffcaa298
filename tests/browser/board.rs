//! The board: a card goes to another stage by keyboard and by mouse.

use crate::{
    app::App,
    chromium::{LAPTOP, Window},
    signing_in::sign_in,
};
use fantoccini::key::Key;
use sqlx::{Connection as _, PgConnection};

/// Two people at the first stage.
async fn cards(app: &App) {
    let mut db = PgConnection::connect(&app.database_url).await.unwrap();
    sqlx::raw_sql(
        "insert into contacts (first_name, email, search_key, created_at, updated_at) values
             ('Ana', 'ana@sur.cl', 'ana', now(), now()), ('Eva', 'eva@sur.cl', 'eva', now(), now());
         insert into pipeline_cards (contact_id, stage_id, value, moved_at)
         select c.id, s.id, 250000, now() from contacts c, pipeline_stages s where s.position = 1;",
    )
    .execute(&mut db)
    .await
    .unwrap();
}

async fn stands(app: &App, name: &str) -> String {
    let mut db = PgConnection::connect(&app.database_url).await.unwrap();
    sqlx::query_scalar(
        "select s.name from pipeline_cards p join pipeline_stages s on s.id = p.stage_id
         join contacts c on c.id = p.contact_id where c.first_name = $1",
    )
    .bind(name)
    .fetch_one(&mut db)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_card_is_moved_by_keyboard_and_by_mouse() {
    let app = App::start(&[]).await;
    cards(&app).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/pipeline").await;
    window.sees("2 contactos").await;

    // By keyboard: the stage is chosen by its first letters, Tab goes to the button, Enter moves.
    window.point_at("[data-deal]:has(a[href='/contacts/1']) select").await;
    window.key(&format!("Prop{}{}", char::from(Key::Tab), char::from(Key::Enter))).await;
    window.sees("Ana pasó a «Propuesta»").await;
    assert_eq!(stands(&app, "Ana").await, "Propuesta");
    // Whoever works by keyboard goes on from the card.
    window.seen("[data-lane='4'] [data-deal]:has(a[href='/contacts/1']) button:focus").await;
    window.picture("board-keyboard").await;

    // By mouse, from its grip and from its body; a press on its name still opens it.
    window.drag("[data-deal]:has(a[href='/contacts/2']) [data-grip]", "[data-lane='3']").await;
    window.sees("Eva pasó a «Interesado»").await;
    assert_eq!(stands(&app, "Eva").await, "Interesado");
    window.drag("[data-deal]:has(a[href='/contacts/2']) .deal-line", "[data-lane='2']").await;
    window.sees("Eva pasó a «Contactado»").await;
    window.picture("board-mouse").await;
    window.press("Deshacer").await;
    window.sees("Eva pasó a «Interesado»").await;
    assert_eq!(stands(&app, "Eva").await, "Interesado");

    // Dropped where no stage is, it stays.
    window.drag("[data-deal]:has(a[href='/contacts/2']) [data-grip]", "h1").await;
    assert_eq!(stands(&app, "Eva").await, "Interesado");
    window.press("Eva").await;
    window.arrives_at("/contacts/2").await;
    window.close().await;
}

#[tokio::test]
async fn stages_are_ones_own_and_a_finger_moves_a_card_with_its_value() {
    let app = App::start(&[]).await;
    cards(&app).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;

    window.open("/pipeline/stages").await;
    window.fill_in("[action='/pipeline/stages/4'] [name=name]", "Cotización").await;
    window.click("[action='/pipeline/stages/4'] button").await;
    window.sees("La etapa quedó guardada.").await;
    window.fill_in("[action='/pipeline/stages'] [name=name]", "Garantía").await;
    window.click("[action='/pipeline/stages'] button").await;
    window.sees("La etapa quedó agregada.").await;
    window.click("[aria-label='Atrasar Nuevo']").await;
    window.sees("El orden quedó guardado.").await;
    window.picture("board-stages").await;
    window.open("/pipeline").await;
    let stages =
        ["Contactado", "Nuevo", "Interesado", "Cotización", "Hot Lead", "Garantía", "Ganado", "Perdido"];
    assert_eq!(window.texts_of(".lane h2").await, stages);
    window.sees_in("[data-lane='1'] .lane-sums", "2 contactos $500.000").await;

    // By its grip. A finger on the rest of a card scrolls.
    window.drag_by_touch("#deal-2 .deal-line", "[data-lane='3']").await;
    assert_eq!(stands(&app, "Eva").await, "Nuevo");
    window.drag_by_touch("#deal-2 [data-grip]", "[data-lane='3']").await;
    window.sees("Eva pasó a «Interesado»").await;
    assert_eq!(stands(&app, "Eva").await, "Interesado");
    window.sees_in("[data-lane='1'] .lane-sums", "1 contacto $250.000").await;
    window.sees_in("[data-lane='3'] .lane-sums", "1 contacto $250.000").await;
    window.sees_in(".board-value", "$500.000").await;

    // What is won is no longer in progress.
    window.drag_by_touch("#deal-1 [data-grip]", "[data-lane='6']").await;
    window.sees("Ana pasó a «Ganado»").await;
    window.sees_in("[data-lane='1'] .lane-sums", "0 contactos $0").await;
    window.sees_in(".board-value", "$250.000").await;
    window.picture("board-touch").await;
    window.close().await;
}
