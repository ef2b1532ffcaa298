//! Texts that are kept to be used again, of each channel: seen while they are written as people would get them, and
//! every version of them kept.

use crate::{
    app::App,
    chromium::{LAPTOP, PHONE, Window},
    signing_in::sign_in,
};
use std::time::Duration;

/// Two people whose letters differ; one of them nobody knows the comuna of.
const PEOPLE: &str = "
    insert into companies (name, name_key, comuna, created_at, updated_at)
    values ('Lechería Ñadi', 'lecheria nadi', '10105', now(), now());
    insert into contacts (company_id, first_name, last_name, email, phone, search_key, created_at, updated_at)
    select id, 'Rosa', 'Gallardo', 'rosa@nadi.cl', '+56987654321', 'rosa gallardo', now(), now() from companies;
    insert into contacts (first_name, email, search_key, created_at, updated_at)
    values ('Eva', 'eva@sur.cl', 'eva', now(), now());";

const ROSA: &str = "select id::text from contacts where first_name = 'Rosa'";

const TITLE: &str = "[aria-label='Bloque 1: título']";
const TEXT: &str = "[aria-label='Bloque 2: texto']";
const FRAME: &str = ".letter-frame";

async fn opened() -> (App, Window) {
    let app = App::start(&[]).await;
    app.run(PEOPLE).await;
    let window = Window::open_at(&app.url, LAPTOP).await;
    sign_in(&window).await;
    (app, window)
}

/// Save, and stay where the words are still wrong.
async fn save(window: &Window) {
    window.click(".form-actions button[type=submit]").await;
}

/// How many pixels wide the letter is shown.
async fn width_of_the_letter(window: &Window, kind: &str) -> i64 {
    for _ in 0..50 {
        // A preview that comes in meanwhile moves the choice away from under the press.
        window.tick("width", kind, true).await;
        let wide = window.width_of(FRAME).await;
        if (kind == "phone") == (wide <= 375) {
            return wide;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    window.width_of(FRAME).await
}

#[tokio::test]
async fn who_writes_on_a_telephone_begins_with_a_letter_as_telephones_show_it() {
    let (app, window) = opened().await;
    let chosen = "[name=width]:checked";
    window.open("/templates/new").await;
    assert_eq!(window.attribute(chosen, "value").await, "desktop");
    let phone = Window::open_at(&app.url, PHONE).await;
    sign_in(&phone).await;
    phone.open("/templates/new").await;
    assert_eq!(phone.attribute(chosen, "value").await, "phone");
    assert!(phone.width_of(FRAME).await <= 375);
    phone.close().await;
    window.close().await;
}

#[tokio::test]
async fn a_letter_of_ready_blocks_is_seen_for_each_person_and_an_earlier_one_is_taken_up_again() {
    let (app, window) = opened().await;
    window.open("/templates").await;
    window.press("Nueva plantilla").await;
    window.press("De Correo").await;

    // What nobody has written yet is not wrong, and where it will stand is seen.
    window.sees_in("#preview", "Escribe el mensaje y lo verás aquí.").await;
    window.sees_in_frame(FRAME, "(título) (texto)").await;
    assert_eq!(window.texts_of(".text-danger").await, [""; 0]);
    window.picture("template-unwritten").await;
    window.fill("name", "Se viene la lluvia").await;
    window.fill("subject", "{{ first_name }}, se viene la lluvia").await;
    window.fill_in(TITLE, "Lluvia en {{ comuna }}").await;
    window.sees_in("#preview", "Camila, se viene la lluvia").await;
    window.sees_in_frame(FRAME, "Lluvia en Puerto Montt (texto)").await;
    assert_eq!(window.texts_of("#preview .text-danger").await, [""; 0]);
    window.fill_in(TEXT, "Hola {{ first_name }}: guardamos leña seca para ti.").await;

    // As one of them would read it, at a desk and on a telephone, and without pictures or colours.
    window.fill("contact_id", &app.one::<String>(ROSA).await).await;
    window.sees_in("#preview", "Rosa, se viene la lluvia").await;
    window.sees_in_frame(FRAME, "Lluvia en Frutillar Hola Rosa: guardamos leña seca para ti.").await;
    let desk = width_of_the_letter(&window, "desktop").await;
    assert!(desk >= 640, "{desk}");
    window.picture("template-desk").await;
    assert_eq!(width_of_the_letter(&window, "phone").await, 375);
    window.press("Versión de solo texto").await;
    window.sees_in("#preview .letter-text", "Hola Rosa: guardamos leña seca para ti.").await;
    window.sees_in("#preview .letter-text", "Avenida Alemania 451").await;
    window.picture("template-telephone").await;
    // Whoever is searched for: who lacks what the text tells of would not get it.
    window.fill("person", "eva").await;
    window.sees_in("#preview", "Falta un dato: comuna de la persona o de su empresa").await;
    window.sees_in_frame(FRAME, "Este mensaje no saldría.").await;
    window.fill("person", "nadie se llama asi").await;
    window.sees_in("#field-contact_id", "nadie se llama así: una persona de ejemplo").await;
    window.sees_in("#preview", "Camila, se viene la lluvia").await;

    // A variable that there is not is told while it is typed, and is not saved.
    window.fill_in(TEXT, "Hola {{ nombre }}: guardamos leña seca para ti.").await;
    window.sees_in("#preview", "Bloque 2 (texto): La variable {{ nombre }} no existe.").await;
    window.sees_in("#preview", "¿Quisiste decir {{ first_name }}?").await;
    save(&window).await;
    window.sees_in("#blocks", "¿Quisiste decir {{ first_name }}?").await;
    window.picture("template-wrong").await;
    assert_eq!(app.one::<i64>("select count(*) from library_templates where name like 'Se viene%'").await, 0);
    window.fill_in(TEXT, "Hola {{ first_name }}: guardamos leña seca para ti.").await;
    save(&window).await;
    window.sees("Guardamos la plantilla").await;
    window.sees_in_frame(FRAME, "Hola Camila: guardamos leña seca para ti.").await;

    // Saved anew it is a version more; the first is still there, and becomes the third.
    window.press("Editar").await;
    window.fill("subject", "Ya llueve, {{ first_name }}").await;
    save(&window).await;
    window.sees("Guardado. Las campañas y mensajes que ya la usan no cambian.").await;
    window.sees_in("#content-preview", "Ya llueve, Camila").await;
    window.press("Versión 1").await;
    window.sees_in("#content-preview", "Camila, se viene la lluvia").await;
    window.press("Volver a esta versión").await;
    window.sees("El texto de antes rige de nuevo, como versión 3.").await;
    window.sees_in("#content-preview", "Camila, se viene la lluvia").await;
    window.picture("template-taken-up").await;
    let versions = "select string_agg(t.version || ' ' || t.subject, ', ' order by t.version)
        from message_templates t join message_templates now on now.name = t.name
        join library_templates l on l.template_id = now.id where l.name = 'Se viene la lluvia'";
    assert_eq!(
        app.one::<String>(versions).await,
        "1 {{ first_name }}, se viene la lluvia, 2 Ya llueve, {{ first_name }}, 3 {{ first_name }}, se viene la lluvia"
    );
    let rules =
        "select t.version::bigint from library_templates l join message_templates t on t.id = l.template_id
        where l.name = 'Se viene la lluvia'";
    assert_eq!(app.one::<i64>(rules).await, 3);
    window.close().await;
}

#[tokio::test]
async fn a_letter_in_mjml_is_seen_as_it_leaves_and_a_mistake_in_it_is_shown_with_its_line() {
    let (app, window) = opened().await;
    window.open("/templates/new").await;
    window.fill("body_format", "MJML").await;
    window.fill("name", "Carta del jueves").await;
    window.fill("subject", "El jueves en {{ comuna }}").await;
    window.fill("body", "<mjml>\n<mj-body>\n<mj-texto>Hola</mj-texto>\n</mj-body>\n</mjml>").await;
    window.sees_in("#preview .text-danger", "Línea 3: la etiqueta <mj-texto> no existe en MJML").await;
    window.picture("template-mjml-wrong").await;
    let letter = "<mjml><mj-body><mj-section>\
        <mj-column><mj-text>Hola {{ first_name }}, el jueves abrimos en {{ comuna }}.</mj-text></mj-column>\
        <mj-column><mj-button href=\"https://lluviasur.example/jueves\">Reservar</mj-button></mj-column>\
        </mj-section></mj-body></mjml>";
    window.fill("body", letter).await;
    window.fill("contact_id", &app.one::<String>(ROSA).await).await;
    window.sees_in("#preview", "El jueves en Frutillar").await;
    window.sees_in_frame(FRAME, "Hola Rosa, el jueves abrimos en Frutillar. Reservar").await;
    window.press("Versión de solo texto").await;
    window.sees_in("#preview .letter-text", "Reservar (https://lluviasur.example/jueves)").await;
    window.picture("template-mjml").await;
    // What was unfolded stays so while one goes on writing.
    window.fill("subject", "Este jueves en {{ comuna }}").await;
    window.sees_in("#preview", "Este jueves en Frutillar").await;
    window.sees_in("#preview .letter-text", "Hola Rosa, el jueves abrimos en Frutillar.").await;
    save(&window).await;
    window.sees("Guardamos la plantilla").await;
    window.sees("MJML").await;
    window.sees_in_frame(FRAME, "Hola Camila, el jueves abrimos en Puerto Montt. Reservar").await;
    assert_eq!(
        app.one::<String>("select body_format from message_templates where subject like 'Este jueves%'")
            .await,
        "MJML"
    );
    window.close().await;
}

#[tokio::test]
async fn a_text_message_tells_its_parts_and_its_cost_at_each_letter() {
    let (app, window) = opened().await;
    window.open("/settings/sms").await;
    window.fill("part_price", "12,50").await;
    window.press("Guardar").await;
    window.open("/templates").await;
    window.press("Nueva plantilla").await;
    window.press("De SMS").await;
    window.sees_in("#measure", "Camila: ¿No quieres SMS? Responde BAJA").await;
    window.fill("name", "Leña por SMS").await;
    window.fill("body", "").await;
    window.sees_in("#measure", "Escribe el mensaje y lo verás aquí.").await;
    assert_eq!(window.texts_of(".text-danger").await, [""; 0]);

    // The counter follows the typing.
    window.fill("body", "Hola {{ first_name }}: hay leña").await;
    window.sees_in("#measure .bubble", "Hola Camila: hay leña").await;
    window.sees_in("#measure", "21 de 160 · 1 parte · GSM-7").await;
    window.sees_in("#measure", "$12,50 por persona").await;
    window.fill("contact_id", &app.one::<String>(ROSA).await).await;
    window.sees_in("#measure", "Hola Rosa: hay leña").await;
    window.sees_in("#measure", "19 de 160 · 1 parte · GSM-7").await;
    window.point_at("#field-body").await;
    window.key(&" y seca".repeat(20)).await;
    window.sees_in("#measure", "159 de 160 · 1 parte · GSM-7").await;
    window.key(" ya").await;
    window.sees_in("#measure", "162 de 306 · 2 partes · GSM-7").await;
    window.sees_in("#measure", "$25 por persona").await;

    // One accent, and it costs more; what to write instead is said, and a press writes it.
    window.fill("body", "Más leña ☀ para {{ first_name }}").await;
    window.sees_in("#measure", "UCS-2").await;
    window.sees_in("#measure", "de 70 · 1 parte").await;
    window
        .sees_in(
            "#measure",
            "Estos signos hacen que cada parte lleve menos de la mitad: á por a ☀ sin reemplazo",
        )
        .await;
    window.picture("template-sms-dear").await;
    window.press("Quitar tildes").await;
    window.holds("#field-body", "Mas leña ☀ para {{ first_name }}").await;
    window
        .sees_in("#measure", "Este signo hace que cada parte lleve menos de la mitad: ☀ sin reemplazo")
        .await;
    window.fill("body", "Mas leña para {{ first_name }}.").await;
    window.sees_in("#measure", "GSM-7").await;

    // A promotion says how to stop.
    save(&window).await;
    window.sees("Di cómo dejar de recibir").await;
    window.press("Agregar cómo darse de baja").await;
    window.holds("#field-body", "Mas leña para {{ first_name }}. ¿No quieres SMS? Responde BAJA").await;
    window.sees_in("#measure", "Responde BAJA").await;
    window.picture("template-sms").await;
    save(&window).await;
    window.sees("Guardamos la plantilla").await;
    window.sees("1 parte · GSM-7").await;
    window.picture("template-sms-kept").await;
    let kept = "select t.communication_type || ': ' || t.body from library_templates l join message_templates t on t.id = l.template_id
        where l.name = 'Leña por SMS'";
    assert_eq!(
        app.one::<String>(kept).await,
        "SMS: Mas leña para {{ first_name }}. ¿No quieres SMS? Responde BAJA"
    );
    window.close().await;
}

#[tokio::test]
async fn a_whatsapp_text_is_kept_as_meta_has_it_with_what_meta_answered() {
    let (app, window) = opened().await;
    window.open("/templates").await;
    window.press("Nueva plantilla").await;
    window.press("De WhatsApp").await;
    window.fill("name", "Leña por WhatsApp").await;
    window.fill("registered_name", "aviso_lena").await;
    window.fill("body", "Hola {{nombre}}, llegó leña seca.").await;
    // The variables are read from the text as it is written; each takes a datum.
    window.sees_in("#variables", "{{nombre}}").await;
    window.fill("ours", "first_name").await;
    window.fill("fallback", "vecina").await;
    window.fill("sample", "Camila").await;
    window.fill("contact_id", &app.one::<String>(ROSA).await).await;
    window.sees_in("#measure .bubble", "Hola Rosa, llegó leña seca.").await;
    window.picture("template-whatsapp").await;
    save(&window).await;
    window.sees("Guardamos la plantilla").await;
    window.sees_in("#meta", "aviso_lena").await;
    window.sees_in("#meta", "Estado Sin respuesta de Meta").await;
    window.fill("approval", "APPROVED").await;
    window.press("Anotar").await;
    window.sees_in("#meta", "Estado Aprobada por Meta").await;
    window.picture("template-whatsapp-kept").await;
    let approval = "select approval from library_templates where name = 'Leña por WhatsApp'";
    assert_eq!(app.one::<String>(approval).await, "APPROVED");

    // Another text is another to Meta.
    window.press("Editar").await;
    window.fill("body", "Hola {{nombre}}, llegó leña seca de ulmo.").await;
    save(&window).await;
    window.sees_in("#meta", "Estado Sin respuesta de Meta").await;
    assert_eq!(app.one::<String>(approval).await, "UNSENT");
    window.close().await;
}
