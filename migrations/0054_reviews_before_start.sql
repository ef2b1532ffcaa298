-- What a checklist tells that only the outside knows: what the DNS said of the domain that sends, and whether a test arrived.
create table domain_checks (
    question text primary key,
    checked_at timestamptz not null,
    faults jsonb not null
);
comment on column domain_checks.question is 'the domain, the server and the signature that were asked about: others are another question';
comment on column domain_checks.faults is 'the parts that are not well: [{"part", "level", "text"}]';

create table trial_receipts (
    campaign_id bigint not null references campaigns (id) on delete cascade,
    template_id bigint not null references message_templates (id),
    received_at timestamptz not null,
    staff_user_id bigint references staff_users (id) on delete set null,
    primary key (campaign_id, template_id)
);
comment on table trial_receipts is 'a person says that the test of this text arrived';
