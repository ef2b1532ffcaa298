//! The navigation: beside the page at a laptop, behind its button on a telephone.

use crate::{
    accessible::holds,
    app::App,
    chromium::{LAPTOP, PHONE, Window},
    signing_in::sign_in,
};

/// Whether the navigation and the button of the menu are there to be seen.
const SHOWN: &str = "
    const done = arguments[arguments.length - 1];
    done(['#side', '[popovertarget=side]'].map(it => String(document.querySelector(it).checkVisibility())));";

#[tokio::test]
async fn on_a_telephone_the_menu_opens_leads_on_and_closes() {
    let app = App::start(&[]).await;
    let window = Window::open_at(&app.url, PHONE).await;
    sign_in(&window).await;
    assert_eq!(window.ask(SHOWN).await, ["false", "true"]);
    window.click("[popovertarget=side]").await;
    assert_eq!(window.ask(SHOWN).await, ["true", "true"]);
    holds(&window).await;
    window.picture("phone-menu").await;
    window.key("\u{e00c}").await;
    assert_eq!(window.ask(SHOWN).await, ["false", "true"], "Escape closes it");

    window.click("[popovertarget=side]").await;
    window.click("#side a[href='/companies']").await;
    window.arrives_at("/companies").await;
    assert_eq!(window.ask(SHOWN).await, ["false", "true"], "the next page has it closed");
    window.close().await;
}

#[tokio::test]
async fn at_a_laptop_the_navigation_stands_beside_the_page() {
    let app = App::start(&[]).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    assert_eq!(window.ask(SHOWN).await, ["true", "false"]);
    assert_eq!(window.overflow().await, 0);
    window.click("#side a[href='/contacts']").await;
    window.arrives_at("/contacts").await;
    window.sees_in("#side [aria-current=page]", "Contactos").await;
    window.close().await;
}
