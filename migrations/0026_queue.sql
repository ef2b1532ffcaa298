-- What a message costs in the queue is mostly entries in indexes: each row of the log and each change of its status
-- makes one in all of them. So they are as few and as narrow as what is asked allows.

drop index communication_logs_by_campaign, communication_logs_by_status, communication_logs_by_contact,
    communication_logs_campaign_contact_once, communication_logs_campaign_destination_once, communication_logs_in_hand;

-- Codes are compared byte by byte, not as words of some language.
alter table communication_logs
    alter status type text collate "C", alter origin type text collate "C", alter communication_type type text collate "C";

-- Ascending, for new rows then come at the end of each group: pages fill up instead of splitting in halves. Read
-- backwards where the newest come first. States are counted in campaign_tallies.
create index communication_logs_by_campaign on communication_logs (campaign_id, status, id);
create index communication_logs_by_status on communication_logs (status, id);

-- A person's messages, and a campaign's once a person, in one.
create unique index communication_logs_by_contact on communication_logs
    (contact_id, (case when origin = 'CAMPAIGN' then -campaign_id else id end));
comment on index communication_logs_by_contact is
    'what makes it unique: a campaign reaches a person once; other messages are as many as are asked for';

create unique index communication_logs_campaign_destination_once
    on communication_logs (campaign_id, destination collate "C") where origin = 'CAMPAIGN' and status <> 'BLOCKED';

-- What a run has set apart stands beside the log: written there, each message would get a new row and entries in all
-- indexes once more. Unlogged, for whatever ends Postgres ends the runs too, and what they had set apart is free.
create unlogged table communication_reservations (
    communication_log_id bigint primary key,
    drip_run_id bigint not null,
    reserved_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
comment on table communication_reservations is
    'messages that are PENDING and that a living run has let go by the gate: no other takes them, and caps count them';
comment on column communication_logs.drip_run_id is
    'the run that sends it or sent it. No foreign key: runs are never deleted, and a check for each message is felt in a drip';
insert into communication_reservations
    select id, drip_run_id, coalesce(claimed_at, created_at) from communication_logs where status = 'PENDING' and drip_run_id is not null;
update communication_logs set drip_run_id = null, claimed_at = null where status = 'PENDING' and drip_run_id is not null;

-- Hardly any event is a person's, so that there is mostly nobody to look for.
create or replace function communication_events_refer() returns trigger language plpgsql as $$
begin
    if exists (select from added where staff_user_id is not null)
        and (select count(distinct staff_user_id) from added) <> (select count(*) from (
            select from staff_users where id in (select staff_user_id from added) order by id for key share) held)
    then
        raise exception 'an event refers to somebody who is not there'
            using errcode = 'foreign_key_violation', table = 'communication_events',
                constraint = 'communication_events_staff_user_id_fkey';
    end if;
    return null;
end $$;
alter function communication_events_refer() reset all;
