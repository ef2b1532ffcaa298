//! Segments and lists as filters of the list of contacts, so that whatever can be done
//! with its people (look, export, change) can be done with those of a segment.

use super::{
    compile::{self, Context},
    list, members, segment,
};
use crate::{
    chile::time,
    contacts::{
        contact_filter::{Filter, Within},
        contact_list::{self, Matching, Sort},
    },
    error::{Error, Result},
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Hand `filter` what its segment means at `now`. A segment or a list that is gone, or was deleted, lets nobody through.
///
/// # Errors
/// [`Error::Refused`] when the segment cannot be asked, or the database's.
pub async fn complete(db: &mut PgConnection, now: DateTime<Utc>, filter: &mut Filter) -> Result<()> {
    if let Some(id) = filter.list {
        match list::heading(&mut *db, id).await {
            Ok((_, false)) => {}
            Ok(_) | Err(Error::NotFound) => filter.among = Some(Vec::new()),
            Err(error) => return Err(error),
        }
    }
    let Some(id) = filter.segment else { return Ok(()) };
    let rule = match segment::get(&mut *db, id).await {
        Ok(it) if !it.is_deleted => it.rule,
        Ok(_) | Err(Error::NotFound) => return Ok(()),
        Err(error) => return Err(error),
    };
    let library = members::library(db, &rule).await?;
    let today = time::local_date(now);
    filter.within =
        Within::new(move |query| compile::push(query, &rule, Context { library: &library, today }));
    Ok(())
}

/// Everybody whom a list with `filter` shows at `now`.
///
/// # Errors
/// As [`complete`].
pub async fn everybody(db: &mut PgConnection, now: DateTime<Utc>, filter: &Filter) -> Result<Matching> {
    let mut filter = filter.clone();
    complete(db, now, &mut filter).await?;
    contact_list::matching(db, &filter, Sort::Newest).await
}
