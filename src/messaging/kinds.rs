//! The closed lists of messaging, each with its stored code and the words people read.

use crate::codes::codes;

codes! {
    /// What a message is for: `message_type` in the database.
    MessageType {
        /// An offer.
        Promocional = "PROMOCIONAL", "Promocional";
        /// News, to those who like to read them.
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
        /// After a contact with the staff.
        FollowUp = "FOLLOW_UP", "Seguimiento";
        /// Needed for something that the person asked for.
        Transactional = "TRANSACTIONAL", "Transaccional";
        /// Anything else.
        Other = "OTHER", "Otro";
    }
}

impl MessageType {
    /// The kinds that a person may decline, on the preferences page or through the staff.
    pub const DECLINABLE: &[MessageType] = &[
        MessageType::Promocional,
        MessageType::Newsletter,
        MessageType::VipEarlyAccess,
        MessageType::Birthday,
        MessageType::Reactivation,
        MessageType::FollowUp,
        MessageType::Workflow,
        MessageType::SatisfactionSurvey,
        MessageType::BookingReminder,
    ];

    /// The kinds that a campaign may be of.
    pub const OF_CAMPAIGNS: &[MessageType] = &[
        MessageType::Promocional,
        MessageType::Newsletter,
        MessageType::Reactivation,
        MessageType::VipEarlyAccess,
        MessageType::FollowUp,
        MessageType::Other,
    ];

    /// The kinds that a person is asked about: those that campaigns send and that may be declined.
    pub fn asked_about() -> impl Iterator<Item = MessageType> {
        MessageType::DECLINABLE.iter().copied().filter(|it| MessageType::OF_CAMPAIGNS.contains(it))
    }

    /// Whether the message sells: only those need consent, are capped, keep to
    /// the business window and carry the legal footer (Ley 19.496 art. 28 B).
    #[must_use]
    pub fn is_promotional(self) -> bool {
        match self {
            MessageType::Promocional
            | MessageType::Newsletter
            | MessageType::Reactivation
            | MessageType::Birthday
            | MessageType::VipEarlyAccess
            | MessageType::Workflow
            | MessageType::FollowUp
            | MessageType::Other => true,
            MessageType::BookingConfirmation
            | MessageType::BookingReminder
            | MessageType::SatisfactionSurvey
            | MessageType::Transactional => false,
        }
    }

    /// Codes of the promotional kinds, for SQL.
    #[must_use]
    pub fn promotional_codes() -> Vec<String> {
        MessageType::ALL.iter().filter(|it| it.is_promotional()).map(|it| it.code().to_owned()).collect()
    }
}

codes! {
    /// Where a message stands. The arrows are drawn in `migrations/0006_messaging.sql`.
    Status {
        /// In the queue, perhaps for a later hour.
        Pending = "PENDING", "Pendiente";
        /// Being handed to the provider at this moment.
        Sending = "SENDING", "Enviando";
        /// The provider took it.
        Sent = "SENT", "Enviado";
        /// It reached the mailbox or the telephone.
        Delivered = "DELIVERED", "Entregado";
        /// It was opened by a person.
        Opened = "OPENED", "Abierto";
        /// A link was followed by a person.
        Clicked = "CLICKED", "Con clic";
        /// It was answered.
        Replied = "REPLIED", "Respondido";
        /// It came back.
        Bounced = "BOUNCED", "Rebotado";
        /// The provider will never take it, or tries ran out.
        Failed = "FAILED", "Fallido";
        /// The gate refused it.
        Blocked = "BLOCKED", "Bloqueado";
        /// Its campaign was cancelled, or a person let it be.
        Cancelled = "CANCELLED", "Cancelado";
        /// Cut off between handing over and writing down: it may have left.
        Unconfirmed = "UNCONFIRMED", "Por confirmar";
    }
}

impl Status {
    /// Whether the message certainly left, whatever became of it.
    #[must_use]
    pub fn has_left(self) -> bool {
        matches!(
            self,
            Status::Sent
                | Status::Delivered
                | Status::Opened
                | Status::Clicked
                | Status::Replied
                | Status::Bounced
        )
    }
}

codes! {
    /// How far a message got, as campaigns count it; a message counts for each that it reached.
    Milestone {
        /// It left.
        Sent = "SENT", "Enviados";
        /// It arrived, as somebody told or as follows from the rest.
        Delivered = "DELIVERED", "Entregados";
        /// A person opened it.
        Opened = "OPENED", "Abiertos por personas";
        /// A person followed a link.
        Clicked = "CLICKED", "Con clic";
        /// A person answered.
        Replied = "REPLIED", "Respondidos";
        /// It came back, and nothing better is known.
        Bounced = "BOUNCED", "Rebotados";
        /// Its recipient unsubscribed by it.
        Unsubscribed = "UNSUBSCRIBED", "Bajas";
        /// Only a machine opened it.
        MachineOpened = "MACHINE_OPENED", "Abiertos solo por máquinas";
        /// Only a machine followed its links.
        MachineClicked = "MACHINE_CLICKED", "Con clic solo de máquinas";
    }
}

codes! {
    /// Why the gate refused a message for good.
    BlockReason {
        /// The contact has no address on this channel.
        NoAddress = "NO_ADDRESS", "No tiene dirección en este canal";
        /// The address is on the suppression list.
        Suppressed = "SUPPRESSED", "Está en la lista de exclusión";
        /// No lawful basis for promotions on this channel.
        NoConsent = "NO_CONSENT", "Sin consentimiento ni otra base para promociones";
        /// The person declined this kind of message.
        Preference = "PREFERENCE", "Prefirió no recibir este tipo de mensaje";
        /// The person asked for a pause that outlasts what the message has to say.
        Paused = "PAUSED", "Pidió una pausa larga";
        /// The person asked for fewer messages, and the next may come too late for what this one has to say.
        LessOften = "LESS_OFTEN", "Pidió recibir menos seguido";
        /// The text needs a datum that the contact lacks.
        MissingVariable = "MISSING_VARIABLE", "Falta un dato que el texto necesita";
        /// The person answered a message of the same campaign or mailing: from there on people talk with them.
        Replied = "REPLIED", "La persona ya respondió";
        /// Another recipient of the campaign has the same address.
        DuplicateAddress = "DUPLICATE_ADDRESS", "Otra persona de la campaña usa la misma dirección";
        /// The text itself can't be rendered.
        BrokenTemplate = "BROKEN_TEMPLATE", "El texto tiene un error";
    }
}

codes! {
    /// Why a message waits.
    DeferReason {
        /// The person had as many as the frequency cap allows.
        FrequencyCap = "FREQUENCY_CAP", "Tope de frecuencia de la persona";
        /// The person asked for a pause.
        Paused = "PAUSED", "La persona pidió una pausa";
        /// The person asked for fewer messages.
        LessOften = "LESS_OFTEN", "La persona pidió recibir menos seguido";
        /// The person's own quiet hours.
        QuietHours = "QUIET_HOURS", "Horas de silencio de la persona";
        /// Outside the business window.
        OutsideWindow = "OUTSIDE_WINDOW", "Fuera del horario de envío";
        /// A public holiday, or a day off of the business.
        Holiday = "HOLIDAY", "Feriado";
        /// The channel sent as many as its daily cap allows.
        DailyCap = "DAILY_CAP", "Tope diario del canal";
        /// The campaign sent as many as its daily cap allows.
        CampaignDailyCap = "CAMPAIGN_DAILY_CAP", "Tope diario de la campaña";
        /// Its campaign tries several texts on others first.
        AwaitingWinner = "AWAITING_WINNER", "Espera el texto ganador";
        /// The provider gave a temporary answer.
        Retry = "RETRY", "Reintento tras una respuesta temporal";
    }
}

impl DeferReason {
    /// Those that hold one person until a day of their own; the others hold all alike.
    pub const OF_THE_PERSON: &[DeferReason] =
        &[DeferReason::FrequencyCap, DeferReason::Paused, DeferReason::LessOften, DeferReason::QuietHours];
}

codes! {
    /// Who asks for a message.
    OriginKind {
        /// A campaign.
        Campaign = "CAMPAIGN", "Campaña";
        /// A step of a workflow.
        Workflow = "WORKFLOW", "Flujo";
        /// Something that the person asked for.
        Transactional = "TRANSACTIONAL", "Automático";
        /// Someone on the staff, to people chosen by hand.
        Manual = "MANUAL", "Envío manual";
        /// Someone on the staff, to themselves.
        Test = "TEST", "Prueba";
    }
}

codes! {
    /// What happened to a message: the kinds of `communication_events`.
    EventKind {
        /// It was asked for.
        Queued = "QUEUED", "Se puso en la cola";
        /// The gate let it go.
        Allowed = "ALLOWED", "Se autorizó el envío";
        /// The gate put it off.
        Deferred = "DEFERRED", "Se pospuso";
        /// The gate refused it.
        Blocked = "BLOCKED", "Se bloqueó";
        /// The provider took it.
        Sent = "SENT", "Se envió";
        /// A temporary answer.
        Retry = "RETRY", "Se reintentará";
        /// A permanent answer.
        Failed = "FAILED", "Falló";
        /// The sending was cut off.
        Unconfirmed = "UNCONFIRMED", "Quedó por confirmar";
        /// It turned out to have left.
        Confirmed = "CONFIRMED", "Se confirmó que salió";
        /// It was put back into the queue.
        Requeued = "REQUEUED", "Volvió a la cola";
        /// It was cancelled.
        Cancelled = "CANCELLED", "Se canceló";
        /// The recipient unsubscribed by its link.
        Unsubscribed = "UNSUBSCRIBED", "La persona se dio de baja";
        /// It reached the mailbox.
        Delivered = "DELIVERED", "Se entregó";
        /// The receiver takes its time; it is still tried.
        Delayed = "DELAYED", "Se demora";
        /// It came back.
        Bounced = "BOUNCED", "Rebotó";
        /// The recipient reported it as spam.
        Complained = "COMPLAINED", "La persona lo marcó como spam";
        /// A person opened it.
        Opened = "OPENED", "La persona lo abrió";
        /// A person followed one of its links.
        Clicked = "CLICKED", "La persona siguió un enlace";
        /// A machine loaded its picture.
        MachineOpened = "MACHINE_OPENED", "Lo abrió una máquina, no la persona";
        /// A machine followed its links.
        MachineClicked = "MACHINE_CLICKED", "Una máquina siguió sus enlaces";
        /// A person answered.
        Replied = "REPLIED", "La persona respondió";
        /// A machine answered.
        AutoReplied = "AUTO_REPLIED", "Llegó una respuesta automática";
    }
}

codes! {
    /// What a suppression covers.
    Scope {
        /// Promotions; service messages still go.
        Promotional = "PROMOTIONAL", "Promociones";
        /// Everything.
        All = "ALL", "Todo";
    }
}

codes! {
    /// Why an address is on the suppression list.
    SuppressionReason {
        /// The person asked.
        Unsubscribed = "UNSUBSCRIBED", "Se dio de baja";
        /// The address does not exist, or its mailbox takes nothing for long.
        HardBounce = "HARD_BOUNCE", "La dirección no recibe";
        /// The person reported spam.
        Complaint = "COMPLAINT", "Marcó un mensaje como spam";
        /// Someone on the staff decided.
        Manual = "MANUAL", "Agregada a mano";
        /// SERNAC's register.
        NoMolestar = "NO_MOLESTAR", "No Molestar (SERNAC)";
    }
}

impl SuppressionReason {
    /// Its label after a colon: in lower case, but for the register's own name.
    #[must_use]
    pub fn in_sentence(self) -> String {
        match self {
            SuppressionReason::NoMolestar => self.label().to_owned(),
            other => other.label().to_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_register_keeps_its_capitals() {
        assert_eq!(SuppressionReason::NoMolestar.in_sentence(), "No Molestar (SERNAC)");
        assert_eq!(SuppressionReason::Unsubscribed.in_sentence(), "se dio de baja");
    }

    #[test]
    fn codes_are_read_back() {
        assert!(MessageType::ALL.iter().all(|it| MessageType::from_code(it.code()) == Some(*it)));
        assert!(Status::ALL.iter().all(|it| Status::from_code(it.code()) == Some(*it)));
        assert_eq!(Status::from_code("pending"), None);
    }

    #[test]
    fn what_a_person_asked_for_is_no_promotion() {
        for kind in
            [MessageType::Transactional, MessageType::BookingReminder, MessageType::SatisfactionSurvey]
        {
            assert!(!kind.is_promotional());
        }
        assert!(MessageType::Workflow.is_promotional());
    }
}
