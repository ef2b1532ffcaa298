//! Read-only views over every table: what needs a person, and how things go. Writes nothing.

pub mod choices;
pub mod home;
pub mod reach;
pub mod timeline;
