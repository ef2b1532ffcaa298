-- Up to three other subjects or first paragraphs of a campaign, tried on a sample of its people; the rest waits for the
-- text that does best.
create table campaign_variants (
    campaign_id bigint not null references campaigns (id) on delete cascade,
    place smallint not null,
    subject text not null,
    opening text not null,
    template_id bigint not null references message_templates (id),
    primary key (campaign_id, place),
    constraint campaign_variants_few check (place between 1 and 3),
    constraint campaign_variants_written check (btrim(subject) <> '' or btrim(opening) <> '')
);
comment on column campaign_variants.place is 'the campaign''s own text is place 0';
comment on column campaign_variants.subject is 'empty: the campaign''s own';
comment on column campaign_variants.opening is 'stands in place of the first paragraph; empty: the campaign''s own';
comment on column campaign_variants.template_id is 'the whole text with them, made anew whenever the campaign''s own changes';

alter table campaigns
    add column sample_percent int,
    add column winner_by text,
    add column winner_after_hours int,
    add column sample_started_at timestamptz,
    add column winner smallint,
    add column decided_at timestamptz,
    add column decided_by bigint references staff_users (id),
    add constraint campaigns_sample_sane check (sample_percent between 1 and 100),
    add constraint campaigns_sample_whole check (
        (sample_percent is null) = (winner_by is null) and (sample_percent is null) = (winner_after_hours is null)),
    add constraint campaigns_winner_by_known check (winner_by in ('CLICKS', 'OPENS', 'REPLIES')),
    add constraint campaigns_winner_after_sane check (winner_after_hours between 1 and 720),
    add constraint campaigns_winner_decided check ((winner is null) = (decided_at is null));
comment on column campaigns.sample_percent is 'of its people, who get one of the texts by chance; null: one text for all';
comment on column campaigns.sample_started_at is 'when the first of the sample left: the hours count from then';
comment on column campaigns.winner is 'place in campaign_variants of the text that the rest gets; 0: the campaign''s own';
comment on column campaigns.decided_by is 'null with a decision: the program, when the hours were over';

alter table communication_logs
    add column variant smallint,
    add column in_sample boolean not null default false;
comment on column communication_logs.variant is 'which text of its campaign it got or will, drawn once; null: its campaign has one';
comment on column communication_logs.in_sample is 'it is one of those by which the winner is found; else it got the winner';
create index communication_logs_sample on communication_logs (campaign_id, variant, id desc) where in_sample;

-- As before, and which text of several it was.
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
        or new.mailing_id is distinct from old.mailing_id
        or new.communication_type <> old.communication_type or new.message_type <> old.message_type
        or (old.sent_at is not null and (new.sent_at is distinct from old.sent_at
            or new.contact_id is distinct from old.contact_id
            or new.workflow_step_id is distinct from old.workflow_step_id
            or new.destination is distinct from old.destination
            or new.subject is distinct from old.subject
            or new.external_id is distinct from old.external_id
            or new.body_sha256 is distinct from old.body_sha256
            or new.template_id is distinct from old.template_id
            or new.variant is distinct from old.variant
            or new.in_sample <> old.in_sample)) then
        raise exception 'what a message was cannot be rewritten'
            using errcode = 'restrict_violation', constraint = 'communication_logs_rewrite';
    end if;
    return new;
end $$;
