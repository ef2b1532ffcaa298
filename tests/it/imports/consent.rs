//! Nobody becomes reachable without a stated basis, and no import undoes a no.

use super::{Attempt, now, population};
use llovizna::{contacts::bulk::OnDuplicate, ids::ImportId, imports::report};
use sqlx::PgPool;

async fn basis_of(db: &PgPool, email: &str) -> Option<String> {
    sqlx::query_scalar!("select email_basis from contacts where email = $1", email)
        .fetch_one(db)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_basis_is_given_with_its_proof_or_not_at_all(db: PgPool) {
    let file = "nombre,correo\nAna,ana@x.example\n";
    Attempt::contacts(file).applied().run(&db).await;
    assert_eq!(basis_of(&db, "ana@x.example").await, None);
    let mut unproven = Attempt::contacts(file).applied();
    "CONSENT".clone_into(&mut unproven.args.consent_basis);
    assert!(unproven.refusal(&db).await.contains("de dónde viene la autorización"));
    let it = Attempt::contacts(file).with_consent("Feria de Osorno").applied().run(&db).await;
    assert_eq!(it.counts.updated, 1, "an empty basis is filled");
    assert_eq!(basis_of(&db, "ana@x.example").await.as_deref(), Some("CONSENT"));
    let proof = sqlx::query!("select basis, source, obtained_on, import_id from consent_events")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!((proof.basis.as_str(), proof.source.as_str()), ("CONSENT", "Feria de Osorno"));
    assert_eq!(
        (proof.obtained_on, proof.import_id),
        (chrono::NaiveDate::from_ymd_opt(2026, 11, 23), Some(it.import_id))
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_in_the_file_is_a_no(db: PgPool) {
    let file = "nombre,correo,acepta correo\nAna,ana@x.example,Sí\nJuan,juan@x.example,No\nRosa,rosa@x.example,\n\
        Eva,eva@x.example,Sí\nEva,EVA@x.example,No\n";
    Attempt::contacts(file).with_consent("feria").applied().run(&db).await;
    assert_eq!(basis_of(&db, "ana@x.example").await.as_deref(), Some("CONSENT"));
    assert_eq!(basis_of(&db, "juan@x.example").await, None);
    assert_eq!(basis_of(&db, "rosa@x.example").await, None, "a blank is no yes");
    assert_eq!(basis_of(&db, "eva@x.example").await, None, "of two answers the no counts");
    let again = Attempt::contacts("nombre,correo\nJuan,juan@x.example\n")
        .with_consent("otra")
        .applied()
        .run(&db)
        .await;
    assert_eq!(again.counts.unchanged, 1);
    assert_eq!(basis_of(&db, "juan@x.example").await, None, "it is remembered");
    let turned =
        Attempt::contacts("nombre,correo,acepta correo\nAna,ana@x.example,No\n").applied().run(&db).await;
    assert_eq!(turned.counts.updated, 1);
    assert_eq!(basis_of(&db, "ana@x.example").await, None, "an import may always mean less contact");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn no_import_brings_back_who_unsubscribed(db: PgPool) {
    let file = "nombre,correo\nAna,ana@x.example\nJuan,juan@x.example\n";
    Attempt::contacts(file).with_consent("feria").applied().run(&db).await;
    sqlx::query!("update contacts set email_basis = null where email = 'ana@x.example'")
        .execute(&db)
        .await
        .unwrap();
    sqlx::query!(
        "insert into consent_events (contact_id, communication_type, basis, source, at)
         select id, 'EMAIL', 'WITHDRAWN', 'baja', $1 from contacts where email = 'ana@x.example'",
        now()
    )
    .execute(&db)
    .await
    .unwrap();
    sqlx::query!(
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         values ('EMAIL', 'eva@x.example', 'PROMOTIONAL', 'UNSUBSCRIBED', $1)",
        now()
    )
    .execute(&db)
    .await
    .unwrap();
    for way in OnDuplicate::ALL {
        let file = format!("{file}Eva,eva@x.example\n");
        Attempt::contacts(file).with_consent("otra feria").on_duplicate(way).applied().run(&db).await;
        assert_eq!(basis_of(&db, "ana@x.example").await, None, "{way:?}");
        assert_eq!(
            basis_of(&db, "eva@x.example").await,
            None,
            "a suppressed address that comes anew, {way:?}"
        );
    }
    assert_eq!(basis_of(&db, "juan@x.example").await.as_deref(), Some("CONSENT"));
    assert_eq!(population(&db).await.0, 3);
}

/// The last word of whoever has this address or telephone.
async fn last_word(db: &PgPool, email_or_phone: &str) -> Option<String> {
    sqlx::query_scalar!(
        "select e.basis from consent_events e join contacts c on c.id = e.contact_id
         where c.email = $1 or c.phone = $1 order by e.id desc limit 1",
        email_or_phone
    )
    .fetch_optional(db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_counts_whatever_is_done_with_known_rows(db: PgPool) {
    for way in OnDuplicate::ALL {
        let email = format!("{}@x.example", way.code());
        let file = format!("nombre,correo\nAna,{email}\n");
        Attempt::contacts(file).with_consent("feria").applied().run(&db).await;
        assert_eq!(basis_of(&db, &email).await.as_deref(), Some("CONSENT"));
        let no = format!("nombre,correo,acepta correo\nAna,{email},No\n");
        let it = Attempt::contacts(&no).on_duplicate(way).applied().run(&db).await;
        assert_eq!(basis_of(&db, &email).await, None, "{way:?}");
        assert_eq!(last_word(&db, &email).await.as_deref(), Some("WITHDRAWN"), "{way:?}");
        assert_eq!(it.counts.updated, 1, "{way:?}");
        let again = Attempt::contacts(&no).on_duplicate(way).applied().run(&db).await;
        assert_eq!(again.counts.unchanged, 1, "said once, {way:?}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_in_a_repeated_or_rejected_row_counts(db: PgPool) {
    let file = "nombre,correo\nAna,ana@x.example\nJuan,juan@x.example\n";
    Attempt::contacts(file).with_consent("feria").applied().run(&db).await;
    let file = "rut empresa,nombre,apellido,correo,telefono,acepta correo\n\
        ,Eva,Soto,eva@x.example,987654321,Sí\n\
        ,Eva,Soto,,987654321,No\n\
        1-1,Juan,,juan@x.example,,No\n\
        1-1,Rosa,,rosa@x.example,,No\n\
        ,Rosa,,rosa@x.example,,Sí\n\
        ,A\0na,,ana@x.example,,No\n";
    let it = Attempt::contacts(file).with_consent("otra feria").applied().run(&db).await;
    assert_eq!((it.counts.created, it.counts.duplicates, it.counts.rejected), (2, 1, 3), "{it:?}");
    for email in ["eva@x.example", "juan@x.example", "rosa@x.example", "ana@x.example"] {
        assert_eq!(basis_of(&db, email).await, None, "{email}");
        assert_eq!(last_word(&db, email).await.as_deref(), Some("WITHDRAWN"), "{email}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_of_somebody_known_by_telephone_holds_when_their_address_comes(db: PgPool) {
    let no = "nombre,correo,telefono,acepta correo\nAna,,987654321,No\n";
    Attempt::contacts(no).applied().run(&db).await;
    assert_eq!(last_word(&db, "+56987654321").await.as_deref(), Some("WITHDRAWN"));
    let brings = "nombre,correo,telefono\nAna,ana@x.example,987654321\n";
    Attempt::contacts(brings).with_consent("feria").applied().run(&db).await;
    assert_eq!(basis_of(&db, "ana@x.example").await, None);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_ledger_is_never_altered(db: PgPool) {
    let file = "nombre,correo\nAna,ana@x.example\n";
    Attempt::contacts(file).with_consent("feria").applied().run(&db).await;
    for statement in
        ["update consent_events set source = 'x'", "delete from consent_events", "truncate consent_events"]
    {
        let refused = sqlx::query(statement).execute(&db).await;
        assert!(refused.is_err(), "{statement}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_in_any_words_is_a_no_and_what_is_unclear_gives_no_permission(db: PgPool) {
    let file = "nombre,correo,acepta correo\nAna,ana@x.example,\"No, gracias\"\nEva,eva@x.example,Dado de baja\n\
        Juan,juan@x.example,unsubscribed\nLuis,luis@x.example,quizás\nRosa,rosa@x.example,Acepto\n";
    let it = Attempt::contacts(file).with_consent("feria").applied().run(&db).await;
    assert_eq!(it.warnings, 1);
    for refused in ["ana@x.example", "eva@x.example", "juan@x.example"] {
        assert_eq!(last_word(&db, refused).await.as_deref(), Some("WITHDRAWN"), "{refused}");
    }
    assert_eq!(last_word(&db, "luis@x.example").await, None);
    assert_eq!(basis_of(&db, "rosa@x.example").await.as_deref(), Some("CONSENT"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_row_says_that_its_person_unsubscribed_and_the_import_counts_them(db: PgPool) {
    let file =
        "nombre,correo\nAna,ana@x.example\nEva,eva@x.example\nJuan,juan@x.example\nLuis,luis@x.example\n";
    Attempt::contacts(file).with_consent("feria").applied().run(&db).await;
    Attempt::contacts("nombre,correo,acepta correo\nAna,ana@x.example,No\n").applied().run(&db).await;
    sqlx::query!(
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         values ('EMAIL', 'eva@x.example', 'PROMOTIONAL', 'UNSUBSCRIBED', $1), ('EMAIL', 'juan@x.example', 'ALL', 'HARD_BOUNCE', $1)",
        now()
    )
    .execute(&db)
    .await
    .unwrap();
    for apply in [false, true] {
        let mut attempt = Attempt::contacts(file).with_consent("otra");
        attempt.args.apply = apply;
        let it = attempt.run(&db).await;
        assert_eq!((it.counts.unchanged, it.warnings, it.unsubscribed), (4, 3, 2));
        assert!(
            it.text().contains("2 personas se dieron de baja: siguen sin recibir promociones"),
            "{}",
            it.text()
        );
        let counted = sqlx::query_scalar!("select unsubscribed from imports where id = $1", it.import_id);
        assert_eq!(counted.fetch_one(&db).await.unwrap(), 2);
        let id = if apply { ImportId(it.import_id) } else { attempt.ready(&db).await };
        let rows = report::rows(&db, id, None, None, 0, 10).await.unwrap();
        let said: Vec<String> = rows.into_iter().map(|it| it.warning.unwrap_or_default()).collect();
        assert!(
            said[0].contains("Se dio de baja antes") && said[1].contains("Se dio de baja antes"),
            "{said:?}"
        );
        assert!(said[2].contains("lista de exclusión") && said[3].is_empty(), "{said:?}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_basis_without_its_day_is_none(db: PgPool) {
    let mut undated = Attempt::contacts("nombre,correo\nAna,ana@x.example\n").with_consent("feria").applied();
    undated.args.consent_obtained_on = None;
    let sentence = undated.refusal(&db).await;
    assert!(sentence.contains("cuándo se obtuvo la autorización"), "{sentence}");
    assert_eq!(population(&db).await.0, 0);
}
