-- Openings and clicks, by a picture and by links of our own. What is asked of them is written to `tracking_hits` many at
-- a time; an engine judges a little later whether a person or a machine asked, tells it in the story of the message, and
-- forgets the hit. Neither the address nor the program of who asked is kept.
alter table campaigns add column tracks boolean not null default false;
comment on column campaigns.tracks is 'its messages carry the picture and our links; else they leave as they were written';

create table tracking_key (
    one boolean primary key default true,
    key bytea not null,
    constraint tracking_key_alone check (one)
);
comment on table tracking_key is
    'random, made once: hides and signs the messages that links name. In the database, so that links work for as long as their messages are kept';
insert into tracking_key (key)
values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- Where the links of a version lead: the only places that we lead anybody to.
create table message_links (
    template_id bigint not null references message_templates (id),
    number int not null,
    target text not null,
    primary key (template_id, number),
    constraint message_links_target_once unique (template_id, target)
);
comment on column message_links.number is 'as links of sent messages carry it, so it never changes';
create trigger message_links_are_kept before update or delete on message_links
    for each row execute function refuse_rewriting();

create table tracking_hits (
    id bigint generated always as identity primary key,
    communication_log_id bigint not null,
    link int,
    sign text,
    at timestamptz not null,
    due_at timestamptz not null
);
comment on column tracking_hits.link is 'number in message_links; null: the picture';
comment on column tracking_hits.sign is 'what the request itself showed of a machine; null: nothing';
comment on column tracking_hits.due_at is 'when it is judged: a machine that follows many links shows itself by then';
create index tracking_hits_due on tracking_hits (due_at);
create index tracking_hits_by_message on tracking_hits (communication_log_id);

create table link_clicks (
    communication_log_id bigint not null,
    number int not null,
    template_id bigint not null,
    campaign_id bigint,
    first_at timestamptz not null,
    primary key (communication_log_id, number)
);
comment on table link_clicks is 'which person followed which link, once each; no foreign keys: messages and versions are never deleted';
comment on column link_clicks.campaign_id is 'null: not of a campaign, or a test of one';
create index link_clicks_by_campaign on link_clicks (campaign_id, template_id, number) where campaign_id is not null;

alter table communication_logs add column machine_opened_at timestamptz, add column machine_clicked_at timestamptz;
comment on column communication_logs.machine_opened_at is 'when a machine first loaded its picture: says nothing of the person';

alter table communication_events
    drop constraint communication_events_kind_known,
    add constraint communication_events_kind_known check (kind in
        ('QUEUED', 'ALLOWED', 'DEFERRED', 'BLOCKED', 'SENT', 'RETRY', 'FAILED', 'UNCONFIRMED', 'CONFIRMED',
         'REQUEUED', 'CANCELLED', 'UNSUBSCRIBED',
         'DELIVERED', 'DELAYED', 'BOUNCED', 'COMPLAINED', 'OPENED', 'CLICKED', 'REPLIED', 'AUTO_REPLIED',
         'MACHINE_OPENED', 'MACHINE_CLICKED')) not valid;
alter table communication_events validate constraint communication_events_kind_known;

-- What became of the messages of each campaign, by the hour in which it happened and by the domain of the recipient: kept
-- as `campaign_tallies` is, as differences that each statement appends, so that a page adds up a few rows and never
-- reads a log of millions.
create table campaign_figures (
    campaign_id bigint not null,
    what text not null,
    hour timestamptz,
    domain text,
    messages bigint not null,
    folded boolean not null default false
);
comment on table campaign_figures is 'only sums mean something; each message is in it twice, under its hour and under its domain';
comment on column campaign_figures.folded is 'one row for each hour or domain, to which what gathers is added now and then';
create index campaign_figures_by_hour on campaign_figures (campaign_id, hour) where hour is not null;
create index campaign_figures_by_domain on campaign_figures (campaign_id, what, domain) include (messages) where domain is not null;
create unique index campaign_figures_folded on campaign_figures (campaign_id, what, hour, domain) nulls not distinct where folded;
create index campaign_figures_fresh on campaign_figures (campaign_id) where not folded;

create type campaign_figure_source as (
    campaign_id bigint, destination text, status text, sent_at timestamptz, delivered_at timestamptz, opened_at timestamptz,
    clicked_at timestamptz, replied_at timestamptz, unsubscribed_at timestamptz, machine_opened_at timestamptz,
    machine_clicked_at timestamptz
);

-- The one place that says what counts as what, and in which hour.
create function campaign_figures_of(m campaign_figure_source) returns table (what text, at timestamptz)
    language sql immutable parallel safe
    as $$
        select what, at from (values
            ('SENT', m.sent_at),
            -- Who opens or answers it surely has it, whether or not anybody told us so.
            ('DELIVERED', coalesce(m.delivered_at, m.opened_at, m.replied_at)),
            ('OPENED', m.opened_at),
            ('CLICKED', m.clicked_at),
            ('REPLIED', m.replied_at),
            ('BOUNCED', case when m.status = 'BOUNCED' then m.sent_at end),
            ('UNSUBSCRIBED', m.unsubscribed_at),
            ('MACHINE_OPENED', case when m.opened_at is null then m.machine_opened_at end),
            ('MACHINE_CLICKED', case when m.clicked_at is null then m.machine_clicked_at end)
        ) v (what, at) where at is not null
    $$;

create function campaign_figures_move() returns trigger language plpgsql as $$
begin
    insert into campaign_figures (campaign_id, what, hour, domain, messages)
    select campaign_id, what, hour, domain, sum(messages) from (
        select m.campaign_id, f.what, date_trunc('hour', f.at, 'UTC') as hour, lower(split_part(m.destination, '@', 2)) as domain, m.messages
        from (
            select campaign_id, destination, status, sent_at, delivered_at, opened_at, clicked_at, replied_at, unsubscribed_at,
                machine_opened_at, machine_clicked_at, -1 as messages
            from before where sent_at is not null and origin = 'CAMPAIGN' and campaign_id is not null
            union all
            select campaign_id, destination, status, sent_at, delivered_at, opened_at, clicked_at, replied_at, unsubscribed_at,
                machine_opened_at, machine_clicked_at, 1
            from after where sent_at is not null and origin = 'CAMPAIGN' and campaign_id is not null
        ) m cross join lateral campaign_figures_of(row(m.campaign_id, m.destination, m.status, m.sent_at, m.delivered_at, m.opened_at,
            m.clicked_at, m.replied_at, m.unsubscribed_at, m.machine_opened_at, m.machine_clicked_at)::campaign_figure_source) f
    ) moved group by grouping sets ((campaign_id, what, hour), (campaign_id, what, domain)) having sum(messages) <> 0;
    return null;
end $$;
create function campaign_figures_add() returns trigger language plpgsql as $$
begin
    insert into campaign_figures (campaign_id, what, hour, domain, messages)
    select campaign_id, what, hour, domain, count(*) from (
        select m.campaign_id, f.what, date_trunc('hour', f.at, 'UTC') as hour, lower(split_part(m.destination, '@', 2)) as domain
        from added m cross join lateral campaign_figures_of(row(m.campaign_id, m.destination, m.status, m.sent_at, m.delivered_at,
            m.opened_at, m.clicked_at, m.replied_at, m.unsubscribed_at, m.machine_opened_at, m.machine_clicked_at)::campaign_figure_source) f
        where m.sent_at is not null and m.origin = 'CAMPAIGN' and m.campaign_id is not null
    ) found group by grouping sets ((campaign_id, what, hour), (campaign_id, what, domain));
    return null;
end $$;
create trigger campaign_figures_add after insert on communication_logs referencing new table as added
    for each statement execute function campaign_figures_add();
create trigger campaign_figures_move after update on communication_logs
    referencing old table as before new table as after
    for each statement execute function campaign_figures_move();

-- The triggers hold writers off until this is done.
insert into campaign_figures (campaign_id, what, hour, domain, messages, folded)
select campaign_id, what, hour, domain, count(*), true from (
    select m.campaign_id, f.what, date_trunc('hour', f.at, 'UTC') as hour, lower(split_part(m.destination, '@', 2)) as domain
    from communication_logs m cross join lateral campaign_figures_of(row(m.campaign_id, m.destination, m.status, m.sent_at, m.delivered_at,
        m.opened_at, m.clicked_at, m.replied_at, m.unsubscribed_at, m.machine_opened_at, m.machine_clicked_at)::campaign_figure_source) f
    where m.sent_at is not null and m.origin = 'CAMPAIGN' and m.campaign_id is not null
) found group by grouping sets ((campaign_id, what, hour), (campaign_id, what, domain));
