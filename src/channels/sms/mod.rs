//! Text messages as the networks write, count and cut them. Pure: nothing is sent from here.

mod alphabet;
mod parts;

pub use alphabet::{outside, plain, replacement};
pub use parts::{Count, Encoding, count, split};

/// Letters that the provider takes of one message; it cuts off the rest without a word.
pub const LONGEST: usize = 480;
