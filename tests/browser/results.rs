//! What a campaign came to: a test that arrived, its figures with the people behind them, and what they bought.

use crate::{
    accessible,
    app::{ADMIN, App},
    campaign::{open_at_all_hours, start},
    chromium::{LAPTOP, Window},
    dairy::Worker,
    post_office::PostOffice,
    signing_in::sign_in,
};

const PEOPLE: &[Worker<'_>] = &[
    ("Ana", "Soto", "ana@nadi.cl", true),
    ("Eva", "Paz", "eva@nadi.cl", true),
    ("Ida", "Rey", "ida@sur.cl", true),
];

/// Ana and Eva opened it, and Ana followed its link.
const THEY_READ: &str = "
    update communication_logs set status = 'OPENED', opened_at = now() where destination = 'eva@nadi.cl';
    update communication_logs set status = 'CLICKED', opened_at = now(), clicked_at = now() where destination = 'ana@nadi.cl';";

/// Ana and Ida buy today; what Ana bought the day before was for no campaign, and a visit that cost nothing is no income.
const THEY_BUY: &str = "
    insert into history_entries (contact_id, kind, occurred_on, item, amount, created_at)
    select c.id, it.kind, (now() at time zone 'America/Santiago')::date - it.ago, it.item, it.amount, now()
    from contacts c join (values
        ('Ana', 'PURCHASE', 0, 'Queso', 30000), ('Ana', 'VISIT', 0, 'Tinaja', 15000), ('Ana', 'PURCHASE', 1, 'Miel', 900000),
        ('Ida', 'ENROLMENT', 0, 'Curso', 5000), ('Eva', 'VISIT', 0, 'Paseo', 0)
    ) it (name, kind, ago, item, amount) on it.name = c.first_name;";

/// What the database says that it brought.
const BROUGHT: &str =
    "select coalesce(sum(p.amount), 0)::bigint from campaigns c, campaign_purchases(c.id, 30) p
    where c.launched_at is not null";

/// Whose names the list of messages shows, in order.
async fn people(window: &Window) -> Vec<String> {
    window.sees("Motivo o respuesta").await;
    let mut names = window.texts_of("tbody td:first-child a").await;
    names.sort();
    names
}

#[tokio::test]
async fn a_test_is_said_to_have_arrived_numbers_lead_to_people_and_income_comes_by_itself() {
    let office = PostOffice::open();
    let app = App::start(&[&office.environment()[..], &[("EMAIL_DAILY_CAP", "0")]].concat()).await;
    app.employ(PEOPLE).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    open_at_all_hours(&window, "Prospección Los Lagos").await;
    window.fill("tracks", "on").await;
    window.press("Guardar").await;
    window.sees_in("#checklist", "Aún no te has enviado una prueba de este texto.").await;
    let campaign = window.path().await;

    // Only who got the test knows that it arrived.
    window.press("Enviarme una prueba").await;
    window.sees("La prueba salió a").await;
    window.sees_in("#checklist", "La prueba de este texto salió; falta saber si llegó.").await;
    assert_eq!(office.letters_for(ADMIN.0).len(), 1);
    assert_eq!(app.one::<i64>("select count(*) from trial_receipts").await, 0);
    window.run("document.getElementById('checklist').scrollIntoView({behavior: 'instant'})", "").await;
    window.picture("results-test").await;
    accessible::holds(&window).await;
    window.press("Me llegó").await;
    window.sees("Quedó anotado: la prueba llegó.").await;
    window.sees_in("#checklist", "La prueba de este texto llegó.").await;
    assert!(!window.text().await.contains("Me llegó"), "it is said once");
    let receipt = "select s.email from trial_receipts r join staff_users s on s.id = r.staff_user_id";
    assert_eq!(app.one::<String>(receipt).await, ADMIN.0);

    // It leaves. Nobody has bought anything, and the test counts for nothing.
    start(&window, 3).await;
    assert_eq!(app.drip().await.sent, 3);
    window.open(&campaign).await;
    window.sees_in("#live", "3 de 3").await;
    window.sees_in("#income", "Todavía no hay compras de quienes la recibieron.").await;
    accessible::holds(&window).await;

    // People read it, and the numbers of each table lead to them.
    app.run(THEY_READ).await;
    for (table, query, names) in [
        ("results", "reached=SENT", &["Ana Soto", "Eva Paz", "Ida Rey"][..]),
        ("results", "reached=OPENED", &["Ana Soto", "Eva Paz"]),
        ("results", "reached=CLICKED", &["Ana Soto"]),
        ("moments", "reached=OPENED", &["Ana Soto", "Eva Paz"]),
        ("domains", "domain=nadi.cl&reached=SENT", &["Ana Soto", "Eva Paz"]),
        ("domains", "domain=sur.cl&reached=SENT", &["Ida Rey"]),
    ] {
        window.open(&campaign).await;
        let number = format!("#live table[aria-labelledby={table}] a[href*='{query}']");
        window.sees_in(&number, &names.len().to_string()).await;
        if table == "results" && query == "reached=SENT" {
            window.run("document.getElementById('results').scrollIntoView({behavior: 'instant'})", "").await;
            window.picture("results-figures").await;
            accessible::holds(&window).await;
        }
        window.click(&number).await;
        window.arrives_at("/messages?").await;
        assert_eq!(people(&window).await, names, "{table} {query}");
    }

    // They buy: the page comes first, and what they bought after it.
    app.run(THEY_BUY).await;
    assert_eq!(app.one::<i64>(BROUGHT).await, 50_000);
    window.open(&campaign).await;
    window.sees_in("#income", "$50.000 en 3 compras de 2 personas.").await;
    assert_eq!(window.path().await, campaign);
    window.run("document.getElementById('income').scrollIntoView({behavior: 'instant'})", "").await;
    window.picture("results-income").await;
    accessible::holds(&window).await;
    window.click("#income a").await;
    window.sees("Compraron después").await;
    assert_eq!(people(&window).await, ["Ana Soto", "Ida Rey"]);

    // The same as a page of its own.
    window.open(&format!("{campaign}/income")).await;
    window.sees("$50.000 en 3 compras de 2 personas.").await;
    accessible::holds(&window).await;
    window.close().await;
}
