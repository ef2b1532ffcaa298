//! Example files that people download and fill in. Knows only what a good file looks like.

use super::Kind;

/// The example for `kind`: UTF-8 with a byte-order mark, so that Excel shows its accents.
#[must_use]
pub fn csv(kind: Kind) -> &'static str {
    match kind {
        Kind::Companies => {
            "\u{feff}name,industry,city,website\r\n\
             Lácteos Río Negro Ltda.,Lechería,Osorno,https://www.lacteosrionegro.example\r\n\
             Hotel Volcán Osorno SpA,Hotelería,Puerto Varas,https://www.volcanosorno.example\r\n\
             Aserradero Los Ulmos,Maderas y aserradero,Purranque,\r\n"
        }
        Kind::Contacts => {
            "\u{feff}first_name,last_name,email,phone,job_title,company_name\r\n\
             Camila,Muñoz Soto,camila.munoz@lacteosrionegro.example,+56 9 8765 4321,Jefa de Compras,Lácteos Río Negro Ltda.\r\n\
             Tomás,Barría,tomas.barria@volcanosorno.example,65 2 345678,Gerente General,Hotel Volcán Osorno SpA\r\n\
             Rosa,Nahuelquín,,9 7654 3210,,\r\n"
        }
        Kind::History => {
            "\u{feff}email,phone,name,date,kind,item,amount,quantity\r\n\
             camila.munoz@lacteosrionegro.example,,Camila Muñoz Soto,14-03-2026,Compra,Caja de quesos,45.000,2\r\n\
             ,65 2 345678,Tomás Barría,22-05-2026,Visita,Tinaja para cuatro,80.000,1\r\n\
             ,9 7654 3210,Rosa Nahuelquín,03-06-2026,Inscripción,Taller de cerámica,35.000,1\r\n"
        }
    }
}
