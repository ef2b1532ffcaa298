//! Llovizna: a marketing CRM for Chilean businesses, in one binary over one Postgres.
//!
//! The order of the modules below is the architecture: a module uses only what
//! stands above it, and `tests/it/architecture.rs` fails otherwise. ARCHITECTURE.md
//! tells what each layer is for.

// ground: no business words
pub mod ids;
pub mod codes;
pub mod clock;
pub mod error;
pub mod config;
pub mod telemetry;
pub mod chile;
pub mod db;
pub mod settings;
// ledgers: appended to by everyone
pub mod access;
pub mod audit;
// ways out
pub mod channels;
pub mod deliverability;
pub mod copywriter;
// domains, lowest first
pub mod contacts;
pub mod segments;
pub mod bulk_actions;
pub mod messaging;
pub mod imports;
pub mod mailings;
pub mod campaigns;
pub mod proposals;
pub mod reports;
pub mod accounts;
pub mod demo;
// edges
pub mod state;
pub mod scheduler;
pub mod web;
pub mod cli;
