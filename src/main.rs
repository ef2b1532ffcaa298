//! The program: parse the command line, run it.

fn main() {}
