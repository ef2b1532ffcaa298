//! Proof of what the log says. Events of messages are sealed in a chain soon after they
//! are written: each seal holds a digest of each of its events and the hash of the seal
//! before it, and is signed. What is changed afterwards behind the program's back, by
//! whoever can write to the database, no longer fits, and [`verify`] names it.
//!
//! What a seal can't show: that the newest seals and all after them were cut off. Whoever
//! keeps the head of the chain elsewhere can ask for it ([`verify::Question::head`]).

mod digest;
pub mod seal;
pub mod verify;

pub use digest::Key;
