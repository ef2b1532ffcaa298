//! The closed lists of the address book: as stored, and as people read them.

use crate::codes::codes;

codes! {
    /// Where a contact came from.
    Source {
        /// Instagram.
        Instagram = "INSTAGRAM", "Instagram";
        /// Facebook.
        Facebook = "FACEBOOK", "Facebook";
        /// Google.
        Google = "GOOGLE", "Google";
        /// Sent by somebody.
        Referral = "REFERIDO", "Referido";
        /// A fair, a seminar.
        Event = "EVENTO", "Evento";
        /// The business's own site.
        Web = "WEB", "Sitio web";
        /// Came in from the street.
        WalkIn = "WALK_IN", "Visita al local";
        /// A file.
        Import = "IMPORT", "Importación";
        /// The newsletter form.
        Newsletter = "NEWSLETTER", "Boletín";
        /// None of these.
        Other = "OTRO", "Otro";
    }
}

codes! {
    /// How far the relationship has come.
    Lifecycle {
        /// Known, nothing more.
        Lead = "LEAD", "Lead";
        /// Showed interest.
        Prospect = "PROSPECTO", "Prospecto";
        /// Bought.
        Customer = "CLIENTE", "Cliente";
        /// Stopped buying.
        Inactive = "INACTIVO", "Inactivo";
    }
}

codes! {
    /// Lawful basis for promotions (Ley 21.719 art. 12 and 13).
    Basis {
        /// The person said yes.
        Consent = "CONSENT", "Consentimiento";
        /// The person has a contract with the business.
        Contract = "CONTRACT", "Relación contractual";
        /// The business's interest outweighs, and says why.
        LegitimateInterest = "LEGITIMATE_INTEREST", "Interés legítimo";
    }
}

codes! {
    /// A person, or somebody at a company. Derived from having a company.
    Kind {
        /// Works at a company.
        Business = "B2B", "De empresa";
        /// A private person.
        Person = "B2C", "Persona";
    }
}

codes! {
    /// What staff writes into the log of a contact.
    InteractionKind {
        /// Talked by telephone.
        Call = "CALL", "Llamada";
        /// Wrote by email, outside the panel.
        Email = "EMAIL", "Correo";
        /// Met.
        Meeting = "MEETING", "Reunión";
        /// Wrote by WhatsApp, outside the panel.
        Whatsapp = "WHATSAPP", "WhatsApp";
        /// Nothing happened with the person: something to know about them.
        Note = "NOTE", "Nota";
    }
}

codes! {
    /// What a row of the history is.
    HistoryKind {
        /// Bought something.
        Purchase = "PURCHASE", "Compra";
        /// Came in.
        Visit = "VISIT", "Visita";
        /// Enrolled in a workshop or course.
        Enrolment = "ENROLMENT", "Inscripción";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back_to_themselves() {
        assert!(Source::ALL.iter().all(|it| Source::from_code(it.code()) == Some(*it)));
        assert!(Lifecycle::ALL.iter().all(|it| Lifecycle::from_code(it.code()) == Some(*it)));
        assert!(Basis::ALL.iter().all(|it| Basis::from_code(it.code()) == Some(*it)));
        assert!(Kind::ALL.iter().all(|it| Kind::from_code(it.code()) == Some(*it)));
        assert!(InteractionKind::ALL.iter().all(|it| InteractionKind::from_code(it.code()) == Some(*it)));
        assert!(HistoryKind::ALL.iter().all(|it| HistoryKind::from_code(it.code()) == Some(*it)));
        assert_eq!(Source::from_code("IMPORTACION"), None);
        assert_eq!(serde_json::to_string(&Basis::LegitimateInterest).unwrap(), "\"LEGITIMATE_INTEREST\"");
    }
}
