//! The list of templates.

use super::{
    Shell, filters,
    html::{self, Answer},
};
use crate::{
    channels::Channel,
    messaging::library::{self, Kind, Line},
    state::AppState,
};
use askama::Template;
use axum::extract::{Query, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Lines of a page.
const PAGE: usize = 50;

/// One more than a page shows whether another follows.
const ASKED: i64 = 51;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ListQuery {
    /// A kind, `automatic` or `archived`.
    show: String,
    /// A channel; empty: all.
    channel: String,
    before: Option<i64>,
}

struct Tab {
    label: &'static str,
    href: String,
    active: bool,
}

#[derive(Template)]
#[template(path = "templates/list.html")]
struct ListPage {
    shell: Shell,
    tabs: Vec<Tab>,
    channels: Vec<Tab>,
    /// The channel that is looked at; none: all.
    channel: Option<Channel>,
    templates: Vec<Line>,
    newer: String,
    older: String,
    now: DateTime<Utc>,
}

pub(super) async fn all(
    State(state): State<AppState>,
    shell: Shell,
    Query(query): Query<ListQuery>,
) -> Answer {
    let kinds: Vec<Kind> = match query.show.as_str() {
        "automatic" => Kind::ALL.iter().copied().filter(|it| !Kind::BY_HAND.contains(it)).collect(),
        code => Kind::from_code(code).map_or_else(|| Kind::ALL.to_vec(), |it| vec![it]),
    };
    let channel = Channel::from_code(&query.channel);
    let asked = channel.map_or_else(|| Channel::ALL.to_vec(), |it| vec![it]);
    let mut templates =
        library::list(&state.db, &asked, &kinds, query.show == "archived", query.before, ASKED).await?;
    let more = templates.len() > PAGE;
    templates.truncate(PAGE);
    let address = |show: &str, channel: Option<Channel>| {
        let asked = [("show", show), ("channel", channel.map_or("", Channel::code))];
        let asked: Vec<_> =
            asked.iter().filter(|it| !it.1.is_empty()).map(|it| format!("{}={}", it.0, it.1)).collect();
        if asked.is_empty() { "/templates".to_owned() } else { format!("/templates?{}", asked.join("&")) }
    };
    let tabs = [("Todas", "")]
        .into_iter()
        .chain(Kind::BY_HAND.iter().map(|it| (it.label(), it.code())))
        .chain([("Automáticas", "automatic"), ("Archivadas", "archived")])
        .map(|(label, show)| Tab { label, href: address(show, channel), active: show == query.show })
        .collect();
    let channels = [("Todos los canales", None)]
        .into_iter()
        .chain(Channel::ALL.map(|it| (it.label(), Some(it))))
        .map(|(label, it)| Tab { label, href: address(&query.show, it), active: it == channel })
        .collect();
    let here = address(&query.show, channel);
    let older = templates.last().filter(|_| more).map_or_else(String::new, |it| {
        let sign = if here.contains('?') { '&' } else { '?' };
        format!("{here}{sign}before={}", it.id)
    });
    let newer = query.before.map_or_else(String::new, |_| here.clone());
    html::page(&ListPage { shell, tabs, channels, channel, templates, newer, older, now: state.clock.now() })
}
