//! What the country fixes: pure rules, no database and no clock.

pub mod business_hours;
