//! The fields of an audited change in words: as the panel calls them, codes by their labels, dates as people write them.

use crate::{
    access::Role,
    bulk_actions,
    campaigns::{campaign, variants::Measure},
    channels::Channel,
    chile::{comunas, format},
    contacts::{
        pipeline::stages::Meaning,
        vocabulary::{Basis, InteractionKind, Lifecycle, Source},
    },
    imports,
    messaging::{
        kinds::{MessageType, Scope, Status, SuppressionReason},
        library,
        template::BodyFormat,
        whatsapp::Approval,
    },
};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

/// Fields as they are kept, and as people read them.
const FIELDS: &[(&str, &str)] = &[
    ("name", "nombre"),
    ("first_name", "nombre de pila"),
    ("last_name", "apellido"),
    ("legal_name", "razón social"),
    ("email", "correo"),
    ("phone", "teléfono"),
    ("address", "dirección"),
    ("website", "sitio web"),
    ("rut", "RUT"),
    ("role", "rol"),
    ("active", "activa"),
    ("industry", "rubro"),
    ("comuna", "comuna"),
    ("notes", "notas"),
    ("day", "día"),
    ("closed", "sin envíos"),
    ("daily_cap", "tope diario"),
    ("warm_up", "calentamiento"),
    ("per_minute", "máximo por minuto"),
    ("warm_up_ceiling", "máximo del calentamiento"),
    ("business_hours", "horario"),
    ("days", "días"),
    ("held_until", "espera hasta"),
    ("hold_seconds", "segundos de espera"),
    ("remark", "qué tan clara es la diferencia"),
    ("sample", "cada texto de la prueba"),
    ("winner", "texto elegido"),
    ("text", "texto"),
    ("sent", "enviados"),
    ("opened", "abiertos"),
    ("clicked", "con clic"),
    ("replied", "respondidos"),
    ("segment_ids", "segmentos"),
    ("list_ids", "listas"),
    ("min_days", "días entre mensajes"),
    ("paused_until", "pausa hasta"),
    ("asked_on", "lo pidió el"),
    ("opens", "desde"),
    ("closes", "hasta"),
    ("skip_holidays", "sin feriados"),
    ("from_name", "nombre del remitente"),
    ("from_email", "correo del remitente"),
    ("reply_to", "responder a"),
    ("subject", "asunto"),
    ("body", "texto"),
    ("footer", "pie"),
    ("opening", "comienzo"),
    ("variants", "textos en prueba"),
    ("percent", "porcentaje de la muestra"),
    ("by", "se elige por"),
    ("hours", "horas de prueba"),
    ("tried_beside", "se prueba junto al texto propio"),
    ("about", "para quién"),
    ("campaign_id", "campaña"),
    ("review_first", "revisar antes de usar"),
    ("monthly_budget", "presupuesto mensual"),
    ("max_tokens", "tokens por respuesta"),
    ("cache_days", "días que se guarda una respuesta"),
    ("price_sent", "precio de lo enviado, en diezmilésimas de yuan"),
    ("price_cached", "precio de lo enviado que ya tenía, en diezmilésimas de yuan"),
    ("price_written", "precio de lo escrito, en diezmilésimas de yuan"),
    ("rate", "centésimas de peso por yuan"),
    ("registration", "registro en Meta"),
    ("approval", "respuesta de Meta"),
    ("language", "idioma"),
    ("variables", "variables"),
    ("returned_to", "versión a la que se volvió"),
    ("part_price", "precio de una parte, en centésimos"),
    ("audience", "público"),
    ("batch_size", "tamaño del lote"),
    ("status", "estado"),
    ("reason", "motivo"),
    ("max_messages", "mensajes"),
    ("job_title", "cargo"),
    ("company_id", "empresa"),
    ("birth_date", "cumpleaños"),
    ("filename", "archivo"),
    ("communication_type", "canal"),
    ("message_type", "tipo de mensaje"),
    ("basis", "base"),
    ("email_basis", "base legal para correo"),
    ("sms_basis", "base legal para SMS"),
    ("whatsapp_basis", "base legal para WhatsApp"),
    ("meaning", "significado"),
    ("consent_basis", "base"),
    ("consent_source", "cómo se obtuvo"),
    ("consent_channels", "canales"),
    ("header_row", "fila de encabezados"),
    ("source", "origen"),
    ("obtained_on", "obtenido el"),
    ("lifecycle", "etapa"),
    ("owner_id", "responsable"),
    ("refused", "no quiere recibir"),
    ("quiet_from", "sin mensajes desde"),
    ("quiet_until", "sin mensajes hasta"),
    ("scope", "alcance"),
    ("kind", "tipo"),
    ("bytes", "tamaño en bytes"),
    ("mapping", "columnas"),
    ("sheet", "hoja"),
    ("cancel_requested", "cancelación pedida"),
    ("counts", "filas"),
    ("messages", "mensajes"),
    ("message", "mensaje"),
    ("cancelled", "mensajes cancelados"),
    ("exclusions", "quedan excluidas sus direcciones"),
    ("consents", "consentimientos"),
    ("queued", "en cola"),
    ("reachable", "pueden recibirla"),
    ("template_id", "versión del texto"),
    ("template", "plantilla"),
    ("spacing_seconds", "segundos entre mensajes"),
    ("tracks", "aperturas y clics"),
    ("body_format", "formato"),
    ("industries", "rubros"),
    ("comunas", "comunas"),
    ("import_ids", "importaciones"),
    ("import", "importación"),
    ("rows", "leídas"),
    ("created", "nuevas"),
    ("updated", "cambiadas"),
    ("unchanged", "sin cambios"),
    ("duplicates", "repetidas"),
    ("rejected", "rechazadas"),
    ("interest", "interés"),
    ("list", "lista"),
    ("regular_from", "regular desde"),
    ("vip_from", "VIP desde"),
    ("medium_from", "gasto medio desde"),
    ("high_above", "gasto alto sobre"),
    ("inactive_days", "días sin actividad"),
    ("contactable", "contactable por"),
    ("owner", "responsable"),
    ("company", "empresa"),
    ("created_from", "creado desde"),
    ("created_until", "creado hasta"),
    ("birth_month", "mes de cumpleaños"),
    ("visits_from", "visitas desde"),
    ("spent_from", "gasto desde"),
    ("active_from", "con actividad desde"),
    ("segment", "segmento"),
    ("bulk", "cambio masivo"),
    ("changed_by", "cambiados por el cambio masivo"),
    ("category", "categoría"),
    ("summary", "resumen"),
    ("detail", "detalle"),
    ("at", "cuándo"),
    ("note", "nota"),
    ("rule", "regla"),
    ("contacts", "contactos"),
    ("externals", "direcciones"),
    ("contact_id", "contacto"),
    ("is_shared", "compartida"),
    ("search", "con una búsqueda"),
    ("chosen", "elegidos uno a uno"),
    ("action", "cambio"),
    ("target", "destino"),
    ("filter", "filtros"),
    ("columns", "columnas"),
    ("format", "formato"),
    ("corrected_rows", "filas corregidas"),
    ("kept", "ficha que queda"),
    ("joined_facts", "datos de la otra ficha"),
    ("joined", "la otra ficha"),
    ("separated", "la otra ficha"),
    ("other", "la otra ficha"),
    ("done", "terminada"),
    ("title", "título"),
    ("due_on", "vence el"),
    ("stage", "etapa"),
    ("stage_id", "etapa"),
    ("value", "valor"),
    ("follow_up_on", "seguimiento el"),
    ("position", "lugar"),
    ("no_more", "palabras de baja"),
    ("back", "palabras de alta"),
    ("inactive_after_days", "días sin actividad"),
];

/// A field as people read it.
pub(super) fn field_name(name: &str) -> &str {
    FIELDS.iter().find(|(field, _)| *field == name).map_or(name, |(_, words)| words)
}

/// The text `value` of the field `field`, in words where it is a code or a date.
pub(super) fn value(field: &str, value: &str) -> String {
    code(field, value).map(str::to_owned).or_else(|| moment(value)).unwrap_or_else(|| value.to_owned())
}

/// The label of a code; none for what is no code, such as a person's own words in `source` or `reason`.
fn code(field: &str, code: &str) -> Option<&'static str> {
    match field {
        "communication_type" | "consent_channels" => Channel::from_code(code).map(Channel::label),
        "message_type" | "refused" => MessageType::from_code(code).map(MessageType::label),
        "basis" | "consent_basis" | "email_basis" | "sms_basis" | "whatsapp_basis" => {
            Basis::from_code(code).map(Basis::label)
        }
        "lifecycle" => Lifecycle::from_code(code).map(Lifecycle::label),
        "source" => Source::from_code(code).map(Source::label),
        "meaning" => Meaning::from_code(code).map(Meaning::label),
        "action" => bulk_actions::action_label(code),
        "role" => Role::from_code(code).map(Role::label),
        "scope" => Scope::from_code(code).map(Scope::label),
        "reason" => SuppressionReason::from_code(code).map(SuppressionReason::label),
        "comuna" | "comunas" => comunas::by_code(code).map(|it| it.name),
        "kind" => imports::Kind::from_code(code)
            .map(imports::Kind::label)
            .or_else(|| InteractionKind::from_code(code).map(InteractionKind::label))
            .or_else(|| library::Kind::from_code(code).map(library::Kind::label)),
        "status" => Status::from_code(code)
            .map(Status::label)
            .or_else(|| IMPORTS.iter().find(|it| it.code() == code).map(|it| it.label()))
            .or_else(|| campaign::Status::from_code(code).map(campaign::Status::label)),
        "by" => Measure::from_code(code).map(Measure::label),
        "approval" => Approval::from_code(code).map(Approval::label),
        "body_format" => Some(BodyFormat::from_code(code).label()),
        _ => None,
    }
}

/// Where an import stands, as far as changes to it are written down.
const IMPORTS: [imports::Status; 3] =
    [imports::Status::Applying, imports::Status::Done, imports::Status::Undoing];

/// A date or an hour of the day as people write it.
fn moment(text: &str) -> Option<String> {
    let day = || text.parse::<NaiveDate>().ok().map(format::date);
    let hour = || {
        let time = NaiveTime::parse_from_str(text, "%H:%M:%S").ok()?;
        Some(time.format("%H:%M").to_string())
    };
    match text.len() {
        10 => day(),
        8 => hour(),
        20.. => text.parse::<DateTime<Utc>>().ok().map(format::datetime),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_dates_and_hours_are_told_and_words_are_left_alone() {
        for (field, text, told) in [
            ("communication_type", "EMAIL", "Correo"),
            ("refused", "NEWSLETTER", "Boletín"),
            ("obtained_on", "2026-11-21", "21-11-2026"),
            ("quiet_from", "21:30:00", "21:30"),
            ("source", "Formulario en recepción", "Formulario en recepción"),
            ("notes", "LEAD", "LEAD"),
            ("email_basis", "CONSENT", "Consentimiento"),
            ("action", "LIFECYCLE", "Cambiar la etapa"),
            ("meaning", "WON", "Ganado"),
        ] {
            assert_eq!(value(field, text), told);
        }
    }
}
