//! A rule: a tree of conditions joined by "all" and "any", its form as JSON, and
//! what is wrong with it in Spanish. Pure; knows no table.

use super::{
    field::{Event, Field, Op, Shape},
    meaning::Meaning,
};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most conditions of a rule: beyond it nobody reads it.
pub const MOST_CONDITIONS: usize = 50;
/// How deep groups may stand within groups.
pub const DEEPEST: usize = 3;
/// Most values of one condition.
const MOST_VALUES: usize = 200;

/// How the parts of a group are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Join {
    /// Each must hold.
    #[default]
    #[serde(rename = "ALL")]
    All,
    /// One must hold.
    #[serde(rename = "ANY")]
    Any,
}

impl Join {
    /// As stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Join::All => "ALL",
            Join::Any => "ANY",
        }
    }

    /// Between two conditions, in SQL.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Join::All => " and ",
            Join::Any => " or ",
        }
    }
}

/// A part of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Node {
    /// Parts of its own.
    Group(Group),
    /// One question.
    Condition(Condition),
}

/// Parts joined: a rule is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// How.
    pub join: Join,
    /// What.
    pub items: Vec<Node>,
}

/// One question about a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// About what.
    pub field: Field,
    /// How.
    pub op: Op,
    /// With what: codes, ids, numbers, days or words as typed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// What came of messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
    /// Messages, or what was bought, of the last so many days; as typed, empty: ever.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub days: String,
    /// At least so many messages; as typed, empty: one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub times: String,
    /// Messages of this campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<i64>,
}

impl Condition {
    /// A question about `field` that is still to be completed.
    #[must_use]
    pub fn new(field: Field) -> Condition {
        let op = field.ops().first().copied().unwrap_or(Op::Is);
        let event = (field == Field::Message).then_some(Event::Received);
        Condition {
            field,
            op,
            values: Vec::new(),
            event,
            days: String::new(),
            times: String::new(),
            campaign: None,
        }
    }

    /// The same with its values.
    #[must_use]
    pub fn with(field: Field, op: Op, values: &[&str]) -> Condition {
        let values = values.iter().map(|it| (*it).to_owned()).collect();
        Condition { op, values, ..Condition::new(field) }
    }

    /// Change what it asks about; what no longer fits goes.
    pub fn fit(&mut self) {
        if !self.field.ops().contains(&self.op) {
            *self = Condition::new(self.field);
        }
        if self.op.is_bare() {
            self.values.clear();
        }
        if self.field == Field::Message {
            self.event.get_or_insert(Event::Received);
        } else {
            self.event = None;
            self.times.clear();
            self.campaign = None;
            if self.field != Field::Bought {
                self.days.clear();
            }
        }
        self.values.retain(|it| !it.trim().is_empty());
        // From a day to the same day is a range too.
        if self.field.shape() == Shape::Choice {
            self.values.dedup();
        }
    }
}

impl From<Condition> for Node {
    fn from(condition: Condition) -> Node {
        Node::Condition(condition)
    }
}

impl From<Group> for Node {
    fn from(group: Group) -> Node {
        Node::Group(group)
    }
}

impl Group {
    /// These, all of which must hold.
    #[must_use]
    pub fn all(items: impl IntoIterator<Item = Condition>) -> Group {
        Group { join: Join::All, items: items.into_iter().map(Node::Condition).collect() }
    }

    /// These, one of which must hold.
    #[must_use]
    pub fn any(items: impl IntoIterator<Item = Condition>) -> Group {
        Group { join: Join::Any, items: items.into_iter().map(Node::Condition).collect() }
    }

    /// Every condition, in reading order.
    #[must_use]
    pub fn conditions(&self) -> Vec<&Condition> {
        let mut found = Vec::new();
        for item in &self.items {
            match item {
                Node::Group(group) => found.extend(group.conditions()),
                Node::Condition(condition) => found.push(condition),
            }
        }
        found
    }

    /// The segments that it asks about.
    #[must_use]
    pub fn segments(&self) -> BTreeSet<i64> {
        self.conditions()
            .into_iter()
            .filter(|it| it.field == Field::Segment)
            .flat_map(|it| it.values.iter().filter_map(|id| id.trim().parse().ok()))
            .collect()
    }

    /// What keeps it from being saved, in Spanish; empty: nothing.
    #[must_use]
    pub fn problems(&self, today: NaiveDate) -> Vec<String> {
        let conditions = self.conditions();
        if conditions.is_empty() {
            return vec!["Agrega al menos una condición.".to_owned()];
        }
        let mut found = Vec::new();
        if conditions.len() > MOST_CONDITIONS {
            found.push(format!(
                "Tiene más de {MOST_CONDITIONS} condiciones: divídela en segmentos y combínalos."
            ));
        }
        if self.depth() > DEEPEST {
            found.push(format!("Los grupos van hasta {DEEPEST} niveles: saca uno hacia afuera."));
        }
        if self.has_empty_group() {
            found.push("Hay un grupo vacío: agrégale una condición o quítalo.".to_owned());
        }
        for condition in conditions {
            if condition.values.len() > MOST_VALUES {
                found.push(format!(
                    "En «{}»: tiene más de {MOST_VALUES} valores; repártelos en varias condiciones.",
                    condition.field.label()
                ));
            }
            if let Err(reason) = Meaning::of(condition, today) {
                found.push(format!("En «{}»: {reason}", condition.field.label()));
            }
        }
        found
    }

    /// What was written in its conditions and can't be read, in Spanish; what is blank is only to be completed.
    #[must_use]
    pub fn unread(&self, today: NaiveDate) -> Vec<String> {
        let written = |it: &&Condition| {
            let needed = if it.op == Op::Between { 2 } else { 1 };
            it.values.iter().filter(|value| !value.trim().is_empty()).count() >= needed
        };
        let faults = self.conditions().into_iter().filter(written).filter_map(|it| {
            Meaning::of(it, today).err().map(|reason| format!("En «{}»: {reason}", it.field.label()))
        });
        faults.collect()
    }

    /// The rule without the conditions that are still to be completed, and how many those are.
    #[must_use]
    pub fn complete(&self, today: NaiveDate) -> (Group, usize) {
        let mut left_out = 0;
        let mut items = Vec::new();
        for item in &self.items {
            match item {
                Node::Group(group) => {
                    let (group, lacking) = group.complete(today);
                    left_out += lacking;
                    if !group.items.is_empty() {
                        items.push(Node::Group(group));
                    }
                }
                Node::Condition(it) if Meaning::of(it, today).is_ok() => items.push(item.clone()),
                Node::Condition(_) => left_out += 1,
            }
        }
        (Group { join: self.join, items }, left_out)
    }

    fn depth(&self) -> usize {
        let below = self.items.iter().map(|it| match it {
            Node::Group(group) => group.depth(),
            Node::Condition(_) => 0,
        });
        1 + below.max().unwrap_or_default()
    }

    /// Whether a group within it holds nothing.
    #[must_use]
    pub fn has_empty_group(&self) -> bool {
        self.items
            .iter()
            .any(|it| matches!(it, Node::Group(group) if group.items.is_empty() || group.has_empty_group()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 23).unwrap()
    }

    #[test]
    fn a_rule_is_read_back_from_json() {
        let rule = Group {
            join: Join::All,
            items: vec![
                Condition::with(Field::Comuna, Op::Is, &["10109"]).into(),
                Group::any([
                    Condition::with(Field::Spent, Op::MoreThan, &["50000"]),
                    Condition { days: "30".to_owned(), ..Condition::new(Field::Message) },
                ])
                .into(),
            ],
        };
        let json = serde_json::to_value(&rule).unwrap();
        assert_eq!(json["items"][0], serde_json::json!({"field": "COMUNA", "op": "IS", "values": ["10109"]}));
        assert_eq!(serde_json::from_value::<Group>(json).unwrap(), rule);
        assert_eq!(rule.problems(today()), Vec::<String>::new());
        assert_eq!(rule.conditions().len(), 3);
    }

    #[test]
    fn what_is_wrong_is_said_in_spanish() {
        let check = |rule: Group, said: &str| {
            let found = rule.problems(today());
            assert!(found.iter().any(|it| it.contains(said)), "{said}: {found:?}");
        };
        check(Group::default(), "al menos una condición");
        check(Group::all([Condition::with(Field::Spent, Op::MoreThan, &["mucho"])]), "«gasto»");
        check(Group::all([Condition::with(Field::Spent, Op::Is, &["1"])]), "no se puede");
        check(Group::all([Condition::with(Field::Comuna, Op::Is, &["99999"])]), "«comuna»");
        check(Group::all([Condition::with(Field::Created, Op::Since, &["ayer"])]), "fecha");
        check(Group::all([Condition::with(Field::Comuna, Op::Is, &[])]), "Elige");
        let empty = Group {
            join: Join::All,
            items: vec![Condition::with(Field::Email, Op::Known, &[]).into(), Group::default().into()],
        };
        check(empty.clone(), "grupo vacío");
        assert_eq!(empty.complete(today()).0.items.len(), 1);
        let mut deep = Group::all([Condition::with(Field::Email, Op::Known, &[])]);
        for _ in 0..DEEPEST {
            deep = Group { join: Join::Any, items: vec![deep.into()] };
        }
        check(deep, "niveles");
    }

    #[test]
    fn what_is_still_to_be_completed_is_left_out_of_a_count() {
        let rule = Group::all([
            Condition::with(Field::Comuna, Op::Is, &["10109"]),
            Condition::new(Field::Spent),
            Condition::new(Field::Interest),
        ]);
        let (complete, lacking) = rule.complete(today());
        assert_eq!((complete.items.len(), lacking), (1, 2));
        assert_eq!(rule.unread(today()), Vec::<String>::new());
    }

    #[test]
    fn what_was_written_and_cannot_be_read_is_told_apart_from_what_is_blank() {
        let inner = Group::all([Condition::with(Field::Spent, Op::AtLeast, &["mucho"])]);
        let mut rule = Group::all([
            Condition::with(Field::Comuna, Op::Is, &["10109"]),
            Condition::with(Field::BirthDate, Op::Since, &["30-02-1990"]),
            Condition::new(Field::Visits),
            Condition::with(Field::Purchases, Op::Between, &["2"]),
        ]);
        rule.items.push(Node::Group(inner));
        let unread = rule.unread(today());
        let fields: Vec<_> = unread.iter().filter_map(|it| it.split('»').next()).collect();
        assert_eq!(fields, ["En «fecha de nacimiento", "En «gasto"], "{unread:?}");
    }

    #[test]
    fn a_condition_about_something_else_loses_what_does_not_fit() {
        let mut it = Condition::with(Field::Comuna, Op::Is, &["10109"]);
        it.field = Field::Spent;
        it.fit();
        assert_eq!(it, Condition::new(Field::Spent));
    }
}
