//! For whoever operates the program: is it alive, is it ready, how is it doing. No personal data.

use super::{bearer, routes::Route};
use crate::{db::MIGRATIONS, error::Result, state::AppState};
use axum::{
    Extension,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{fmt::Write, net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::Mutex;

pub(super) fn routes() -> Vec<Route> {
    let kept = Kept::default();
    vec![
        Route::public_get("/healthz", async || "ok\n"),
        Route::public_get("/readyz", ready),
        Route::public_get("/metrics", move |state, headers, peer| metrics(state, headers, peer, kept)),
    ]
}

/// The figures as last counted, and when: whoever asks often costs no more than whoever asks seldom.
type Kept = Arc<Mutex<Option<(DateTime<Utc>, String)>>>;

/// How long figures are told again before they are counted anew.
const FRESH: TimeDelta = TimeDelta::seconds(15);

/// Longest wait for the database before it counts as away.
const PATIENCE: Duration = Duration::from_secs(3);

/// 200 once the database answers with this build's schema, 503 else.
async fn ready(State(state): State<AppState>) -> Response {
    let newest = MIGRATIONS.iter().map(|it| it.version).max().unwrap_or_default();
    let asked =
        sqlx::query_scalar::<_, Option<i64>>("select max(version) from _sqlx_migrations where success");
    let away = |why: &'static str| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    match tokio::time::timeout(PATIENCE, asked.fetch_one(&state.db)).await {
        Ok(Ok(Some(version))) if version >= newest => "ready\n".into_response(),
        Ok(Ok(_)) => away("migrating\n"),
        Ok(Err(_)) | Err(_) => away("database away\n"),
    }
}

/// Prometheus text format, version 0.0.4, for who has the token or, where none is set, for this machine.
async fn metrics(
    State(state): State<AppState>,
    headers: HeaderMap,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    kept: Kept,
) -> Response {
    match &state.config.metrics_token {
        Some(token) if bearer::is_authorised(&headers, token) => (),
        Some(_) => {
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "METRICS_TOKEN\n")
                .into_response();
        }
        // A proxy on this machine speaks for others.
        None if peer.is_some_and(|it| it.0.0.ip().is_loopback()) && !is_forwarded(&headers) => (),
        None => return super::error::not_found().await.into_response(),
    }
    let now = state.clock.now();
    let mut kept = kept.lock().await;
    let text = match kept.as_ref().filter(|(at, _)| now - *at < FRESH) {
        Some((_, text)) => text.clone(),
        None => kept.insert((now, count(&state).await)).1.clone(),
    };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-real-ip"].iter().any(|it| headers.contains_key(*it))
}

async fn count(state: &AppState) -> String {
    match tokio::time::timeout(PATIENCE, measure(state)).await {
        Ok(Ok(text)) => format!("{text}llovizna_database_up 1\n"),
        Ok(Err(_)) | Err(_) => "# TYPE llovizna_database_up gauge\nllovizna_database_up 0\n".to_owned(),
    }
}

async fn measure(state: &AppState) -> Result<String> {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, values: &[(String, i64)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let queued = crate::messaging::health::queue(&state.db, state.clock.now()).await?;
    let channel = |code: &str| format!("{{channel=\"{code}\"}}");
    let pick = |of: fn(&crate::messaging::health::Queue) -> i64| -> Vec<(String, i64)> {
        queued.iter().map(|it| (channel(it.channel.code()), of(it))).collect()
    };
    metric("llovizna_messages_pending", "gauge", "Messages in the queue.", &pick(|it| it.pending));
    metric(
        "llovizna_messages_due",
        "gauge",
        "Messages in the queue whose time has come.",
        &pick(|it| it.due),
    );
    metric(
        "llovizna_messages_unconfirmed",
        "gauge",
        "Messages that wait for a decision.",
        &pick(|it| it.unconfirmed),
    );
    metric("llovizna_messages_sent_total", "counter", "Messages taken by the provider.", &pick(|it| it.sent));
    metric("llovizna_messages_failed_total", "counter", "Messages refused for good.", &pick(|it| it.failed));
    metric(
        "llovizna_drip_last_success_timestamp_seconds",
        "gauge",
        "End of the last drip run that did its work.",
        &pick(|it| it.last_success.map_or(0, |at| at.timestamp())),
    );
    let now = state.clock.now();
    let age = |since: Option<DateTime<Utc>>| since.map_or(0, |it| (now - it).num_seconds().max(0));
    let oldest: Vec<_> = queued.iter().map(|it| (channel(it.channel.code()), age(it.oldest_due))).collect();
    metric(
        "llovizna_messages_oldest_due_seconds",
        "gauge",
        "How long the message has been due whose time came first; 0: none is due.",
        &oldest,
    );
    metric(
        "llovizna_drip_last_duration_seconds",
        "gauge",
        "How long the last drip run took that did its work.",
        &pick(|it| it.last_duration.unwrap_or_default()),
    );
    let returned = crate::messaging::health::returned(&state.db).await?;
    let by_kind = returned.by_kind.iter().map(|(kind, count)| (format!("{{kind=\"{kind}\"}}"), *count));
    metric(
        "llovizna_returned_total",
        "counter",
        "Bounces, complaints, refusals and answers that came back.",
        &by_kind.collect::<Vec<_>>(),
    );
    let mut one = |name: &str, help: &str, value: i64| metric(name, "gauge", help, &[(String::new(), value)]);
    one("llovizna_returned_waiting", "What came back and waits to be applied.", returned.waiting);
    one("llovizna_returned_unmatched", "What came back and waits for a person.", returned.unmatched);
    one("llovizna_evidence_unsealed_events", "Events that no seal covers yet.", returned.unsealed);
    one(
        "llovizna_evidence_unsealed_seconds",
        "How long ago the first of them happened; 0: all are sealed.",
        age(returned.unsealed_since),
    );
    let pool = [
        ("{state=\"open\"}", state.db.size()),
        ("{state=\"idle\"}", u32::try_from(state.db.num_idle()).unwrap_or(0)),
    ];
    let pool: Vec<_> = pool.iter().map(|(labels, n)| ((*labels).to_owned(), i64::from(*n))).collect();
    metric("llovizna_database_connections", "gauge", "Connections of the pool.", &pool);
    text.push_str("# TYPE llovizna_database_up gauge\n");
    Ok(text)
}
