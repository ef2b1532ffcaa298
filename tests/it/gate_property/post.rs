//! The server that takes messages one at a time: it asks of each whether it was right to leave at that very moment, and
//! while it has one in hand, people say things and time goes by.

use super::{
    event::{Answer, Handover},
    ground::Ground,
    person::Got,
};
use chrono::TimeDelta;
use llovizna::channels::{Accepted, Channel, Checking, Outgoing, SendError, Sender, Senders, Sending};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

#[derive(Clone)]
pub(super) struct Post {
    pub(super) ground: Ground,
    /// What happens as the next messages are handed over; afterwards each is taken.
    pub(super) next: Arc<Mutex<VecDeque<Handover>>>,
}

impl Post {
    pub(super) fn new(ground: Ground) -> Post {
        Post { ground, next: Arc::default() }
    }

    /// As the email channel of the program.
    pub(super) fn senders(&self) -> Senders {
        let sender: Arc<dyn Sender> = Arc::new(self.clone());
        Arc::new(HashMap::from([(Channel::Email, sender)]))
    }
}

impl Sender for Post {
    fn send<'a>(&'a self, message: &'a Outgoing) -> Sending<'a> {
        Box::pin(async move {
            let Outgoing::Email(email) = message;
            let begun = self.ground.now();
            self.ground.model().judge(&email.to_email, &email.subject, begun);
            let next = self.next.lock().unwrap().pop_front();
            let handover = next.unwrap_or(Handover { answer: Answer::Taken, said: Vec::new(), minutes: 0 });
            for (who, word) in &handover.said {
                self.ground.say(*who, word).await;
            }
            self.ground.clock.advance(TimeDelta::minutes(handover.minutes));
            let mut model = self.ground.model();
            let who = model.standing(model.whose(&email.to_email));
            let kind = model.asked[&email.subject];
            let person = &mut model.people[who];
            let in_doubt = matches!(handover.answer, Answer::CutOff);
            let got = Got {
                message: email.message,
                external_id: email.message_id.clone(),
                address: email.to_email.clone(),
                subject: email.subject.clone(),
                kind,
                at: if in_doubt { begun } else { self.ground.now() },
                in_doubt,
            };
            match handover.answer {
                Answer::Taken => {
                    person.got.push(got);
                    Ok(Accepted { external_id: email.message_id.clone(), answer: "250 2.0.0 Ok".to_owned() })
                }
                Answer::CutOff => {
                    person.got.push(got);
                    Err(SendError::Uncertain { answer: "Se cortó la línea.".to_owned() })
                }
                Answer::Later => Err(SendError::Temporary { answer: "451 4.7.1 Greylisted".to_owned() }),
                Answer::Dead => {
                    person.found_dead = true;
                    Err(SendError::Recipient { answer: "550 5.1.1 No existe".to_owned(), dead: true })
                }
            }
        })
    }

    /// One, so that each message is begun after the one before it was answered.
    fn lanes(&self) -> usize {
        1
    }

    fn is_real(&self) -> bool {
        true
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(async { Ok("listo".to_owned()) })
    }
}
