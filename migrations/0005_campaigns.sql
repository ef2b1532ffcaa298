-- A text as it stood at one moment. Never altered: an edit is a new version,
-- so that each message says for ever which words it carried.
create table message_templates (
    id bigint generated always as identity primary key,
    communication_type text not null,
    name text not null,
    version int not null,
    subject text not null,
    body text not null,
    body_format text not null,
    footer text not null,
    created_at timestamptz not null,
    created_by bigint references staff_users (id),
    constraint message_templates_version_once unique (name, version),
    constraint message_templates_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP')),
    constraint message_templates_format_known check (body_format in ('TEXT', 'HTML'))
);
comment on column message_templates.name is 'what the versions of one text share: "campaign:7" for a campaign''s own';
create trigger message_templates_are_kept before update or delete on message_templates
    for each row execute function refuse_rewriting();

-- DRAFT -> RUNNING <-> PAUSED, RUNNING -> FINISHED; DRAFT, RUNNING, PAUSED -> CANCELLED
-- FINISHED -> RUNNING when a person sends a failed or unconfirmed message again
create table campaigns (
    id bigint generated always as identity primary key,
    name text not null,
    communication_type text not null default 'EMAIL',
    message_type text not null default 'PROMOCIONAL',
    status text not null default 'DRAFT',
    audience jsonb not null,
    template_id bigint references message_templates (id),
    batch_size int not null default 30,
    daily_cap int,
    spacing_seconds int not null default 0,
    business_hours jsonb,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    created_by bigint references staff_users (id),
    launched_at timestamptz,
    launched_by bigint references staff_users (id),
    finished_at timestamptz,
    pause_reason text,
    paused_by bigint references staff_users (id),
    enqueued_through bigint not null default 0,
    enqueue_done boolean not null default false,
    constraint campaigns_status_known check (status in ('DRAFT', 'RUNNING', 'PAUSED', 'FINISHED', 'CANCELLED')),
    constraint campaigns_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP')),
    constraint campaigns_batch_sane check (batch_size between 1 and 100000),
    constraint campaigns_cap_sane check (daily_cap > 0),
    constraint campaigns_spacing_sane check (spacing_seconds between 0 and 60),
    constraint campaigns_named check (btrim(name) <> '')
);
comment on column campaigns.daily_cap is 'messages a local day; null: only the channel''s own cap';
comment on column campaigns.business_hours is 'null: the channel''s';
comment on column campaigns.pause_reason is 'Spanish, for the user: what a person wrote, or what went wrong and what to do';
comment on column campaigns.paused_by is 'null with a reason: the program itself';
comment on column campaigns.enqueue_done is 'every recipient has their row: from then on no open row means finished';
comment on column campaigns.enqueued_through is 'checkpoint: contacts up to this id have their row in communication_logs';
create index campaigns_by_status on campaigns (status, id);
