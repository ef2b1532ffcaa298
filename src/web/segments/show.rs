//! A segment's page: what it means, whom it holds, the rules it has had; and why
//! one person is in it or not.

use super::{
    Shell, filters,
    flash::Flash,
    form::Form,
    html::{self, Answer},
};
use crate::{
    access::Actor,
    chile::{phone::Phone, time},
    contacts::{
        contact,
        contact_list::{self, Filter, Sort},
    },
    db::keyset::Place,
    error::Error,
    ids::{ContactId, ListId, SegmentId},
    segments::{
        evaluate::{Facts, Library},
        facts,
        field::Field,
        list,
        members::{self, Member},
        rule::{Condition, Group, Join, Node},
        segment::{self, Kind, Segment},
        words::Names,
    },
    state::AppState,
    web::bulk_actions::segment_to_list,
    web::connection::Db,
};
use askama::Template;
use axum::extract::{Path, Query, State};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;

/// People of one page.
const PAGE: i64 = 20;
/// People offered by a search.
const FOUND: usize = 8;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    before: Option<i64>,
    /// Of whom one wants to know why.
    q: String,
}

struct Past {
    version: i32,
    sentence: String,
    created_at: DateTime<Utc>,
    by: String,
}

#[derive(Template)]
#[template(path = "segments/show.html")]
struct ShowPage {
    shell: Shell,
    segment: Segment,
    sentence: String,
    people: Option<i64>,
    /// None: finding them takes too long.
    members: Option<Vec<Member>>,
    newer: String,
    older: String,
    versions: Vec<Past>,
    lists: Vec<(ListId, String)>,
    q: String,
    found: Vec<contact_list::Row>,
}

pub(super) async fn show(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<SegmentId>,
    Query(asked): Query<Asked>,
) -> Answer {
    let now = state.clock.now();
    let today = time::local_date(now);
    let it = segment::get(&mut *db, id).await?;
    let versions = segment::versions(&mut *db, id).await?;
    let names = Names::load(&mut db, versions.iter().map(|it| &it.rule).chain([&it.rule])).await?;
    let people = members::count(&mut db, now, &it.rule).await?;
    let mut page = match people {
        None => None,
        Some(_) => members::newest(&mut db, now, &it.rule, asked.before.map(ContactId), PAGE + 1).await?,
    };
    let more = page.as_ref().is_some_and(|it| i64::try_from(it.len()).is_ok_and(|it| it > PAGE));
    if let Some(page) = &mut page {
        page.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    }
    let base = format!("/segments/{id}");
    let older = page
        .as_ref()
        .and_then(|it| it.last())
        .filter(|_| more)
        .map_or(String::new(), |it| format!("{base}?before={}", it.id));
    let versions = versions.into_iter().map(|it| Past {
        version: it.version,
        sentence: names.sentence(&it.rule, today),
        created_at: it.created_at,
        by: it.by.unwrap_or_else(|| "el sistema".to_owned()),
    });
    let versions = versions.collect();
    let found = if asked.q.trim().is_empty() {
        Vec::new()
    } else {
        let filter = Filter { q: asked.q.clone(), ..Filter::default() };
        contact_list::page(&mut db, &filter, Sort::Newest, Place::First, FOUND).await?.rows
    };
    html::page(&ShowPage {
        // The search of the frame is another one.
        shell: Shell { query: String::new(), ..shell },
        sentence: names.sentence(&it.rule, today),
        people,
        members: page,
        newer: if asked.before.is_some() { base } else { String::new() },
        older,
        versions,
        lists: list::names(&mut *db).await?,
        q: asked.q,
        found,
        segment: it,
    })
}

/// A part of the rule with its answer for one person.
struct Answered {
    depth: usize,
    holds: bool,
    text: String,
    /// What the person's own value is; empty: none, or a group.
    own: String,
    is_group: bool,
    /// Of a condition about segments: which, and whether the person is in each.
    inner: Vec<Inner>,
}

/// A segment that a condition asks about.
struct Inner {
    id: i64,
    name: String,
    holds: bool,
}

#[derive(Template)]
#[template(path = "segments/why.html")]
struct WhyPage {
    shell: Shell,
    segment: Segment,
    contact: ContactId,
    name: String,
    holds: bool,
    answers: Vec<Answered>,
}

struct Reader<'a> {
    facts: &'a Facts,
    library: &'a Library,
    names: &'a Names,
    today: NaiveDate,
}

impl Reader<'_> {
    fn inner(&self, condition: &Condition) -> Vec<Inner> {
        if condition.field != Field::Segment {
            return Vec::new();
        }
        let ids = condition.values.iter().filter_map(|it| it.trim().parse::<i64>().ok());
        ids.map(|id| Inner {
            id,
            name: self.names.value(Field::Segment, &id.to_string()),
            holds: self
                .library
                .get(&id)
                .is_some_and(|rule| self.facts.satisfy(rule, self.library, self.today)),
        })
        .collect()
    }

    fn answer(&self, group: &Group, depth: usize, answers: &mut Vec<Answered>) {
        for item in &group.items {
            match item {
                Node::Group(inner) => {
                    let all = inner.join == Join::All;
                    answers.push(Answered {
                        depth,
                        holds: self.facts.satisfy(inner, self.library, self.today),
                        text: if all { "Cumple todas estas:" } else { "Cumple alguna de estas:" }.to_owned(),
                        own: String::new(),
                        is_group: true,
                        inner: Vec::new(),
                    });
                    self.answer(inner, depth + 1, answers);
                }
                Node::Condition(it) => answers.push(Answered {
                    depth,
                    holds: self.facts.meet(it, self.library, self.today),
                    text: self.names.condition(it, self.today),
                    own: self.names.own(it, self.facts, self.today),
                    is_group: false,
                    inner: self.inner(it),
                }),
            }
        }
    }
}

/// Why a person is in a segment, or not: each condition with their own value.
pub(super) async fn why(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path((id, contact)): Path<(SegmentId, ContactId)>,
) -> Answer {
    let segment = segment::get(&mut *db, id).await?;
    let person = match contact::get(&mut *db, contact).await {
        Err(Error::Joined(into)) => {
            let text = "Esa ficha se unió con esta: aquí se responde por ambas.";
            return Ok(Flash::plain(text).to(&format!("/segments/{id}/contacts/{into}")));
        }
        other => other?,
    };
    let facts = facts::of(&mut db, contact).await?;
    let library = members::library(&mut db, &segment.rule).await?;
    let names = Names::load(&mut db, [&segment.rule, &facts.mentioned()]).await?;
    let today = time::local_date(state.clock.now());
    let reader = Reader { facts: &facts, library: &library, names: &names, today };
    let mut answers = Vec::new();
    reader.answer(&segment.rule, 0, &mut answers);
    html::page(&WhyPage {
        shell,
        holds: facts.satisfy(&segment.rule, &library, today),
        segment,
        contact,
        name: person.full_name(),
        answers,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ToList {
    list_id: String,
}

/// Put those whom the segment holds now on a list.
pub(super) async fn to_list(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<SegmentId>,
    Form(form): Form<ToList>,
) -> Answer {
    segment_to_list(&state, &actor, id, form.list_id, &format!("/segments/{id}")).await
}
