//! Subjects and openings that an artificial intelligence proposes for a draft: asked for by a person, answered outside the
//! request, judged, and approved, edited or refused by a person. Nothing that names anybody leaves the house, and no
//! campaign ever waits for it.

pub mod scrub;
pub mod known;
pub mod prompt;
pub mod judge;
pub mod ask;
pub mod run;
mod industry;
pub mod decide;
pub mod by_itself;

use crate::{
    codes::codes,
    error::Result,
    ids::{CampaignId, CopyRequestId, ProposalId},
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

codes! {
    /// For whom proposals are asked.
    Scope {
        /// Everybody.
        Campaign = "CAMPAIGN", "Toda la campaña";
        /// Each industry by itself.
        Industry = "INDUSTRY", "Por rubro";
        /// One person.
        Contact = "CONTACT", "Una persona";
    }
}

codes! {
    /// Where a request stands. The arrows are drawn in `migrations/0038_copywriter.sql`.
    Status {
        /// It waits for its turn, or for another try.
        Pending = "PENDING", "En espera";
        /// The provider was asked.
        Running = "RUNNING", "Preguntando";
        /// Its proposals are there.
        Done = "DONE", "Lista";
        /// There will be none.
        Failed = "FAILED", "No resultó";
    }
}

codes! {
    /// Where a proposal stands.
    Decision {
        /// Nobody has decided.
        Proposed = "PROPOSED", "Por decidir";
        /// It can't be used.
        Unusable = "UNUSABLE", "No sirve";
        /// The draft took it.
        Approved = "APPROVED", "Aprobada";
        /// A person did not want it.
        Refused = "REFUSED", "Descartada";
    }
}

/// One text that was proposed.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Row.
    pub id: ProposalId,
    /// Subject.
    pub subject: String,
    /// First paragraph.
    pub opening: String,
    /// Why it can't be used.
    pub problem: Option<String>,
    /// What to look at before it is used.
    pub caution: Option<String>,
    /// Where it stands.
    pub decision: Decision,
    /// The subject that the draft took.
    pub used_subject: Option<String>,
    /// The opening that the draft took.
    pub used_opening: Option<String>,
    /// The draft kept its own text, and tries this one beside it.
    pub tried_beside: bool,
    /// The draft took it by itself, and it can be taken back.
    pub taken_by_itself: bool,
    /// The draft took it for the people of its request's industry alone.
    pub for_industry: bool,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// By whom.
    pub decided_by_name: Option<String>,
}

/// Texts that were asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Row.
    pub id: CopyRequestId,
    /// Whom they are for, in words.
    pub about: String,
    /// They were asked for one industry.
    pub is_of_industry: bool,
    /// Where it stands.
    pub status: Status,
    /// How often the provider was asked.
    pub tries: i32,
    /// When it is asked next.
    pub next_attempt_at: DateTime<Utc>,
    /// Why there will be none.
    pub failure: Option<String>,
    /// Its answer was there already.
    pub from_cache: bool,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by_name: String,
    /// What came, in the order in which it came.
    pub proposals: Vec<Proposal>,
}

impl Request {
    /// Whether something may still come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.status, Status::Pending | Status::Running)
    }
}

/// The newest `limit` requests of a campaign, with their proposals.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &mut PgConnection, campaign: CampaignId, limit: i64) -> Result<Vec<Request>> {
    let rows = sqlx::query!(
        r#"select r.id, r.about, r.industry is not null as "is_of_industry!", r.status, r.tries, r.next_attempt_at, r.failure, r.created_at, r.created_by_name,
                  coalesce(l.from_cache, false) as "from_cache!"
           from copy_requests r left join copy_calls l on l.id = r.call_id
           where r.campaign_id = $1 order by r.id desc limit $2"#,
        campaign.0,
        limit
    )
    .fetch_all(&mut *db)
    .await?;
    let ids: Vec<i64> = rows.iter().map(|it| it.id).collect();
    let proposals = sqlx::query!(
        "select id, request_id, subject, opening, problem, caution, status, used_subject, used_opening, tried_beside, for_industry,
                taken_by_itself, decided_at, decided_by_name
         from copy_proposals where request_id = any ($1) order by request_id, position",
        &ids
    )
    .fetch_all(db)
    .await?;
    let of = |request: i64| {
        proposals
            .iter()
            .filter(|it| it.request_id == request)
            .map(|it| Proposal {
                id: ProposalId(it.id),
                subject: it.subject.clone(),
                opening: it.opening.clone(),
                problem: it.problem.clone(),
                caution: it.caution.clone(),
                decision: Decision::from_code(&it.status).unwrap_or(Decision::Unusable),
                used_subject: it.used_subject.clone(),
                used_opening: it.used_opening.clone(),
                tried_beside: it.tried_beside,
                taken_by_itself: it.taken_by_itself,
                for_industry: it.for_industry,
                decided_at: it.decided_at,
                decided_by_name: it.decided_by_name.clone(),
            })
            .collect()
    };
    Ok(rows
        .into_iter()
        .map(|it| Request {
            id: CopyRequestId(it.id),
            proposals: of(it.id),
            about: it.about,
            is_of_industry: it.is_of_industry,
            status: Status::from_code(&it.status).unwrap_or(Status::Failed),
            tries: it.tries,
            next_attempt_at: it.next_attempt_at,
            failure: it.failure,
            from_cache: it.from_cache,
            created_at: it.created_at,
            created_by_name: it.created_by_name,
        })
        .collect())
}
