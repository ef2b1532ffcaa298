//! The order of the `mod` lines in `src/lib.rs` is the architecture.
