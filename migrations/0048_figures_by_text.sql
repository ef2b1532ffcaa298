-- What became of each text of a campaign that tries several, counted like all the rest; and what people bought after a
-- message, which both the sum on the campaign's page and the list of its people ask.
alter table campaign_figures add column variant smallint;
comment on table campaign_figures is
    'only sums mean something; each message is in it under its hour and under its domain, and under its text where it drew one of several';
comment on column campaign_figures.folded is 'one row for each hour, domain or text, to which what gathers is added now and then';
create index campaign_figures_by_variant on campaign_figures (campaign_id, variant) include (what, messages) where variant is not null;
drop index campaign_figures_folded;
create unique index campaign_figures_folded on campaign_figures (campaign_id, what, hour, domain, variant)
    nulls not distinct where folded;

create or replace function campaign_figures_move() returns trigger language plpgsql as $$
begin
    insert into campaign_figures (campaign_id, what, hour, domain, variant, messages)
    select campaign_id, what, hour, domain, variant, sum(messages) from (
        select m.campaign_id, f.what, date_trunc('hour', f.at, 'UTC') as hour, lower(split_part(m.destination, '@', 2)) as domain,
            m.variant, m.messages
        from (
            select campaign_id, destination, variant, status, sent_at, delivered_at, opened_at, clicked_at, replied_at, unsubscribed_at,
                machine_opened_at, machine_clicked_at, -1 as messages
            from before where sent_at is not null and origin = 'CAMPAIGN' and campaign_id is not null
            union all
            select campaign_id, destination, variant, status, sent_at, delivered_at, opened_at, clicked_at, replied_at, unsubscribed_at,
                machine_opened_at, machine_clicked_at, 1
            from after where sent_at is not null and origin = 'CAMPAIGN' and campaign_id is not null
        ) m cross join lateral campaign_figures_of(row(m.campaign_id, m.destination, m.status, m.sent_at, m.delivered_at, m.opened_at,
            m.clicked_at, m.replied_at, m.unsubscribed_at, m.machine_opened_at, m.machine_clicked_at)::campaign_figure_source) f
    ) moved group by grouping sets ((campaign_id, what, hour), (campaign_id, what, domain), (campaign_id, what, variant))
    having sum(messages) <> 0 and (grouping(variant) = 1 or variant is not null);
    return null;
end $$;
create or replace function campaign_figures_add() returns trigger language plpgsql as $$
begin
    insert into campaign_figures (campaign_id, what, hour, domain, variant, messages)
    select campaign_id, what, hour, domain, variant, count(*) from (
        select m.campaign_id, f.what, date_trunc('hour', f.at, 'UTC') as hour, lower(split_part(m.destination, '@', 2)) as domain, m.variant
        from added m cross join lateral campaign_figures_of(row(m.campaign_id, m.destination, m.status, m.sent_at, m.delivered_at,
            m.opened_at, m.clicked_at, m.replied_at, m.unsubscribed_at, m.machine_opened_at, m.machine_clicked_at)::campaign_figure_source) f
        where m.sent_at is not null and m.origin = 'CAMPAIGN' and m.campaign_id is not null
    ) found group by grouping sets ((campaign_id, what, hour), (campaign_id, what, domain), (campaign_id, what, variant))
    having grouping(variant) = 1 or variant is not null;
    return null;
end $$;

-- Writers are held off until this is done.
lock table communication_logs in share row exclusive mode;
insert into campaign_figures (campaign_id, what, variant, messages, folded)
select m.campaign_id, f.what, m.variant, count(*), true
from communication_logs m cross join lateral campaign_figures_of(row(m.campaign_id, m.destination, m.status, m.sent_at, m.delivered_at,
    m.opened_at, m.clicked_at, m.replied_at, m.unsubscribed_at, m.machine_opened_at, m.machine_clicked_at)::campaign_figure_source) f
where m.sent_at is not null and m.origin = 'CAMPAIGN' and m.campaign_id in (select campaign_id from campaign_variants) and m.variant is not null
group by m.campaign_id, f.what, m.variant;

-- What those whom a campaign's messages reached bought from the local day on which theirs left, for so many days. What
-- another campaign's message came before, later than this one's, is that one's.
create function campaign_purchases(campaign bigint, days integer)
    returns table (communication_log_id bigint, contact_id bigint, variant smallint, history_entry_id bigint, amount bigint)
    language sql stable
    as $$
        with had as (
            select l.id, coalesce(c.merged_into, c.id) as person, l.variant, l.sent_at,
                (l.sent_at at time zone 'America/Santiago')::date as day
            from communication_logs l join contacts c on c.id = l.contact_id
            where l.campaign_id = campaign and l.origin = 'CAMPAIGN' and l.sent_at is not null and l.status <> 'BOUNCED'
        )
        select had.id, had.person, had.variant, h.id, h.amount
        from had join history_entries h on h.contact_id = had.person and h.amount > 0
            and h.occurred_on between had.day and had.day + days
        where not exists (
            select from communication_logs later
            where later.contact_id = any(array(select had.person union all select g.id from contacts g where g.merged_into = had.person))
                and later.origin = 'CAMPAIGN' and later.status <> 'BOUNCED' and later.sent_at is not null
                and (later.sent_at, later.id) > (had.sent_at, had.id)
                and (later.sent_at at time zone 'America/Santiago')::date <= h.occurred_on)
    $$;
