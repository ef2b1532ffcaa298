//! What is referred to stays, and what is not there is not referred to: the triggers
//! that stand for foreign keys refuse what those would, under the same names.

use crate::support::TestApp;
use sqlx::PgPool;

/// A person at a company, a campaign with a message to them, and who asked for it.
const SEED: &str = "
    insert into staff_users (id, email, name, role, password_hash, created_at, updated_at)
        overriding system value values (700, 'ana@sur.example', 'Ana', 'ADMIN', 'none', '2026-01-01', '2026-01-01');
    insert into companies (id, name, name_key, created_at, updated_at)
        overriding system value values (700, 'Sur', 'sur', '2026-01-01', '2026-01-01');
    insert into contacts (id, company_id, email, search_key, created_at, updated_at)
        overriding system value values (700, 700, 'eva@sur.example', 'eva', '2026-01-01', '2026-01-01');
    insert into message_templates (id, communication_type, name, version, subject, body, body_format, footer, created_at)
        overriding system value values (700, 'EMAIL', 'x', 1, '', '', 'TEXT', '', '2026-01-01');
    insert into campaigns (id, name, audience, created_at, updated_at)
        overriding system value values (700, 'x', '{}', '2026-01-01', '2026-01-01');
    insert into communication_logs (id, origin, campaign_id, contact_id, template_id, requested_by, communication_type,
        message_type, destination, scheduled_at, next_attempt_at, created_at)
        overriding system value values (700, 'CAMPAIGN', 700, 700, 700, 700, 'EMAIL', 'PROMOCIONAL', 'eva@sur.example',
            '2026-01-01', '2026-01-01', '2026-01-01');
    insert into communication_events (communication_log_id, at, kind, staff_user_id) values (700, '2026-01-01', 'QUEUED', 700)";

const MESSAGE: &str =
    "insert into communication_logs (origin, campaign_id, contact_id, template_id, requested_by,
        communication_type, message_type, destination, scheduled_at, next_attempt_at, created_at)
    select 'MANUAL', $campaign, $contact, $template, $staff, 'EMAIL', 'PROMOCIONAL', 'x@sur.example',
        '2026-01-01', '2026-01-01', '2026-01-01' from generate_series(1, 2)";

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn nothing_refers_to_what_is_not_there(db: PgPool) {
    let app = TestApp::new(db);
    sqlx::raw_sql(SEED).execute(&app.state.db).await.unwrap();
    let message = |column: &str| {
        let of = |name: &str| if name == column { "999" } else { "700" };
        let text = MESSAGE.replace("$campaign", of("campaign_id")).replace("$contact", of("contact_id"));
        text.replace("$template", of("template_id")).replace("$staff", of("requested_by"))
    };
    let person = "insert into contacts (company_id, email, search_key, created_at, updated_at)
        select case when n = 2 then 999 else 700 end, n || '@sur.example', 'n', '2026-01-01', '2026-01-01' from generate_series(1, 2) n";
    let company = "insert into companies (owner_id, name, name_key, created_at, updated_at)
        select case when n = 2 then 999 else 700 end, n, n, '2026-01-01', '2026-01-01' from generate_series(1, 2) n";
    let joined = "insert into contacts (merged_into, search_key, created_at, updated_at)
        select case when n = 2 then 999 else 700 end, 'n', '2026-01-01', '2026-01-01' from generate_series(1, 2) n";
    let event = "insert into communication_events (communication_log_id, at, kind, staff_user_id) values (700, '2026-01-01', 'SENT', 999)";
    for (statement, constraint) in [
        (person.to_owned(), "contacts_company_id_fkey"),
        ("update contacts set company_id = 999".to_owned(), "contacts_company_id_fkey"),
        ("delete from companies".to_owned(), "contacts_company_id_fkey"),
        ("update contacts set owner_id = 999".to_owned(), "contacts_owner_id_fkey"),
        (person.replace("company_id", "owner_id"), "contacts_owner_id_fkey"),
        ("update companies set owner_id = 999".to_owned(), "companies_owner_id_fkey"),
        (company.to_owned(), "companies_owner_id_fkey"),
        ("update contacts set merged_into = 999, email = null".to_owned(), "contacts_merged_into_fkey"),
        (joined.to_owned(), "contacts_merged_into_fkey"),
        (message("campaign_id"), "communication_logs_campaign_id_fkey"),
        (message("contact_id"), "communication_logs_contact_id_fkey"),
        (message("template_id"), "communication_logs_template_id_fkey"),
        (message("requested_by"), "communication_logs_requested_by_fkey"),
        ("update communication_logs set contact_id = 999".to_owned(), "communication_logs_contact_id_fkey"),
        ("update communication_logs set template_id = 999".to_owned(), "communication_logs_template_id_fkey"),
        ("delete from contacts".to_owned(), "communication_logs_contact_id_fkey"),
        ("delete from campaigns where id = 700".to_owned(), "communication_logs_campaign_id_fkey"),
        (event.to_owned(), "communication_events_staff_user_id_fkey"),
    ] {
        let error =
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement.clone())).execute(&app.state.db).await.unwrap_err();
        let refused = error.as_database_error().unwrap();
        assert_eq!(refused.constraint(), Some(constraint), "{statement}: {refused}");
        assert_eq!(refused.code().as_deref(), Some("23503"), "{statement}");
    }
    let staff = sqlx::raw_sql("delete from staff_users").execute(&app.state.db).await.unwrap_err();
    assert_eq!(staff.as_database_error().unwrap().code().as_deref(), Some("23503"));
    sqlx::raw_sql(sqlx::AssertSqlSafe(message(""))).execute(&app.state.db).await.unwrap();
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn whoever_deletes_waits_for_whoever_refers_and_is_refused(db: PgPool) {
    sqlx::raw_sql(SEED).execute(&db).await.unwrap();
    sqlx::raw_sql(
        "insert into companies (id, name, name_key, created_at, updated_at)
        overriding system value values (8, 'Norte', 'norte', '2026-01-01', '2026-01-01')",
    )
    .execute(&db)
    .await
    .unwrap();
    let mut refers = db.begin().await.unwrap();
    sqlx::raw_sql(
        "insert into contacts (company_id, email, search_key, created_at, updated_at)
         values (8, 'n@sur.example', 'n', '2026-01-01', '2026-01-01')",
    )
    .execute(&mut *refers)
    .await
    .unwrap();
    let deletes = tokio::spawn({
        let db = db.clone();
        async move { sqlx::raw_sql("delete from companies where id = 8").execute(&db).await }
    });
    crate::support::until_waiting(&db, 1).await;
    refers.commit().await.unwrap();
    let refused = deletes.await.unwrap().unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().constraint(), Some("contacts_company_id_fkey"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_goes_owns_no_more_and_whom_others_became_stays(db: PgPool) {
    sqlx::raw_sql(SEED).execute(&db).await.unwrap();
    sqlx::raw_sql(
        "insert into staff_users (id, email, name, role, password_hash, created_at, updated_at)
            overriding system value values (8, 'leo@sur.example', 'Leo', 'ADMIN', 'none', '2026-01-01', '2026-01-01');
        update contacts set owner_id = 8;
        update companies set owner_id = 8;
        insert into contacts (id, merged_into, search_key, created_at, updated_at)
            overriding system value values (8, 700, 'n', '2026-01-01', '2026-01-01')",
    )
    .execute(&db)
    .await
    .unwrap();
    sqlx::raw_sql("delete from staff_users where id = 8").execute(&db).await.unwrap();
    let owned = sqlx::query_scalar!(
        r#"select (select count(*) from contacts where owner_id is not null)
            + (select count(*) from companies where owner_id is not null) as "count!""#
    );
    assert_eq!(owned.fetch_one(&db).await.unwrap(), 0);
    sqlx::raw_sql(
        "insert into contacts (id, email, search_key, created_at, updated_at)
            overriding system value values (9, 'n@sur.example', 'n', '2026-01-01', '2026-01-01');
        update contacts set merged_into = 9 where id = 8",
    )
    .execute(&db)
    .await
    .unwrap();
    let refused = sqlx::raw_sql("delete from contacts where id = 9").execute(&db).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().constraint(), Some("contacts_merged_into_fkey"));
    sqlx::raw_sql("delete from contacts where id in (8, 9)").execute(&db).await.unwrap();
}
