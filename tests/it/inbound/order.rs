//! However late, often and out of order it is told, it ends the same.

use super::{bounce, message, report, settle, status_of, tell, text};
use crate::{campaigns::app, support::TestApp};
use chrono::TimeDelta;
use llovizna::channels::feedback::{Kind, Report, Source};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use sqlx::PgPool;

/// All that one day can bring, about the message number `n`.
fn everything(app: &TestApp, n: i64) -> Vec<Report> {
    let mut all = vec![
        report(Kind::Delivered, n, "delivered"),
        report(Kind::Deferred, n, "deferred").said(None, Some("451 4.7.1 greylisted")).late(),
        bounce(n, "full", "552 5.2.2 mailbox full"),
        bounce(n, "dead", "550 5.1.1 no such user"),
        bounce(n, "policy", "550 5.7.1 blocked"),
        report(Kind::Complaint, n, "complaint"),
        report(Kind::OptOut, n, "opt-out"),
        report(Kind::Reply, n, "reply"),
        report(Kind::AutoReply, n, "auto-reply"),
        report(Kind::Delivered, n, "delivered again"),
    ];
    for (minute, it) in (1..).zip(&mut all) {
        it.event_id = format!("{}-{n}", it.event_id);
        it.occurred_at = Some(app.now() - TimeDelta::minutes(60 - minute));
        it.recipient = Some(format!("p{n}@x.example"));
    }
    all
}

/// All that is to be seen of the message number `n` and its person, without the numbers themselves.
async fn state(app: &TestApp, n: i64) -> String {
    let text: String = sqlx::query_scalar(
        "select concat_ws(' | ', l.status, l.delivered_at, l.replied_at, l.error, l.unsubscribed_at is not null,
             c.email_basis, c.sms_basis,
             (select string_agg(communication_type || scope || reason, ',' order by communication_type, scope, reason)
              from suppressions s where s.destination in (c.email, c.phone)),
             (select string_agg(summary || at, ',' order by at) from interactions i where i.contact_id = c.id),
             (select count(*) from consent_events e where e.contact_id = c.id),
             (select string_agg(distinct kind || coalesce(answer, ''), ',' order by kind || coalesce(answer, ''))
              from communication_events e where e.communication_log_id = l.id))
         from communication_logs l join contacts c on c.id = l.contact_id where l.external_id = 'm' || $1 || '@lluviasur.example'",
    )
    .bind(n)
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    text
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn any_order_and_any_repetition_end_the_same(db: PgPool) {
    let app = app(db);
    for case in 0..30_u64 {
        let mut random = StdRng::seed_from_u64(case);
        let (straight, muddled) =
            (i64::try_from(case).unwrap() * 2 + 1, i64::try_from(case).unwrap() * 2 + 2);
        message(&app, straight, "SENT").await;
        message(&app, muddled, "SENT").await;
        // Some of it, the same for both.
        let mut chosen: Vec<usize> = (0..10).collect();
        chosen.shuffle(&mut random);
        chosen.truncate(2 + usize::try_from(case).unwrap() % 9);
        chosen.sort_unstable();
        let all = everything(&app, straight);
        for place in &chosen {
            tell(&app, Source::SendGrid, std::slice::from_ref(&all[*place])).await;
            settle(&app).await;
        }
        let all = everything(&app, muddled);
        let mut told: Vec<usize> = chosen.iter().chain(&chosen).chain(&chosen).copied().collect();
        told.shuffle(&mut random);
        for some in told.chunks(1 + usize::try_from(case).unwrap() % 4) {
            let some: Vec<Report> = some.iter().map(|it| all[*it].clone()).collect();
            tell(&app, Source::SendGrid, &some).await;
            if case % 3 != 0 {
                settle(&app).await;
            }
        }
        settle(&app).await;
        assert_eq!(
            state(&app, straight).await,
            state(&app, muddled).await,
            "case {case}: {chosen:?} as {told:?}"
        );
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn nothing_moves_a_message_back(db: PgPool) {
    let app = app(db);
    let id = message(&app, 1, "SENT").await;
    for (it, expected) in [
        (report(Kind::Delivered, 1, "a"), "DELIVERED"),
        (report(Kind::Deferred, 1, "b"), "DELIVERED"),
        (bounce(1, "c", "552 5.2.2 full"), "BOUNCED"),
        (report(Kind::Delivered, 1, "d"), "BOUNCED"),
        (report(Kind::Reply, 1, "e"), "REPLIED"),
        (bounce(1, "f", "550 5.1.1 unknown"), "REPLIED"),
        (report(Kind::Delivered, 1, "g"), "REPLIED"),
        (report(Kind::AutoReply, 1, "h"), "REPLIED"),
    ] {
        tell(&app, Source::Mailbox, std::slice::from_ref(&it)).await;
        settle(&app).await;
        assert_eq!(status_of(&app, id).await, expected, "{}", it.event_id);
    }
    let left = "select string_agg(distinct status, ',') from inbound_events";
    assert_eq!(
        text(&app.state.db, left).await,
        "APPLIED",
        "each did what it could, and none is tried for ever"
    );
    for back in ["SENT", "DELIVERED", "BOUNCED", "OPENED", "PENDING", "FAILED"] {
        let done =
            sqlx::query("update communication_logs set status = $1").bind(back).execute(&app.state.db).await;
        assert!(done.is_err(), "the database refuses {back}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn two_who_hear_the_same_at_once_do_it_once(db: PgPool) {
    let app = app(db);
    let mut all = Vec::new();
    for n in 1..=40 {
        message(&app, n, "SENT").await;
        all.extend(everything(&app, n));
    }
    let both = async || {
        let told = tell(&app, Source::SendGrid, &all).await;
        settle(&app).await;
        told
    };
    let (one, other) = tokio::join!(both(), both());
    assert_eq!(one + other, u64::try_from(all.len()).unwrap());
    settle(&app).await;
    let counts: (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from interactions), (select count(*) from communication_logs where status = 'REPLIED'),
                (select count(*) from inbound_events where status = 'APPLIED')",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert_eq!(counts, (40, 40, 400));
}
