//! Whom journeys write to: those who work at a dairy, Lechería Ñadi.

use sqlx::PgConnection;

/// One of them: first name, last name, address, and whether they agreed to promotions by email.
pub(crate) type Worker<'a> = (&'a str, &'a str, &'a str, bool);

/// Put them into the program's database, since before the days that journeys play in.
pub(crate) async fn employs(db: &mut PgConnection, workers: &[Worker<'_>]) {
    let of = |part: fn(&Worker<'_>) -> String| workers.iter().map(part).collect::<Vec<String>>();
    sqlx::query(
        "with dairy as (
             insert into companies (name, name_key, created_at, updated_at)
             values ('Lechería Ñadi', 'lecheria nadi', '2026-11-02', '2026-11-02') returning id
         )
         insert into contacts (company_id, first_name, last_name, email, email_basis, search_key, created_at, updated_at)
         select dairy.id, it.first, it.last, it.email, case when it.agreed then 'CONSENT' end,
             btrim(lower(it.first || ' ' || it.last)) || ' ' || translate(it.email, '@.', '  '), '2026-11-02', '2026-11-02'
         from dairy, unnest($1::text[], $2::text[], $3::text[], $4::bool[]) as it (first, last, email, agreed)",
    )
    .bind(of(|it| it.0.to_owned()))
    .bind(of(|it| it.1.to_owned()))
    .bind(of(|it| it.2.to_owned()))
    .bind(workers.iter().map(|it| it.3).collect::<Vec<bool>>())
    .execute(db)
    .await
    .unwrap();
}
