//! The library of templates: written, kept in versions, used by campaigns.

use crate::{
    campaigns::{BUSINESS, app, execute, get, people, seeded, start},
    support::{Reply, TestApp},
};
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    campaigns::drip,
    channels::Channel,
    db::MIGRATIONS,
    ids::{CampaignId, LibraryId, TemplateId},
    messaging::{
        drain::{Engine, Options},
        library::{self, Draft, Entry, Kind},
        runs::Trigger,
        template::{self, BodyFormat, Source},
        versions,
    },
};
use sqlx::PgPool;

/// Let what is due leave.
pub(crate) async fn drip(app: &TestApp) {
    let engine = Engine {
        db: app.state.db.clone(),
        senders: app.state.senders.clone(),
        config: app.state.config.clone(),
        clock: app.state.clock.clone(),
    };
    drip::run_once(&engine, &Options::new(Channel::Email, Trigger::CommandLine)).await.unwrap();
}

const FOOTER: &str = "{{ business_name }}, {{ business_address }}. Baja: {{ unsubscribe_url }}";

/// A letter of blocks as the form sends it.
const LETTER: &[(&str, &str)] = &[
    ("name", "Tarde de tinas"),
    ("kind", "OFERTA"),
    ("subject", "Hola {{ first_name }}"),
    ("body_format", "BLOCKS"),
    ("block_kind", "TITLE"),
    ("block_text", "Tinas & masajes"),
    ("block_kind", "TEXT"),
    ("block_text", "Hola {{ first_name | default(\"qué tal\") }}:\r\n\r\nTe esperamos."),
    ("block_kind", "BUTTON"),
    ("block_text", "Reservar"),
    ("block_link", "https://a.cl/?de={{ company | default(\"nadie\") }}"),
    ("footer", FOOTER),
];

pub(crate) async fn entry(app: &TestApp, id: LibraryId) -> Entry {
    library::get(&mut app.state.db.acquire().await.unwrap(), id).await.unwrap()
}

/// The row of what a form made.
fn made(reply: &Reply) -> LibraryId {
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    LibraryId(reply.location().trim_start_matches("/templates/").trim_end_matches("/edit").parse().unwrap())
}

fn with<'a>(fields: &[(&'a str, &'a str)], name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    fields.iter().map(|it| if it.0 == name { (it.0, value) } else { *it }).collect()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn blocks_are_saved_as_a_letter_and_each_edit_is_a_version(db: PgPool) {
    let app = app(db);
    let id = made(&app.post("/templates", LETTER).await);
    let first = entry(&app, id).await;
    assert_eq!((first.version, first.draft.source.body_format), (1, BodyFormat::Blocks));
    let html: String = sqlx::query_scalar("select html from message_templates where id = $1")
        .bind(first.template.0)
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    assert!(html.contains("Tinas &amp; masajes"), "{html}");
    assert!(html.contains("https://a.cl/?de={{ (company | default(\"nadie\")) | urlencode }}"), "{html}");
    let seen = first.updated_at.to_rfc3339();
    let path = format!("/templates/{id}");
    let edited = [&with(LETTER, "subject", "Otro asunto")[..], &[("seen", seen.as_str())]].concat();
    assert_eq!(app.post(&path, &edited).await.status, StatusCode::SEE_OTHER);
    let second = entry(&app, id).await;
    assert_eq!(second.version, 2);
    assert_ne!(second.template, first.template);
    // The same words again are no new version; what somebody else saved meanwhile is not overwritten.
    app.state.clock.advance(chrono::TimeDelta::minutes(1));
    let seen = second.updated_at.to_rfc3339();
    let same = [&with(LETTER, "subject", "Otro asunto")[..], &[("seen", seen.as_str())]].concat();
    assert_eq!(app.post(&path, &same).await.status, StatusCode::SEE_OTHER);
    assert_eq!(entry(&app, id).await.version, 2);
    let stale = app.post(&path, &same).await;
    assert_eq!(stale.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(stale.text().contains("Otra persona guardó esta plantilla"), "{}", stale.text());
    let page = app.get(&path).await;
    assert!(page.text().contains("Versión 2") && page.text().contains("Versión 1"), "{}", page.text());
    let old = app.get(&format!("{path}/preview?version={}", first.template)).await;
    assert!(
        old.body.contains("Tinas &amp; masajes") && old.body.contains("de=L%C3%A1cteos%20del%20Sur%20SpA"),
        "{}",
        old.body
    );
    assert!(old.headers["content-security-policy"].to_str().unwrap().contains("sandbox"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_wrong_is_told_at_once_and_nothing_is_saved(db: PgPool) {
    let app = app(db);
    let before: i64 =
        sqlx::query_scalar("select count(*) from message_templates").fetch_one(&app.state.db).await.unwrap();
    let check = async |fields: &[(&str, &str)], part: &str| {
        let reply = app.post("/templates", fields).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{part}");
        assert!(reply.text().contains(part), "{part}: {}", reply.text());
    };
    check(&with(LETTER, "name", " "), "Ponle un nombre").await;
    check(&with(LETTER, "subject", "{{ nombre }}"), "¿Quisiste decir {{ first_name }}?").await;
    check(&with(LETTER, "footer", "Chao"), "ley 19.496").await;
    check(&with(LETTER, "block_link", "javascript:alert(1)"), "Bloque 3 (botón): escribe a dónde lleva")
        .await;
    // The summary leads to each of them, in their order, and each says it itself.
    let wrong = with(&with(&with(LETTER, "block_text", " "), "subject", "{{ nombre }}"), "name", " ");
    let page = app.post("/templates", &wrong).await.body;
    let (_, summary) = page.split_once("id=\"errors\"").unwrap();
    let led: Vec<&str> = summary
        .split("</ul>")
        .next()
        .unwrap()
        .split("href=\"#")
        .skip(1)
        .map(|it| it.split('"').next().unwrap())
        .collect();
    assert_eq!(
        led,
        ["field-name", "field-subject", "field-block-1", "field-block-2", "field-block-3"],
        "{page}"
    );
    let (_, second) = page.split_once("id=\"field-block-2\"").unwrap();
    let second = second.split("</li>").next().unwrap();
    assert!(second.contains("Bloque 2 (texto): está vacío: escríbelo o quítalo."), "{second}");
    check(
        &with(LETTER, "block_text", "{{ empresa }}"),
        "Bloque 1 (título): La variable {{ empresa }} no existe",
    )
    .await;
    let mjml = |body: &'static str| {
        vec![
            ("name", "x"),
            ("kind", "OFERTA"),
            ("subject", "x"),
            ("body_format", "MJML"),
            ("body", body),
            ("footer", FOOTER),
        ]
    };
    check(&mjml("<mjml>\n<mj-body>\n<mj-nada/></mj-body></mjml>"), "Línea 3: la etiqueta &#60;mj-nada&#62;")
        .await;
    check(&mjml(""), "Escribe el mensaje").await;
    // As where it would be sent: nobody told the telephone.
    check(&with(LETTER, "block_text", "Llámanos: {{ business_phone }}"), "falta ese dato").await;
    let after: i64 =
        sqlx::query_scalar("select count(*) from message_templates").fetch_one(&app.state.db).await.unwrap();
    assert_eq!(after, before);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_buttons_of_the_blocks_work_without_and_with_script(db: PgPool) {
    let app = app(db);
    let fields = [LETTER, &[("act", "add:IMAGE")]].concat();
    let admin = app.admin().await;
    let whole = admin.post("/templates/blocks", &fields).await;
    assert!(whole.body.contains("<html") && whole.body.contains("Dirección de la imagen"), "{}", whole.body);
    assert!(whole.body.contains("value=\"Tarde de tinas\""), "what was typed is kept");
    let part = admin.clone().htmx().post("/templates/blocks", &fields).await;
    assert!(!part.body.contains("<html") && part.body.contains("Dirección de la imagen"), "{}", part.body);
    let mjml = admin.post("/templates/blocks", &[LETTER, &[("act", "mjml")]].concat()).await;
    assert!(mjml.body.contains("&#60;mjml"), "{}", mjml.body);
    let preview = admin.post("/templates/preview?part=html", LETTER).await;
    assert!(preview.body.contains("Hola Camila:"), "{}", preview.body);
    assert!(preview.body.contains("mj-column-per-100"), "{}", preview.body);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_ready_templates_can_be_sent_as_they_are(db: PgPool) {
    let app = app(db);
    let ready = library::list(&app.state.db, &Channel::ALL, Kind::ALL, false, None, 50).await.unwrap();
    for kind in Kind::BY_HAND {
        assert!(ready.iter().any(|it| it.kind == *kind), "{kind:?}");
    }
    for it in ready {
        let source = entry(&app, it.id).await.draft.source;
        let Ok(compiled) = template::compile(&source) else { panic!("{}", it.name) };
        let personal = ["first_name", "last_name", "company", "job_title", "comuna", "industry"];
        assert!(compiled.required().iter().all(|it| !personal.contains(it)), "{}", it.name);
        let page = app.get(&format!("/templates/{}", it.id)).await;
        assert!(!page.body.contains("text-danger"), "{}: {}", it.name, page.text());
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_ready_templates_read_right_with_a_name_and_without(db: PgPool) {
    let app = app(db);
    let ready =
        library::list(&app.state.db, &[Channel::Email], Kind::BY_HAND, false, None, 50).await.unwrap();
    let groups = ["uno", "dos", "tres"];
    assert_eq!(ready.len(), groups.len());
    for (it, group) in ready.iter().zip(groups) {
        let who = people(&app, group, 2).await;
        execute(&app, "update contacts set first_name = '' where email like '%2@x.example'").await;
        let id = it.id.to_string();
        let once = format!("0191d3a0-0000-7000-8000-00000000000{id}");
        crate::mailings::made(
            &crate::mailings::ask(&app, &who, &[("words", "template"), ("template", &id), ("once", &once)])
                .await,
        );
    }
    crate::mailings::settle(&app).await;
    drip(&app).await;
    let sent = app.mailbox.sent();
    assert_eq!(sent.len(), 2 * groups.len());
    for (it, group) in ready.iter().zip(groups) {
        for (number, hello) in [(1, format!("Hola {}1:", initial(group))), (2, "Hola:".to_owned())] {
            let to = format!("{group}{number}@x.example");
            let Some(mail) = sent.iter().find(|it| it.to_email == to) else { panic!("nothing to {to}") };
            assert!(mail.html.contains(&hello) && mail.plain.contains(&hello), "{}: {}", it.name, mail.plain);
            assert!(mail.subject.starts_with(char::is_uppercase), "{}", mail.subject);
            assert_eq!(mail.subject.contains(&initial(group)), number == 1, "{}", mail.subject);
            assert_eq!(mail.plain.contains("correo promocional"), it.kind == Kind::Offer, "{}", mail.plain);
        }
    }
}

fn initial(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_that_started_from_a_template_keeps_its_words(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 1).await;
    let id = made(&app.post("/templates", LETTER).await);
    let form = app.get(&format!("/campaigns/new?template={id}")).await;
    assert!(form.body.contains("&#60;mjml") && form.body.contains("Hola {{ first_name }}"), "{}", form.body);
    let source = entry(&app, id).await.draft.source;
    let mjml = llovizna::messaging::blocks::mjml(&llovizna::messaging::blocks::read(&source.body));
    let reply = app
        .post(
            "/campaigns",
            &[
                ("name", "Tinas"),
                ("message_type", "PROMOCIONAL"),
                ("subject", &source.subject),
                ("body_format", "MJML"),
                ("body", &mjml),
                ("footer", FOOTER),
            ],
        )
        .await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    let campaign = CampaignId(reply.location().trim_start_matches("/campaigns/").parse().unwrap());
    start(&app, campaign).await.unwrap();
    app.post(&format!("/templates/{id}"), &with(LETTER, "block_text", "Otra cosa")).await;
    app.post(&format!("/templates/{id}/archive"), &[]).await;
    drip(&app).await;
    let sent = app.mailbox.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].subject, "Hola Sur1");
    assert!(sent[0].html.contains("Tinas &amp; masajes") && !sent[0].html.contains("{{"), "{}", sent[0].html);
    assert!(sent[0].html.contains("https://a.cl/?de=sur"), "{}", sent[0].html);
    assert!(sent[0].plain.contains("Reservar (https://a.cl/?de=sur)"), "{}", sent[0].plain);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_leaves_is_what_was_made_when_the_text_was_saved(db: PgPool) {
    let app = app(db);
    let id = made(&app.post("/templates", LETTER).await);
    let template: TemplateId = entry(&app, id).await.template;
    execute(&app, "alter table message_templates disable trigger message_templates_are_kept").await;
    sqlx::query(
        "update message_templates set html = '<p>{{ job_title }}</p>', plain = 'Guardado' where id = $1",
    )
    .bind(template.0)
    .execute(&app.state.db)
    .await
    .unwrap();
    let mut db = app.state.db.acquire().await.unwrap();
    let Ok(compiled) = versions::prepared(&mut db, template).await.unwrap() else { panic!("it compiles") };
    assert_eq!(
        compiled.required(),
        ["first_name", "job_title", "business_name", "business_address", "unsubscribe_url"]
    );
    drop(db);
    let who = people(&app, "sur", 1).await;
    execute(&app, "update contacts set job_title = 'Jefa'").await;
    let fields = [
        ("words", "template"),
        ("template", &id.to_string()),
        ("once", "0191d3a0-0000-7000-8000-000000000001"),
    ];
    crate::mailings::made(&crate::mailings::ask(&app, &who, &fields).await);
    crate::mailings::settle(&app).await;
    drip(&app).await;
    let mail = &app.mailbox.sent()[0];
    assert!(mail.html.contains("<p>Jefa</p>") && mail.plain.contains("Guardado"), "{mail:?}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaigns_text_becomes_a_template_and_a_template_is_copied_and_put_away(db: PgPool) {
    let app = app(db);
    let campaign = seeded(&app).await;
    let id = made(&app.post(&format!("/campaigns/{campaign}/templates"), &[]).await);
    let it = entry(&app, id).await;
    assert_eq!(it.draft.source, get(&app, campaign).await.source);
    assert_eq!((it.draft.name.as_str(), it.draft.kind), ("Prospección Los Lagos", Kind::Offer));
    let copy = made(&app.post(&format!("/templates/{id}/copies"), &[]).await);
    assert_eq!(entry(&app, copy).await.draft.name, "Copia de Prospección Los Lagos");
    app.post(&format!("/templates/{id}/archive"), &[]).await;
    let offered = app.get("/templates").await;
    assert!(!offered.body.contains(&format!("href=\"/templates/{id}\"")), "{}", offered.body);
    let away = app.get("/templates?show=archived").await;
    assert!(away.body.contains(&format!("href=\"/templates/{id}\"")), "{}", away.body);
    app.post(&format!("/templates/{id}/archive?_method=DELETE"), &[]).await;
    assert!(app.get("/templates").await.body.contains(&format!("href=\"/templates/{id}\"")));
    let audit = app.get("/audit").await.text();
    for said in ["agregó la plantilla", "archivó la plantilla", "recuperó la plantilla"] {
        assert!(audit.contains(said), "{said}: {audit}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_only_looks_writes_no_template(db: PgPool) {
    let app = TestApp::with(db, BUSINESS);
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.get("/templates").await.status, StatusCode::OK);
    assert_eq!(reader.get("/templates/1").await.status, StatusCode::OK);
    assert_eq!(reader.get("/templates/new").await.status, StatusCode::FORBIDDEN);
    assert_eq!(reader.post("/templates", LETTER).await.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_text_is_tried_on_whoever_is_searched_for(db: PgPool) {
    let app = app(db);
    // More than are offered unasked.
    people(&app, "vecina", 30).await;
    execute(&app, "update contacts set first_name = 'Rosario' where email = 'vecina30@x.example'").await;
    let id = made(&app.post("/templates", LETTER).await);
    let page = app.get(&format!("/templates/{id}")).await.body;
    assert!(!page.contains("Rosario"), "{page}");
    let page = app.get(&format!("/templates/{id}?person=vecina30&contact=1")).await;
    let rosario = "selected>Rosario";
    assert!(page.body.contains(rosario) && page.text().contains("Hola Rosario"), "{}", page.text());
    // Who was found is left for the example, or for another, while the search stands.
    let example = app.get(&format!("/templates/{id}?person=vecina30&searched=vecina30&contact=")).await;
    assert!(
        !example.body.contains("selected>") && example.text().contains("Hola Camila"),
        "{}",
        example.text()
    );
    let other = app.get(&format!("/templates/{id}?person=vecina30&searched=vecina30&contact=7")).await.text();
    assert!(other.contains("Hola Vecina7"), "{other}");
    let options = app.get("/templates/people?person=vecina30").await.body;
    assert!(options.contains(rosario) && options.matches("<option").count() == 2, "{options}");
    let nobody = app.get("/templates/people?person=zzzzqqq").await.text();
    assert!(nobody.contains("nadie se llama así: una persona de ejemplo"), "{nobody}");
    let first = app.get("/templates/people?person=").await.body;
    assert!(first.matches("<option").count() == 26 && !first.contains("selected"), "{first}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_would_run_is_named_to_its_author_in_the_form_and_the_preview(db: PgPool) {
    let app = app(db);
    let admin = app.admin().await;
    let written = |inside: &str| {
        format!(
            "<mjml><mj-body><mj-section><mj-column>\n<mj-text>{inside}</mj-text>\n</mj-column></mj-section></mj-body></mjml>"
        )
    };
    let fields = |body: &str| {
        let all = [
            ("name", "Aviso"),
            ("kind", "OFFER"),
            ("subject", "Hola"),
            ("body_format", "MJML"),
            ("footer", "{{ unsubscribe_url }}"),
        ];
        let all = all.map(|it| (it.0, it.1.to_owned()));
        all.into_iter().chain([("body", body.to_owned())]).collect::<Vec<_>>()
    };
    let shown = async |path: &str, body: &str| {
        let fields = fields(body);
        let fields: Vec<(&str, &str)> = fields.iter().map(|it| (it.0, it.1.as_str())).collect();
        admin.post(path, &fields).await.text()
    };
    let runs =
        written("<script>alert(1)</script>\n<b onclick=\"x()\">Hola</b> <a href=\"javascript:x\">ver</a>");
    let said = "Estas partes no le llegan a nadie, porque los programas de correo quitan lo que ejecuta algo: \
                <script> (línea 2), onclick=\"…\" (línea 3), el enlace javascript: (línea 3). Quítalas del texto.";
    let said = said.replace('<', "&#60;").replace('>', "&#62;");
    for path in ["/templates/preview", "/templates/blocks", "/templates"] {
        let page = shown(path, &runs).await;
        assert!(page.contains(&said), "{path}: {page}");
    }
    let form = written("Hola\n<form action=\"https://a.cl\"></form> <iframe src=\"https://a.cl\"></iframe>");
    let foreign = "Estas partes no les llegan a muchos, porque varios programas de correo quitan lo que muestra otra página o pide \
                   datos dentro del mensaje: <form> (línea 3), <iframe> (línea 3). Pon en su lugar un enlace o un botón que \
                   lleve a esa página.";
    let foreign = foreign.replace('<', "&#60;").replace('>', "&#62;");
    let page = shown("/templates/preview", &form).await;
    assert!(page.contains(&foreign) && !page.contains("Estas partes no le llegan a nadie"), "{page}");
    let calm = shown("/templates/preview", &written("<b>Hola</b>")).await;
    assert!(!calm.contains("Estas partes no le"), "{calm}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_lost_on_the_way_is_said_wherever_the_text_stands(db: PgPool) {
    let app = app(db);
    let with = |inside: &str| {
        format!(
            "<mjml><mj-body><mj-section><mj-column><mj-text>{inside}</mj-text></mj-column></mj-section></mj-body></mjml>"
        )
    };
    let page_of = async |inside: &str| {
        let draft = Draft {
            name: inside.to_owned(),
            source: Source {
                subject: "Hola".to_owned(),
                body: with(inside),
                body_format: BodyFormat::Mjml,
                footer: FOOTER.to_owned(),
                ..Source::default()
            },
            ..Draft::new(Channel::Email)
        };
        let mut tx = app.state.db.begin().await.unwrap();
        let by = Actor::CommandLine;
        let id = library::create(&mut tx, app.now(), &by, &app.state.config, &draft).await.unwrap();
        tx.commit().await.unwrap();
        app.get(&format!("/templates/{id}")).await.text()
    };
    let (nobody, many) = ("Estas partes no le llegan a nadie", "Estas partes no les llegan a muchos");
    let page = page_of("<b onclick=\"x()\">Hola</b>").await;
    assert!(
        page.contains(nobody) && page.contains("onclick=\"…\" (línea 1)") && !page.contains(many),
        "{page}"
    );
    let page = page_of("<b>Hola</b>").await;
    assert!(!page.contains(nobody) && !page.contains(many), "{page}");
    // A campaign says it too: while it is written, and before it starts.
    let id = seeded(&app).await;
    let body = with("<embed src=\"x\"><b onclick=\"x()\">Hola</b>");
    let fields = [("name", "Aviso"), ("subject", "Hola"), ("body", body.as_str()), ("body_format", "MJML")];
    let page = app.post("/campaigns/preview", &fields).await.text();
    assert!(page.contains(nobody) && page.contains(many), "{page}");
    app.post(&format!("/campaigns/{id}"), &fields).await;
    let page = app.get(&format!("/campaigns/{id}/edit")).await.text();
    assert!(page.contains(nobody) && page.contains(many), "{page}");
    let page = app.get(&format!("/campaigns/{id}?checklist=1")).await.text();
    assert!(page.contains(nobody) && page.contains(many), "{page}");
    app.post(&format!("/campaigns/{id}"), &[("body", "Hola"), ("body_format", "TEXT")]).await;
    let page = app.get(&format!("/campaigns/{id}?checklist=1")).await.text();
    assert!(!page.contains(nobody) && !page.contains(many), "{page}");
}
