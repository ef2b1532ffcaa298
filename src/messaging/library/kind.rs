//! What a template is for, and what its messages are by that.

use crate::{
    codes::codes,
    messaging::{kinds::MessageType, legal},
};

codes! {
    /// What a template is for.
    Kind {
        /// It sells something.
        Offer = "OFERTA", "Oferta";
        /// It reminds of something.
        Reminder = "RECORDATORIO", "Recordatorio";
        /// Anything else that somebody writes.
        Personal = "PERSONALIZADO", "Personalizado";
        /// News.
        Newsletter = "NEWSLETTER", "Boletín";
        /// To someone who has not come for long.
        Reactivation = "REACTIVATION", "Reactivación";
        /// On a birthday.
        Birthday = "BIRTHDAY", "Cumpleaños";
        /// To the best customers, before everybody else hears of it.
        VipEarlyAccess = "VIP_EARLY_ACCESS", "Acceso anticipado VIP";
        /// A booking was made.
        BookingConfirmation = "BOOKING_CONFIRMATION", "Confirmación de reserva";
        /// A booking comes near.
        BookingReminder = "BOOKING_REMINDER", "Recordatorio de reserva";
        /// How was it?
        SatisfactionSurvey = "SATISFACTION_SURVEY", "Encuesta de satisfacción";
        /// A step of a workflow.
        Workflow = "WORKFLOW", "Flujo automático";
        /// Needed for something that the person asked for.
        Transactional = "TRANSACTIONAL", "Transaccional";
    }
}

impl Kind {
    /// The kinds that somebody writes to people chosen by hand.
    pub const BY_HAND: &[Kind] = &[Kind::Offer, Kind::Reminder, Kind::Personal];

    /// What its messages are for.
    #[must_use]
    pub fn message_type(self) -> MessageType {
        match self {
            Kind::Offer => MessageType::Promocional,
            Kind::Reminder => MessageType::FollowUp,
            Kind::Personal => MessageType::Other,
            Kind::Newsletter => MessageType::Newsletter,
            Kind::Reactivation => MessageType::Reactivation,
            Kind::Birthday => MessageType::Birthday,
            Kind::VipEarlyAccess => MessageType::VipEarlyAccess,
            Kind::BookingConfirmation => MessageType::BookingConfirmation,
            Kind::BookingReminder => MessageType::BookingReminder,
            Kind::SatisfactionSurvey => MessageType::SatisfactionSurvey,
            Kind::Workflow => MessageType::Workflow,
            Kind::Transactional => MessageType::Transactional,
        }
    }

    /// The legal footer that a new text starts with.
    #[must_use]
    pub fn footer(self) -> &'static str {
        match self {
            Kind::Offer
            | Kind::Newsletter
            | Kind::Reactivation
            | Kind::Birthday
            | Kind::VipEarlyAccess
            | Kind::Workflow => legal::DEFAULT_FOOTER,
            _ => legal::PLAIN_FOOTER,
        }
    }

    /// The kind that a text for `message_type` is kept under.
    #[must_use]
    pub fn of(message_type: MessageType) -> Kind {
        Kind::ALL.iter().copied().find(|it| it.message_type() == message_type).unwrap_or(Kind::Personal)
    }
}
