//! Asks when somebody wants to know, and keeps what was said for a while.

use super::{Finding, Names, Question, SystemNames, examine};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{Mutex, PoisonError};

/// How long an answer is shown before it is asked for anew.
const KEPT: TimeDelta = TimeDelta::minutes(30);

/// What was found, and when.
#[derive(Clone, Debug)]
pub struct Examined {
    /// When it was asked.
    pub at: DateTime<Utc>,
    /// What was found.
    pub findings: Vec<Finding>,
    question: Question,
}

/// Examines the domain that email leaves from.
pub struct Doctor {
    names: Option<Box<dyn Names>>,
    last: Mutex<Option<Examined>>,
}

impl Examined {
    /// What was asked.
    #[must_use]
    pub fn question(&self) -> &Question {
        &self.question
    }
}

impl Doctor {
    /// One that asks `names`; none: the machine knows no name server.
    #[must_use]
    pub fn new(names: Option<Box<dyn Names>>) -> Doctor {
        Doctor { names, last: Mutex::default() }
    }

    /// One that asks the system's name servers.
    #[must_use]
    pub fn of_system() -> Doctor {
        Doctor::new(SystemNames::new().map(|it| Box::new(it) as Box<dyn Names>))
    }

    /// What was found of `question` a while ago at most.
    #[must_use]
    pub fn kept(&self, now: DateTime<Utc>, question: &Question) -> Option<Examined> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|it| it.question == *question && now - it.at < KEPT).cloned()
    }

    /// Ask now. None: there is no name server to ask.
    pub async fn examine(&self, now: DateTime<Utc>, question: Question) -> Option<Examined> {
        let findings = examine(self.names.as_deref()?, &question).await;
        let examined = Examined { at: now, findings, question };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(examined.clone());
        Some(examined)
    }
}
