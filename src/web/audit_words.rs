//! An audited change in words: what was done to what. Knows nothing of who did it; its fields are [`super::audit_fields`]'s.

/// What was done, and to what: `cambió las preferencias del`, `contacto 7`.
pub(super) fn phrase(action: &str, kind: &str, id: Option<i64>) -> (String, String) {
    let (mut what, subject) =
        (verb(action).unwrap_or_else(|| action.replace(['.', '_'], " ")), with_article(kind));
    let subject = match (subject.strip_prefix("el "), id) {
        (_, None) if kind == "contact" => "los contactos",
        (_, None) if kind == "company" => "las empresas",
        (_, None) if kind == "suppression" => "la lista de exclusión",
        // «de el» is written «del», and «a el» «al».
        (Some(noun), _) if what.ends_with(" de") || what.ends_with(" a") => {
            what.push('l');
            noun
        }
        _ => subject,
    };
    (what, id.map_or_else(|| subject.to_owned(), |id| format!("{subject} {id}")))
}

/// A noun as people read it.
pub(super) fn noun(kind: &str) -> &str {
    match kind {
        "staff" => "Persona del equipo",
        "contact" => "Contacto",
        "company" => "Empresa",
        "campaign" => "Campaña",
        "import" => "Importación",
        "template" => "Plantilla",
        "mailing" => "Envío a mano",
        "proposal" => "Propuesta de la IA",
        "copywriter" => "Textos con IA",
        "bulk_action" => "Cambio masivo",
        "message" | "communication_log" => "Mensaje",
        "inbound_event" => "Rebote o respuesta",
        "suppression" => "Lista de exclusión",
        "frequency_cap" => "Tope de frecuencia",
        "holiday" => "Feriado",
        "business" => "Datos del negocio",
        "email" => "Canal de correo",
        "sms" => "Canal de SMS",
        "whatsapp" => "Canal de WhatsApp",
        "interest" => "Interés",
        "segment" => "Segmento",
        "list" => "Lista",
        "value_segments" => "Segmentos de valor",
        "pipeline_stage" => "Etapa del embudo",
        "task" => "Tarea",
        "view" => "Vista guardada",
        "relationship" => "Inactividad",
        "launching" => "Espera al iniciar campañas",
        "words" => "Palabras de baja y de alta",
        "settings" => "Ajustes",
        "job" => "Trabajo programado",
        other => other,
    }
}

/// A noun as the object of a sentence.
fn with_article(kind: &str) -> &str {
    match kind {
        "staff" => "la cuenta",
        "contact" => "el contacto",
        "company" => "la empresa",
        "campaign" => "la campaña",
        "import" => "la importación",
        "template" => "la plantilla",
        "mailing" => "el envío a mano",
        "proposal" => "la propuesta de la IA",
        "copywriter" => "los textos con IA",
        "bulk_action" => "el cambio masivo",
        "message" | "communication_log" => "el mensaje",
        "inbound_event" => "el rebote o respuesta",
        "suppression" => "la exclusión",
        "frequency_cap" => "el tope de frecuencia",
        "holiday" => "el feriado",
        "business" => "los datos del negocio",
        "email" => "el canal de correo",
        "sms" => "el canal de SMS",
        "whatsapp" => "el canal de WhatsApp",
        "interest" => "el interés",
        "segment" => "el segmento",
        "list" => "la lista",
        "value_segments" => "los segmentos de valor",
        "pipeline_stage" => "la etapa del embudo",
        "task" => "la tarea",
        "view" => "la vista guardada",
        "relationship" => "los días de inactividad",
        "launching" => "la espera al iniciar campañas",
        "words" => "las palabras de baja y de alta",
        "settings" => "los ajustes",
        "job" => "el trabajo programado",
        other => other,
    }
}

/// What was done, as people read it, up to its object; none for an action that has no words yet.
fn verb(action: &str) -> Option<String> {
    let (kind, verb) = action.split_once('.').unwrap_or(("", action));
    let words = match (kind, verb) {
        ("staff", "reset_password") => "creó una contraseña nueva para",
        ("staff", "change_password" | "set_password") => "cambió la contraseña de",
        ("staff", "rename") => "cambió el nombre de",
        ("staff", "deactivate") => "desactivó",
        ("staff", "activate") => "activó",
        ("settings", "email_test") => "envió una prueba por",
        ("template", "archive") => "archivó",
        ("segment", "return") => "volvió a una versión anterior de",
        ("template", "return") => "volvió a un texto anterior de",
        ("template", "approve") => "anotó lo que dijo Meta de",
        ("mailing", "create") => "pidió",
        ("proposal", "ask") => "pidió a la IA textos para",
        ("proposal", "approve") => "aprobó",
        ("proposal", "take") => "usó sin revisar",
        ("proposal", "take_back") => "quitó del borrador",
        ("campaign", "variants") => "cambió los textos en prueba de",
        ("campaign", "own_text") => "cambió el texto de un rubro de",
        ("campaign", "own_text_removal") => "quitó el texto de un rubro de",
        ("campaign", "winner") => "eligió el mejor texto de",
        ("campaign", "test_received") => "confirmó que llegó la prueba de",
        ("campaign", "test") => "envió un mensaje de prueba de",
        ("campaign", "take_back") => "detuvo antes de que saliera",
        ("campaign", "retry_failed") => "reintentó los mensajes fallidos de",
        ("message", "decide") => "decidió sobre",
        ("inbound_event", "assign") => "asignó a su mensaje",
        ("inbound_event", "set_aside") | ("proposal", "refuse") => "descartó",
        ("preferences", _) => "cambió las preferencias de",
        ("rhythm", _) => "cambió cada cuánto se le escribe a",
        ("quiet_hours", _) => "cambió las horas sin mensajes de",
        ("consent", "withdraw") => "retiró el consentimiento de",
        ("consent", _) => "registró el consentimiento de",
        ("contact", "lifecycle") => "cambió la etapa de",
        ("contact" | "company", "export") => "descargó un archivo con",
        ("contact", "merge") => "unió otra ficha con",
        ("contact", "unmerge") => "separó otra ficha de",
        ("duplicate", "dismiss") => "descartó un duplicado de",
        ("duplicate", "reopen") => "volvió a proponer un duplicado de",
        ("interest", "add") => "agregó un interés a",
        ("interest", "remove") => "quitó un interés a",
        ("interest", "join") => "juntó con otro",
        ("interaction", "create") => "anotó una interacción con",
        ("interaction", "remove") => "quitó una interacción con",
        ("pipeline", "add") => "puso en el embudo a",
        ("pipeline", "move") => "movió en el embudo a",
        ("pipeline", "remove") => "sacó del embudo a",
        ("pipeline", _) => "cambió en el embudo a",
        ("pipeline_stage", "order") => "ordenó",
        ("task", "done") => "marcó",
        ("suppression", "import") => "cargó direcciones en",
        ("list", "add") => "agregó personas a",
        ("list", "join") => "puso en una lista a",
        ("list", "leave") => "sacó de una lista a",
        ("list", "remove") => "quitó a alguien de",
        ("list", "put_back") => "volvió a poner a alguien en",
        ("list", "make_contacts") => "creó contactos con las direcciones de",
        (_, "restore") => "recuperó",
        ("import", "correct") => "corrigió filas de",
        ("import", "restate") => "cambió el permiso de",
        ("import", "declare") => "declaró el permiso de las personas de",
        ("import", "export_rejected") => "descargó las filas rechazadas de",
        ("staff", "unlock") => "desbloqueó la entrada de",
        (_, "create" | "add") => "agregó",
        (_, "update" | "edit") => "cambió",
        ("contact" | "company", "delete") => "eliminó",
        (_, "delete" | "remove") => "quitó",
        (_, "launch") => "inició",
        (_, "pause") => "puso en pausa",
        (_, "resume") => "reanudó",
        (_, "cancel") => "canceló",
        (_, "finish") => "terminó",
        (_, "apply" | "confirm") => "confirmó",
        (_, "upload") => "subió",
        (_, "undo") => "deshizo",
        (_, "lift") => "levantó",
        (_, "retry") => "reintentó",
        (_, "run") => "ejecutó",
        _ => return None,
    };
    Some(words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_as_a_spanish_sentence() {
        let told = |action: &str, kind: &str| {
            let (what, subject) = phrase(action, kind, Some(7));
            format!("{what} {subject}")
        };
        assert_eq!(told("consent.withdraw", "contact"), "retiró el consentimiento del contacto 7");
        assert_eq!(told("consent.grant", "contact"), "registró el consentimiento del contacto 7");
        assert_eq!(told("preferences.update", "contact"), "cambió las preferencias del contacto 7");
        assert_eq!(told("settings.email_test", "email"), "envió una prueba por el canal de correo 7");
        assert_eq!(
            told("campaign.retry_failed", "campaign"),
            "reintentó los mensajes fallidos de la campaña 7"
        );
        assert_eq!(told("contact.update", "contact"), "cambió el contacto 7");
        assert_eq!(told("interest.add", "contact"), "agregó un interés al contacto 7");
        assert_eq!(phrase("contact.export", "contact", None).1, "los contactos");
        assert_eq!(
            told("contact.mark_read", "contact"),
            "contact mark read el contacto 7",
            "at least readable"
        );
    }

    /// Second halves of what looks like an action and is a file, a host or a column.
    const ELSE: &[&str] = &[
        "bki", "cl", "com", "css", "csv", "example", "js", "key", "log", "pid", "starting", "svg", "users",
        "xlsx", "xml",
    ];

    /// Every `noun.verb` between quotes in the code of `folder`, its tests left out.
    fn actions_in(folder: &std::path::Path, found: &mut std::collections::BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // What providers call their news looks the same, as their domains do, and no person does it.
            if ["channels/callbacks", "deliverability", "campaigns/precheck"]
                .iter()
                .any(|it| path.ends_with(it))
            {
                continue;
            }
            if path.is_dir() {
                actions_in(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for word in code.split('"').skip(1) {
                let is_word =
                    |it: &str| !it.is_empty() && it.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                if let Some((noun, verb)) = word.split_once('.')
                    && noun.len() > 2
                    && is_word(noun)
                    && is_word(verb)
                    && !ELSE.contains(&verb)
                {
                    found.insert(word.to_owned());
                }
            }
        }
    }

    #[test]
    fn every_action_that_is_written_down_has_words() {
        let mut found = std::collections::BTreeSet::new();
        actions_in(std::path::Path::new("src"), &mut found);
        assert!(found.contains("contact.update") && found.contains("import.undo"), "{found:?}");
        let wordless: Vec<_> = found.iter().filter(|it| verb(it).is_none()).collect();
        assert!(wordless.is_empty(), "give these their words in `verb`: {wordless:?}");
    }
}
