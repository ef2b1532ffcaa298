//! Tests on a real Postgres, through the domains and through the router.

mod accounts;
mod architecture;
mod campaigns;
mod cli;
mod companies;
mod contacts;
mod demo;
mod drip;
mod duplicates;
mod email;
mod embedded;
mod errors;
mod imports;
mod jobs;
mod kill;
mod lists;
mod messaging;
mod messages;
mod outbox;
mod people;
mod public;
mod segments;
mod settings;
mod signatures;
mod support;
mod web;
