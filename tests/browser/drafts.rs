//! What a draft is looked over for before it is started: its links, whom it reaches, on which days.

use crate::{
    chromium::{LAPTOP, PHONE, Window},
    signing_in::sign_in,
    within::Within,
};
use axum::{Router, http::StatusCode, routing::get};
use chrono::TimeDelta;
use llovizna::deliverability::links::{Addresses, Finding, is_public};
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};
use tokio::net::TcpListener;

/// One shop is on the internet of this test: this machine.
struct Hosts;

impl Addresses for Hosts {
    fn of<'a>(&'a self, host: &'a str) -> Finding<'a> {
        Box::pin(async move {
            if host == "tienda.prueba.cl" {
                Ok(vec![Ipv4Addr::LOCALHOST.into()])
            } else {
                Err(io::Error::other("no such host"))
            }
        })
    }

    fn may_ask(&self, address: IpAddr) -> bool {
        address == IpAddr::from(Ipv4Addr::LOCALHOST) || is_public(address)
    }

    /// The shop listens where there was room.
    fn may_ask_port(&self, _: u16) -> bool {
        true
    }
}

/// The shop, which has one page. Gives its address.
async fn shop() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let pages = Router::new().route("/temporada", get(|| async { StatusCode::OK }));
    tokio::spawn(async move { axum::serve(listener, pages).await });
    format!("http://tienda.prueba.cl:{port}")
}

/// Sixty people who may be written to, one who never agreed and one who has only a telephone.
const PEOPLE: &str = "
    with k as (
        insert into companies (name, name_key, created_at, updated_at)
        values ('Lechería Ñadi', 'lecheria nadi', now(), now()) returning id
    )
    insert into contacts (company_id, first_name, email, phone, email_basis, search_key, created_at, updated_at)
    select k.id, it.*, now(), now() from k, (
        select 'Ana' || i, 'ana' || i || '@nadi.cl', null, 'CONSENT', 'ana' || i from generate_series(1, 60) i
        union all values ('Eva', 'eva@nadi.cl', null, null, 'eva'), ('Ida', null, '+56987654321', 'CONSENT', 'ida')
    ) it;";

#[tokio::test]
async fn a_draft_is_looked_over_its_links_its_audience_and_its_days() {
    let app = Within::start(Hosts).await;
    let shop = shop().await;
    sqlx::raw_sql(PEOPLE).execute(&app.state.db).await.unwrap();
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/campaigns").await;
    window.press("Prospección Los Lagos").await;
    window.press("Editar").await;
    window.fill("body", &format!("Hola: mira {shop}/temporada y reserva en {shop}/reservas")).await;
    window.press("Guardar").await;

    // One page answers, one does not: which, and what to do, is said on the checklist.
    window.sees_in("#checklist", "Nadie ha revisado si los enlaces abren.").await;
    let campaign = window.path().await;
    window.press("Revisar enlaces").await;
    window.sees_in("#checklist", "1 de 2 enlaces no abre").await;
    window.sees_in("#checklist", "/reservas: la página no existe (404).").await;
    window.picture("draft-links").await;
    let found = "select string_agg(verdict, ' ' order by url) from link_checks";
    let found: String = sqlx::query_scalar(found).fetch_one(&app.state.db).await.unwrap();
    assert_eq!(found, "MISSING OPENS");
    // Mended, what was asked already is known.
    app.state.clock.advance(TimeDelta::minutes(5));
    window.press("Editar").await;
    window.fill("body", &format!("Hola: mira {shop}/temporada")).await;
    window.press("Guardar").await;
    window.sees_in("#checklist", "El enlace abre (revisado hace 5 minutos).").await;

    // Who gets it, who does not, and why not.
    window.open(&campaign).await;
    window.sees_in("#checklist", "La recibirán 60 de 62 personas; 2 quedarán fuera.").await;
    window.press("Ver quiénes son").await;
    window.sees("Todas 62").await;
    window.sees("La recibirán 60").await;
    window.picture("draft-audience").await;
    window.press("Sin consentimiento").await;
    window.sees("eva@nadi.cl").await;
    window.sees("Queda fuera").await;
    assert_eq!(window.texts_of("tbody tr").await.len(), 1);
    let phone = Window::open_at(&app.url, PHONE).await;
    sign_in(&phone).await;
    phone.open(&format!("{campaign}/audience")).await;
    phone.picture("draft-audience-phone").await;
    assert!(phone.overflow().await <= 0, "the audience is wider than a telephone");

    // Fifty a day at most: it takes two days.
    window.open(&campaign).await;
    window.sees_in("#calendar", "lunes 23-11-2026").await;
    window.open(&format!("{campaign}/calendar")).await;
    window.sees("Si la lanzas ahora").await;
    window.sees("60 mensajes en 2 días").await;
    assert_eq!(
        window.texts_of("tbody tr th, .calendar-days td.num:nth-child(2)").await[..4],
        ["lunes 23-11-2026", "50", "martes 24-11-2026", "10"]
    );
    window.picture("draft-calendar").await;
    phone.open(&format!("{campaign}/calendar")).await;
    phone.picture("draft-calendar-phone").await;
    assert!(phone.overflow().await <= 0, "the calendar is wider than a telephone");
    phone.close().await;
    window.close().await;
}
