//! Segments and lists: what rules mean, how they are kept, who is on them.

mod random;
