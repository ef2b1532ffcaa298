//! What a list of contacts can be narrowed to: one statement, since each look at the list offers it.

use crate::{
    contacts::interests::Interest,
    error::Result,
    ids::{InterestId, StaffId, StageId},
};
use serde::Deserialize;
use sqlx::{PgConnection, types::Json};

/// Somebody who looks after contacts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Owner {
    /// The account.
    pub id: StaffId,
    /// As others see them.
    pub name: String,
    /// May sign in.
    pub active: bool,
}

/// What there is to choose from, each in the order in which it is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// Of companies.
    pub industries: Vec<String>,
    /// Tags.
    pub interests: Vec<Interest>,
    /// Of the board.
    pub stages: Vec<(StageId, String)>,
    /// Accounts, those who may sign in first.
    pub owners: Vec<Owner>,
}

/// All of them.
///
/// # Errors
/// When the database fails.
pub async fn choices(db: &mut PgConnection) -> Result<Choices> {
    let row = sqlx::query!(
        r#"with recursive hop as (
               (select industry from companies where industry is not null order by industry limit 1)
               union all
               select (select k.industry from companies k where k.industry > hop.industry order by k.industry limit 1)
               from hop where hop.industry is not null
           )
           select array(select industry from hop where industry is not null limit 500) as "industries!",
               (select coalesce(json_agg(json_build_array(id, name, category) order by category, key), '[]')
                   from (select id, name, category, key from interests order by category, key limit 1000) offered)
                   as "interests!: Json<Vec<(InterestId, String, String)>>",
               (select coalesce(json_agg(json_build_array(id, name) order by position), '[]') from pipeline_stages)
                   as "stages!: Json<Vec<(StageId, String)>>",
               (select coalesce(json_agg(json_build_object('id', id, 'name', name, 'active', active)
                       order by active desc, lower(name), id), '[]') from staff_users)
                   as "owners!: Json<Vec<Owner>>""#
    )
    .fetch_one(db)
    .await?;
    Ok(Choices {
        industries: row.industries,
        interests: row
            .interests
            .0
            .into_iter()
            .map(|(id, name, category)| Interest { id, name, category })
            .collect(),
        stages: row.stages.0,
        owners: row.owners.0,
    })
}
