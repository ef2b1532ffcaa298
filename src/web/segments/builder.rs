//! The builder of rules: fields of a form into a rule and back, and what each
//! button does to it. A part of a rule is named by its path, `r-0-1`, so that the
//! form says all and nothing is kept between two requests.

use crate::{
    channels::Channel,
    chile::{comunas, format},
    contacts::vocabulary::{Kind, Lifecycle, Source},
    segments::{
        field::{Event, Field, GROUPS, Op, Shape},
        rule::{Condition, DEEPEST, Group, Join, Node},
        words::Names,
    },
};
use std::collections::HashMap;

/// Name of the whole rule in the form.
const ROOT: &str = "r";

/// The form, taken apart.
#[derive(Debug, Default)]
pub(super) struct Typed {
    /// The segment's name.
    pub(super) name: String,
    /// The segment that is edited.
    pub(super) id: Option<i64>,
    /// The version of it that the form was filled from.
    pub(super) seen: i32,
    /// The rule as typed; parts may be incomplete.
    pub(super) rule: Group,
    /// The button that was pressed.
    pub(super) act: String,
}

impl Typed {
    /// From the fields of the form.
    pub(super) fn read(pairs: Vec<(String, String)>) -> Typed {
        let mut typed = Typed::default();
        let mut parts: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for (name, value) in pairs {
            match (name.as_str(), name.split_once('.')) {
                ("name", _) => typed.name = value,
                ("id", _) => typed.id = value.parse().ok(),
                ("seen", _) => typed.seen = value.parse().unwrap_or_default(),
                ("do", _) => typed.act = value,
                (_, Some((path, field))) => {
                    parts.entry(path.to_owned()).or_default().push((field.to_owned(), value));
                }
                _ => {}
            }
        }
        typed.rule = group(&parts, ROOT, 0);
        typed
    }

    /// Do what the pressed button says.
    pub(super) fn act(&mut self) {
        let act = std::mem::take(&mut self.act);
        let mut words = act.split(':');
        let (what, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let places: Vec<usize> = path.split('-').skip(1).filter_map(|it| it.parse().ok()).collect();
        match what {
            "add" => {
                if let Some(group) = find(&mut self.rule, &places) {
                    group.items.push(Condition::new(Field::Lifecycle).into());
                }
            }
            "group" if places.len() + 1 < DEEPEST => {
                if let Some(group) = find(&mut self.rule, &places) {
                    let join = if group.join == Join::All { Join::Any } else { Join::All };
                    let items = vec![Condition::new(Field::Lifecycle).into()];
                    group.items.push(Group { join, items }.into());
                }
            }
            "remove" => {
                if let Some((last, above)) = places.split_last()
                    && let Some(group) = find(&mut self.rule, above)
                    && *last < group.items.len()
                {
                    group.items.remove(*last);
                }
            }
            "drop" => {
                let place = words.next().and_then(|it| it.parse::<usize>().ok()).unwrap_or(usize::MAX);
                if let Some((last, above)) = places.split_last()
                    && let Some(group) = find(&mut self.rule, above)
                    && let Some(Node::Condition(it)) = group.items.get_mut(*last)
                    && place < it.values.len()
                {
                    it.values.remove(place);
                }
            }
            _ => {}
        }
    }
}

fn find<'a>(group: &'a mut Group, places: &[usize]) -> Option<&'a mut Group> {
    let Some((first, rest)) = places.split_first() else { return Some(group) };
    match group.items.get_mut(*first)? {
        Node::Group(inner) => find(inner, rest),
        Node::Condition(_) => None,
    }
}

fn group(parts: &HashMap<String, Vec<(String, String)>>, path: &str, depth: usize) -> Group {
    let mut found = Group::default();
    if let Some(fields) = parts.get(path)
        && fields.iter().any(|it| it.0 == "join" && it.1 == Join::Any.code())
    {
        found.join = Join::Any;
    }
    for place in 0.. {
        let path = format!("{path}-{place}");
        let Some(fields) = parts.get(&path) else { break };
        if fields.iter().any(|it| it.0 == "field") {
            found.items.extend(condition(fields).map(Node::Condition));
        } else if depth < DEEPEST {
            found.items.push(group(parts, &path, depth + 1).into());
        }
    }
    found
}

fn condition(fields: &[(String, String)]) -> Option<Condition> {
    let get = |name: &str| fields.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    let field = get("field").and_then(Field::from_code)?;
    // What was chosen for another field is no answer for this one.
    let same = get("was").is_none_or(|it| it == field.code());
    let mut it = Condition::new(field);
    if same {
        it.op = get("op").and_then(Op::from_code).unwrap_or(it.op);
        let values = fields.iter().filter(|it| it.0 == "value").map(|it| it.1.trim().to_owned());
        it.values = values.filter(|it| !it.is_empty()).collect();
        if field.shape() == Shape::Choice {
            it.values.sort();
        }
        it.event = get("event").and_then(Event::from_code).or(it.event);
        it.days = get("days").unwrap_or_default().trim().to_owned();
        it.times = get("times").unwrap_or_default().trim().to_owned();
        it.campaign = get("campaign").and_then(|it| it.parse().ok());
        // Days and dates are different answers.
        let shape = |op: &str| matches!(op, "WITHIN_DAYS" | "BEFORE_DAYS");
        if field.shape() == Shape::Day && get("was_op").is_some_and(|was| shape(was) != shape(it.op.code())) {
            it.values.clear();
        }
    }
    it.fit();
    Some(it)
}

/// What stands on one line of the builder.
pub(super) enum Line {
    /// A group begins.
    Open {
        /// Path.
        path: String,
        /// What stands between it and what comes before.
        word: &'static str,
        /// How its parts are joined.
        any: bool,
        /// The rule itself, which stays.
        is_root: bool,
    },
    /// A condition.
    Ask(Box<Ask>),
    /// A group ends.
    Close {
        /// Path.
        path: String,
        /// Whether a group may stand in it.
        may_nest: bool,
    },
}

/// A condition as the builder shows it.
pub(super) struct Ask {
    /// Path.
    pub(super) path: String,
    /// What stands between it and what comes before.
    pub(super) word: &'static str,
    /// The condition.
    pub(super) it: Condition,
    /// Ways to ask: code and words.
    pub(super) ops: Vec<(&'static str, &'static str)>,
    /// What is chosen: value and words.
    pub(super) chosen: Vec<(String, String)>,
    /// What can be chosen beside.
    pub(super) options: Vec<(String, String)>,
    /// What is lacking, once one tried to save.
    pub(super) problem: Option<String>,
}

impl Ask {
    /// Which controls take its values.
    pub(super) fn control(&self) -> &'static str {
        let (field, op) = (self.it.field, self.it.op);
        match field.shape() {
            _ if op.is_bare() => "none",
            Shape::Words if field == Field::Bought => "bought",
            Shape::Words => "text",
            Shape::Choice if field.is_typed() => "text",
            Shape::Choice if matches!(field, Field::Comuna | Field::CompanyComuna) => "comunas",
            Shape::Choice => "choice",
            Shape::Number => "number",
            Shape::Money => "money",
            Shape::Day if matches!(op, Op::WithinDays | Op::BeforeDays) => "days",
            Shape::Day => "date",
            Shape::Message => "message",
            Shape::Present => "none",
        }
    }

    /// The value at `place`, as typed.
    pub(super) fn value(&self, place: usize) -> String {
        if self.it.field.is_typed() {
            return self.it.values.join(", ");
        }
        self.it.values.get(place).cloned().unwrap_or_default()
    }

    /// Whether it takes two values.
    pub(super) fn is_between(&self) -> bool {
        self.it.op == Op::Between
    }

    /// Whether the campaign is the chosen one.
    pub(super) fn is_campaign(&self, id: &i64) -> bool {
        self.it.campaign == Some(*id)
    }
}

/// What the builder offers.
pub(super) struct Offer {
    /// Names of what rules refer to.
    pub(super) names: Names,
    /// Lines of business in use.
    pub(super) industries: Vec<String>,
    /// The segment at hand, which can't be asked about in its own rule.
    pub(super) own: Option<i64>,
}

impl Offer {
    fn options(&self, field: Field) -> Vec<(String, String)> {
        let pair = |code: &str, label: &str| (code.to_owned(), label.to_owned());
        match field {
            Field::Kind => Kind::ALL.iter().map(|it| pair(it.code(), it.label())).collect(),
            Field::Lifecycle => Lifecycle::ALL.iter().map(|it| pair(it.code(), it.label())).collect(),
            Field::Source => Source::ALL.iter().map(|it| pair(it.code(), it.label())).collect(),
            Field::Contactable => Channel::ALL.iter().map(|it| pair(it.code(), it.label())).collect(),
            Field::Region | Field::CompanyRegion => {
                comunas::REGIONS.iter().map(|it| pair(it.code, it.name)).collect()
            }
            Field::BirthMonth => {
                (1..).zip(format::MONTHS).map(|(number, name)| pair(&format!("{number}"), name)).collect()
            }
            Field::CompanyIndustry => self.industries.iter().map(|it| pair(it, it)).collect(),
            Field::Segment => {
                let own = self.own.map(|it| it.to_string());
                let all = self.names.of(field);
                all.into_iter().filter(|it| Some(&it.0) != own.as_ref()).collect()
            }
            _ if field.refers() => self.names.of(field),
            _ => Vec::new(),
        }
    }

    /// The lines of `rule`; with `say`, each incomplete condition says what it lacks.
    pub(super) fn lines(&self, rule: &Group, say: impl Fn(&Condition) -> Option<String> + Copy) -> Vec<Line> {
        let mut lines = Vec::new();
        self.push(rule, ROOT, "", 0, say, &mut lines);
        lines
    }

    fn push(
        &self,
        group: &Group,
        path: &str,
        word: &'static str,
        depth: usize,
        say: impl Fn(&Condition) -> Option<String> + Copy,
        lines: &mut Vec<Line>,
    ) {
        let any = group.join == Join::Any;
        lines.push(Line::Open { path: path.to_owned(), word, any, is_root: depth == 0 });
        for (place, item) in group.items.iter().enumerate() {
            let path = format!("{path}-{place}");
            let word = match (place, any) {
                (0, _) => "",
                (_, true) => "o",
                (_, false) => "y",
            };
            match item {
                Node::Group(inner) => self.push(inner, &path, word, depth + 1, say, lines),
                Node::Condition(it) => lines.push(Line::Ask(Box::new(self.ask(it, path, word, say(it))))),
            }
        }
        lines.push(Line::Close { path: path.to_owned(), may_nest: depth + 1 < DEEPEST });
    }

    fn ask(&self, it: &Condition, path: String, word: &'static str, problem: Option<String>) -> Ask {
        let is_choice = it.field.shape() == Shape::Choice;
        let chosen: Vec<(String, String)> = it
            .values
            .iter()
            .filter(|_| is_choice)
            .map(|value| (value.clone(), self.names.value(it.field, value)))
            .collect();
        let mut options = self.options(it.field);
        options.retain(|option| !it.values.contains(&option.0));
        Ask {
            path,
            word,
            ops: it.field.ops().iter().map(|op| (op.code(), it.field.op_label(*op))).collect(),
            chosen,
            options,
            problem,
            it: it.clone(),
        }
    }
}

/// The fields in their groups, as the builder offers them.
pub(super) fn groups() -> &'static [(&'static str, &'static [Field])] {
    GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Typed {
        Typed::read(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    const FORM: &[(&str, &str)] = &[
        ("name", "Ricos"),
        ("r.join", "ALL"),
        ("r-0.field", "COMUNA"),
        ("r-0.op", "IS"),
        ("r-0.value", "10109"),
        ("r-0.value", ""),
        ("r-1.join", "ANY"),
        ("r-1-0.field", "SPENT"),
        ("r-1-0.op", "BETWEEN"),
        ("r-1-0.value", "1.000"),
        ("r-1-0.value", "$2.000"),
    ];

    #[test]
    fn a_form_becomes_a_rule() {
        let typed = read(FORM);
        let expected = Group {
            join: Join::All,
            items: vec![
                Condition::with(Field::Comuna, Op::Is, &["10109"]).into(),
                Group::any([Condition::with(Field::Spent, Op::Between, &["1.000", "$2.000"])]).into(),
            ],
        };
        assert_eq!((typed.name.as_str(), typed.rule), ("Ricos", expected));
    }

    #[test]
    fn each_button_changes_one_thing() {
        let after = |act: &str| {
            let mut form = FORM.to_vec();
            form.push(("do", act));
            let mut typed = read(&form);
            typed.act();
            typed.rule
        };
        assert_eq!(after("add:r").items.len(), 3);
        assert_eq!(after("remove:r-0").items.len(), 1);
        assert_eq!(after("remove:r-1-0").items[1], Node::Group(Group { join: Join::Any, items: Vec::new() }));
        assert_eq!(after("group:r").conditions().len(), 3);
        assert!(after("drop:r-0:0").conditions()[0].values.is_empty());
        assert_eq!(after("remove:r-9"), read(FORM).rule, "what is not there is not removed");
        assert_eq!(after("nonsense"), read(FORM).rule);
    }

    #[test]
    fn another_field_starts_anew() {
        let typed =
            read(&[("r-0.was", "COMUNA"), ("r-0.field", "SPENT"), ("r-0.op", "IS"), ("r-0.value", "10109")]);
        assert_eq!(typed.rule.conditions(), [&Condition::new(Field::Spent)]);
    }
}
