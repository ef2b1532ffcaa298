//! In, home, out: at a laptop and on a telephone.

use crate::{
    app::{ADMIN, App},
    chromium::{LAPTOP, PHONE, Window},
};

/// Sign in as the first administrator, and arrive at the home page.
pub(crate) async fn sign_in(window: &Window) {
    sign_in_as(window, ADMIN).await;
}

/// Sign in with this address and this password.
pub(crate) async fn sign_in_as(window: &Window, (email, password): (&str, &str)) {
    window.open("/login").await;
    window.fill("email", email).await;
    window.fill("password", password).await;
    window.press("Entrar").await;
    window.sees("Inicio").await;
    assert_eq!(window.path().await, "/");
}

async fn in_and_out(size: (u32, u32), picture: &str) {
    let app = App::start(&[]).await;
    let window = Window::open_at(&app.url, size).await;
    window.open("/").await;
    window.arrives_at("/login").await;

    window.fill("email", ADMIN.0).await;
    window.fill("password", "no es esta").await;
    window.press("Entrar").await;
    window.sees("no son correctos").await;
    window.picture(&format!("{picture}-refused")).await;

    sign_in(&window).await;
    window.picture(&format!("{picture}-home")).await;
    assert_eq!(window.overflow().await, 0, "the home page is wider than the window");

    window.click("summary.who").await;
    window.press("Salir").await;
    window.sees("Saliste de tu cuenta.").await;
    window.open("/").await;
    window.arrives_at("/login").await;
    window.close().await;
}

#[tokio::test]
async fn someone_signs_in_and_out_at_a_laptop() {
    in_and_out(LAPTOP, "laptop").await;
}

#[tokio::test]
async fn someone_signs_in_and_out_on_a_telephone() {
    in_and_out(PHONE, "phone").await;
}

#[tokio::test]
async fn what_was_typed_when_the_session_ended_is_there_again() {
    let app = App::start(&[]).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/contacts/new").await;
    window.fill("first_name", "Rosamel").await;
    window.fill("email", "rosamel@sur.cl").await;
    app.run("delete from staff_sessions").await;
    window.press("Crear contacto").await;
    window.sees("lo último que enviaste no se guardó").await;
    window.fill("email", ADMIN.0).await;
    window.fill("password", ADMIN.1).await;
    window.press("Entrar").await;
    window.sees("Recuperamos lo que habías escrito").await;
    assert_eq!(window.value("[name=first_name]").await, "Rosamel");
    assert_eq!(window.value("[name=email]").await, "rosamel@sur.cl");
    assert_eq!(app.one::<i64>("select count(*) from contacts").await, 0, "nothing is saved by itself");
    window.press("Crear contacto").await;
    window.sees("rosamel@sur.cl").await;
    assert_eq!(app.one::<i64>("select count(*) from contacts where email = 'rosamel@sur.cl'").await, 1);
    window.open("/contacts/new").await;
    assert_eq!(window.value("[name=first_name]").await, "");
    window.close().await;
}
