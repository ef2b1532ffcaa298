//! What the country fixes: pure rules, no database and no clock.

pub mod text;
pub mod spreadsheet;
pub mod time;
pub mod slots;
pub mod format;
pub mod whole;
pub mod pesos;
pub mod rut;
pub mod phone;
pub mod comunas;
pub mod holidays;
pub mod business_hours;
