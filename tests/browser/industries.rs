//! From a proposal for one industry to the figures of its text: the others get the campaign's own.

use crate::{
    app::App,
    campaign::{open_at_all_hours, start},
    chromium::{LAPTOP, PHONE, Window},
    post_office::PostOffice,
    proposals::provider::Provider,
    signing_in::sign_in,
};

/// The dairy has an industry; two more people work where nobody wrote one down.
const COMPANIES: &str = "
    update companies set industry = 'Lechería';
    with other as (
        insert into companies (name, name_key, created_at, updated_at)
        values ('Taller Norte', 'taller norte', '2026-11-02', '2026-11-02') returning id
    )
    insert into contacts (company_id, first_name, last_name, email, email_basis, search_key, created_at, updated_at)
    select other.id, it, '', lower(it) || '@norte.cl', 'CONSENT', lower(it), '2026-11-02', '2026-11-02'
    from other, unnest(array['Luis', 'Marta']) it;";

/// Row of a text in the table of what each came to.
const OF_THE_DAIRY: &str = "table[aria-labelledby=by-text] tr:has(a[href*='variant=text10'])";

#[tokio::test]
async fn a_proposal_for_an_industry_reaches_its_people_alone_and_is_counted_by_itself() {
    let provider = Provider::start().await;
    let office = PostOffice::open();
    let asks = [("DEEPSEEK_API_URL", provider.url.as_str()), ("DEEPSEEK_API_KEY", "sk-de-prueba")];
    let app = App::start(&[&office.environment()[..], &asks].concat()).await;
    app.employ(&[("Ana", "Soto", "ana@nadi.cl", true), ("Bruno", "Paz", "bruno@nadi.cl", true)]).await;
    app.run(COMPANIES).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    open_at_all_hours(&window, "Prospección Los Lagos").await;
    window.fill("subject", "Quesos de invierno").await;
    window.press("Guardar").await;
    window.sees_in("#own-texts", "Los demás reciben el texto de la campaña").await;
    let campaign = window.path().await;

    // Asked for each industry; the first is taken for those people alone.
    window.press("Proponer asuntos y comienzos").await;
    window.click("[name=scope][value=industries]").await;
    window.sees_in("#sent", "Rubro Lechería").await;
    window.press("Pedir propuestas").await;
    window.holds("article.proposal:nth-of-type(1) [name=subject]", "Una semana sin apuro").await;
    window.press("Ir a las propuestas").await;
    window.picture("industries-proposals").await;
    window.click("article.proposal:nth-of-type(1) [name=whom][value=industry]").await;
    window.sees("El borrador tomó la propuesta solo para ese rubro").await;
    window.sees_in("article.proposal:nth-of-type(1)", "Solo para ese rubro").await;
    window.press("Ver los textos por rubro").await;
    window.sees_in("#own-texts", "Lechería").await;
    window.sees_in("#own-texts", "Una semana sin apuro").await;
    window.sees("1 rubro con texto propio; los demás reciben el de la campaña.").await;
    window.picture("industries-draft").await;

    // It is changed by hand, and read as its people would get it.
    window.click("#own-texts a[aria-label='Cambiar el texto de Lechería']").await;
    window.sees("Texto para Lechería").await;
    window.fill("subject", "Para quienes hacen queso").await;
    window.picture("industries-form").await;
    window.click(".form-actions button[type=submit]").await;
    window.sees("Guardado. Quienes son del rubro «Lechería» reciben ese texto.").await;
    window.fill("variant", "10").await;
    window.arrives_at(&format!("{campaign}?variant=10")).await;
    window.sees_in("#content-preview", "Para quienes hacen queso").await;
    window.sees_in_frame(".letter-frame", "Bajamos el ritmo para que tu semana respire.").await;
    let phone = Window::open_at(&app.url, PHONE).await;
    sign_in(&phone).await;
    phone.open(&campaign).await;
    phone.sees_in("#own-texts", "Para quienes hacen queso").await;
    phone.picture("industries-phone").await;
    assert!(phone.overflow().await <= 0, "the texts of industries are wider than a telephone");
    phone.close().await;

    start(&window, 4).await;
    assert_eq!(app.drip().await.sent, 4);
    let mut got: Vec<(String, String)> =
        office.letters().iter().map(|it| (it.header("To"), it.header("Subject"))).collect();
    got.sort();
    let dairy = got.iter().filter(|it| it.0.contains("@nadi.cl"));
    assert!(
        dairy.clone().count() == 2 && dairy.clone().all(|it| it.1 == "Para quienes hacen queso"),
        "{got:?}"
    );
    let others = got.iter().filter(|it| it.0.contains("@norte.cl"));
    assert!(others.clone().count() == 2 && others.clone().all(|it| it.1 == "Quesos de invierno"), "{got:?}");

    // Its figures by themselves, each number with its people.
    window.open(&campaign).await;
    window.sees_in(OF_THE_DAIRY, "Rubro Lechería 2").await;
    window.sees_in("table[aria-labelledby=by-text]", "El de la campaña 2").await;
    window.picture("industries-figures").await;
    window.click(&format!("{OF_THE_DAIRY} a")).await;
    window.sees("Con el texto del rubro «Lechería»").await;
    window.sees("ana@nadi.cl").await;
    assert!(!window.text().await.contains("luis@norte.cl"));
    window.close().await;
}
