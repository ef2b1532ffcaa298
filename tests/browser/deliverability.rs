//! Whether email will be believed: what the DNS says, the records that mend it, the one click, and the warm-up's curve.

use crate::{
    accessible,
    chromium::{LAPTOP, Window},
    signing_in::sign_in,
    within::{Nowhere, Within},
};
use fantoccini::key::Key;
use llovizna::deliverability::{Asking, Doctor, Kind, Names};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// Name servers that answer once they are let, and that somebody may teach.
#[derive(Clone)]
struct Servers {
    spf: Arc<Mutex<&'static str>>,
    let_go: Arc<Semaphore>,
}

impl Names for Servers {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a> {
        Box::pin(async move {
            let _turn = self.let_go.acquire().await.unwrap();
            Ok(match (name, kind) {
                ("tinajasdelsur.cl", Kind::Txt) => vec![(*self.spf.lock().unwrap()).to_owned()],
                ("tinajasdelsur.cl", Kind::Mx) => vec!["mx.tinajasdelsur.cl".to_owned()],
                _ => Vec::new(),
            })
        })
    }
}

/// The record that closes the SPF of this test.
const MENDED: &str = "v=spf1 mx ~all";

/// The parts that were not well when somebody looked last.
const FAULTS: &str = "select string_agg(it ->> 'part', ' ' order by it ->> 'part')
    from domain_checks, jsonb_array_elements(faults) it";

#[tokio::test]
async fn the_report_comes_after_the_page_a_record_is_copied_and_mends_it_and_the_click_is_tried() {
    let servers =
        Servers { spf: Arc::new(Mutex::new("v=spf1 mx +all")), let_go: Arc::new(Semaphore::new(0)) };
    let doctor = Doctor::new(Some(Box::new(servers.clone())));
    let app = Within::start_with(Nowhere, doctor).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;

    // The page is there while name servers take their time.
    window.open("/settings").await;
    window.press("Entregabilidad").await;
    window.sees_in("#report", "Preguntando a los servidores de nombres…").await;
    window.sees("Baja con un clic").await;
    assert_eq!(app.one::<i64>("select count(*) from domain_checks").await, 0);
    servers.let_go.add_permits(100);
    window.sees_in("#report", "SPF: Por corregir").await;
    window.sees_in("#report", "El SPF de tinajasdelsur.cl deja enviar a cualquiera (+all)").await;
    window.sees_in("#report", "DMARC: Por corregir").await;
    window
        .sees_in(
            "#report",
            "Consultado el 23-11-2026 12:00, para los correos que salen desde hola@tinajasdelsur.cl",
        )
        .await;
    assert_eq!(window.path().await, "/settings/deliverability", "it came by itself");
    assert!(app.one::<String>(FAULTS).await.split(' ').any(|it| it == "SPF"));
    window.picture("deliverability").await;
    accessible::holds(&window).await;

    // What is copied is the record, whole; the button says that it was.
    window.press("Copiar el valor del registro SPF").await;
    window
        .sees_in("#report li:first-child dd:last-of-type button", "Copiado el valor del registro SPF")
        .await;
    window.point_at("header [name=q]").await;
    window.key(&(Key::Control + "v")).await;
    window.key(&Key::Null.to_string()).await;
    window.holds("header [name=q]", MENDED).await;

    // Put where the domain's DNS is kept, it is seen.
    *servers.spf.lock().unwrap() = MENDED;
    window.open("/settings/deliverability").await;
    window.sees_in("#report", "SPF: Por corregir").await;
    window.press("Volver a revisar").await;
    window.sees_in("#report", "SPF: Bien").await;
    window.sees_in("#report", "«v=spf1 mx ~all»").await;
    assert!(!app.one::<String>(FAULTS).await.split(' ').any(|it| it == "SPF"));

    // The one click reaches this panel, and takes nobody off anything.
    window.press("Probar el clic").await;
    window.sees("Baja con un clic: funciona, pero PUBLIC_URL no usa https").await;
    window.picture("deliverability-click").await;
    accessible::holds(&window).await;
    assert_eq!(app.one::<i64>("select count(*) from suppressions").await, 0);
    window.close().await;
}

/// Two days that went well, and today.
const DAYS: &str = "
    insert into warm_up_days (communication_type, day, start_cap, cap, reason, sent, bounced, complained, decided_at) values
        ('EMAIL', '2026-11-20', 50, 50, 'START', 50, 0, 0, '2026-11-20 12:00Z'),
        ('EMAIL', '2026-11-21', 50, 50, 'STEADY', 48, 2, 0, '2026-11-21 12:00Z'),
        ('EMAIL', '2026-11-23', 50, 65, 'GREW', null, null, null, '2026-11-23 12:00Z');";

#[tokio::test]
async fn the_warm_up_is_a_table_and_a_curve_that_ends_where_somebody_says() {
    let app = Within::start(Nowhere).await;
    sqlx::raw_sql(DAYS).execute(&app.state.db).await.unwrap();
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/settings/email").await;
    window.sees("Hoy pueden salir hasta 65 promociones.").await;
    let rows = window.texts_of("[aria-label='Los topes de cada día'] tbody tr").await;
    assert_eq!(
        rows,
        [
            "23-11-2026 65 Subió: el día anterior salió bien. en curso",
            "21-11-2026 50 Igual: los primeros dos días son parejos. 48 enviados, 2 rebotes, 0 reclamos",
            "20-11-2026 50 Parte el calentamiento. 50 enviados, 0 rebotes, 0 reclamos",
        ]
    );
    // A column for each day so far, what left in it, and two weeks ahead.
    let drawn =
        async |css: &str| window.texts_of(&format!("[aria-labelledby=warm-up] svg {css}")).await.len();
    assert_eq!(drawn("rect.bar-ground").await, 3);
    assert_eq!(drawn("rect:not([class])").await, 2);
    assert_eq!(drawn("rect.bar-ahead").await, 14);
    assert!(window.width_of("[aria-labelledby=warm-up] svg").await > 300);
    window.sees("en 14 días llegaría a").await;
    accessible::holds(&window).await;

    window.fill("warm_up_ceiling", "200").await;
    window.press("Guardar").await;
    window.sees("El canal de correo quedó guardado.").await;
    window.sees("en 14 días llegaría a 200 al día").await;
    window.run("document.getElementById('warm-up').scrollIntoView({behavior: 'instant'})", "").await;
    window.picture("warm-up").await;
    accessible::holds(&window).await;
    let ceiling = "select value ->> 'warm_up_ceiling' from settings where name = 'email'";
    assert_eq!(app.one::<String>(ceiling).await, "200");

    // Without a warm-up there is nothing to draw, and what was is kept.
    window.fill("warm_up", "off").await;
    window.press("Guardar").await;
    window.sees("El canal de correo quedó guardado.").await;
    assert!(!window.text().await.contains("Hoy pueden salir hasta"));
    assert_eq!(app.one::<i64>("select count(*) from warm_up_days").await, 3);
    window.close().await;
}
