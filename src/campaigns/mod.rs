//! One text to one audience, dripped out: what a campaign is, whom it reaches,
//! what it lacks before it may start, and how it stands. Knows the queue and the
//! gate of `messaging`; knows no pages and no provider.

pub mod campaign;
pub mod edit;
pub mod audience;
pub mod variants;
pub mod own_texts;
pub mod wordings;
pub mod fixed;
pub mod forecast;
pub mod later;
pub mod outlook;
mod precheck;
pub mod domain_review;
pub mod text;
mod variants_check;
mod own_texts_check;
pub mod checklist;
mod checklist_audience;
pub mod status;
pub mod contest;
pub mod launch;
pub mod hold;
pub mod on_one;
mod own_links;
pub mod progress;
pub mod figures;
pub mod income;
pub mod trial;
pub mod copies;
pub mod link_review;
pub mod drip;
pub mod held_back;
pub mod refused;
