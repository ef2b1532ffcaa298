//! A rule asked of one person in memory, condition by condition: what "¿por qué
//! está?" shows, and what the tests hold `compile` against. Pure; knows no table.

use super::{
    field::{Event, Field},
    meaning::{Meaning, Test},
    rule::{Condition, Group, Join, Node},
};
use crate::{
    channels::Channel,
    chile::{comunas, text::fold, time},
};
use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use std::collections::HashMap;

/// How deep segments may ask about segments.
pub(super) const DEEPEST: usize = 10;

/// What rules can ask of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Name, email and phone, folded.
    pub search_key: String,
    /// Email address.
    pub email: Option<String>,
    /// E.164.
    pub phone: Option<String>,
    /// Code of the lifecycle.
    pub lifecycle: String,
    /// Code of the source.
    pub source: String,
    /// Who looks after them.
    pub owner: Option<i64>,
    /// Job title, as written.
    pub job_title: Option<String>,
    /// Stage of the board.
    pub stage: Option<i64>,
    /// Day on which to follow up.
    pub follow_up: Option<NaiveDate>,
    /// CUT code, their own.
    pub comuna: Option<String>,
    /// Day of birth.
    pub birth_date: Option<NaiveDate>,
    /// When they came in.
    pub created_at: DateTime<Utc>,
    /// Where they work.
    pub company: Option<Employer>,
    /// Interests.
    pub interests: Vec<i64>,
    /// Imports that made or changed them.
    pub imports: Vec<i64>,
    /// Channels on which promotions may reach them.
    pub reach: Vec<Channel>,
    /// Visits.
    pub visits: i64,
    /// Purchases.
    pub purchases: i64,
    /// Enrolments.
    pub enrolments: i64,
    /// Pesos in all.
    pub spent: i64,
    /// Day of the last visit.
    pub last_visit: Option<NaiveDate>,
    /// Day of the last purchase.
    pub last_purchase: Option<NaiveDate>,
    /// When they were last active.
    pub last_activity: Option<DateTime<Utc>>,
    /// What they bought, visited or enrolled in, each with the last day.
    pub items: Vec<(String, NaiveDate)>,
    /// Messages to them, tests aside.
    pub messages: Vec<Letter>,
    /// Lists that they are on.
    pub lists: Vec<i64>,
}

/// Where a person works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Employer {
    /// Name, folded.
    pub name_key: String,
    /// As stored: `12531909-2`.
    pub rut: Option<String>,
    /// Line of business.
    pub industry: Option<String>,
    /// CUT code.
    pub comuna: Option<String>,
    /// Who looks after it.
    pub owner: Option<i64>,
}

/// What came of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// Of which campaign.
    pub campaign: Option<i64>,
    /// When it left.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was opened.
    pub opened_at: Option<DateTime<Utc>>,
    /// When a link was followed.
    pub clicked_at: Option<DateTime<Utc>>,
    /// When it was answered.
    pub replied_at: Option<DateTime<Utc>>,
    /// Whether it came back.
    pub bounced: bool,
}

/// The rules of the segments that rules ask about, by row.
pub type Library = HashMap<i64, Group>;

impl Facts {
    /// The rows that they refer to, as a rule names them.
    #[must_use]
    pub fn mentioned(&self) -> Group {
        let owner: Vec<i64> = self.owner.into_iter().collect();
        let of_company: Vec<i64> = self.company.as_ref().and_then(|it| it.owner).into_iter().collect();
        let stage: Vec<i64> = self.stage.into_iter().collect();
        let rows = [
            (Field::Owner, &owner),
            (Field::CompanyOwner, &of_company),
            (Field::Stage, &stage),
            (Field::Interest, &self.interests),
            (Field::Import, &self.imports),
            (Field::List, &self.lists),
        ];
        Group::all(rows.map(|(field, ids)| {
            let values = ids.iter().map(i64::to_string).collect();
            Condition { values, ..Condition::new(field) }
        }))
    }

    /// Pesos a purchase or enrolment; 0 without any.
    #[must_use]
    pub fn average_ticket(&self) -> i64 {
        let bought = self.purchases + self.enrolments;
        if bought > 0 { (self.spent + bought / 2) / bought } else { 0 }
    }

    /// CUT code: theirs, else their company's.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.comuna.as_deref().or_else(|| self.company.as_ref()?.comuna.as_deref())
    }

    /// Who looks after the company where they work.
    #[must_use]
    pub fn company_owner(&self) -> Option<i64> {
        self.company.as_ref().and_then(|it| it.owner)
    }

    /// Whether all of `rule` holds.
    #[must_use]
    pub fn satisfy(&self, rule: &Group, library: &Library, today: NaiveDate) -> bool {
        self.satisfy_at(0, rule, library, today)
    }

    fn satisfy_at(&self, depth: usize, rule: &Group, library: &Library, today: NaiveDate) -> bool {
        let holds = |item: &Node| match item {
            Node::Group(group) => self.satisfy_at(depth, group, library, today),
            Node::Condition(it) => self.meet_at(depth, it, library, today),
        };
        match rule.join {
            Join::All => rule.items.iter().all(holds),
            Join::Any => rule.items.iter().any(holds),
        }
    }

    /// Whether one condition holds; one that cannot be understood does not.
    #[must_use]
    pub fn meet(&self, condition: &Condition, library: &Library, today: NaiveDate) -> bool {
        self.meet_at(0, condition, library, today)
    }

    fn meet_at(&self, depth: usize, condition: &Condition, library: &Library, today: NaiveDate) -> bool {
        Meaning::of(condition, today)
            .is_ok_and(|it| self.test(depth, it.field, &it.test, library, today) != it.negated)
    }

    fn test(&self, depth: usize, field: Field, test: &Test, library: &Library, today: NaiveDate) -> bool {
        match test {
            Test::Words(words) => {
                let holds = |text: &str| words.iter().all(|it| text.contains(it.as_str()));
                match field {
                    Field::Words => holds(&self.search_key),
                    Field::JobTitle => self.job_title.as_ref().is_some_and(|it| holds(&fold(it))),
                    _ => self.company.as_ref().is_some_and(|it| holds(&it.name_key)),
                }
            }
            Test::Bought(words, since) => self.items.iter().any(|(item, on)| {
                let item = fold(item);
                words.iter().all(|it| item.contains(it.as_str())) && since.is_none_or(|since| *on >= since)
            }),
            Test::Codes(codes) => self.codes(field).iter().any(|it| codes.contains(it)),
            Test::Ids(ids) => match field {
                Field::Owner => self.owner.is_some_and(|it| ids.contains(&it)),
                Field::CompanyOwner => self.company_owner().is_some_and(|it| ids.contains(&it)),
                Field::Stage => self.stage.is_some_and(|it| ids.contains(&it)),
                Field::Interest => self.interests.iter().any(|it| ids.contains(it)),
                Field::Import => self.imports.iter().any(|it| ids.contains(it)),
                Field::List => self.lists.iter().any(|it| ids.contains(it)),
                _ => {
                    let mut rules = ids.iter().filter_map(|it| library.get(it));
                    depth < DEEPEST && rules.any(|rule| self.satisfy_at(depth + 1, rule, library, today))
                }
            },
            Test::Known => match field {
                Field::Email => self.email.is_some(),
                Field::Phone => self.phone.is_some(),
                Field::Owner => self.owner.is_some(),
                Field::CompanyOwner => self.company_owner().is_some(),
                Field::CompanyRut => self.company.as_ref().is_some_and(|it| it.rut.is_some()),
                Field::Stage => self.stage.is_some(),
                _ => self.day(field).is_some(),
            },
            Test::Number(low, high) => self
                .number(field, today)
                .is_some_and(|it| low.is_none_or(|low| it >= low) && high.is_none_or(|high| it <= high)),
            Test::Day(from, until) => self.day(field).is_some_and(|it| {
                from.is_none_or(|from| it >= from) && until.is_none_or(|until| it <= until)
            }),
            Test::Message(asked) => {
                let came = self.messages.iter().filter(|it| {
                    let since = |at| asked.since.is_none_or(|since| time::local_date(at) >= since);
                    asked.campaign.is_none_or(|campaign| it.campaign == Some(campaign))
                        && it.at(asked.event).is_some_and(since)
                });
                i64::try_from(came.count()).is_ok_and(|it| it >= asked.times)
            }
        }
    }

    fn codes(&self, field: Field) -> Vec<String> {
        let owned = |it: &str| vec![it.to_owned()];
        let one = |it: Option<&str>| it.map(owned).unwrap_or_default();
        match field {
            Field::Kind => owned(if self.company.is_some() { "B2B" } else { "B2C" }),
            Field::Lifecycle => owned(&self.lifecycle),
            Field::Source => owned(&self.source),
            Field::Comuna => one(self.place()),
            Field::Region => one(self.place().and_then(|it| it.get(..2))),
            Field::CompanyIndustry => one(self.company.as_ref().and_then(|it| it.industry.as_deref())),
            Field::CompanyComuna => one(self.company.as_ref().and_then(|it| it.comuna.as_deref())),
            Field::CompanyRut => one(self.company.as_ref().and_then(|it| it.rut.as_deref())),
            Field::CompanyRegion => {
                one(self.company.as_ref().and_then(|it| it.comuna.as_deref()).and_then(|it| it.get(..2)))
            }
            Field::EmailDomain => one(self.email.as_deref().and_then(|it| it.split_once('@')).map(|it| it.1)),
            Field::BirthMonth => self.birth_date.map(|it| it.month().to_string()).into_iter().collect(),
            Field::Contactable => self.reach.iter().map(|it| it.code().to_owned()).collect(),
            _ => Vec::new(),
        }
    }

    /// The figure that a field of numbers holds.
    #[must_use]
    pub fn number(&self, field: Field, today: NaiveDate) -> Option<i64> {
        match field {
            Field::Age => self.birth_date.and_then(|it| today.years_since(it)).map(i64::from),
            Field::Visits => Some(self.visits),
            Field::Purchases => Some(self.purchases),
            Field::Enrolments => Some(self.enrolments),
            Field::Spent => Some(self.spent),
            Field::AverageTicket => Some(self.average_ticket()),
            _ => None,
        }
    }

    /// The day that a field of days holds.
    #[must_use]
    pub fn day(&self, field: Field) -> Option<NaiveDate> {
        match field {
            Field::Created => Some(time::local_date(self.created_at)),
            Field::BirthDate => self.birth_date,
            Field::FollowUp => self.follow_up,
            Field::LastVisit => self.last_visit,
            Field::LastPurchase => self.last_purchase,
            Field::LastActivity => self.last_activity.map(time::local_date),
            _ => None,
        }
    }

    /// The comuna or region where they are, by name.
    #[must_use]
    pub fn place_name(&self) -> Option<&str> {
        self.place().map(comunas::name)
    }
}

impl Letter {
    /// When it came to `event`.
    #[must_use]
    pub fn at(&self, event: Event) -> Option<DateTime<Utc>> {
        match event {
            Event::Received => self.sent_at.filter(|_| !self.bounced),
            Event::Opened => self.opened_at,
            Event::Clicked => self.clicked_at,
            Event::Replied => self.replied_at,
            Event::Bounced => self.sent_at.filter(|_| self.bounced),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::field::Op, *};

    #[test]
    fn the_opposite_of_a_question_holds_where_nothing_is_known() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
        let nobody = Facts::default();
        let holds = |field, op, values: &[&str]| {
            nobody.meet(&Condition::with(field, op, values), &Library::new(), today)
        };
        assert!(!holds(Field::Comuna, Op::Is, &["10109"]));
        assert!(holds(Field::Comuna, Op::IsNot, &["10109"]));
        assert!(holds(Field::Spent, Op::Equals, &["0"]));
        assert!(holds(Field::LastVisit, Op::Unknown, &[]));
        assert!(!holds(Field::LastVisit, Op::BeforeDays, &["30"]));
        assert!(!holds(Field::Age, Op::LessThan, &["30"]));
        assert!(!holds(Field::Spent, Op::MoreThan, &["mucho"]), "what is not understood never holds");
    }

    #[test]
    fn groups_join_their_parts() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
        let person = Facts { spent: 60_000, visits: 1, ..Facts::default() };
        let rich = Condition::with(Field::Spent, Op::MoreThan, &["50000"]);
        let loyal = Condition::with(Field::Visits, Op::AtLeast, &["6"]);
        let library = Library::from([(7, Group::all([rich.clone()]))]);
        assert!(person.satisfy(&Group::any([rich.clone(), loyal.clone()]), &library, today));
        assert!(!person.satisfy(&Group::all([rich, loyal]), &library, today));
        let within = Condition::with(Field::Segment, Op::Is, &["7"]);
        assert!(person.satisfy(&Group::all([within]), &library, today));
    }
}
