//! Texts asked of a provider of artificial intelligence: the conversation with it, what each call said and cost, the
//! month's budget, and whether it is called at all. Knows a prompt and an answer; nothing of campaigns or of people.

pub mod terms;
pub mod outcome;
pub mod deepseek;
pub mod calls;
pub mod budget;
pub mod standing;
