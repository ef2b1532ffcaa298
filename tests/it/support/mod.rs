//! The application on a database of its own, with a clock and a mailbox in hand.

pub(crate) mod smtp;
