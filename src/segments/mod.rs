//! Sets of people: those that a rule describes, asked anew each time, and those
//! that somebody put together. Reads any table; knows no campaign and no page.

pub mod field;
pub mod rule;
mod meaning;
pub mod evaluate;
mod ranges;
mod on_metrics;
pub mod compile;
pub mod facts;
pub mod members;
pub mod words;
pub mod segment;
pub mod value;
pub mod pasted;
pub mod list;
pub mod list_bulk;
pub mod list_externals;
pub mod list_removals;
pub mod whom;
