-- What a channel has sent today is asked before each page of messages that a run takes up, and by the pages of campaigns
-- and the first one: of campaigns their figures tell it, hour by hour, and the few others are counted.
create index campaign_figures_sent on campaign_figures (hour) include (campaign_id, messages)
    where what = 'SENT' and hour is not null;
create index communication_logs_left_alone on communication_logs (communication_type, sent_at)
    where sent_at is not null and origin <> 'CAMPAIGN';

-- Rules ask for people of whom something is known since a day, and who came or spent so much: the index of the days
-- answers both. An update of somebody's figures writes to each of these indexes as it is, so this makes none more.
drop index contact_metrics_by_last_opened;
create index contact_metrics_by_last_opened on contact_metrics (last_opened_at, contact_id) include (spent, visits)
    where last_opened_at is not null;
drop index contact_metrics_by_last_visit;
create index contact_metrics_by_last_visit on contact_metrics (last_visit_on, contact_id) include (spent, visits)
    where last_visit_on is not null;
drop index contact_metrics_by_last_purchase;
create index contact_metrics_by_last_purchase on contact_metrics (last_purchase_on, contact_id) include (spent, visits)
    where last_purchase_on is not null;
-- Two of the same, one read up and the other down: either is read both ways.
drop index contact_metrics_by_last_activity;
drop index contact_metrics_by_activity;
create index contact_metrics_by_activity on contact_metrics (last_activity_at, contact_id) include (spent, visits)
    where last_activity_at is not null;

-- By their last activity people are listed to the end: first who ever gave a sign of life, then who never did. To find
-- the few of these, or that there are none, among a million others, blocks of 1024 ids are noted down where one may be.
create table silent_blocks (block bigint not null);
comment on table silent_blocks is 'ids of contacts / 1024: somebody there may never have given a sign of life. Only appended to, so that nobody waits for a row; a block may be there more than once, and is taken out once a day if nobody in it is silent';
create index silent_blocks_in_order on silent_blocks (block);
insert into silent_blocks select distinct c.id >> 10 from contacts c
where c.merged_into is null
    and not exists (select from contact_metrics a where a.contact_id = c.id and a.last_activity_at is not null);

create function silent_blocks_of_new() returns trigger language plpgsql as $$
begin
    insert into silent_blocks select distinct id >> 10 from added;
    return null;
end $$;
create trigger contacts_begin_silent after insert on contacts referencing new table as added
    for each statement execute function silent_blocks_of_new();
create function silent_blocks_of_parted() returns trigger language plpgsql as $$
begin
    insert into silent_blocks values (new.id >> 10);
    return null;
end $$;
create trigger contacts_part_silent after update of merged_into on contacts for each row
    when (old.merged_into is not null and new.merged_into is null) execute function silent_blocks_of_parted();
create function silent_blocks_of_emptied() returns trigger language plpgsql as $$
begin
    insert into silent_blocks values (old.contact_id >> 10);
    return null;
end $$;
create trigger contact_metrics_fall_silent after update of last_activity_at on contact_metrics for each row
    when (old.last_activity_at is not null and new.last_activity_at is null) execute function silent_blocks_of_emptied();
create trigger contact_metrics_are_gone after delete on contact_metrics for each row
    when (old.last_activity_at is not null) execute function silent_blocks_of_emptied();

-- Views are kept of more lists than one.
alter table saved_views add column list text not null default 'CONTACTS',
    add constraint saved_views_list_known check (list in ('CONTACTS', 'COMPANIES'));
alter table saved_views alter column list drop default;
drop index saved_views_name_once;
create unique index saved_views_name_once on saved_views (owner_id, list, lower(name));
drop index saved_views_shared;
create index saved_views_shared on saved_views (list, lower(name), id) where is_shared;
