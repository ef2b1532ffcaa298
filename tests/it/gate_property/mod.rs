//! The gate and the queue on a real database, under random sequences of what may happen: everybody's words and whatever
//! they got stand in a plain model beside it, and no message may leave in spite of them.

mod edges;
mod event;
mod ground;
mod paced;
mod person;
mod post;
mod sequences;
mod two_senders;
