-- How many messages of each campaign stand where: what the pages of campaigns show at each view, with millions of
-- messages in the log. Each statement that moves messages appends what it moved, in its own transaction, so that the
-- sums are always those of the log and no sender waits for another at a row that both count in. Every run of the drip
-- adds up what has gathered.
create table campaign_tallies (
    id bigint generated always as identity primary key,
    campaign_id bigint not null,
    status text not null,
    reason text not null,
    unsubscribed boolean not null,
    messages bigint not null
);
comment on table campaign_tallies is 'differences: only their sums mean something. No foreign key: the statements that write it hold the messages of the campaign';
comment on column campaign_tallies.reason is 'BLOCKED: why; PENDING: what it waits for; else empty';
comment on column campaign_tallies.messages is 'more of them, or fewer where negative';
create index campaign_tallies_by_campaign on campaign_tallies (campaign_id) include (status, reason, unsubscribed, messages);

create function campaign_tally_reason(status text, block_reason text, defer_reason text) returns text
    language sql immutable parallel safe
    as $$ select coalesce(case status when 'BLOCKED' then block_reason when 'PENDING' then defer_reason end, '') $$;

create function campaign_tallies_add() returns trigger language plpgsql as $$
begin
    insert into campaign_tallies (campaign_id, status, reason, unsubscribed, messages)
    select campaign_id, status, campaign_tally_reason(status, block_reason, defer_reason), unsubscribed_at is not null, count(*)
    from added where origin = 'CAMPAIGN' and campaign_id is not null group by 1, 2, 3, 4;
    return null;
end $$;
create function campaign_tallies_move() returns trigger language plpgsql as $$
begin
    insert into campaign_tallies (campaign_id, status, reason, unsubscribed, messages)
    select campaign_id, status, reason, unsubscribed, sum(messages) from (
        select campaign_id, status, campaign_tally_reason(status, block_reason, defer_reason) as reason,
            unsubscribed_at is not null as unsubscribed, -1 as messages
        from before where origin = 'CAMPAIGN' and campaign_id is not null
        union all
        select campaign_id, status, campaign_tally_reason(status, block_reason, defer_reason), unsubscribed_at is not null, 1
        from after where origin = 'CAMPAIGN' and campaign_id is not null
    ) moved group by 1, 2, 3, 4 having sum(messages) <> 0;
    return null;
end $$;
-- Messages are never deleted: theirs are all the ways by which a count can change.
create trigger campaign_tallies_add after insert on communication_logs referencing new table as added
    for each statement execute function campaign_tallies_add();
create trigger campaign_tallies_move after update on communication_logs
    referencing old table as before new table as after
    for each statement execute function campaign_tallies_move();

-- The triggers hold writers off until this is done.
insert into campaign_tallies (campaign_id, status, reason, unsubscribed, messages)
select campaign_id, status, campaign_tally_reason(status, block_reason, defer_reason), unsubscribed_at is not null, count(*)
from communication_logs where origin = 'CAMPAIGN' and campaign_id is not null group by 1, 2, 3, 4;
