//! People who sign in: their accounts, passwords and sessions, and the first of them.
//! Knows no HTTP: cookies and forms are the web's.

pub mod caller;
pub mod cleanup;
pub mod keys;
pub mod login;
pub mod password;
pub mod session;
pub mod setup;
pub mod staff;
