//! Texts of a campaign for the people of one industry: each reaches them and nobody else, whatever happens meanwhile.

use crate::{
    campaigns::{execute, get, people, save, seeded, start},
    drip::run,
    evidence::{sealed, verified},
    support::TestApp,
    variants::{app, number, other, try_texts, with_subject},
};
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    campaigns::{
        audience::{self, Question},
        campaign::Status,
        checklist::{self, Level},
        copies, figures, income, own_texts,
        variants::{self, Plan},
        wordings::Wordings,
    },
    channels::SendError,
    db::MIGRATIONS,
    error::Error,
    ids::CampaignId,
    messaging::{
        kinds::{BlockReason, Milestone},
        story,
    },
};
use sqlx::PgPool;
use std::collections::BTreeMap;

/// How many texts of industries there are.
const THERE: &str = "select count(*) from campaign_own_texts where removed_at is null";

/// `n` people at a company called `name`, of `industry`.
async fn at(app: &TestApp, name: &str, industry: Option<&str>, n: i64) {
    people(app, name, n).await;
    moves(app, name, industry).await;
}

/// The company called `name` is of `industry` now.
async fn moves(app: &TestApp, name: &str, industry: Option<&str>) {
    sqlx::query("update companies set industry = $2 where name = $1")
        .bind(name)
        .bind(industry)
        .execute(&app.state.db)
        .await
        .unwrap();
}

/// Those of `industry` get another text of `id`.
pub(crate) async fn put(
    app: &TestApp,
    id: CampaignId,
    industry: &str,
    subject: &str,
    opening: &str,
) -> llovizna::error::Result<()> {
    let mut tx = app.state.db.begin().await.unwrap();
    let words = other(subject, opening);
    own_texts::put(&mut tx, app.now(), &Actor::CommandLine, id, industry, &words).await?;
    tx.commit().await.unwrap();
    Ok(())
}

/// A draft to `n` people of each of two industries with texts, of one without, and of none.
async fn draft(app: &TestApp, n: i64) -> CampaignId {
    at(app, "leche", Some("Lechería"), n).await;
    at(app, "salmon", Some("Salmones"), n).await;
    at(app, "madera", Some("Madera"), n).await;
    at(app, "nada", None, n).await;
    let id = seeded(app).await;
    save(app, id, |it| {
        it.batch_size = 1000;
        it.tracks = true;
        it.source.subject = "Para todos".to_owned();
        it.source.body = "Hola {{ first_name }}:\n\nComienzo común.\n\nSaludos.".to_owned();
    })
    .await
    .unwrap();
    put(app, id, "Lechería", "Para la leche", "").await.unwrap();
    put(app, id, "Salmones", "Para el salmón", "Comienzo del salmón.").await.unwrap();
    id
}

/// Where each message that left went, under which subject and with which opening.
fn letters(app: &TestApp) -> Vec<(String, String, &'static str)> {
    let opening = |text: &str| if text.contains("Comienzo del salmón.") { "salmón" } else { "común" };
    let all = app.mailbox.sent().into_iter();
    let mut all: Vec<_> = all.map(|it| (it.to_email, it.subject, opening(&it.plain))).collect();
    all.sort();
    all
}

/// A number between 0 and `most`, different each time and the same in each run.
fn drawn(seed: &mut u64, most: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % most
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_gets_the_text_of_their_industry_and_the_others_the_campaigns(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 0).await;
    let industries = [Some("Lechería"), Some("Salmones"), Some("Madera"), Some("lechería"), None];
    let mut seed = 59;
    for n in 0..24 {
        let industry = industries[usize::try_from(drawn(&mut seed, 5)).unwrap()];
        at(&app, &format!("casa{n}x"), industry, i64::try_from(drawn(&mut seed, 7)).unwrap()).await;
    }
    // The campaign's own text changes before it starts, and theirs with it.
    save(&app, id, |it| {
        it.source.body = "Hola {{ first_name }}:\n\nComienzo común.\n\nHasta pronto.".to_owned();
    })
    .await
    .unwrap();
    // One that was taken away is nobody's.
    put(&app, id, "Madera", "Para la madera", "").await.unwrap();
    execute(&app, "update campaign_own_texts set removed_at = now() where industry = 'Madera'").await;
    start(&app, id).await.unwrap();
    // By now somebody works nowhere.
    execute(&app, "update contacts set company_id = null where id % 7 = 0").await;
    let expected: Vec<(String, Option<String>)> = sqlx::query_as(
        "select l.destination, k.industry from communication_logs l join contacts c on c.id = l.contact_id
         left join companies k on k.id = c.company_id where l.status = 'PENDING' order by 1",
    )
    .fetch_all(&app.state.db)
    .await
    .unwrap();
    run(&app).await;
    let wanted: Vec<_> = expected
        .iter()
        .map(|(address, industry)| match industry.as_deref() {
            Some("Lechería") => (address.clone(), "Para la leche".to_owned(), "común"),
            Some("Salmones") => (address.clone(), "Para el salmón".to_owned(), "salmón"),
            _ => (address.clone(), "Para todos".to_owned(), "común"),
        })
        .collect();
    assert_eq!(letters(&app), wanted);
    assert!(app.mailbox.sent().iter().all(|it| it.plain.contains("Hasta pronto.")));
    let subjects = ["Para la leche", "Para el salmón", "Para todos"].map(|it| with_subject(&app, it));
    assert!(subjects.iter().all(|it| *it > 2), "{subjects:?}");
    assert_eq!(get(&app, id).await.status, Status::Finished);

    // Each message says which text it was, and the proof holds.
    let proven = "select count(*) from communication_logs l
        join campaigns g on g.id = l.campaign_id
        left join campaign_own_texts o on o.campaign_id = l.campaign_id and o.place = l.variant
        where not l.in_sample and l.body_sha256 is not null and (l.variant = 0) = (o.place is null)
          and l.template_id = coalesce(o.template_id, g.template_id)";
    assert_eq!(number(&app, proven).await, i64::try_from(expected.len()).unwrap());
    sealed(&app).await;
    assert_eq!(verified(&app).await.broken, None);
    // The figures by text add up to those who got it.
    let mut db = app.state.db.acquire().await.unwrap();
    let counted = figures::of(&mut db, id).await.unwrap().texts;
    let wordings = Wordings::of(&mut db, id).await.unwrap();
    let counted: BTreeMap<String, i64> =
        counted.iter().map(|(place, it)| (wordings.name(*place), it[&Milestone::Sent])).collect();
    let told = ["Rubro Lechería", "Rubro Salmones", "El de la campaña"];
    let told: BTreeMap<String, i64> = told
        .into_iter()
        .zip(subjects)
        .map(|(name, n)| (name.to_owned(), i64::try_from(n).unwrap()))
        .collect();
    assert_eq!(counted, told);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_message_that_is_tried_again_keeps_its_text_whatever_its_company_does_by_now(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 1).await;
    start(&app, id).await.unwrap();
    for _ in 0..4 {
        app.mailbox.refuse_next(SendError::Recipient { answer: "554 no".into(), dead: false });
    }
    run(&app).await;
    assert_eq!(letters(&app), []);
    // All of them are something else by now.
    moves(&app, "leche", Some("Salmones")).await;
    moves(&app, "salmon", None).await;
    moves(&app, "madera", Some("Lechería")).await;
    moves(&app, "nada", Some("Salmones")).await;
    app.post(&format!("/campaigns/{id}/retries"), &[]).await;
    run(&app).await;
    let letter =
        |name: &str, subject: &str, opening| (format!("{name}1@x.example"), subject.to_owned(), opening);
    assert_eq!(
        letters(&app),
        [
            letter("leche", "Para la leche", "común"),
            letter("madera", "Para todos", "común"),
            letter("nada", "Para todos", "común"),
            letter("salmon", "Para el salmón", "salmón"),
        ]
    );
    sealed(&app).await;
    assert_eq!(verified(&app).await.broken, None);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_counts_is_the_industry_when_the_message_is_let_go(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 1).await;
    start(&app, id).await.unwrap();
    moves(&app, "madera", Some("Salmones")).await;
    // Who was joined into somebody is where that one is.
    execute(
        &app,
        "with stays as (
             insert into contacts (company_id, first_name, email, email_basis, search_key, created_at, updated_at)
             select company_id, 'Quien', 'queda@x.example', 'CONSENT', 'queda', created_at, updated_at
             from contacts where email = 'salmon1@x.example' returning id
         )
         update contacts set merged_into = stays.id, email = null from stays where email = 'nada1@x.example'",
    )
    .await;
    run(&app).await;
    let letters = letters(&app).into_iter().filter(|it| it.1 == "Para el salmón");
    let addresses: Vec<String> = letters.map(|it| it.0).collect();
    assert_eq!(addresses, ["madera1@x.example", "queda@x.example", "salmon1@x.example"]);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_waits_is_listed_under_the_text_that_then_leaves(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 3).await;
    start(&app, id).await.unwrap();
    execute(&app, "update communication_logs set next_attempt_at = next_attempt_at + interval '1 day'").await;
    run(&app).await;
    let listed = async || {
        let mut db = app.state.db.acquire().await.unwrap();
        let all = story::list(&mut db, &story::Filter::default(), None, 100).await.unwrap();
        let mut all: Vec<_> =
            all.into_iter().map(|it| (it.destination, it.subject.or(it.written_subject))).collect();
        all.sort();
        all
    };
    // Where they work, and who they are, changes while they wait.
    moves(&app, "madera", Some("Salmones")).await;
    execute(
        &app,
        "update contacts set email = null, merged_into = (select id from contacts where email = 'leche1@x.example')
         where email = 'nada1@x.example'",
    )
    .await;
    // One had drawn its text before, and one whose text was taken away since keeps it.
    execute(&app, "update communication_logs set variant = 11 where destination = 'nada2@x.example'").await;
    execute(&app, "update communication_logs set variant = 0 where destination = 'leche2@x.example'").await;
    execute(&app, "update campaign_own_texts set removed_at = now() where industry = 'Salmones'").await;
    let waiting = listed().await;
    let of = |name: &str| waiting.iter().filter(|it| it.1.as_deref() == Some(name)).count();
    assert_eq!((of("Para la leche"), of("Para el salmón"), of("Para todos")), (3, 1, 8), "{waiting:?}");
    execute(&app, "update communication_logs set next_attempt_at = next_attempt_at - interval '1 day'").await;
    run(&app).await;
    assert_eq!(app.mailbox.sent().len(), 11, "one of two who were joined");
    let left: Vec<_> =
        listed().await.into_iter().filter(|it| it.0.as_deref() != Some("nada1@x.example")).collect();
    let waited: Vec<_> =
        waiting.into_iter().filter(|it| it.0.as_deref() != Some("nada1@x.example")).collect();
    assert_eq!(left, waited);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_has_texts_of_industries_or_tries_some_but_not_both(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 1).await;
    let plan = Plan { variants: vec![other("Asunto B", "")], ..Plan::default() };
    let both = try_texts(&app, id, &plan).await;
    assert!(
        matches!(&both, Err(Error::Refused(said)) if said.contains("tiene textos por rubro")),
        "{both:?}"
    );
    let led = app.get(&format!("/campaigns/{id}/variants")).await;
    assert_eq!(led.status, StatusCode::SEE_OTHER, "to write some would be for nothing");
    // What asks for none of them is no trial.
    try_texts(&app, id, &Plan::default()).await.unwrap();
    execute(&app, "update campaign_own_texts set removed_at = now()").await;
    try_texts(&app, id, &plan).await.unwrap();
    let led = app.get(&format!("/campaigns/{id}/own-texts")).await;
    assert_eq!(led.status, StatusCode::SEE_OTHER);
    let both = put(&app, id, "Lechería", "Para la leche", "").await;
    assert!(matches!(&both, Err(Error::Refused(said)) if said.contains("prueba varios textos")), "{both:?}");
    assert_eq!(number(&app, THERE).await, 0);
    let page = app.get(&format!("/campaigns/{id}")).await.text();
    assert!(page.contains("no se puede además tener uno por rubro"), "{page}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_texts_follow_the_campaigns_own_and_are_fixed_once_it_started(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 1).await;
    save(&app, id, |it| it.source.body = "Uno.\n\nDos nuevo.".to_owned()).await.unwrap();
    let body = "select t.body from campaign_own_texts o join message_templates t on t.id = o.template_id
        where o.industry = 'Salmones'";
    let body: String = sqlx::query_scalar(body).fetch_one(&app.state.db).await.unwrap();
    assert_eq!(body, "Comienzo del salmón.\n\nDos nuevo.");
    let gone = save(&app, id, |it| it.source.body = String::new()).await;
    assert!(matches!(gone, Err(Error::Invalid(fields)) if fields[0].field == "body"));
    let page = app.get(&format!("/campaigns/{id}")).await;
    assert!(!page.body.contains("Probar varios textos"), "{}", page.body);
    // Writing one again changes it where it stands.
    let place = "select place::bigint from campaign_own_texts where industry = 'Lechería'";
    let before = number(&app, place).await;
    put(&app, id, "Lechería", "Otra vez la leche", "").await.unwrap();
    assert_eq!(number(&app, place).await, before);

    let mut tx = app.state.db.begin().await.unwrap();
    let copy = copies::duplicate(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    let words =
        |all: Vec<own_texts::OwnText>| all.into_iter().map(|it| (it.industry, it.words)).collect::<Vec<_>>();
    let copied = own_texts::of(&mut tx, copy).await.unwrap();
    let original = own_texts::of(&mut tx, id).await.unwrap();
    assert!(copied.iter().zip(&original).all(|(one, other)| one.template != other.template));
    assert_eq!(words(copied), words(original));
    copies::delete(&mut tx, app.now(), &Actor::CommandLine, copy).await.unwrap();
    tx.commit().await.unwrap();

    start(&app, id).await.unwrap();
    let form = app.get(&format!("/campaigns/{id}/edit")).await.text();
    assert!(form.contains("2 rubros tienen asunto o comienzo propio"), "{form}");
    let late = put(&app, id, "Madera", "Para la madera", "").await;
    assert!(matches!(late, Err(Error::Refused(said)) if said.contains("ya no cambian")));
    let mut tx = app.state.db.begin().await.unwrap();
    let late = own_texts::remove(&mut tx, app.now(), &Actor::CommandLine, id, 10).await;
    assert!(matches!(late, Err(Error::Refused(_))));
    drop(tx);
    assert_eq!(number(&app, THERE).await, 2);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_lacks_what_only_anothers_text_needs_gets_their_own(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 2).await;
    put(&app, id, "Lechería", "Para {{ job_title }}", "").await.unwrap();
    put(&app, id, "Salmones", "Salmones", "Nadie más.").await.unwrap();
    save(&app, id, |it| it.source.body = "Hola:\n\nA {{ last_name }}.\n\nSaludos.".to_owned()).await.unwrap();
    // Nobody has a surname but one at the sawmill; one at the dairy has a job.
    execute(
        &app,
        "update contacts set last_name = case when email in ('madera1@x.example') then 'Paz' else '' end,
             job_title = case when email in ('leche1@x.example', 'madera2@x.example') then 'Jefa' end",
    )
    .await;
    // The dairy's text says the campaign's first paragraph, which needs a surname; give it one without.
    put(&app, id, "Lechería", "Para {{ job_title }}", "Sin apellido.").await.unwrap();
    let campaign = get(&app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let needs = Wordings::of(&mut db, id).await.unwrap().needs(&campaign.source);
    let question = Question {
        rule: &campaign.audience,
        channel: campaign.channel,
        message_type: campaign.message_type,
        required: &needs.required,
        otherwise: &needs.otherwise,
        now: app.now(),
    };
    let foretold = audience::preview(&mut db, question).await.unwrap();
    drop(db);
    // leche1, both of the salmon, madera1.
    assert_eq!((foretold.total, foretold.reachable), (8, 4), "{foretold:?}");
    assert_eq!(foretold.gaps, BTreeMap::from([("job_title".to_owned(), 1), ("last_name".to_owned(), 3)]));
    let launched = start(&app, id).await.unwrap();
    assert_eq!(launched.enqueued.queued, foretold.reachable);
    assert_eq!(launched.enqueued.blocked, BTreeMap::from([(BlockReason::MissingVariable, 4)]));
    run(&app).await;
    let addresses: Vec<String> = letters(&app).into_iter().map(|it| it.0).collect();
    assert_eq!(
        addresses,
        ["leche1@x.example", "madera1@x.example", "salmon1@x.example", "salmon2@x.example"]
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_text_is_held_to_the_checklist_and_tried_out(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 2).await;
    put(&app, id, "Minería", "Llámanos al {{ business_phone }}", "").await.unwrap();
    let items = async || {
        let campaign = get(&app, id).await;
        let mut db = app.state.db.acquire().await.unwrap();
        checklist::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap().items
    };
    let found = items().await;
    let said = |level, words: &str| found.iter().any(|it| it.level == level && it.found.contains(words));
    assert!(said(Level::Red, "Rubro «Minería»:"), "{found:?}");
    assert!(said(Level::Amber, "Nadie de la audiencia es del rubro «Minería»."), "{found:?}");
    assert!(
        said(Level::Amber, "Aún no te has enviado una prueba del texto del rubro «Salmones»."),
        "{found:?}"
    );
    assert!(said(Level::Green, "3 rubros con texto propio"), "{found:?}");
    assert!(matches!(start(&app, id).await, Err(Error::Refused(said)) if said.contains("Rubro «Minería»")));

    let place = "select place::bigint from campaign_own_texts where industry = 'Salmones'";
    let place = number(&app, place).await.to_string();
    let path = format!("/campaigns/{id}");
    app.post(&format!("{path}/test"), &[("variant", &place)]).await;
    assert_eq!(with_subject(&app, "[Prueba] Para el salmón"), 1);
    let found = items().await;
    let said = |level, words: &str| found.iter().any(|it| it.level == level && it.found.contains(words));
    assert!(said(Level::Green, "Ya enviaste una prueba del texto del rubro «Salmones»."), "{found:?}");
    let page = app.get(&format!("{path}?variant={place}")).await;
    assert!(page.text().contains("Comienzo del salmón.") && page.body.contains("Rubro Salmones</option>"));
    let frame = app.get(&format!("{path}/preview?variant={place}")).await;
    assert!(frame.body.contains("Comienzo del salmón."), "{}", frame.body);
    assert!(!app.get(&format!("{path}/preview?variant=99")).await.body.contains("Comienzo del salmón."));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn people_write_them_by_form_and_only_those_who_may(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 3).await;
    let path = format!("/campaigns/{id}/own-texts");
    let page = app.get(&format!("/campaigns/{id}")).await;
    assert!(
        page.text().contains("Lechería Para la leche …"),
        "they are counted with the rest: {}",
        page.text()
    );
    let page = app.get(&format!("/campaigns/{id}?checklist=1")).await;
    assert!(page.text().contains("Lechería Para la leche 3"), "how many get it: {}", page.text());
    let form = app.get(&path).await;
    assert!(
        form.body.contains(">Madera</option>") && !form.body.contains(">Salmones</option>"),
        "{}",
        form.body
    );
    for (industry, subject, told) in [
        ("Inventado", "Hola", "Elige un rubro de la lista."),
        ("Lechería", "Hola", "ya tiene su texto"),
        ("Madera", "", "Escribe el asunto, el primer párrafo o los dos."),
        ("Madera", "Para todos", "Dice lo mismo que el texto de la campaña"),
        ("Madera", "{{ nombre }}", "no existe"),
    ] {
        let wrong = app.post(&path, &[("industry", industry), ("subject", subject)]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{industry} {subject}");
        assert!(wrong.text().contains(told), "{told}: {}", wrong.text());
    }
    let fields = [("industry", "Madera"), ("subject", "Para la madera")];
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post(&path, &fields).await.status, StatusCode::FORBIDDEN);
    assert_eq!(reader.get(&path).await.status, StatusCode::FORBIDDEN);
    assert!(!reader.get(&format!("/campaigns/{id}")).await.body.contains("Agregar un rubro"));
    let writer = app.as_role(Role::Staff).await;
    assert_eq!(writer.post(&path, &fields).await.status, StatusCode::SEE_OTHER);
    let place = "select place from campaign_own_texts where industry = 'Madera'";
    let place: i16 = sqlx::query_scalar(place).fetch_one(&app.state.db).await.unwrap();
    let one = format!("{path}/{place}");
    let form = writer.get(&format!("{path}?place={place}")).await;
    assert!(form.body.contains("value=\"Para la madera\""), "{}", form.body);
    // What somebody else changed meanwhile is not written over.
    let stale = [("subject", "Otra"), ("seen", "2020-01-01T00:00:00Z")];
    assert_eq!(writer.post(&one, &stale).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let done = writer.post(&one, &[("subject", "Otra"), ("industry", "Salmones")]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let subjects =
        "select string_agg(industry || ': ' || subject, ', ' order by industry) from campaign_own_texts";
    let subjects: String = sqlx::query_scalar(subjects).fetch_one(&app.state.db).await.unwrap();
    assert_eq!(subjects, "Lechería: Para la leche, Madera: Otra, Salmones: Para el salmón");
    assert_eq!(reader.post(&format!("{one}?_method=DELETE"), &[]).await.status, StatusCode::FORBIDDEN);
    // Takes it away, and gives the way back that is offered.
    let remove = async || {
        let done = writer.post(&format!("{one}?_method=DELETE"), &[]).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER);
        let page = writer.get(&format!("/campaigns/{id}")).await.body;
        let (_, rest) = page.split_once(&format!("action=\"{one}/back")).expect("a way back");
        format!("{one}/back{}", rest.split('"').next().unwrap())
    };
    let back = remove().await;
    assert_eq!(writer.post(&format!("{one}?_method=DELETE"), &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(number(&app, THERE).await, 2);
    // Nobody gets it meanwhile; put back, it is what it was, also twice.
    assert!(!app.get(&format!("/campaigns/{id}")).await.text().contains("Madera Otra"));
    assert_eq!(reader.post(&back, &[]).await.status, StatusCode::FORBIDDEN);
    for _ in 0..2 {
        assert_eq!(writer.post(&back, &[]).await.status, StatusCode::SEE_OTHER);
        assert!(app.get(&format!("/campaigns/{id}")).await.text().contains("Madera Otra"));
        assert_eq!(number(&app, THERE).await, 3);
    }
    assert_eq!(writer.post(&format!("{path}/99/back"), &[]).await.status, StatusCode::NOT_FOUND);
    // Written anew for the same industry, the old words do not come over it.
    assert_eq!(remove().await, back, "it took the same again");
    let anew = [("industry", "Madera"), ("subject", "Nueva")];
    assert_eq!(writer.post(&path, &anew).await.status, StatusCode::SEE_OTHER);
    let too_late = async || {
        assert_eq!(writer.post(&back, &[]).await.status, StatusCode::SEE_OTHER);
        let page = writer.get(&format!("/campaigns/{id}")).await.text();
        let said =
            "Ya no se puede deshacer: después de quitar ese texto se escribió otro para el rubro «Madera».";
        assert!(page.contains(said), "{page}");
        page
    };
    assert!(too_late().await.contains("Madera Nueva"));
    // Nor once the new ones are taken away: that is another removal, with a way back of its own.
    let other = remove().await;
    assert_ne!(other, back);
    assert!(!too_late().await.contains("Madera Nueva"));
    assert_eq!(number(&app, THERE).await, 2);
    assert_eq!(writer.post(&other, &[]).await.status, StatusCode::SEE_OTHER);
    assert!(app.get(&format!("/campaigns/{id}")).await.text().contains("Madera Nueva"));
    let audit = app.get("/audit").await.text();
    assert!(audit.contains("cambió el texto de un rubro de la campaña"), "{audit}");
    assert!(audit.contains("quitó el texto de un rubro de la campaña"), "{audit}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn every_number_names_its_industry_and_opens_its_people(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 4).await;
    execute(
        &app,
        "update contacts set email_basis = null where email in ('leche1@x.example', 'nada1@x.example')",
    )
    .await;
    start(&app, id).await.unwrap();
    run(&app).await;
    let place = "select place::bigint from campaign_own_texts where industry = 'Lechería'";
    let place = number(&app, place).await;
    let page = app.get(&format!("/campaigns/{id}")).await;
    assert!(page.text().contains("Rubro Lechería 3"), "{}", page.text());
    assert!(page.text().contains("El de la campaña 7"), "{}", page.text());
    let list = app.get(&format!("/messages?campaign={id}&variant=text{place}&reached=SENT")).await;
    assert_eq!(list.body.matches("data-label=\"Estado\"").count(), 3, "{}", list.body);
    assert!(list.text().contains("Con el texto del rubro «Lechería»"), "{}", list.text());
    let message = "select id from communication_logs where destination = ";
    let of = async |address: &str| {
        let id: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("{message}'{address}'")))
            .fetch_one(&app.state.db)
            .await
            .unwrap();
        app.get(&format!("/messages/{id}")).await.text()
    };
    assert!(of("leche2@x.example").await.contains("Rubro Lechería"));
    assert!(of("madera1@x.example").await.contains("El de la campaña: no era de un rubro con texto propio"));
    sqlx::query(
        "insert into history_entries (contact_id, kind, occurred_on, item, amount, created_at)
         select id, 'PURCHASE', $1::date, 'Queso', 9000, $1 from contacts where email = 'salmon1@x.example'",
    )
    .bind(app.now())
    .execute(&app.state.db)
    .await
    .unwrap();
    assert_eq!(income::of(&app.state.db, id).await.unwrap().texts.len(), 1);
    let brought = app.get(&format!("/campaigns/{id}/income")).await.text();
    assert!(brought.contains("Rubro Salmones $9.000 1 1"), "{brought}");
    assert!(
        variants::plan(&mut app.state.db.acquire().await.unwrap(), id).await.unwrap().variants.is_empty()
    );
}
