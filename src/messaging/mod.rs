//! One queue and one gate for every message of every channel.
//!
//! `communication_logs` is queue and log in one. Who wants to send calls
//! [`outbox::enqueue`] in the transaction that caused it; [`drain`] claims what
//! is due, asks the [`gate`] again, hands it to the channel and writes down what
//! came of it. Nothing here knows of audiences, workflows or pages.

pub mod kinds;
pub mod asked_again;
mod entities;
pub mod plain_text;
pub mod markup;
mod tags;
pub mod values;
pub mod mjml;
pub mod blocks;
pub mod template;
pub mod runnable;
pub mod opening;
pub mod whatsapp;
pub mod versions;
pub mod legal;
pub mod sms;
pub mod library;
pub mod limits;
pub mod warm_up;
pub mod sending;
pub mod suppression;
pub mod refusal;
pub mod gate;
pub mod foresight;
mod insertion;
pub mod outbox;
mod verdicts;
pub mod cancellation;
pub mod evidence;
pub mod compose;
mod addressee;
pub mod room;
mod texts;
pub mod sample;
mod industry_texts;
pub mod streams;
pub mod pace;
pub mod claim;
pub mod runs;
mod lanes;
mod leaving;
mod paced;
mod patience;
pub mod refusals;
mod outcomes;
pub mod drain;
pub mod health;
mod reached;
pub mod story;
pub mod decided;
pub mod why;
pub mod links;
pub mod words;
pub mod departure;
mod forward;
pub mod inbound;
pub mod tracking;
