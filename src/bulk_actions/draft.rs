//! A change to many people as a form asks for it, checked: what it is, and its
//! target as people read it.

use super::Change;
use crate::{
    access::Actor,
    contacts::{bulk_edit::Edit, interests, pipeline::stages, vocabulary::Lifecycle},
    db::Tx,
    error::{Error, Result},
    ids::{ListId, StaffId},
    segments::list,
};
use chrono::{DateTime, Utc};

/// A change as a form asks for it.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// `TAG`, `UNTAG`, `OWNER`, `LIFECYCLE`, `STAGE`, `LIST` or `UNLIST`.
    pub action: String,
    /// Name of the interest to tag with; made where there is none.
    pub interest: String,
    /// Category under which it is made; empty: none. One that is there keeps its own.
    pub category: String,
    /// Row of the interest to take away.
    pub untag: String,
    /// Row of the person on the staff; `none`: nobody.
    pub owner: String,
    /// Code of the lifecycle.
    pub lifecycle: String,
    /// Row of the stage.
    pub stage: String,
    /// Row of the list that they are put on.
    pub to_list: String,
    /// Row of the list that they are taken off.
    pub from_list: String,
    /// How many people the form said that it is about; none: it said nothing.
    pub shown: Option<i64>,
}

impl Draft {
    /// The change, and its target as people read it.
    pub(super) async fn check(
        &self,
        tx: &mut Tx<'_>,
        now: DateTime<Utc>,
        actor: &Actor,
    ) -> Result<(Change, String)> {
        let choose = |message: &str| Error::invalid("action", message);
        match self.action.as_str() {
            "TAG" => {
                let interest = interests::named(tx, now, actor, &self.interest, &self.category).await?;
                Ok((Change::Fact(Edit::Tag(interest.id)), interest.name))
            }
            "UNTAG" => {
                let id = self.untag.parse().unwrap_or(0);
                let found = interests::list(&mut **tx).await?.into_iter().find(|it| it.id.0 == id);
                let interest = found.ok_or_else(|| choose("Elige qué interés quitar."))?;
                Ok((Change::Fact(Edit::Untag(interest.id)), interest.name))
            }
            "OWNER" if self.owner == "none" => Ok((Change::Fact(Edit::Owner(None)), String::new())),
            "OWNER" => {
                let id = self.owner.parse().unwrap_or(0);
                let name = sqlx::query_scalar!("select name from staff_users where id = $1 and active", id)
                    .fetch_optional(&mut **tx)
                    .await?
                    .ok_or_else(|| choose("Elige quién queda a cargo."))?;
                Ok((Change::Fact(Edit::Owner(Some(StaffId(id)))), name))
            }
            "LIFECYCLE" => {
                let to = Lifecycle::from_code(&self.lifecycle).ok_or_else(|| choose("Elige la etapa."))?;
                Ok((Change::Fact(Edit::Lifecycle(to)), to.label().to_owned()))
            }
            "STAGE" => {
                let id = self.stage.parse().unwrap_or(0);
                let found = stages::names(&mut **tx).await?.into_iter().find(|it| it.0.0 == id);
                let (id, name) = found.ok_or_else(|| choose("Elige en qué parte del embudo quedan."))?;
                Ok((Change::Fact(Edit::Stage(id.0)), name))
            }
            "LIST" => {
                let list = ListId(self.to_list.parse().unwrap_or(0));
                let name = list::open(&mut **tx, list).await;
                Ok((Change::List(list), name.map_err(|it| or_choose(it, "Elige a qué lista se agregan."))?))
            }
            "UNLIST" => {
                let list = ListId(self.from_list.parse().unwrap_or(0));
                let name = list::open(&mut **tx, list).await;
                Ok((Change::Unlist(list), name.map_err(|it| or_choose(it, "Elige de qué lista se quitan."))?))
            }
            _ => Err(choose("Elige qué hacer con estas personas.")),
        }
    }
}

/// What is not there was not chosen.
fn or_choose(error: Error, message: &str) -> Error {
    match error {
        Error::NotFound => Error::invalid("action", message),
        error => error,
    }
}
