//! The list of contacts by their latest sign of life, to its end: who never gave one.

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

/// A page by activity. The list has two parts, those with a sign of life and those without, and each is
/// walked by an index of its own: the second is read only where the first does not fill the page.
pub(super) async fn by_activity(
    db: &mut PgConnection,
    filter: &Filter,
    found: &Found,
    place: Place,
    size: usize,
    beside: Beside,
) -> Result<Page<Row>> {
    // What it is ordered by, the place of the next page is made of.
    let beside = Beside { figures: true, ..beside };
    let place = place.sorted_by(|key| matches!(key, Key::At(_)));
    let edge = match place.edge().map(|it| (it.id, &it.key)) {
        Some((id, Key::At(at))) => Some((id, *at)),
        _ => None,
    };
    let up = place.is_backward();
    let (sign, direction) = if up { (" > ", "") } else { (" < ", " desc") };
    let wanted = i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows: Vec<Row> = Vec::new();
    let mut begun = edge.is_none();
    for is_active in [!up, up] {
        let within = edge.filter(|(_, at)| at.is_some() == is_active);
        begun |= within.is_some();
        let missing = wanted - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if !begun || missing <= 0 {
            continue;
        }
        let mut query = QueryBuilder::new("");
        beside.push_columns(&mut query);
        query.push(" from (select c.id, ");
        // Whom nothing else singles out is looked for where somebody may be: nearly everybody may have given a sign.
        let by_block = !is_active && filter.is_empty() && matches!(found, Found::All);
        if is_active {
            query.push(
                "a.last_activity_at as at from contact_metrics a join contacts c on c.id = a.contact_id
                 where a.last_activity_at is not null and c.merged_into is null",
            );
        } else if by_block {
            query.push("null::timestamptz as at from ");
            silent::push_blocks(&mut query, within.map(|it| it.0), up);
            query.push(" cross join lateral (select c.id from contacts c where ");
            silent::push_block(&mut query, "b");
            query.push(" and ").push(silent::SILENT);
        } else {
            query.push("null::timestamptz as at from contacts c where ").push(silent::SILENT);
        }
        found.push(&mut query, false);
        filter.push(&mut query);
        match within {
            Some((id, Some(at))) => {
                query.push(" and (a.last_activity_at, a.contact_id)").push(sign).push("(").push_bind(at);
                query.push(", ").push_bind(id).push(")");
            }
            Some((id, None)) => drop(query.push(" and c.id").push(sign).push_bind(id)),
            None => {}
        }
        let order = if is_active {
            format!(" order by a.last_activity_at{direction}, a.contact_id{direction} limit {missing}")
        } else {
            format!(" order by c.id{direction} limit {missing}")
        };
        query.push(&order);
        if by_block {
            query.push(format!(") c order by b.block{direction}, c.id{direction} limit {missing}"));
        }
        query.push(") p join contacts c on c.id = p.id");
        beside.push_joins_of_page(&mut query);
        query.push(format!(" order by p.at{direction}, p.id{direction}"));
        rows.extend(query.build().try_map(|it| list_row::read(&it)).fetch_all(&mut *db).await?);
    }
    Ok(Page::new(&place, size, rows))
}
