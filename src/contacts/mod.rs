//! The address book: companies, the people in it, and what each of them agreed
//! to receive. The only writer of those tables; knows no message and no campaign.

pub mod address;
pub mod vocabulary;
pub mod company;
pub mod company_list;
pub mod contact;
pub mod contact_list;
pub mod consent;
pub mod preferences;
pub mod bulk;
pub mod search_index;

mod check;
mod contact_filter;
mod found;
mod search;
