//! How far messages got, in SQL: what stands behind the numbers of a campaign.

use super::{
    kinds::Milestone,
    story::{BUYS_WITHIN_DAYS, Filter},
};
use sqlx::{Postgres, QueryBuilder};

/// When a message got somewhere, in SQL: as `campaign_figures_of` has it, so that the people behind a number are as many.
fn moment(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::Sent => "l.sent_at",
        Milestone::Delivered => "coalesce(l.delivered_at, l.opened_at, l.replied_at)",
        Milestone::Opened => "l.opened_at",
        Milestone::Clicked => "l.clicked_at",
        Milestone::Replied => "l.replied_at",
        Milestone::Bounced => "case when l.status = 'BOUNCED' then l.sent_at end",
        Milestone::Unsubscribed => "l.unsubscribed_at",
        Milestone::MachineOpened => "case when l.opened_at is null then l.machine_opened_at end",
        Milestone::MachineClicked => "case when l.clicked_at is null then l.machine_clicked_at end",
    }
}

/// Let through only messages that got as far as `filter` asks.
pub(super) fn narrow(sql: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if let Some(reached) = filter.reached {
        // The states that it can have come to, which the index knows.
        match reached {
            Milestone::Opened => sql.push(" and l.status in ('OPENED', 'CLICKED', 'REPLIED')"),
            Milestone::Clicked => sql.push(" and l.status in ('CLICKED', 'REPLIED')"),
            Milestone::Replied => sql.push(" and l.status = 'REPLIED'"),
            Milestone::Bounced => sql.push(" and l.status = 'BOUNCED'"),
            _ => sql,
        };
        sql.push(" and l.sent_at is not null and ").push(moment(reached)).push(" is not null");
    }
    if let Some((from, until)) = filter.between {
        let moment = moment(filter.reached.unwrap_or(Milestone::Sent));
        sql.push(" and ").push(moment).push(" >= ").push_bind(from);
        sql.push(" and ").push(moment).push(" < ").push_bind(until);
    }
    if filter.bought
        && let Some(id) = filter.campaign
    {
        sql.push(" and l.id in (select p.communication_log_id from campaign_purchases(").push_bind(id.0);
        sql.push(", ").push_bind(BUYS_WITHIN_DAYS).push(") p)");
    }
    if let Some(domain) = &filter.domain {
        sql.push(" and lower(split_part(l.destination, '@', 2)) = ").push_bind(domain.clone());
    }
    if let Some((template, number)) = filter.link {
        sql.push(
            " and l.id in (select c.communication_log_id from link_clicks c
                join message_links k on k.template_id = c.template_id and k.number = c.number
                join message_links asked on asked.target = k.target
                where asked.template_id = ",
        );
        sql.push_bind(template.0).push(" and asked.number = ").push_bind(number);
        if let Some(id) = filter.campaign {
            sql.push(" and c.campaign_id = ").push_bind(id.0);
        }
        sql.push(")");
    }
}
