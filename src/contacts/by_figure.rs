//! The list of contacts by a figure that is kept beside them, the greatest first, to its end: those who have none.

use super::{
    contact_filter::Filter,
    found::Found,
    list_row::{self, Beside, Row},
    silent,
};
use crate::{
    db::keyset::{Key, Page, Place},
    error::Result,
};
use sqlx::{PgConnection, QueryBuilder};

/// What the list is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// The latest sign of life.
    Activity,
    /// What they spent, in pesos.
    Spent,
    /// How often they came.
    Visits,
}

impl Figure {
    /// Its column of `contact_metrics`.
    fn column(self) -> &'static str {
        match self {
            Figure::Activity => "last_activity_at",
            Figure::Spent => "spent",
            Figure::Visits => "visits",
        }
    }

    /// Whether `contact_metrics a` has it.
    fn is_there(self) -> &'static str {
        match self {
            Figure::Activity => "a.last_activity_at is not null",
            Figure::Spent => "a.spent > 0",
            Figure::Visits => "a.visits > 0",
        }
    }

    /// What stands for it where there is none.
    fn none(self) -> &'static str {
        match self {
            Figure::Activity => "null::timestamptz",
            Figure::Spent => "0::bigint",
            Figure::Visits => "0::int",
        }
    }

    /// Whether `filter` lets through only those who have it.
    fn is_asked_for(self, filter: &Filter) -> bool {
        match self {
            Figure::Activity => filter.active_from.is_some(),
            Figure::Spent => filter.spent_from.is_some_and(|it| it > 0),
            Figure::Visits => filter.visits_from.is_some_and(|it| it > 0),
        }
    }

    /// Whether the edge of a page of such a list is sorted by `key`.
    fn fits(self, key: &Key) -> bool {
        match self {
            Figure::Activity => matches!(key, Key::At(_)),
            Figure::Spent | Figure::Visits => matches!(key, Key::Number(_)),
        }
    }
}

/// Whether a row sorted by `key` has the figure.
fn has_one(key: &Key) -> bool {
    match key {
        Key::At(at) => at.is_some(),
        Key::Number(number) => *number > 0,
        Key::Row | Key::Day(_) | Key::Text(_) => false,
    }
}

/// A page by `figure`. The list has two parts, those who have it and those who have none, and each is
/// walked by an index of its own: the second is read only where the first does not fill the page.
pub(super) async fn by_figure(
    db: &mut PgConnection,
    figure: Figure,
    filter: &Filter,
    found: &Found,
    (place, size): (Place, usize),
    beside: Beside,
) -> Result<Page<Row>> {
    // What it is ordered by, the place of the next page is made of.
    let beside = Beside { figures: true, ..beside };
    let place = place.sorted_by(|key| figure.fits(key));
    let edge = place.edge();
    let up = place.is_backward();
    let (sign, direction) = if up { (" > ", "") } else { (" < ", " desc") };
    let wanted = i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows: Vec<Row> = Vec::new();
    let mut begun = edge.is_none();
    for has_it in [!up, up] {
        let within = edge.filter(|it| has_one(&it.key) == has_it);
        begun |= within.is_some();
        let missing = wanted - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if !begun || missing <= 0 || !has_it && figure.is_asked_for(filter) {
            continue;
        }
        let mut query = QueryBuilder::new("");
        beside.push_columns(&mut query);
        query.push(" from (select c.id, ");
        // Whom nothing else singles out is looked for where somebody may be: nearly everybody may have given a sign.
        let by_block =
            !has_it && figure == Figure::Activity && filter.is_empty() && matches!(found, Found::All);
        if has_it {
            query.push(format!(
                "a.{} as figure from contact_metrics a join contacts c on c.id = a.contact_id
                 where {} and c.merged_into is null",
                figure.column(),
                figure.is_there()
            ));
        } else if by_block {
            query.push(figure.none()).push(" as figure from ");
            silent::push_blocks(&mut query, within.map(|it| it.id), up);
            query.push(" cross join lateral (select c.id from contacts c where ");
            silent::push_block(&mut query, "b");
            query.push(" and ").push(silent::SILENT);
        } else {
            query.push(format!(
                "{} as figure from contacts c where c.merged_into is null
                 and not exists (select from contact_metrics a where a.contact_id = c.id and {})",
                figure.none(),
                figure.is_there()
            ));
        }
        found.push(&mut query, false);
        filter.push(&mut query);
        let column = figure.column();
        if let Some(edge) = within.filter(|_| has_it) {
            query.push(format!(" and (a.{column}, a.contact_id){sign}("));
            match &edge.key {
                Key::At(at) => query.push_bind(*at),
                // As wide as the column, else its index would not serve.
                Key::Number(number) if figure == Figure::Visits => {
                    query.push_bind(i32::try_from(*number).unwrap_or(i32::MAX))
                }
                Key::Number(number) => query.push_bind(*number),
                Key::Row | Key::Day(_) | Key::Text(_) => query.push("null"),
            };
            query.push(", ").push_bind(edge.id).push(")");
        } else if let Some(edge) = within {
            query.push(" and c.id").push(sign).push_bind(edge.id);
        }
        let order = if has_it {
            format!(" order by a.{column}{direction}, a.contact_id{direction} limit {missing}")
        } else {
            format!(" order by c.id{direction} limit {missing}")
        };
        query.push(&order);
        if by_block {
            query.push(format!(") c order by b.block{direction}, c.id{direction} limit {missing}"));
        }
        query.push(") p join contacts c on c.id = p.id");
        beside.push_joins_of_page(&mut query);
        query.push(format!(" order by p.figure{direction}, p.id{direction}"));
        rows.extend(query.build().try_map(|it| list_row::read(&it)).fetch_all(&mut *db).await?);
    }
    Ok(Page::new(&place, size, rows))
}
