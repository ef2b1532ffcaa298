//! What the log learns of a failure, and what it must not.

use llovizna::error::Error;
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
