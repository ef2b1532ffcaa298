-- Texts proposed by a provider of artificial intelligence: each call with what it said and cost, whether it is called at
-- all, what was asked for, and what people decided on each proposal. None of it names anybody of the base.

-- STARTED -> DONE
create table copy_calls (
    id bigint generated always as identity primary key,
    campaign_id bigint references campaigns (id) on delete set null,
    month date not null,
    model text not null,
    prompt_hash bytea not null,
    instructions text not null,
    prompt text not null,
    status text not null default 'STARTED',
    outcome text,
    answer text,
    prompt_tokens int not null default 0,
    cached_tokens int not null default 0,
    completion_tokens int not null default 0,
    cost_micro bigint not null,
    cost_is_estimate boolean not null,
    from_cache boolean not null default false,
    latency_ms bigint,
    started_at timestamptz not null,
    finished_at timestamptz,
    asked_by bigint references staff_users (id),
    asked_by_name text not null,
    constraint copy_calls_status_known check (status in ('STARTED', 'DONE')),
    constraint copy_calls_done_whole check ((status = 'DONE') = (outcome is not null and finished_at is not null)),
    constraint copy_calls_month_first check (extract(day from month) = 1),
    constraint copy_calls_counts_sane check (prompt_tokens >= 0 and cached_tokens >= 0 and completion_tokens >= 0 and cost_micro >= 0)
);
comment on table copy_calls is 'kept when its campaign is deleted: it was paid for';
comment on column copy_calls.month is 'first day of the local month whose budget pays';
comment on column copy_calls.prompt_hash is 'of model, token limit, instructions and prompt: the key of our own cache';
comment on column copy_calls.cached_tokens is 'of prompt_tokens, those that the provider had in its cache';
comment on column copy_calls.cost_micro is 'millionths of a peso; while it lasts, the most it may come to';
comment on column copy_calls.cost_is_estimate is 'the provider did not tell what it used: the most it may have come to';
comment on column copy_calls.from_cache is 'nobody was called: the answer is that of an earlier call';
create index copy_calls_by_month on copy_calls (month, id);
create index copy_calls_by_campaign on copy_calls (campaign_id, id) where campaign_id is not null;
create index copy_calls_by_prompt on copy_calls (prompt_hash, id) where outcome = 'ANSWERED' and not from_cache;
create index copy_calls_open on copy_calls (id) where status = 'STARTED';

create table copy_pauses (
    id bigint generated always as identity primary key,
    reason text not null,
    at timestamptz not null,
    lifted_at timestamptz,
    lifted_by_name text,
    constraint copy_pauses_reason_known check (reason in ('KEY', 'BALANCE'))
);
comment on table copy_pauses is 'the provider refused our key or our account: it is not called again until a person says so';
create unique index copy_pauses_one_open on copy_pauses ((true)) where lifted_at is null;

-- PENDING -> RUNNING -> DONE, FAILED;  RUNNING -> PENDING (another try);  PENDING -> FAILED (the provider is not called any more)
create table copy_requests (
    id bigint generated always as identity primary key,
    campaign_id bigint not null references campaigns (id) on delete cascade,
    scope text not null,
    about text not null,
    instructions text not null,
    prompt text not null,
    prompt_hash bytea not null,
    max_tokens int not null,
    status text not null default 'PENDING',
    tries int not null default 0,
    paid int not null default 0,
    most_micro bigint not null,
    reserved_micro bigint not null,
    next_attempt_at timestamptz not null,
    call_id bigint references copy_calls (id) on delete set null,
    failure text,
    created_at timestamptz not null,
    finished_at timestamptz,
    created_by bigint references staff_users (id),
    created_by_name text not null,
    constraint copy_requests_scope_known check (scope in ('CAMPAIGN', 'INDUSTRY', 'CONTACT')),
    constraint copy_requests_status_known check (status in ('PENDING', 'RUNNING', 'DONE', 'FAILED')),
    constraint copy_requests_failed_says_why check ((status = 'FAILED') = (failure is not null))
);
comment on column copy_requests.about is 'whom it is for in words, without naming anybody';
comment on column copy_requests.prompt_hash is 'of what is sent: asking twice before the answer is asking once';
comment on column copy_requests.paid is 'calls that the provider charges, or may charge, for';
comment on column copy_requests.most_micro is 'the most that one call may cost, in millionths of a peso';
comment on column copy_requests.reserved_micro is 'of the budget of the month, kept for calls to come; counts while PENDING or RUNNING';
comment on column copy_requests.call_id is 'its last call';
create unique index copy_requests_open_once on copy_requests (campaign_id, prompt_hash) where status in ('PENDING', 'RUNNING');
create index copy_requests_due on copy_requests (next_attempt_at, id) where status = 'PENDING';
create index copy_requests_running on copy_requests (id) where status = 'RUNNING';
create index copy_requests_by_campaign on copy_requests (campaign_id, id);

-- PROPOSED -> APPROVED, REFUSED
create table copy_proposals (
    id bigint generated always as identity primary key,
    request_id bigint not null references copy_requests (id) on delete cascade,
    position int not null,
    subject text not null,
    opening text not null,
    problem text,
    caution text,
    status text not null default 'PROPOSED',
    used_subject text,
    used_opening text,
    tried_beside boolean not null default false,
    decided_at timestamptz,
    decided_by bigint references staff_users (id),
    decided_by_name text,
    constraint copy_proposals_once unique (request_id, position),
    constraint copy_proposals_status_known check (status in ('PROPOSED', 'UNUSABLE', 'APPROVED', 'REFUSED')),
    constraint copy_proposals_unusable_says_why check ((status = 'UNUSABLE') = (problem is not null)),
    constraint copy_proposals_decided_whole check ((status in ('APPROVED', 'REFUSED')) = (decided_at is not null))
);
comment on column copy_proposals.problem is 'why it cannot be used, in Spanish';
comment on column copy_proposals.caution is 'what to look at before it is used, in Spanish';
comment on column copy_proposals.used_subject is 'the subject that the draft took, as edited; null: it kept its own';
comment on column copy_proposals.tried_beside is 'the draft kept its own text, and tries this one beside it';
comment on column copy_proposals.used_opening is 'the opening that the draft took, as edited; null: it kept its own';
