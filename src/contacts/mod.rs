//! The address book: companies, the people in it, what each of them agreed to
//! receive, what happened with them and what staff does next. The only writer of
//! those tables; knows no message and no campaign.

pub mod address;
pub mod vocabulary;
pub mod website;
pub mod churn;
pub mod company;
pub mod company_list;
pub mod contact;
pub mod by_address;
pub mod fact;
pub mod contact_filter;
pub mod contact_list;
pub mod named;
pub mod columns;
pub mod export;
pub mod views;
pub mod consent;
pub mod preferences;
pub mod rhythm;
pub mod interests;
pub mod interactions;
pub mod lifecycle;
pub mod metrics;
pub mod history;
pub mod inactivity;
pub mod pipeline;
pub mod tasks;
pub mod bulk;
pub mod bulk_edit;
pub mod search_index;
pub mod silent;
pub mod duplicates;
pub mod merge;
pub mod deletion;

mod by_figure;
mod check;
mod found;
mod list_row;
mod search;

pub use check::MAX_NOTES;
