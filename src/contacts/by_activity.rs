//! The list of contacts by their latest sign of life, to its end: who never gave one.

use super::{
    contact_filter::Filter,
    contact_list::{COLUMNS, JOINS_OF_PAGE, Row, row},
    found::Found,
    silent,
};
use crate::{
    db::keyset::{Page, Place},
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
) -> Result<Page<Row>> {
    let edge = match place.edge() {
        None => None,
        Some(id) => {
            sqlx::query!(
                r#"select c.id, m.last_activity_at as "at?" from contacts c
                   left join contact_metrics m on m.contact_id = c.id where c.id = $1"#,
                id
            )
            .fetch_optional(&mut *db)
            .await?
        }
    };
    let place = if edge.is_some() { place } else { Place::First };
    let up = place.is_backward();
    let (sign, direction) = if up { (" > ", "") } else { (" < ", " desc") };
    let wanted = i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows: Vec<Row> = Vec::new();
    let mut begun = edge.is_none();
    for is_active in [!up, up] {
        let within = edge.as_ref().filter(|it| it.at.is_some() == is_active);
        begun |= within.is_some();
        let missing = wanted - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if !begun || missing <= 0 {
            continue;
        }
        let mut query = QueryBuilder::new(COLUMNS);
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
            silent::push_blocks(&mut query, within.map(|it| it.id), up);
            query.push(" cross join lateral (select c.id from contacts c where ");
            silent::push_block(&mut query, "b");
            query.push(" and ").push(silent::SILENT);
        } else {
            query.push("null::timestamptz as at from contacts c where ").push(silent::SILENT);
        }
        found.push(&mut query, false);
        filter.push(&mut query);
        match within.map(|it| (it.id, it.at)) {
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
        query.push(") p join contacts c on c.id = p.id").push(JOINS_OF_PAGE);
        query.push(format!(" order by p.at{direction}, p.id{direction}"));
        rows.extend(query.build().try_map(|it| row(&it)).fetch_all(&mut *db).await?);
    }
    Ok(Page::new(place, size, rows))
}
