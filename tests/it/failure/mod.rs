//! What goes wrong around the program while it sends, each on real peers: its
//! database, the server that it hands messages to, the clock, and other copies of itself.

mod clock;
mod database;
mod post;
mod replicas;
