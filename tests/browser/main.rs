//! What people do, in a real Chromium, against the real program: its own process,
//! a database of its own, and an SMTP server that receives. Where the time or the
//! hosts of the internet are the test's own, the program runs in its process
//! (`within`). `script/test browser` gives the two addresses that they need:
//! DATABASE_URL and CHROMEDRIVER_URL.

mod accessible;
mod app;
mod chromium;
mod dairy;
mod post_office;
mod within;

mod board;
mod campaign;
mod consents;
mod deliverability;
mod drafts;
mod history;
mod holding;
mod importing;
mod industries;
mod letters;
mod lists;
mod mailings;
mod mending;
mod menu;
mod people;
mod preferences;
mod proposals;
mod results;
mod retries;
mod returned;
mod selections;
mod signing_in;
mod templates;
mod unconfirmed;
mod value_segments;
mod variants;
mod why;
