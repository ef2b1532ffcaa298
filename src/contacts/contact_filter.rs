//! Which contacts: the filters that combine, as conditions of SQL, and as kept
//! with a view or a bulk action. Knows nothing of pages or orders.

use super::{
    search::Search,
    vocabulary::{Kind, Lifecycle, Source},
};
use crate::{
    chile::time,
    ids::{BulkActionId, CompanyId, ImportId, ListId, SegmentId, StaffId, StageId},
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use sqlx::{Postgres, QueryBuilder};
use std::{fmt, sync::Arc};

/// Which contacts. Everything absent lets all through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Words of name, email, phone or company; or a company's RUT.
    pub q: String,
    /// Those who work there.
    pub company: Option<CompanyId>,
    /// CUT code of a comuna, or the two digits of a region: theirs, else their company's.
    pub comuna: Option<String>,
    /// Line of business of their company.
    pub industry: Option<String>,
    /// Private persons, or people at companies.
    pub kind: Option<Kind>,
    /// Where they came from.
    pub source: Option<Source>,
    /// How far the relationship has come.
    pub lifecycle: Option<Lifecycle>,
    /// Whether promotions by email may reach them: an address, a basis, not excluded.
    pub contactable: Option<bool>,
    /// Made by this import.
    pub import: Option<ImportId>,
    /// Who looks after them.
    pub owner: Option<Owner>,
    /// Here since this local day or later.
    pub created_from: Option<NaiveDate>,
    /// Here since this local day or earlier.
    pub created_until: Option<NaiveDate>,
    /// Born in this month, 1 to 12.
    pub birth_month: Option<u8>,
    /// Tagged with one of these interests: their rows.
    #[serde(rename = "interest", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub interests: Vec<i64>,
    /// In this stage of the board.
    pub stage: Option<StageId>,
    /// Came at least so often.
    pub visits_from: Option<i32>,
    /// Spent at least so many pesos.
    pub spent_from: Option<i64>,
    /// Gave a sign of life on this local day or later.
    pub active_from: Option<NaiveDate>,
    /// Gave no sign of life on this local day nor later.
    pub quiet_from: Option<NaiveDate>,
    /// On this list.
    pub list: Option<ListId>,
    /// Described by this segment. What its rule means comes with `within`.
    pub segment: Option<SegmentId>,
    /// The conditions of the segment, asked anew each time and so never kept.
    #[serde(skip)]
    pub within: Within,
    /// This bulk action was about them.
    pub bulk: Option<BulkActionId>,
    /// This bulk action changed them, and nobody has taken that back.
    pub changed_by: Option<BulkActionId>,
    /// Exactly these rows.
    pub among: Option<Vec<i64>>,
}

/// Conditions on `contacts c` that a layer above hands down: this one knows no rules.
#[derive(Clone, Default)]
pub struct Within(Option<Arc<Push>>);

type Push = dyn Fn(&mut QueryBuilder<Postgres>) + Send + Sync;

impl Within {
    /// What `push` writes, as one condition.
    pub fn new(push: impl Fn(&mut QueryBuilder<Postgres>) + Send + Sync + 'static) -> Within {
        Within(Some(Arc::new(push)))
    }

    /// Where nobody said what the segment means, it lets nobody through.
    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" and ");
        match &self.0 {
            Some(push) => push(query),
            None => drop(query.push("false")),
        }
    }
}

impl fmt::Debug for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Within(..)" } else { "Within" })
    }
}

/// Two filters for the same segment ask the same, whether or not one was handed its conditions.
impl PartialEq for Within {
    fn eq(&self, _: &Within) -> bool {
        true
    }
}

/// What was kept when a filter could name one interest at most is still read.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Kept {
        One(i64),
        Many(Vec<i64>),
    }
    Ok(match Option::<Kept>::deserialize(from)? {
        None => Vec::new(),
        Some(Kept::One(id)) => vec![id],
        Some(Kept::Many(ids)) => ids,
    })
}

/// Who looks after a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// Nobody.
    Nobody,
    /// This person on the staff.
    Staff(StaffId),
}

impl Owner {
    /// From an address: a row, or `none`.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Owner> {
        match code {
            "none" => Some(Owner::Nobody),
            id => id.parse().ok().map(|id| Owner::Staff(StaffId(id))),
        }
    }

    /// As in an address.
    #[must_use]
    pub fn code(self) -> String {
        self.staff_id().map_or_else(|| "none".to_owned(), |it| it.to_string())
    }

    /// The person on the staff, where there is one.
    #[must_use]
    pub fn staff_id(self) -> Option<StaffId> {
        match self {
            Owner::Nobody => None,
            Owner::Staff(id) => Some(id),
        }
    }
}

const CONTACTABLE: &str = "(c.email is not null and c.email_basis is not null and not exists (
    select 1 from suppressions s
    where s.communication_type = 'EMAIL' and s.destination = c.email and s.lifted_at is null)
    and not (exists (select 1 from suppressions where destination is null and lifted_at is null)
        and suppression_hash((select key from suppression_key), c.email) in (
            select address_hash from suppressions
            where communication_type = 'EMAIL' and destination is null and lifted_at is null)))";

impl Filter {
    /// Lets nobody through.
    #[must_use]
    pub fn nobody() -> Filter {
        Filter { among: Some(Vec::new()), ..Filter::default() }
    }

    /// Whether it lets all through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.q.trim().is_empty()
            && self.company.is_none()
            && self.comuna.is_none()
            && self.industry.is_none()
            && self.kind.is_none()
            && self.source.is_none()
            && self.lifecycle.is_none()
            && self.contactable.is_none()
            && self.import.is_none()
            && self.owner.is_none()
            && self.created_from.is_none()
            && self.created_until.is_none()
            && self.birth_month.is_none()
            && self.interests.is_empty()
            && self.stage.is_none()
            && self.visits_from.is_none()
            && self.spent_from.is_none()
            && self.active_from.is_none()
            && self.quiet_from.is_none()
            && self.list.is_none()
            && self.segment.is_none()
            && self.bulk.is_none()
            && self.changed_by.is_none()
            && self.among.is_none()
    }

    /// Whether what was typed holds nothing to look for, such as `%`: it finds nobody.
    #[must_use]
    pub fn is_vain(&self) -> bool {
        Search::is_vain(&self.q)
    }

    /// Whether nothing but words narrows it.
    pub(super) fn only_searches(&self) -> bool {
        Filter { q: String::new(), ..self.clone() }.is_empty()
    }

    /// As kept in the audit: what was searched for may be somebody's name.
    #[must_use]
    pub fn facts(&self) -> Value {
        let mut facts = json!(Filter { q: String::new(), among: None, ..self.clone() });
        if let Some(facts) = facts.as_object_mut() {
            facts.retain(|_, value| !value.is_null() && value != "");
            if !self.q.trim().is_empty() {
                facts.insert("search".to_owned(), json!(true));
            }
            if let Some(among) = &self.among {
                facts.insert("chosen".to_owned(), json!(among.len()));
            }
        }
        facts
    }

    /// Conditions on `contacts c` beside the search.
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>) {
        if let Some(company) = self.company {
            query.push(" and c.company_id = ").push_bind(company.0);
        }
        if let Some(code) = &self.comuna {
            push_comuna(query, code);
        }
        if let Some(industry) = &self.industry {
            query
                .push(" and c.company_id in (select id from companies where industry = ")
                .push_bind(industry.clone())
                .push(")");
        }
        match self.kind {
            Some(Kind::Person) => drop(query.push(" and c.company_id is null")),
            Some(Kind::Business) => drop(query.push(" and c.company_id is not null")),
            None => {}
        }
        if let Some(source) = self.source {
            query.push(" and c.source = ").push_bind(source.code());
        }
        if let Some(lifecycle) = self.lifecycle {
            query.push(" and c.lifecycle = ").push_bind(lifecycle.code());
        }
        if let Some(contactable) = self.contactable {
            query.push(if contactable { " and " } else { " and not " }).push(CONTACTABLE);
        }
        if let Some(import) = self.import {
            query.push(" and c.import_id = ").push_bind(import.0);
        }
        self.push_person(query);
        self.push_activity(query);
        if let Some(list) = self.list {
            query
                .push(" and exists (select 1 from list_members l where l.contact_id = c.id and l.list_id = ");
            query.push_bind(list.0).push(")");
        }
        for (action, and_changed) in [(self.bulk, ""), (self.changed_by, " and b.changed")] {
            let Some(action) = action else { continue };
            query.push(" and exists (select 1 from bulk_action_rows b where b.contact_id = c.id and b.bulk_action_id = ");
            query.push_bind(action.0).push(and_changed).push(")");
        }
        if self.segment.is_some() {
            self.within.push(query);
        }
        if let Some(among) = &self.among {
            query.push(" and c.id = any (").push_bind(among.clone()).push(")");
        }
    }

    /// Conditions on who looks after them, since when they are here, when they were born.
    fn push_person(&self, query: &mut QueryBuilder<Postgres>) {
        match self.owner {
            Some(Owner::Nobody) => drop(query.push(" and c.owner_id is null")),
            Some(Owner::Staff(id)) => drop(query.push(" and c.owner_id = ").push_bind(id.0)),
            None => {}
        }
        if let Some(day) = self.created_from {
            query.push(" and c.created_at >= ").push_bind(start(day));
        }
        if let Some(day) = self.created_until.and_then(|it| it.succ_opt()) {
            query.push(" and c.created_at < ").push_bind(start(day));
        }
        if let Some(month) = self.birth_month {
            query.push(" and extract(month from c.birth_date) = ").push_bind(i32::from(month));
        }
        if !self.interests.is_empty() {
            query.push(
                " and exists (select 1 from contact_interests t where t.contact_id = c.id and t.interest_id",
            );
            match self.interests.as_slice() {
                [one] => query.push(" = ").push_bind(*one).push(")"),
                many => query.push(" = any (").push_bind(many.to_vec()).push("))"),
            };
        }
        if let Some(stage) = self.stage {
            query.push(
                " and exists (select 1 from pipeline_cards p where p.contact_id = c.id and p.stage_id = ",
            );
            query.push_bind(stage.0).push(")");
        }
    }

    /// Conditions on what they did so far.
    fn push_activity(&self, query: &mut QueryBuilder<Postgres>) {
        const DID: &str = " (select 1 from contact_metrics m where m.contact_id = c.id and ";
        if let Some(visits) = self.visits_from.filter(|it| *it > 0) {
            query.push(" and exists").push(DID).push("m.visits >= ").push_bind(visits).push(")");
        }
        if let Some(spent) = self.spent_from.filter(|it| *it > 0) {
            query.push(" and exists").push(DID).push("m.spent >= ").push_bind(spent).push(")");
        }
        if let Some(day) = self.active_from {
            query
                .push(" and exists")
                .push(DID)
                .push("m.last_activity_at >= ")
                .push_bind(start(day))
                .push(")");
        }
        if let Some(day) = self.quiet_from {
            query
                .push(" and not exists")
                .push(DID)
                .push("m.last_activity_at >= ")
                .push_bind(start(day))
                .push(")");
        }
    }
}

/// The first instant of a local day.
fn start(day: NaiveDate) -> DateTime<Utc> {
    time::start_of_day(day)
}

fn push_comuna(query: &mut QueryBuilder<Postgres>, code: &str) {
    // A region is every code that starts with its two digits.
    let (from, until) = if code.len() == 2 {
        (format!("{code}000"), format!("{code}999"))
    } else {
        (code.to_owned(), code.to_owned())
    };
    query.push(" and (c.comuna between ").push_bind(from.clone()).push(" and ").push_bind(until.clone());
    query
        .push(" or (c.comuna is null and c.company_id in (select id from companies where comuna between ")
        .push_bind(from)
        .push(" and ")
        .push_bind(until)
        .push(")))");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_with_one_interest_is_still_read() {
        let read = |kept: Value| serde_json::from_value::<Filter>(kept).unwrap();
        assert_eq!(read(json!({ "interest": 7 })).interests, [7]);
        assert_eq!(read(json!({ "interest": null })), Filter::default());
        assert_eq!(read(json!({})), Filter::default());
        let two = Filter { interests: vec![7, 9], stage: Some(StageId(3)), ..Filter::default() };
        assert_eq!(read(json!(two)), two);
        assert_eq!(two.facts(), json!({ "interest": [7, 9], "stage": 3 }));
        assert!(!two.is_empty());
        assert!(!Filter { interests: Vec::new(), ..two.clone() }.is_empty(), "the stage alone narrows");
        assert!(!Filter { stage: None, ..two }.is_empty(), "the interests alone narrow");
    }
}
