//! A channel that keeps what it is given and answers as it is told.

use llovizna::channels::{Accepted, Channel, Checking, Email, Outgoing, SendError, Sender, Senders, Sending};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

/// Takes everything, unless answers are lined up.
#[derive(Clone, Default)]
pub(crate) struct Mailbox {
    taken: Arc<Mutex<Vec<Email>>>,
    answers: Arc<Mutex<VecDeque<SendError>>>,
    for_address: Arc<Mutex<HashMap<String, SendError>>>,
}

impl Mailbox {
    /// What was taken, in order.
    pub(crate) fn taken(&self) -> Vec<Email> {
        self.taken.lock().unwrap().clone()
    }

    /// Addresses of what was taken, sorted.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let mut all: Vec<_> = self.taken().into_iter().map(|it| it.to_email).collect();
        all.sort();
        all
    }

    /// Answer the next message so, once.
    pub(crate) fn answer(&self, error: SendError) {
        self.answers.lock().unwrap().push_back(error);
    }

    /// Answer messages to `address` so, always.
    pub(crate) fn answer_for(&self, address: &str, error: SendError) {
        self.for_address.lock().unwrap().insert(address.to_owned(), error);
    }

    /// As the email channel of the program.
    pub(crate) fn senders(&self) -> Senders {
        let sender: Arc<dyn Sender> = Arc::new(self.clone());
        Arc::new(HashMap::from([(Channel::Email, sender)]))
    }
}

impl Sender for Mailbox {
    fn send<'a>(&'a self, message: &'a Outgoing) -> Sending<'a> {
        let Outgoing::Email(email) = message;
        let error = self
            .for_address
            .lock()
            .unwrap()
            .get(&email.to_email)
            .cloned()
            .or_else(|| self.answers.lock().unwrap().pop_front());
        let result = if let Some(error) = error {
            Err(error)
        } else {
            self.taken.lock().unwrap().push(email.clone());
            Ok(Accepted { external_id: email.message_id.clone(), answer: "250 2.0.0 Ok".to_owned() })
        };
        Box::pin(async { result })
    }

    fn lanes(&self) -> usize {
        2
    }

    fn is_real(&self) -> bool {
        true
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(async { Ok("listo".to_owned()) })
    }
}
