-- What comes back of what was sent: deliveries, bounces, complaints, unsubscriptions and answers, as providers and the
-- mailbox report them. Each is written down first and applied afterwards, in a transaction of its own, so that nothing is
-- lost where applying fails.
--
--   NEW -> APPLIED     it was matched to a message, and did what it means
--   NEW -> UNMATCHED   nobody knows of which message it speaks; a provider's word about an address holds all the same
--   UNMATCHED -> APPLIED (a person matches it), SET_ASIDE (a person lets it be)
create table inbound_events (
    id bigint generated always as identity primary key,
    source text not null,
    external_id text not null,
    communication_type text not null,
    kind text not null,
    cause text,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    recipient text,
    message_ids text[] not null,
    status_code text,
    diagnostic text,
    sender text,
    subject text,
    body text,
    raw text not null,
    status text not null default 'NEW',
    communication_log_id bigint,
    matched_by text,
    attempts int not null default 0,
    next_attempt_at timestamptz not null,
    trouble text,
    applied_at timestamptz,
    told_at timestamptz,
    decided_by bigint references staff_users (id),
    constraint inbound_events_once unique (source, external_id),
    constraint inbound_events_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP')),
    constraint inbound_events_kind_known check (kind in
        ('DELIVERED', 'DEFERRED', 'HARD_BOUNCE', 'SOFT_BOUNCE', 'SENDER_REFUSED', 'COMPLAINT', 'OPT_OUT', 'REPLY', 'AUTO_REPLY')),
    constraint inbound_events_cause_known check (cause in
        ('DEAD', 'DISABLED', 'FULL', 'TOO_BIG', 'REFUSED', 'SENDER', 'QUOTA', 'PASSING')),
    constraint inbound_events_status_known check (status in ('NEW', 'APPLIED', 'UNMATCHED', 'SET_ASIDE')),
    constraint inbound_events_matched_by_known check (matched_by in ('MESSAGE_ID', 'RECIPIENT', 'HAND')),
    constraint inbound_events_matched check ((communication_log_id is null) = (matched_by is null))
);
comment on column inbound_events.external_id is 'the provider''s own id of the event, or a digest of the mail: the same one reported twice is one';
comment on column inbound_events.occurred_at is 'as the provider says, and never after it was received';
comment on column inbound_events.recipient is 'the address that the message went to; of an answer, who wrote it';
comment on column inbound_events.message_ids is 'Message-IDs that it names, the likeliest first';
comment on column inbound_events.status_code is 'enhanced status code (RFC 3463), 5.1.1';
comment on column inbound_events.diagnostic is 'the receiving server''s words, without addresses';
comment on column inbound_events.raw is 'as it came, cut';
comment on column inbound_events.communication_log_id is 'no foreign key: messages are never deleted, and a thousand reports come in a second';
comment on column inbound_events.trouble is 'why applying it failed the last time';
comment on column inbound_events.told_at is 'SENDER_REFUSED: when its campaign learned of it';
create index inbound_events_new on inbound_events (next_attempt_at, id) where status = 'NEW';
create index inbound_events_unmatched on inbound_events (id desc)
    where status = 'UNMATCHED' and kind not in ('DELIVERED', 'DEFERRED');
create index inbound_events_by_kind on inbound_events (kind, id desc);
create index inbound_events_returned on inbound_events (id desc) where kind <> 'DELIVERED';
create index inbound_events_by_source on inbound_events (source, id desc);
create index inbound_events_by_message on inbound_events (communication_log_id) where communication_log_id is not null;
create index inbound_events_weak on inbound_events (recipient, occurred_at) where cause in ('FULL', 'DISABLED');
create index inbound_events_untold on inbound_events (id) where kind = 'SENDER_REFUSED' and told_at is null;

create index communication_logs_by_external_id on communication_logs (external_id) where external_id is not null;

-- Of a message that left, the furthest that is known: reports come late, twice and in any order, and it ends the same.
-- That it was opened or answered is surer than that it came back.
create function message_stage(status text) returns int language sql immutable parallel safe as $$
    select case status
        when 'SENT' then 0 when 'DELIVERED' then 1 when 'BOUNCED' then 2
        when 'OPENED' then 3 when 'CLICKED' then 4 when 'REPLIED' then 5 end
$$;

-- As before, but for what has left, which only goes forward.
create or replace function communication_logs_guard() returns trigger language plpgsql as $$
begin
    if old.status <> new.status and not (
        case old.status
            when 'PENDING' then new.status in ('SENDING', 'BLOCKED', 'CANCELLED')
            when 'SENDING' then new.status in ('SENT', 'PENDING', 'FAILED', 'BLOCKED', 'UNCONFIRMED')
            when 'UNCONFIRMED' then new.status in ('SENT', 'PENDING', 'CANCELLED', 'FAILED')
            when 'FAILED' then new.status = 'PENDING'
            else coalesce(message_stage(new.status) > message_stage(old.status), false)
        end
    ) then
        raise exception 'a message cannot go from % to %', old.status, new.status
            using errcode = 'restrict_violation', constraint = 'communication_logs_arrow';
    end if;
    if new.id <> old.id or new.token <> old.token or new.origin <> old.origin or new.created_at <> old.created_at
        or new.campaign_id is distinct from old.campaign_id
        or new.communication_type <> old.communication_type or new.message_type <> old.message_type
        or (old.sent_at is not null and (new.sent_at is distinct from old.sent_at
            or new.contact_id is distinct from old.contact_id
            or new.workflow_step_id is distinct from old.workflow_step_id
            or new.destination is distinct from old.destination
            or new.subject is distinct from old.subject
            or new.external_id is distinct from old.external_id
            or new.body_sha256 is distinct from old.body_sha256
            or new.template_id is distinct from old.template_id)) then
        raise exception 'what a message was cannot be rewritten'
            using errcode = 'restrict_violation', constraint = 'communication_logs_rewrite';
    end if;
    return new;
end $$;

alter table communication_events
    drop constraint communication_events_kind_known,
    add constraint communication_events_kind_known check (kind in
        ('QUEUED', 'ALLOWED', 'DEFERRED', 'BLOCKED', 'SENT', 'RETRY', 'FAILED', 'UNCONFIRMED', 'CONFIRMED',
         'REQUEUED', 'CANCELLED', 'UNSUBSCRIBED',
         'DELIVERED', 'DELAYED', 'BOUNCED', 'COMPLAINED', 'OPENED', 'CLICKED', 'REPLIED', 'AUTO_REPLIED')) not valid;
alter table communication_events validate constraint communication_events_kind_known;

-- How far the mailbox of bounces and answers was read.
create table mailbox_positions (
    mailbox text primary key,
    uid_validity bigint not null,
    last_uid bigint not null,
    read_at timestamptz not null
);
comment on table mailbox_positions is 'by account and folder; where the server numbers anew (another uid_validity), the last month is read again and what is known already is recognised';
