//! What a condition can ask about, and in which ways: codes as stored, words as
//! people read them. Pure; how each is looked up is `compile`'s.

use crate::codes::codes;

/// What kind of thing a field holds, and so how it can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Some words.
    Words,
    /// One of a list.
    Choice,
    /// There or not.
    Present,
    /// A whole number.
    Number,
    /// Whole pesos.
    Money,
    /// A day.
    Day,
    /// What came of messages.
    Message,
}

codes! {
    /// What a condition asks about.
    Field {
        Words = "WORDS", "nombre, correo o teléfono";
        Kind = "KIND", "tipo";
        Lifecycle = "LIFECYCLE", "etapa";
        Source = "SOURCE", "origen";
        JobTitle = "JOB_TITLE", "cargo";
        Owner = "OWNER", "responsable";
        Stage = "STAGE", "etapa del embudo";
        FollowUp = "FOLLOW_UP", "próximo seguimiento";
        Comuna = "COMUNA", "comuna";
        Region = "REGION", "región";
        Interest = "INTEREST", "interés";
        Created = "CREATED", "fecha de ingreso";
        Import = "IMPORT", "importación";
        Email = "EMAIL", "correo";
        EmailDomain = "EMAIL_DOMAIN", "dominio del correo";
        Phone = "PHONE", "teléfono";
        BirthDate = "BIRTH_DATE", "fecha de nacimiento";
        BirthMonth = "BIRTH_MONTH", "mes de cumpleaños";
        Age = "AGE", "edad";
        CompanyName = "COMPANY_NAME", "nombre de su empresa";
        CompanyRut = "COMPANY_RUT", "RUT de su empresa";
        CompanyIndustry = "COMPANY_INDUSTRY", "rubro de su empresa";
        CompanyComuna = "COMPANY_COMUNA", "comuna de su empresa";
        CompanyRegion = "COMPANY_REGION", "región de su empresa";
        CompanyOwner = "COMPANY_OWNER", "responsable de su empresa";
        Visits = "VISITS", "visitas";
        Purchases = "PURCHASES", "compras";
        Enrolments = "ENROLMENTS", "inscripciones";
        Spent = "SPENT", "gasto";
        AverageTicket = "AVERAGE_TICKET", "ticket promedio";
        LastVisit = "LAST_VISIT", "última visita";
        LastPurchase = "LAST_PURCHASE", "última compra";
        LastActivity = "LAST_ACTIVITY", "última actividad";
        Bought = "BOUGHT", "compró o hizo";
        Contactable = "CONTACTABLE", "contactable por";
        Message = "MESSAGE", "mensajes";
        List = "LIST", "lista";
        Segment = "SEGMENT", "segmento";
    }
}

codes! {
    /// How it is asked.
    Op {
        Is = "IS", "es";
        IsNot = "IS_NOT", "no es";
        Contains = "CONTAINS", "contiene";
        NotContains = "NOT_CONTAINS", "no contiene";
        MoreThan = "MORE_THAN", "mayor que";
        LessThan = "LESS_THAN", "menor que";
        AtLeast = "AT_LEAST", "al menos";
        AtMost = "AT_MOST", "a lo más";
        Equals = "EQUALS", "igual a";
        Between = "BETWEEN", "entre";
        WithinDays = "WITHIN_DAYS", "en los últimos (días)";
        BeforeDays = "BEFORE_DAYS", "hace más de (días)";
        Since = "SINCE", "desde el";
        Until = "UNTIL", "hasta el";
        Known = "KNOWN", "tiene";
        Unknown = "UNKNOWN", "no tiene";
        Did = "DID", "sí";
        DidNot = "DID_NOT", "no";
    }
}

codes! {
    /// What came of a message.
    Event {
        Received = "RECEIVED", "recibió";
        Opened = "OPENED", "abrió";
        Clicked = "CLICKED", "hizo clic en";
        Replied = "REPLIED", "respondió";
        Bounced = "BOUNCED", "le rebotó";
    }
}

/// The fields in the groups in which they are offered.
pub const GROUPS: &[(&str, &[Field])] = &[
    (
        "Persona",
        &[
            Field::Words,
            Field::JobTitle,
            Field::Lifecycle,
            Field::Kind,
            Field::Source,
            Field::Owner,
            Field::Stage,
            Field::FollowUp,
            Field::Interest,
            Field::Comuna,
            Field::Region,
            Field::BirthMonth,
            Field::BirthDate,
            Field::Age,
            Field::Created,
            Field::Import,
        ],
    ),
    (
        "Compras y visitas",
        &[
            Field::Spent,
            Field::Purchases,
            Field::AverageTicket,
            Field::Visits,
            Field::Enrolments,
            Field::LastPurchase,
            Field::LastVisit,
            Field::LastActivity,
            Field::Bought,
        ],
    ),
    (
        "Contacto y mensajes",
        &[Field::Contactable, Field::Message, Field::Email, Field::EmailDomain, Field::Phone],
    ),
    (
        "Empresa",
        &[
            Field::CompanyIndustry,
            Field::CompanyComuna,
            Field::CompanyRegion,
            Field::CompanyName,
            Field::CompanyRut,
            Field::CompanyOwner,
        ],
    ),
    ("Listas y segmentos", &[Field::List, Field::Segment]),
];

impl Field {
    /// What it holds.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self {
            Field::Words | Field::JobTitle | Field::CompanyName | Field::Bought => Shape::Words,
            Field::Email | Field::Phone => Shape::Present,
            Field::Age | Field::Visits | Field::Purchases | Field::Enrolments => Shape::Number,
            Field::Spent | Field::AverageTicket => Shape::Money,
            Field::Created
            | Field::BirthDate
            | Field::FollowUp
            | Field::LastVisit
            | Field::LastPurchase
            | Field::LastActivity => Shape::Day,
            Field::Message => Shape::Message,
            _ => Shape::Choice,
        }
    }

    /// The ways in which it can be asked about; the first is what a new condition starts with.
    #[must_use]
    pub fn ops(self) -> &'static [Op] {
        match self.shape() {
            Shape::Words => &[Op::Contains, Op::NotContains],
            Shape::Choice
                if matches!(self, Field::Owner | Field::CompanyOwner | Field::CompanyRut | Field::Stage) =>
            {
                &[Op::Is, Op::IsNot, Op::Known, Op::Unknown]
            }
            Shape::Choice => &[Op::Is, Op::IsNot],
            Shape::Present => &[Op::Known, Op::Unknown],
            Shape::Number | Shape::Money => {
                &[Op::MoreThan, Op::LessThan, Op::AtLeast, Op::AtMost, Op::Equals, Op::Between]
            }
            // Everybody came in on some day.
            Shape::Day if self == Field::Created => {
                &[Op::WithinDays, Op::BeforeDays, Op::Since, Op::Until, Op::Between]
            }
            Shape::Day => {
                &[Op::WithinDays, Op::BeforeDays, Op::Since, Op::Until, Op::Between, Op::Known, Op::Unknown]
            }
            Shape::Message => &[Op::Did, Op::DidNot],
        }
    }

    /// Whether its values are typed, several to a field, instead of chosen.
    #[must_use]
    pub fn is_typed(self) -> bool {
        matches!(self, Field::EmailDomain | Field::CompanyRut)
    }

    /// Whether its values are rows of a table.
    #[must_use]
    pub fn refers(self) -> bool {
        matches!(
            self,
            Field::Owner
                | Field::CompanyOwner
                | Field::Stage
                | Field::Interest
                | Field::Import
                | Field::List
                | Field::Segment
        )
    }

    /// How `op` reads after this field.
    #[must_use]
    pub fn op_label(self, op: Op) -> &'static str {
        match (self, op) {
            (Field::Interest | Field::List | Field::Segment | Field::Import, Op::Is) => "alguno de",
            (Field::Interest | Field::List | Field::Segment | Field::Import, Op::IsNot) => "ninguno de",
            (Field::Contactable, Op::Is) => "sí, por",
            (Field::Contactable, Op::IsNot) => "no, ni por",
            (_, Op::Known) => "se conoce",
            (_, Op::Unknown) => "no se conoce",
            (_, op) => op.label(),
        }
    }
}

impl Op {
    /// Whether it asks for no value.
    #[must_use]
    pub fn is_bare(self) -> bool {
        matches!(self, Op::Known | Op::Unknown)
    }

    /// Whether it is the opposite of another.
    #[must_use]
    pub fn is_negative(self) -> bool {
        matches!(self, Op::IsNot | Op::NotContains | Op::Unknown | Op::DidNot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_offered_once_and_can_be_asked() {
        let offered: Vec<Field> = GROUPS.iter().flat_map(|it| it.1.iter().copied()).collect();
        for field in Field::ALL {
            assert_eq!(offered.iter().filter(|it| *it == field).count(), 1, "{field:?}");
            assert!(!field.ops().is_empty());
            assert_eq!(Field::from_code(field.code()), Some(*field));
        }
    }
}
