//! What the log learns of a failure, and what it must not.

use crate::support::TestApp;
use axum::http::StatusCode;
use llovizna::{access::Role, error::Error};
use sqlx::PgPool;

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_the_database_quotes_of_a_row_does_not_reach_the_log(db: PgPool) {
    let add = "insert into staff_users (email, name, role, password_hash, created_at, updated_at)
               values ('ana@reservada.cl', $1::text, 'STAFF', 'x', '2026-11-23', '2026-11-23')";
    let add = async |name: Option<&str>| {
        Error::from(
            sqlx::query(add).bind(name).execute(&db).await.map_or_else(|it| it, |_| sqlx::Error::RowNotFound),
        )
    };
    add(Some("Ana")).await;
    let (twice, nameless) = (add(Some("Ana")).await, add(None).await);
    let number = sqlx::query("select $1::text::int").bind("ana@reservada.cl").execute(&db).await.unwrap_err();
    let number = Error::from(number);
    for (error, code) in [(&twice, "23505"), (&nameless, "23502"), (&number, "22P02")] {
        for told in [
            error.description(),
            format!("{error:?}"),
            format!("{error:#?}"),
            format!("{:?}", Err::<(), _>(error)),
        ] {
            assert!(told.contains(code), "{told}");
            assert!(!told.contains("ana@"), "{told}");
        }
    }
    assert!(format!("{twice:?}").contains("staff_users_email_once"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_is_signed_in_keeps_the_menu_on_a_page_of_error(db: PgPool) {
    let app = TestApp::new(db);
    let staff = app.as_role(Role::Staff).await;
    for (path, status) in [
        ("/nada", StatusCode::NOT_FOUND),
        ("/contacts/999", StatusCode::NOT_FOUND),
        ("/settings", StatusCode::FORBIDDEN),
    ] {
        let page = staff.get(path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.body.contains("class=\"side-nav\""), "{path}: {}", page.text());
        assert_eq!(page.headers["cache-control"], "no-store", "{path}");
        let toast = staff.clone().htmx().get(path).await;
        assert!(!toast.body.contains("side-nav"), "{path}");
        let json = staff.clone().header("accept", "application/json").get(path).await;
        assert!(json.body.starts_with('{'), "{path}: {}", json.body);
    }
    let stranger = app.anonymous().get("/nada").await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);
    assert!(!stranger.body.contains("side-nav"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn each_fault_of_a_form_leads_to_its_field_and_bears_its_name(db: PgPool) {
    let app = TestApp::new(db);
    for (path, fields, named) in [
        ("/companies", &[("name", "")][..], "Nombre"),
        ("/contacts", &[("email", "no es")], "Correo"),
        ("/tasks", &[("title", "")], ""),
        ("/lists", &[("name", "")], "Nombre"),
        ("/segments", &[("name", "")], ""),
        ("/templates", &[("name", ""), ("body_format", "TEXT")], "Nombre"),
        ("/campaigns", &[("name", "")], "Nombre"),
        ("/staff", &[("email", "no es"), ("role", "REY")], ""),
        ("/settings", &[("name", ""), ("email", "no es")], ""),
        ("/settings/email", &[("daily_cap", "nada")], ""),
        ("/settings/holidays", &[("day", "ayer")], "Día"),
        ("/pipeline/stages", &[("name", "")], ""),
        ("/suppressions", &[("addresses", "")], ""),
        ("/mailings", &[("words", "own"), ("scope", "all")], ""),
    ] {
        let page = app.post(path, fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", page.text());
        let (_, summary) =
            page.body.split_once("id=\"errors\"").unwrap_or_else(|| panic!("{path}: {}", page.body));
        let (summary, _) = summary.split_once("</ul>").unwrap();
        let faults: Vec<&str> = summary.split("<li>").skip(1).collect();
        assert!(!faults.is_empty() && summary.contains(named), "{path}: {summary}");
        for fault in faults {
            let (_, link) = fault.split_once("href=\"#").unwrap_or_else(|| panic!("{path}: {fault}"));
            let (id, words) = link.split_once("\">").unwrap();
            assert!(page.body.contains(&format!(" id=\"{id}\"")), "{path}: {id}");
            assert!(words.starts_with("<strong>"), "{path}: {fault}");
        }
    }
}
