//! A segment as one more filter of the list of contacts, so that whatever can be done
//! with a list (look, export, change) can be done with a segment.

use super::{
    compile::{self, Context},
    members, segment,
};
use crate::{
    chile::time,
    contacts::contact_filter::{Filter, Within},
    error::{Error, Result},
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Hand `filter` what its segment means at `now`. A segment that is gone lets nobody through.
///
/// # Errors
/// [`Error::Refused`] when the segment cannot be asked, or the database's.
pub async fn complete(db: &mut PgConnection, now: DateTime<Utc>, filter: &mut Filter) -> Result<()> {
    let Some(id) = filter.segment else { return Ok(()) };
    let rule = match segment::get(&mut *db, id).await {
        Ok(it) => it.rule,
        Err(Error::NotFound) => return Ok(()),
        Err(error) => return Err(error),
    };
    let library = members::library(db, &rule).await?;
    let today = time::local_date(now);
    filter.within =
        Within::new(move |query| compile::push(query, &rule, Context { library: &library, today }));
    Ok(())
}
