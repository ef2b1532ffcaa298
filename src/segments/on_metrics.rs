//! Questions that the sums of a person answer (`contact_metrics`, a row or none for each): all those of a group in one
//! look at the row, however many they are. Every condition here comes to true or false and never to null, so that it may
//! be turned round.

use super::{
    field::{Event, Field},
    meaning::{Letters, Meaning, Test},
    ranges::{Query, push_instants, push_range},
    rule::Join,
};
use chrono::NaiveDate;

/// A question that the row of sums answers.
pub(super) struct Asked {
    column: &'static str,
    what: What,
    negated: bool,
}

enum What {
    /// Numbers are never null.
    Number(Option<i64>, Option<i64>),
    Day(Option<NaiveDate>, Option<NaiveDate>),
    /// Days that an instant falls on.
    Instant(Option<NaiveDate>, Option<NaiveDate>),
    Known,
}

impl Asked {
    /// `meaning` as a question to the row of sums; none: something else has to be asked.
    pub(super) fn of(meaning: &Meaning) -> Option<Asked> {
        let column = match meaning.field {
            Field::Visits => "m.visits",
            Field::Purchases => "m.purchases",
            Field::Enrolments => "m.enrolments",
            Field::Spent => "m.spent",
            Field::AverageTicket => {
                "case when m.purchases + m.enrolments > 0
                      then (m.spent + (m.purchases + m.enrolments) / 2) / (m.purchases + m.enrolments) else 0 end"
            }
            Field::LastVisit => "m.last_visit_on",
            Field::LastPurchase => "m.last_purchase_on",
            Field::LastActivity => "m.last_activity_at",
            // Of one campaign only the log knows, of how many, and of what was received or came back.
            Field::Message => match meaning.test {
                Test::Message(Letters { event, campaign: None, times: 1, .. }) => match event {
                    Event::Opened => "m.last_opened_at",
                    Event::Clicked => "m.last_clicked_at",
                    Event::Replied => "m.last_replied_at",
                    Event::Received | Event::Bounced => return None,
                },
                _ => return None,
            },
            _ => return None,
        };
        let what = match &meaning.test {
            Test::Number(low, high) => What::Number(*low, *high),
            Test::Day(from, until) if meaning.field == Field::LastActivity => What::Instant(*from, *until),
            Test::Day(from, until) => What::Day(*from, *until),
            // Once since that day: the last time was.
            Test::Message(it) => What::Instant(it.since, None),
            Test::Known => What::Known,
            _ => return None,
        };
        Some(Asked { column, what, negated: meaning.negated })
    }

    /// Whether it holds for somebody of whom there are no sums: zeros, and no day.
    fn holds_without_a_row(&self) -> bool {
        let zeros = match self.what {
            What::Number(low, high) => low.is_none_or(|it| it <= 0) && high.is_none_or(|it| it >= 0),
            _ => false,
        };
        zeros != self.negated
    }

    /// Where the row may be lacking, its numbers are zeros.
    fn push(&self, query: &mut Query, column: &str) {
        if matches!(self.what, What::Number(..)) {
            query.push(if self.negated { "not (" } else { "(" });
        } else if self.negated {
            query.push("(").push(column).push(" is null or not (");
        } else {
            query.push("(").push(column).push(" is not null and (");
        }
        match self.what {
            What::Number(low, high) => push_range(query, column, low, high),
            What::Day(from, until) => push_range(query, column, from, until),
            What::Instant(from, until) => push_instants(query, column, from, until),
            What::Known => drop(query.push("true")),
        }
        query.push(if matches!(self.what, What::Number(..)) { ")" } else { "))" });
    }

    /// Push it as a condition on `contact_metrics m`, joined from the left.
    pub(super) fn push_joined(&self, query: &mut Query) {
        match self.what {
            What::Number(..) => self.push(query, &format!("coalesce({}, 0)", self.column)),
            _ => self.push(query, self.column),
        }
    }
}

/// Push `asked`, joined as `join`, as one condition on `contacts c`. Where a person without a row fits, it is the rows
/// that do not fit that are looked up.
pub(super) fn push(query: &mut Query, asked: &[Asked], join: Join) {
    let lacks_fit = match join {
        Join::All => asked.iter().all(Asked::holds_without_a_row),
        Join::Any => asked.iter().any(Asked::holds_without_a_row),
    };
    query.push(if lacks_fit { "not " } else { "" });
    query.push("exists (select 1 from contact_metrics m where m.contact_id = c.id and ");
    query.push(if lacks_fit { "not (" } else { "(" });
    for (place, it) in asked.iter().enumerate() {
        if place > 0 {
            query.push(join.sql());
        }
        it.push(query, it.column);
    }
    query.push("))");
}
