-- One pass of the drip.
create table drip_runs (
    id bigint generated always as identity primary key,
    trigger text not null,
    communication_type text not null,
    status text not null default 'RUNNING',
    started_at timestamptz not null,
    finished_at timestamptz,
    claimed int not null default 0,
    sent int not null default 0,
    failed int not null default 0,
    deferred int not null default 0,
    blocked int not null default 0,
    unconfirmed int not null default 0,
    error text,
    constraint drip_runs_trigger_known check (trigger in ('SCHEDULER', 'HTTP', 'CLI', 'PANEL')),
    constraint drip_runs_status_known check (status in ('RUNNING', 'DONE', 'FAILED', 'INTERRUPTED')),
    constraint drip_runs_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP'))
);
comment on table drip_runs is 'while a run lives its process holds the advisory lock (2, id): a RUNNING row without it was cut off';
create index drip_runs_open on drip_runs (id) where status = 'RUNNING';

-- Queue and log in one: a row for every message that anyone asked for, also
-- those that the gate refused, and for ever.
--
--   PENDING -> SENDING -> SENT -> DELIVERED, OPENED, CLICKED, REPLIED, BOUNCED
--      |          |-> PENDING      a temporary answer: again later
--      |          |-> FAILED       the provider will never take it
--      |          |-> BLOCKED      the gate changed its mind at the last moment
--      |          `-> UNCONFIRMED  cut off between handing over and writing down
--      |-> BLOCKED, CANCELLED
--   UNCONFIRMED -> SENT (proof came, or a person says so), PENDING (send again), CANCELLED (let it be)
--   FAILED -> PENDING (a person tries again); BLOCKED and CANCELLED are final
create table communication_logs (
    id bigint generated always as identity primary key,
    token uuid not null default gen_random_uuid(),
    origin text not null,
    campaign_id bigint references campaigns (id),
    contact_id bigint references contacts (id),
    workflow_step_id bigint,
    dedupe_key text,
    communication_type text not null,
    message_type text not null,
    template_id bigint references message_templates (id),
    destination text,
    subject text,
    status text not null default 'PENDING',
    block_reason text,
    defer_reason text,
    scheduled_at timestamptz not null,
    next_attempt_at timestamptz not null,
    attempts int not null default 0,
    drip_run_id bigint,
    claimed_at timestamptz,
    external_id text,
    error text,
    cost bigint,
    requested_by bigint references staff_users (id),
    created_at timestamptz not null,
    sent_at timestamptz,
    delivered_at timestamptz,
    opened_at timestamptz,
    clicked_at timestamptz,
    replied_at timestamptz,
    unsubscribed_at timestamptz,
    constraint communication_logs_token_once unique (token),
    constraint communication_logs_origin_known check (origin in ('CAMPAIGN', 'WORKFLOW', 'TRANSACTIONAL', 'MANUAL', 'TEST')),
    constraint communication_logs_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP')),
    constraint communication_logs_message_type_known check (message_type in
        ('PROMOCIONAL', 'NEWSLETTER', 'REACTIVATION', 'BIRTHDAY', 'BOOKING_CONFIRMATION', 'BOOKING_REMINDER',
         'SATISFACTION_SURVEY', 'WORKFLOW', 'FOLLOW_UP', 'TRANSACTIONAL', 'OTHER')),
    constraint communication_logs_status_known check (status in
        ('PENDING', 'SENDING', 'SENT', 'DELIVERED', 'OPENED', 'CLICKED', 'REPLIED', 'BOUNCED',
         'FAILED', 'BLOCKED', 'CANCELLED', 'UNCONFIRMED')),
    constraint communication_logs_block_explained check ((status = 'BLOCKED') = (block_reason is not null)),
    constraint communication_logs_addressed check (destination is not null or status = 'BLOCKED'),
    constraint communication_logs_sending_has_run check (status <> 'SENDING' or drip_run_id is not null)
);
comment on column communication_logs.token is 'what public links carry: says nothing of the id, cannot be guessed (122 random bits), holds for ever';
comment on column communication_logs.dedupe_key is 'for messages outside campaigns: asking twice with one key makes one message';
comment on column communication_logs.drip_run_id is
    'PENDING: the live run that has reserved it; later: the run that sent it. No foreign key: runs are never deleted, and a check for each message is felt in a drip';
comment on column communication_logs.cost is 'whole pesos';
comment on column communication_logs.external_id is 'the provider''s id, or our Message-ID for SMTP';

-- A campaign reaches a person once, and an address once, whoever shares it.
create unique index communication_logs_campaign_contact_once
    on communication_logs (campaign_id, contact_id) where origin = 'CAMPAIGN';
create unique index communication_logs_campaign_destination_once
    on communication_logs (campaign_id, destination) where origin = 'CAMPAIGN' and status <> 'BLOCKED';
create unique index communication_logs_dedupe_once on communication_logs (dedupe_key) where dedupe_key is not null;
create index communication_logs_due on communication_logs (communication_type, campaign_id, next_attempt_at, id) where status = 'PENDING';
create index communication_logs_in_hand on communication_logs (drip_run_id)
    where drip_run_id is not null and status in ('PENDING', 'SENDING', 'UNCONFIRMED');
create index communication_logs_put_off on communication_logs (id desc) where status = 'PENDING' and defer_reason is not null;
create index communication_logs_unsubscribed on communication_logs (id desc) where unsubscribed_at is not null;
create index communication_logs_by_campaign on communication_logs (campaign_id, status, id desc);
create index communication_logs_by_contact on communication_logs (contact_id, id desc);
create index communication_logs_by_status on communication_logs (status, id desc);
create index communication_logs_by_day on communication_logs (communication_type, sent_at) where sent_at is not null;

create function communication_logs_guard() returns trigger language plpgsql as $$
begin
    if old.status <> new.status and not (
        case old.status
            when 'PENDING' then new.status in ('SENDING', 'BLOCKED', 'CANCELLED')
            when 'SENDING' then new.status in ('SENT', 'PENDING', 'FAILED', 'BLOCKED', 'UNCONFIRMED')
            when 'UNCONFIRMED' then new.status in ('SENT', 'PENDING', 'CANCELLED', 'FAILED')
            when 'FAILED' then new.status = 'PENDING'
            when 'SENT' then new.status in ('DELIVERED', 'OPENED', 'CLICKED', 'REPLIED', 'BOUNCED')
            when 'DELIVERED' then new.status in ('OPENED', 'CLICKED', 'REPLIED', 'BOUNCED')
            when 'OPENED' then new.status in ('CLICKED', 'REPLIED')
            when 'CLICKED' then new.status = 'REPLIED'
            else false
        end
    ) then
        raise exception 'a message cannot go from % to %', old.status, new.status
            using errcode = 'restrict_violation', constraint = 'communication_logs_arrow';
    end if;
    if new.id <> old.id or new.token <> old.token or new.origin <> old.origin or new.created_at <> old.created_at
        or new.campaign_id is distinct from old.campaign_id
        or new.communication_type <> old.communication_type or new.message_type <> old.message_type
        or (old.sent_at is not null and (new.sent_at is distinct from old.sent_at
            or new.destination is distinct from old.destination
            or new.subject is distinct from old.subject
            or new.template_id is distinct from old.template_id)) then
        raise exception 'what a message was cannot be rewritten'
            using errcode = 'restrict_violation', constraint = 'communication_logs_rewrite';
    end if;
    return new;
end $$;
create trigger communication_logs_guarded before update on communication_logs
    for each row execute function communication_logs_guard();
create trigger communication_logs_are_kept before delete on communication_logs
    for each row execute function refuse_rewriting();
create trigger communication_logs_are_not_truncated before truncate on communication_logs
    for each statement execute function refuse_rewriting();

-- The story of each message: who asked for it, each decision of the gate with
-- its reason, each attempt with the server's answer. Appended to, never altered.
create table communication_events (
    id bigint generated always as identity primary key,
    communication_log_id bigint not null,
    at timestamptz not null,
    kind text not null,
    reason text,
    until timestamptz,
    attempt int,
    answer text,
    drip_run_id bigint,
    staff_user_id bigint references staff_users (id),
    constraint communication_events_kind_known check (kind in
        ('QUEUED', 'ALLOWED', 'DEFERRED', 'BLOCKED', 'SENT', 'RETRY', 'FAILED', 'UNCONFIRMED', 'CONFIRMED',
         'REQUEUED', 'CANCELLED', 'UNSUBSCRIBED'))
);
comment on column communication_events.communication_log_id is
    'no foreign key: messages are never deleted, every event is written by the statement that changes its message, and a check for each would cost a tenth of a drip';
comment on column communication_events.until is 'DEFERRED and RETRY: when it is tried again';
comment on column communication_events.answer is 'what the provider said, or our own words for a fault of the line';
create index communication_events_by_message on communication_events (communication_log_id, id);
create trigger communication_events_are_kept before update or delete on communication_events
    for each row execute function refuse_rewriting();
create trigger communication_events_are_not_truncated before truncate on communication_events
    for each statement execute function refuse_rewriting();

-- Addresses that must not be written to, whoever they belong to.
create table suppressions (
    id bigint generated always as identity primary key,
    communication_type text not null,
    destination text not null,
    scope text not null,
    reason text not null,
    detail text,
    communication_log_id bigint references communication_logs (id),
    staff_user_id bigint references staff_users (id),
    created_at timestamptz not null,
    lifted_at timestamptz,
    lifted_by bigint references staff_users (id),
    constraint suppressions_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP')),
    constraint suppressions_scope_known check (scope in ('PROMOTIONAL', 'ALL')),
    constraint suppressions_reason_known check (reason in ('UNSUBSCRIBED', 'HARD_BOUNCE', 'COMPLAINT', 'MANUAL', 'NO_MOLESTAR'))
);
comment on column suppressions.scope is 'ALL: the address is dead or forbids everything; PROMOTIONAL: service messages still go';
-- By reason too: a person's own no stands apart from one that the staff may lift.
create unique index suppressions_once on suppressions (communication_type, destination, scope, reason) where lifted_at is null;
create index suppressions_newest on suppressions (id desc) where lifted_at is null;

-- How often one person may be written to. Counted over whole local days.
create table frequency_caps (
    id bigint generated always as identity primary key,
    communication_type text not null,
    message_type text,
    max_messages int not null,
    days int not null,
    first_value_from text,
    updated_at timestamptz,
    constraint frequency_caps_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP')),
    constraint frequency_caps_max_sane check (max_messages between 1 and 1000),
    constraint frequency_caps_days_sane check (days between 1 and 366),
    constraint frequency_caps_once unique nulls not distinct (communication_type, message_type, days)
);
comment on column frequency_caps.message_type is 'null: all promotional kinds together';
comment on column frequency_caps.first_value_from is 'environment variable that sets max_messages until a person edits it (updated_at)';
insert into frequency_caps (communication_type, message_type, max_messages, days, first_value_from) values
    ('EMAIL', null, 1, 7, 'EMAIL_WEEKLY_LIMIT'),
    ('EMAIL', null, 4, 30, 'EMAIL_MONTHLY_LIMIT'),
    ('EMAIL', 'REACTIVATION', 1, 90, null),
    ('SMS', null, 2, 1, 'SMS_DAILY_LIMIT'),
    ('SMS', null, 8, 30, 'SMS_MONTHLY_LIMIT'),
    ('SMS', 'BIRTHDAY', 1, 365, null);

-- What would have left by email while no SMTP server is configured.
create table outbox_messages (
    id bigint generated always as identity primary key,
    communication_log_id bigint not null,
    message_id text not null,
    sender text not null,
    destination text not null,
    subject text not null,
    headers jsonb not null,
    html text not null,
    plain text not null,
    captured_at timestamptz not null,
    constraint outbox_messages_once unique (message_id)
);
comment on column outbox_messages.communication_log_id is '0: a test of the settings';
comment on column outbox_messages.headers is 'pairs of name and value, in order, unencoded';
create index outbox_messages_by_log on outbox_messages (communication_log_id);
