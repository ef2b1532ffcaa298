//! Templates of SMS and WhatsApp: counted, priced, registered, told apart from email's; and old versions put in force again.

use crate::{
    campaigns::app,
    support::{Reply, TestApp},
    templates::entry,
};
use axum::http::StatusCode;
use llovizna::{
    access::Role,
    channels::{Channel, sms as signs},
    db::MIGRATIONS,
    error::Error,
    ids::LibraryId,
    mailings::Words,
    messaging::{
        library::{self, Kind},
        sms,
        whatsapp::Approval,
    },
    settings::Business,
};
use sqlx::PgPool;

fn made(reply: &Reply) -> LibraryId {
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    LibraryId(reply.location().trim_start_matches("/templates/").parse().unwrap())
}

fn text<'a>(name: &'a str, body: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("channel", "SMS"), ("name", name), ("kind", "OFERTA"), ("body", body)]
}

const SMS: &str = "Hola {{ first_name | default(\"\") }}: 20% esta semana. ¿No quieres SMS? Responde BAJA";

/// A text as Meta has it.
const WHATSAPP: &[(&str, &str)] = &[
    ("channel", "WHATSAPP"),
    ("name", "Oferta por WhatsApp"),
    ("kind", "OFERTA"),
    ("registered_name", "oferta_mensual"),
    ("language", "es_CL"),
    ("category", "MARKETING"),
    ("body", "Hola {{nombre}}, esta semana hay 20% de descuento."),
    ("variable", "nombre"),
    ("ours", "first_name"),
    ("fallback", "vecina"),
    ("sample", "Camila"),
    ("footer", "Responde BAJA para no recibir más"),
];

fn with<'a>(fields: &[(&'a str, &'a str)], name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    fields.iter().map(|it| if it.0 == name { (it.0, value) } else { *it }).collect()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_text_message_is_counted_and_priced_while_it_is_written_and_afterwards(db: PgPool) {
    let app = app(db);
    let price = app.post("/settings/sms", &[("part_price", "12,5")]).await;
    assert_eq!(price.status, StatusCode::SEE_OTHER, "{}", price.text());
    assert!(app.get("/settings/sms").await.body.contains("value=\"$12,50\""));
    assert_eq!(
        app.post("/settings/sms", &[("part_price", "doce")]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );

    let preview = async |body: &str| app.post("/templates/preview", &text("x", body)).await;
    let short = preview(&"a".repeat(160)).await.text();
    assert!(
        short.contains("160 de 160") && short.contains("1 parte · GSM-7") && short.contains("$12,50"),
        "{short}"
    );
    let long = preview(&"a".repeat(161)).await.text();
    assert!(
        long.contains("161 de 306") && long.contains("2 partes") && long.contains("$25 por persona"),
        "{long}"
    );
    let costly = preview("Más 😀").await.text();
    assert!(
        costly.contains("UCS-2") && costly.contains("á por a") && costly.contains("sin reemplazo"),
        "{costly}"
    );
    // For the longest names it is another number of parts.
    let body = format!("{} {{{{ company }}}}", "a".repeat(140));
    let far = preview(&body).await.text();
    assert!(far.contains("1 parte") && far.contains("A lo más 2 partes · $25"), "{far}");
    let wrong = preview("{{ nombre }}").await.text();
    assert!(wrong.contains("¿Quisiste decir {{ first_name }}?"), "{wrong}");

    let id = made(&app.post("/templates", &text("Oferta", SMS)).await);
    let it = entry(&app, id).await;
    assert_eq!(
        (it.draft.channel, it.draft.source.subject.as_str(), it.draft.source.footer.as_str()),
        (Channel::Sms, "", "")
    );
    let page = app.get(&format!("/templates/{id}")).await;
    assert!(page.text().contains("Hola Camila: 20% esta semana."), "{}", page.text());
    assert!(page.text().contains("1 parte · GSM-7"), "{}", page.text());
    assert!(!page.body.contains("Usar en una campaña") && !page.body.contains("<iframe"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_a_text_message_lacks_is_told_and_its_buttons_work_without_script(db: PgPool) {
    let app = app(db);
    let check = async |body: &str, part: &str| {
        let reply = app.post("/templates", &text("Oferta", body)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{part}");
        assert!(reply.text().contains(part), "{part}: {}", reply.text());
    };
    check("", "Escribe el mensaje.").await;
    check("Todo baja de precio", "Di cómo dejar de recibir").await;
    check(&format!("{} BAJA", "a".repeat(480)), "el proveedor corta en 480").await;
    check("{{ nombre }} BAJA", "¿Quisiste decir").await;
    let service = with(&text("Aviso", "Tu pedido va en camino"), "kind", "TRANSACTIONAL");
    made(&app.post("/templates", &service).await);

    let admin = app.admin().await;
    let press = [&text("Oferta", "“Más” días")[..], &[("act", "plain")]].concat();
    let whole = admin.post("/templates/blocks", &press).await;
    assert!(
        whole.body.contains("<html") && whole.body.contains("&#34;Mas&#34; dias</textarea>"),
        "{}",
        whole.body
    );
    let part = admin.clone().htmx().post("/templates/blocks", &press).await;
    assert!(
        !part.body.contains("<html") && part.body.contains("&#34;Mas&#34; dias</textarea>"),
        "{}",
        part.body
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_ready_text_messages_take_one_part_with_the_longest_names(db: PgPool) {
    let app = app(db);
    let ready = library::list(&app.state.db, &[Channel::Sms], Kind::ALL, false, None, 50).await.unwrap();
    assert!(ready.len() >= 6);
    let business = Business { name: "Termas Aguas del Sur Limitada".into(), ..Business::default() };
    for it in ready {
        let draft = entry(&app, it.id).await.draft;
        let is_promotional = draft.kind.message_type().is_promotional();
        let problems = sms::problems(&draft.source, is_promotional, &business, "https://crm.termas.cl");
        assert_eq!(problems, [], "{}", it.name);
        let text = sms::longest(&draft.source, &business, "https://crm.termas.cl").unwrap();
        let count = signs::count(&text);
        assert_eq!((count.parts, count.encoding), (1, signs::Encoding::Gsm7), "{}: {text}", it.name);
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn only_what_can_be_sent_is_offered_for_sending(db: PgPool) {
    let app = app(db);
    let sms = made(&app.post("/templates", &text("Solo para teléfonos", SMS)).await);
    let whatsapp = made(&app.post("/templates", WHATSAPP).await);
    let form = app.get("/campaigns/new").await;
    assert!(!form.body.contains("Solo para teléfonos") && !form.body.contains("Oferta por WhatsApp"));
    for id in [sms, whatsapp] {
        let reply = app.get(&format!("/campaigns/new?template={id}")).await;
        assert_eq!(
            (reply.status, reply.location()),
            (StatusCode::SEE_OTHER, format!("/templates/{id}").as_str())
        );
        let mut db = app.state.db.acquire().await.unwrap();
        assert!(matches!(Words::Template(id).read(&mut db).await, Err(Error::Invalid(_))));
    }
    let offered = library::choices(&app.state.db, Channel::Email, Kind::ALL).await.unwrap();
    assert!(!offered.is_empty() && offered.iter().all(|it| ![sms, whatsapp].contains(&it.0)));
    let shown = async |channel: &str| app.get(&format!("/templates?channel={channel}")).await.body;
    assert!(
        shown("SMS").await.contains("Solo para teléfonos")
            && !shown("EMAIL").await.contains("Solo para teléfonos")
    );
    let away = app.get("/templates?show=OFERTA&channel=WHATSAPP").await.body;
    assert!(away.contains("Oferta por WhatsApp") && !away.contains("Solo para teléfonos"), "{away}");
    let copy = app.post(&format!("/templates/{whatsapp}/copies"), &[]).await;
    let copy = LibraryId(
        copy.location().trim_start_matches("/templates/").trim_end_matches("/edit").parse().unwrap(),
    );
    let (copied, original) = (entry(&app, copy).await.draft.source, entry(&app, whatsapp).await.draft.source);
    assert_eq!((&copied.body, &copied.footer), (&original.body, &original.footer));
    assert_eq!(copied.registration.unwrap().name, "oferta_mensual_copia");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_whatsapp_text_keeps_how_meta_knows_it(db: PgPool) {
    let app = app(db);
    let id = made(&app.post("/templates", WHATSAPP).await);
    let registration = entry(&app, id).await.draft.source.registration.unwrap();
    assert_eq!(
        (registration.name.as_str(), registration.variables[0].ours.as_str()),
        ("oferta_mensual", "first_name")
    );
    let page = app.get(&format!("/templates/{id}")).await.text();
    assert!(page.contains("Hola Camila, esta semana hay 20% de descuento."), "{page}");
    assert!(page.contains("Llovizna todavía no está conectada a WhatsApp"), "{page}");
    let check = async |name: &str, value: &str, part: &str| {
        let reply = app.post("/templates", &with(WHATSAPP, name, value)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{part}");
        assert!(reply.text().contains(part), "{part}: {}", reply.text());
    };
    check("registered_name", "Oferta Mensual", "tal como está en Meta").await;
    check("body", "{{nombre}}, hola", "empiece o termine con una variable").await;
    check("ours", "", "Elige qué dato va en {{nombre}}.").await;
    check("sample", " ", "Escribe un ejemplo de {{nombre}}").await;
    check("footer", "Saludos", "Di cómo dejar de recibir").await;
    // Its variables follow the words, with and without script.
    let asked = with(WHATSAPP, "body", "Hola {{nombre}} de {{empresa}}.");
    let fields = app.admin().await.htmx().post("/templates/blocks", &asked).await.body;
    assert!(
        fields.contains("{{empresa}}") && fields.contains("value=\"vecina\"") && !fields.contains("<html"),
        "{fields}"
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_meta_said_holds_for_the_text_that_it_saw(db: PgPool) {
    let app = app(db);
    let id = made(&app.post("/templates", WHATSAPP).await);
    let path = format!("/templates/{id}");
    let first = entry(&app, id).await;
    assert_eq!(first.approval, Approval::Unsent);
    let version = first.template.to_string();
    let said = [("version", version.as_str()), ("approval", "APPROVED")];
    app.post(&format!("{path}/approval"), &said).await;
    assert_eq!(entry(&app, id).await.approval, Approval::Approved);
    // Another name for the staff is the same text; other words are not.
    app.post(&path, &with(WHATSAPP, "name", "Otro nombre")).await;
    assert_eq!(entry(&app, id).await.approval, Approval::Approved);
    // Nor do they change by what Meta takes them for, or by what stands for a variable here.
    app.post(&path, &with(WHATSAPP, "category", "UTILITY")).await;
    app.post(&path, &with(WHATSAPP, "fallback", "vecino")).await;
    let same = entry(&app, id).await;
    assert_eq!((same.approval, same.version), (Approval::Approved, 3));
    app.post(&path, &with(WHATSAPP, "footer", "Responde SALIR para no recibir más")).await;
    let second = entry(&app, id).await;
    assert_eq!((second.approval, second.version), (Approval::Unsent, 4));
    let late = app.post(&format!("{path}/approval"), &said).await;
    assert!(late.status.is_client_error() || late.status == StatusCode::SEE_OTHER);
    assert_eq!(entry(&app, id).await.approval, Approval::Unsent, "it was said of another version");
    let sms = made(&app.post("/templates", &text("Oferta", SMS)).await);
    let version = entry(&app, sms).await.template.to_string();
    app.post(&format!("/templates/{sms}/approval"), &[("version", &version), ("approval", "APPROVED")]).await;
    assert_eq!(entry(&app, sms).await.approval, Approval::Unsent);
    let audit = app.get("/audit").await.text();
    assert!(audit.contains("anotó lo que dijo Meta de la plantilla"), "{audit}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn one_text_of_metas_is_one_template(db: PgPool) {
    let app = app(db);
    let id = made(&app.post("/templates", WHATSAPP).await);
    let twice = app.post("/templates", &with(WHATSAPP, "name", "La misma")).await;
    assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(twice.text().contains("«Oferta por WhatsApp» ya tiene ese nombre de Meta"), "{}", twice.text());
    made(&app.post("/templates", &with(WHATSAPP, "language", "es_UY")).await);
    app.post(&format!("/templates/{id}/copies"), &[]).await;
    let again = app.post(&format!("/templates/{id}/copies"), &[]).await;
    let again: i64 =
        again.location().trim_start_matches("/templates/").trim_end_matches("/edit").parse().unwrap();
    let copied = entry(&app, LibraryId(again)).await.draft.source.registration.unwrap();
    assert_eq!(copied.name, "oferta_mensual_copia_2");
    // What is put away holds no name, and does not come back while another has it.
    app.post(&format!("/templates/{id}/archive"), &[]).await;
    made(&app.post("/templates", &with(WHATSAPP, "name", "La misma")).await);
    app.post(&format!("/templates/{id}/archive?_method=DELETE"), &[]).await;
    assert!(entry(&app, id).await.archived_at.is_some());
}

async fn versions(app: &TestApp, id: LibraryId) -> Vec<String> {
    let versions = library::versions(&app.state.db, id).await.unwrap();
    let ids: Vec<i64> = versions.iter().map(|it| it.template.0).collect();
    sqlx::query_scalar("select body from message_templates where id = any ($1) order by version")
        .bind(ids)
        .fetch_all(&app.state.db)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_old_version_comes_back_as_a_new_one_and_nothing_is_rewritten(db: PgPool) {
    let app = app(db);
    let id = made(&app.post("/templates", &text("Oferta", SMS)).await);
    let other = made(&app.post("/templates", &text("Otra", "Otra cosa. Responde BAJA")).await);
    let path = format!("/templates/{id}");
    let first = entry(&app, id).await;
    app.post(&path, &text("Oferta", "Texto nuevo. Responde BAJA")).await;
    assert_eq!(entry(&app, id).await.version, 2);
    let old = app.get(&format!("{path}?version={}", first.template)).await;
    assert!(old.body.contains("Volver a esta versión"), "{}", old.body);
    assert!(!app.get(&path).await.body.contains("Volver a esta versión"), "it is in force");

    let reader = app.as_role(Role::ReadOnly).await;
    let version = first.template.to_string();
    let back = [("version", version.as_str())];
    assert_eq!(reader.post(&format!("{path}/versions"), &back).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.post(&format!("{path}/versions"), &back).await.status, StatusCode::SEE_OTHER);
    let now = entry(&app, id).await;
    assert_eq!((now.version, &now.draft), (3, &first.draft));
    assert_ne!(now.template, first.template);
    assert_eq!(versions(&app, id).await, [SMS, "Texto nuevo. Responde BAJA", SMS]);
    // Once more changes nothing, and another text's version is none of its own.
    app.post(&format!("{path}/versions"), &back).await;
    assert_eq!(entry(&app, id).await.version, 3);
    let strange = entry(&app, other).await.template.to_string();
    let reply = app.post(&format!("{path}/versions"), &[("version", &strange)]).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let audit = app.get("/audit").await.text();
    assert!(audit.contains("volvió a un texto anterior de la plantilla"), "{audit}");
}
