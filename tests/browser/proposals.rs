//! Texts asked of an artificial intelligence: what leaves is read first, what comes changes nothing until a person says so.

use crate::{
    app::App,
    chromium::{LAPTOP, PHONE, Window},
    signing_in::sign_in,
};

#[expect(dead_code, reason = "what goes wrong with it is asked without a browser")]
#[path = "../it/proposals/provider.rs"]
pub(crate) mod provider;

use provider::Provider;

/// Whose name stands in the draft.
const ROSA: &str = "
    insert into contacts (first_name, last_name, email, search_key, created_at, updated_at)
    values ('Rosa', 'Gallardo', 'rosa@nadi.cl', 'rosa gallardo', now(), now());";

const DRAFT: &str = "select t.subject || ' / ' || split_part(t.body, E'\\n\\n', 1) from campaigns c
    join message_templates t on t.id = c.template_id where c.name = 'Otoño'";

const DECISIONS: &str = "select string_agg(status, ' ' order by id) from copy_proposals";

/// What the proposal `n` of the page is.
fn proposal(n: usize, what: &str) -> String {
    format!("article.proposal:nth-of-type({n}) {what}")
}

#[tokio::test]
async fn a_person_reads_what_would_be_sent_and_chooses_among_what_comes() {
    let provider = Provider::start().await;
    let asks = [("DEEPSEEK_API_URL", provider.url.as_str()), ("DEEPSEEK_API_KEY", "sk-de-prueba")];
    let app = App::start(&asks).await;
    app.run(ROSA).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    window.open("/campaigns/new").await;
    window.fill("name", "Otoño").await;
    window.fill("subject", "Termas en otoño").await;
    window
        .fill("body", "Rosa Gallardo te espera, o escribe a rosa@nadi.cl.\n\nAbrimos de martes a domingo.")
        .await;
    window.press("Guardar borrador").await;
    window.sees("El mensaje").await;
    window.press("Proponer asuntos y comienzos").await;

    // Word for word, before anything leaves: no names, no addresses; to whom, and what it may cost.
    window.sees_in("#sent", "DeepSeek (127.0.0.1), una empresa en China").await;
    window.fill("hints", "Con calma, como habla Rosa Gallardo").await;
    window.click("#sent-title").await;
    window.sees_in("#sent .sent-text", "Con calma, como habla").await;
    let prompt = window.texts_of("#sent .sent-text").await.remove(0);
    assert!(prompt.contains("Abrimos de martes a domingo."), "{prompt}");
    assert!(!prompt.contains("Gallardo") && !prompt.contains("rosa@nadi.cl"), "{prompt}");
    window.sees_in("#sent", "Cuesta a lo más $").await;
    window.sees_in("#sent", "Este mes van $0,00").await;
    window.picture("proposals-before").await;
    assert!(provider.asked().is_empty());

    window.press("Pedir propuestas").await;
    window.holds(&proposal(1, "[name=subject]"), "Una semana sin apuro").await;
    // What left is what was shown.
    let asked = provider.asked();
    assert_eq!(asked.len(), 1);
    let sent = asked[0].json()["messages"][1]["content"].as_str().unwrap().to_owned();
    assert_eq!(sent.split_whitespace().collect::<Vec<_>>().join(" "), prompt);
    assert_eq!(window.texts_of("article.proposal").await.len(), 3);
    assert!(app.one::<String>(DRAFT).await.starts_with("Termas en otoño / "), "nothing changed by itself");
    window.press("Ir a las propuestas").await;
    window.picture("proposals-came").await;

    // One as it came, one in one's own words, one not at all.
    window.click(&proposal(1, "[name=take][value=opening]")).await;
    window.click(&proposal(1, "button:not([name]):not([formaction])")).await;
    window.sees("El borrador tomó la propuesta.").await;
    assert!(app.one::<String>(DRAFT).await.starts_with("Una semana sin apuro / "), "the subject alone");
    window.sees_in(".record aside", "Asunto Una semana sin apuro").await;
    window.fill_in(&proposal(2, "[name=subject]"), "Una pausa para tu equipo").await;
    window.click(&proposal(2, "button:not([name]):not([formaction])")).await;
    window.sees_in(&proposal(2, ".facts"), "editado: «Una pausa para tu equipo»").await;
    assert_eq!(
        app.one::<String>(DRAFT).await,
        "Una pausa para tu equipo / Guardamos un lugar para tu equipo."
    );
    window.click(&proposal(3, "[formaction]")).await;
    window.sees("La propuesta quedó descartada. El borrador no cambió.").await;
    assert_eq!(app.one::<String>(DECISIONS).await, "APPROVED APPROVED REFUSED");
    window.picture("proposals-decided").await;
    let page = window.path().await;
    let phone = Window::open_at(&app.url, PHONE).await;
    sign_in(&phone).await;
    phone.open(&page).await;
    phone.picture("proposals-phone").await;
    assert!(phone.overflow().await <= 0, "the proposals are wider than a telephone");
    phone.close().await;

    // What it cost is in the books; with the month's budget used up nothing is asked, and it says so.
    window.press("Registro y costo").await;
    window.click("[data-label=Textos] summary").await;
    window.sees("Una semana sin apuro").await;
    window.picture("proposals-books").await;
    let cost = app.one::<i64>("select sum(cost_micro)::bigint from copy_calls").await;
    assert!(cost > 0, "{cost}");
    window.open("/settings/copywriter").await;
    window.fill("monthly_budget", "1").await;
    window.press("Guardar").await;
    window.sees("1").await;
    window.open(&page).await;
    window.fill("hints", "Más corto").await;
    window.click("#sent-title").await;
    window.sees_in("#sent .sent-text", "Más corto").await;
    window.press("Pedir propuestas").await;
    window.sees("No se pidió: podría costar").await;
    window.sees("del presupuesto de este mes, $1,").await;
    window.picture("proposals-no-budget").await;
    assert_eq!(provider.asked().len(), 1);
    assert_eq!(app.one::<i64>("select count(*) from copy_requests").await, 1);
    window.close().await;
}
