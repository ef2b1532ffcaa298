//! The list of segments; counts come by themselves, one by one.

use super::{
    Shell, filters,
    html::{self, Answer},
};
use crate::{
    chile::time,
    ids::SegmentId,
    segments::{
        members,
        segment::{self, Kind, Segment},
        words::Names,
    },
    state::AppState,
    web::connection::Db,
};
use askama::Template;
use axum::extract::{Path, State};

struct Row {
    it: Segment,
    sentence: String,
}

#[derive(Template)]
#[template(path = "segments/list.html")]
struct ListPage {
    shell: Shell,
    own: Vec<Row>,
    automatic: Vec<Row>,
}

pub(super) async fn list(State(state): State<AppState>, shell: Shell, Db(mut db): Db) -> Answer {
    let today = time::local_date(state.clock.now());
    let all = segment::list(&mut *db).await?;
    let names = Names::load(&mut db, all.iter().map(|it| &it.rule)).await?;
    let row = |it: Segment| Row { sentence: names.sentence(&it.rule, today), it };
    let (own, automatic) = all.into_iter().map(row).partition(|it| it.it.kind == Kind::Rule);
    html::page(&ListPage { shell, own, automatic })
}

#[derive(Template)]
#[template(
    source = r#"{% match people %}{% when Some(n) %}{{ n|number }}{% when None %}<span class="text-secondary">tarda mucho</span>{% endmatch %}"#,
    ext = "html"
)]
struct Count {
    people: Option<i64>,
}

/// How many a segment holds now.
pub(super) async fn count(State(state): State<AppState>, Path(id): Path<SegmentId>) -> Answer {
    let mut db = state.db.acquire().await?;
    let it = segment::get(&mut *db, id).await?;
    html::page(&Count { people: members::count(&mut db, state.clock.now(), &it.rule).await? })
}
