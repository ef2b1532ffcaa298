//! On which channels a file's no, and the basis that is stated for it, hold.

use super::{Attempt, now};
use llovizna::{
    access::Actor,
    channels::Channel,
    ids::ImportId,
    imports::{Consent, permission, run, undo},
};
use sqlx::PgPool;

/// The bases of whoever is called so: by email, text message and WhatsApp.
async fn bases(db: &PgPool, name: &str) -> [Option<String>; 3] {
    let it = sqlx::query!(
        "select email_basis, sms_basis, whatsapp_basis from contacts where first_name = $1",
        name
    )
    .fetch_one(db)
    .await
    .unwrap();
    [it.email_basis, it.sms_basis, it.whatsapp_basis]
}

/// The channels on which the last word of whoever is called so is a no.
async fn noes(db: &PgPool, name: &str) -> Vec<String> {
    sqlx::query_scalar!(
        r#"select communication_type as "channel!" from (
               select distinct on (e.communication_type) e.communication_type, e.basis
               from consent_events e join contacts c on c.id = e.contact_id
               where c.first_name = $1 order by e.communication_type, e.id desc
           ) last where basis = 'WITHDRAWN' order by 1"#,
        name
    )
    .fetch_all(db)
    .await
    .unwrap()
}

const FILE: &str = "nombre,correo,telefono\nAna,ana@x.example,987654321\nJuan,,911112222\n";
const YES: Option<&str> = Some("CONSENT");

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_to_promotions_is_one_on_every_channel_and_one_to_email_is_not(db: PgPool) {
    for (header, channels) in
        [("acepta promociones", 3), ("consentimiento", 3), ("acepta correo", 1), ("acepta email", 1)]
    {
        let known = format!("Eva{}", header.replace(' ', ""));
        let address = format!("{}@x.example", known.to_lowercase());
        Attempt::contacts(format!("nombre,correo,telefono\n{known},{address},933334444\n"))
            .with_consent("feria")
            .on(&Channel::ALL)
            .applied()
            .run(&db)
            .await;
        assert_eq!(bases(&db, &known).await.map(|it| it.is_some()), [true; 3]);
        let new = format!("Rosa{}", header.replace(' ', ""));
        let file = format!(
            "nombre,correo,telefono,{header}\n{known},{address},,No\n{new},{new}@x.example,955556666,No\n"
        );
        Attempt::contacts(&file).with_consent("otra").on(&Channel::ALL).applied().run(&db).await;
        for name in [&known, &new] {
            assert_eq!(noes(&db, name).await.len(), channels, "{header}: {name}");
        }
        assert_eq!(
            bases(&db, &known).await.map(|it| it.is_some()),
            [false, channels == 1, channels == 1],
            "{header}"
        );
        let again = Attempt::contacts(&file).applied().run(&db).await;
        assert_eq!(again.counts.unchanged, 2, "said once: {again:?}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_basis_holds_on_the_channels_that_are_named_and_is_taken_back_there(db: PgPool) {
    Attempt::contacts("nombre,telefono,acepta\nLuis,977778888,No\n").applied().run(&db).await;
    Attempt::contacts("nombre,telefono\nJuan,911112222\n").applied().run(&db).await;
    let file = format!("{FILE}Luis,,977778888\n");
    let attempt =
        Attempt::contacts(&file).with_consent("feria").on(&[Channel::Sms, Channel::Whatsapp]).applied();
    let it = attempt.run(&db).await;
    assert_eq!((it.counts.created, it.counts.updated, it.counts.unchanged), (1, 1, 1), "{it:?}");
    for name in ["Ana", "Juan"] {
        let found = bases(&db, name).await;
        assert_eq!(found.each_ref().map(Option::as_deref), [None, YES, YES], "{name}");
    }
    assert_eq!(bases(&db, "Luis").await, [None, None, None], "he said no");
    let again = attempt.run(&db).await;
    assert_eq!(again.counts.unchanged, 3, "{again:?}");
    let mut tx = db.begin().await.unwrap();
    undo::ask(&mut tx, now(), &Actor::CommandLine, ImportId(it.import_id)).await.unwrap();
    tx.commit().await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    assert_eq!(bases(&db, "Juan").await, [None, None, None]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_basis_declared_afterwards_reaches_those_who_have_only_a_telephone(db: PgPool) {
    let it = Attempt::contacts(FILE).applied().run(&db).await;
    let consent = Consent {
        basis: "CONSENT".to_owned(),
        source: "Feria".to_owned(),
        obtained_on: now().date_naive(),
        channels: vec![Channel::Email, Channel::Whatsapp],
    };
    let mut tx = db.begin().await.unwrap();
    let done = permission::declare(&mut tx, now(), &Actor::CommandLine, ImportId(it.import_id), &consent)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!((done.permitted, done.left), (2, 0));
    assert_eq!(bases(&db, "Ana").await.each_ref().map(Option::as_deref), [YES, None, YES]);
    assert_eq!(bases(&db, "Juan").await.each_ref().map(Option::as_deref), [None, None, YES]);
    let mut tx = db.begin().await.unwrap();
    undo::ask(&mut tx, now(), &Actor::CommandLine, ImportId(it.import_id)).await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_basis_without_a_channel_is_refused(db: PgPool) {
    let none = Attempt::contacts(FILE).with_consent("feria").on(&[]).applied();
    assert!(none.refusal(&db).await.contains("Marca al menos un canal"));
}
