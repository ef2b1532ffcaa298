//! The words that the demo's names are made of.

use crate::contacts::vocabulary::{HistoryKind, InteractionKind};

/// Industries, each with the beginnings of its companies' names.
pub(super) const INDUSTRIES: &[(&str, &[&str])] = &[
    ("Turismo rural", &["Agroturismo", "Cabañas", "Senderos"]),
    ("Hotelería", &["Hotel", "Hostería", "Lodge"]),
    ("Restaurante", &["Restaurante", "Cocinería", "Fogón"]),
    ("Lechería", &["Lácteos", "Quesos", "Lechería"]),
    ("Salmonicultura", &["Salmones", "Cultivos", "Piscicultura"]),
    ("Transporte marítimo", &["Naviera", "Transportes", "Lanchas"]),
    ("Construcción", &["Constructora", "Maderas", "Montajes"]),
    ("Clínica dental", &["Clínica Dental", "Centro Dental", "Odontología"]),
    ("Cervecería artesanal", &["Cervecería", "Cervezas", "Bodega"]),
    ("Educación", &["Colegio", "Instituto", "Academia"]),
];

/// Places after which companies are called.
pub(super) const PLACES: &[&str] = &[
    "Reloncaví",
    "Seno Azul",
    "Llanquihue",
    "Canal Chacao",
    "Volcán Osorno",
    "Los Ulmos",
    "Angelmó",
    "Río Puelo",
    "Isla Tenglo",
    "Bahía Ancud",
    "Los Alerces",
    "Piedra Azul",
    "Ñuñaco",
    "Puyehue Sur",
    "Cordillera",
    "El Mañío",
];

/// Legal forms.
pub(super) const FORMS: &[&str] = &["SpA", "Ltda.", "S.A.", "E.I.R.L."];

/// Comunas of the region.
pub(super) const COMUNAS: &[&str] = &[
    "Puerto Montt",
    "Puerto Montt",
    "Osorno",
    "Puerto Varas",
    "Castro",
    "Ancud",
    "Calbuco",
    "Frutillar",
    "Llanquihue",
    "Cochamó",
    "Dalcahue",
    "Quellón",
    "Hualaihué",
    "Purranque",
];

/// Streets.
pub(super) const STREETS: &[&str] = &[
    "Av. Diego Portales",
    "Benavente",
    "Urmeneta",
    "Los Notros",
    "San Martín",
    "Av. Costanera",
    "Pedro Montt",
    "Ramírez",
];

/// First names.
pub(super) const FIRST_NAMES: &[&str] = &[
    "Camila",
    "Matías",
    "Constanza",
    "Ignacio",
    "Rocío",
    "Sebastián",
    "Ximena",
    "Óscar",
    "Mónica",
    "Héctor",
    "Ángela",
    "Tomás",
    "Verónica",
    "Cristóbal",
    "Bárbara",
    "Andrés",
    "Sofía",
    "Raúl",
    "Inés",
    "Felipe",
    "Daniela",
    "Nicolás",
    "Patricia",
    "José",
    "Carolina",
    "Martín",
];

/// Last names.
pub(super) const LAST_NAMES: &[&str] = &[
    "Barría",
    "Oyarzún",
    "Mansilla",
    "Ojeda",
    "Cárdenas",
    "Nahuelquín",
    "Güenante",
    "Vargas",
    "Muñoz",
    "Núñez",
    "Soto",
    "Almonacid",
    "Huenchumán",
    "Paredes",
    "Alvarado",
    "Ruiz",
    "Villegas",
    "Peñaloza",
    "Gallardo",
    "Yáñez",
];

/// Job titles, right for women and men alike: names are drawn apart from them.
pub(super) const JOBS: &[&str] = &[
    "Gerencia General",
    "Jefatura de Compras",
    "Administración",
    "Gestión de Personas",
    "Finanzas",
    "Contabilidad",
    "Jefatura de Operaciones",
    "Recepción",
];

/// Codes of sources.
pub(super) const SOURCES: &[&str] = &["WEB", "REFERIDO", "EVENTO", "INSTAGRAM", "GOOGLE", "WALK_IN"];

/// Codes of lifecycles, the commoner ones more often.
pub(super) const LIFECYCLES: &[&str] =
    &["LEAD", "LEAD", "LEAD", "PROSPECTO", "PROSPECTO", "CLIENTE", "INACTIVO"];

/// The text of the past campaign.
pub(super) const CAMPAIGN_BODY: &str = "Hola {{ first_name | default(\"equipo\") }}:\n\n\
Esta primavera abrimos las tinajas frente al estuario de martes a domingo. Para {{ company | default(\"tu empresa\") }} reservamos \
un día completo: tinajas calientes, almuerzo y traslado desde Puerto Montt.\n\n\
Las fechas y los valores para grupos de 8 a 20 personas están en https://termasdelreloncavi.example/empresas y el camino en \
https://termasdelreloncavi.example/llegar. También puedes responder este correo.\n\n\
Un abrazo,\nJaviera, {{ business_name }}";

/// Interests, each with its category.
pub(super) const INTERESTS: &[(&str, &str)] = &[
    ("Servicios", "Tinajas calientes"),
    ("Servicios", "Masajes"),
    ("Servicios", "Almuerzo en la ribera"),
    ("Ocasiones", "Día para empresas"),
    ("Ocasiones", "Aniversarios"),
    ("Talleres", "Yoga al amanecer"),
    ("Talleres", "Cocina chilota"),
];

/// What people bought before: kind, item, price of one.
pub(super) const HISTORY: &[(HistoryKind, &str, i64)] = &[
    (HistoryKind::Purchase, "Día de termas", 28_000),
    (HistoryKind::Purchase, "Masaje de relajación", 35_000),
    (HistoryKind::Purchase, "Tarjeta de regalo", 50_000),
    (HistoryKind::Purchase, "Almuerzo en la ribera", 18_500),
    (HistoryKind::Visit, "Tinajas", 0),
    (HistoryKind::Enrolment, "Taller de yoga al amanecer", 42_000),
    (HistoryKind::Enrolment, "Taller de cocina chilota", 38_000),
];

/// What was talked about: kind, in a line, in full.
pub(super) const TALKS: &[(InteractionKind, &str, &str)] = &[
    (
        InteractionKind::Call,
        "Pidió valores para un grupo de 12",
        "Prefieren un viernes de diciembre, con almuerzo incluido.",
    ),
    (InteractionKind::Call, "No contestó, dejé mensaje de voz", ""),
    (
        InteractionKind::Whatsapp,
        "Confirmó la reserva del sábado",
        "Llegan a las 11:30. Una persona es vegetariana.",
    ),
    (InteractionKind::Whatsapp, "Preguntó si hay estacionamiento", ""),
    (
        InteractionKind::Email,
        "Mandé la cotización del día para empresas",
        "Con traslado desde Puerto Montt y sin traslado.",
    ),
    (
        InteractionKind::Meeting,
        "Visita al recinto con su equipo",
        "Les gustó la terraza. Volverán a hablar después del cierre de mes.",
    ),
    (InteractionKind::Note, "Prefiere que la llamen en la tarde", ""),
    (
        InteractionKind::Note,
        "Cumplen 20 años como empresa en marzo",
        "Buena ocasión para ofrecer un día completo.",
    ),
];

/// What is to be done, with the person's name, and in how many days.
pub(super) const TASKS: &[(&str, i64)] = &[
    ("Llamar a {} por la cotización", 0),
    ("Mandar fotos de la terraza a {}", 0),
    ("Confirmar el almuerzo con {}", -2),
    ("Pedir a {} el número de asistentes", 1),
    ("Agradecer la visita a {}", -1),
    ("Ofrecer el taller de yoga a {}", 3),
    ("Cobrar el saldo a {}", 5),
    ("Invitar a {} a la apertura de verano", 9),
    ("Reservar traslado para {}", 0),
];
