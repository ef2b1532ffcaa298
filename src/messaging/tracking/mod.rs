//! Openings and clicks of messages, by a picture and by links of our own, where a campaign wants them.
//!
//! A text is led over us when it is compiled ([`rewrite`]), so that a message pays for no more than its own code
//! ([`code`]), which names it to us and to nobody else. What is asked of the picture and the links gathers in memory
//! ([`hits`]) and is written down many at a time; a little later it is judged whether a person or a machine asked
//! ([`signs`]), and only people move the message ([`apply`]). Neither the network address nor the program of who asked
//! is ever kept.

pub mod code;
pub mod rewrite;
pub mod targets;
pub mod signs;
pub mod hits;
pub mod apply;

pub use apply::run_once;
pub use hits::Hits;
