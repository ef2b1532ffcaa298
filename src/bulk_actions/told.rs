//! What the audit is told of each person whom a bulk action changed, in the words that a change to one person is told in.

use super::{BulkAction, Change, Edit};
use crate::{access::Actor, audit, contacts::bulk_edit::Stood, db::Tx, error::Result};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::HashSet;

/// Which way people were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Given what was asked for.
    There,
    /// Brought back to what they were.
    Back,
}

/// Write down for each of `changed` what they were and what they became; `stood` tells how they stood before the action.
///
/// # Errors
/// When the database fails.
pub(super) async fn each(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &BulkAction,
    way: Way,
    stood: &Stood,
    changed: &[i64],
) -> Result<()> {
    let changed: HashSet<i64> = changed.iter().copied().collect();
    let told: Vec<audit::Told> = stood
        .ids
        .iter()
        .zip(&stood.before)
        .filter(|(id, _)| changed.contains(id))
        .map(|(id, was)| {
            let (old, new) = (was_so(action, was), made_so(action));
            let (before, mut after) = match way {
                Way::There => (old, new),
                Way::Back => (new, old),
            };
            after["bulk"] = json!(action.id);
            audit::Told { id: *id, before: Some(before), after: Some(after) }
        })
        .collect();
    audit::record_each(tx, now, actor, verb(action.change, way), "contact", &told).await
}

fn verb(change: Change, way: Way) -> &'static str {
    match (change, way) {
        (Change::List(_), Way::There) | (Change::Unlist(_), Way::Back) => "list.join",
        (Change::List(_), Way::Back) | (Change::Unlist(_), Way::There) => "list.leave",
        (Change::Fact(Edit::Tag(_)), Way::There) | (Change::Fact(Edit::Untag(_)), Way::Back) => {
            "interest.add"
        }
        (Change::Fact(Edit::Untag(_)), Way::There) | (Change::Fact(Edit::Tag(_)), Way::Back) => {
            "interest.remove"
        }
        (Change::Fact(Edit::Owner(_)), _) => "contact.update",
        (Change::Fact(Edit::Lifecycle(_)), _) => "contact.lifecycle",
        (Change::Fact(Edit::Stage(_)), _) => "pipeline.move",
    }
}

/// What somebody was who stood as `was` tells.
fn was_so(action: &BulkAction, was: &Value) -> Value {
    match action.change {
        Change::List(_) | Change::Fact(Edit::Tag(_)) => json!({}),
        Change::Unlist(_) => json!({ "list": action.target }),
        Change::Fact(Edit::Untag(_)) => json!({ "interest": action.target }),
        Change::Fact(Edit::Owner(_)) => json!({ "owner_id": was }),
        Change::Fact(Edit::Lifecycle(_)) => json!({ "lifecycle": was }),
        Change::Fact(Edit::Stage(_)) => json!({ "stage_id": was["stage"] }),
    }
}

/// What the action made of them.
fn made_so(action: &BulkAction) -> Value {
    match action.change {
        Change::List(_) => json!({ "list": action.target }),
        Change::Fact(Edit::Tag(_)) => json!({ "interest": action.target }),
        Change::Unlist(_) | Change::Fact(Edit::Untag(_)) => json!({}),
        Change::Fact(Edit::Owner(owner)) => json!({ "owner_id": owner }),
        Change::Fact(Edit::Lifecycle(to)) => json!({ "lifecycle": to }),
        Change::Fact(Edit::Stage(stage)) => json!({ "stage_id": stage }),
    }
}
