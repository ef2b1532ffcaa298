-- What the log says can be proven: each event of a message is part of a chain of seals, and an event
-- that says that a message left holds a digest of the message as it left.
alter table communication_logs add column body_sha256 bytea;
comment on column communication_logs.body_sha256 is
    'SHA-256 of the text handed over, HTML and plain parts, as compose::digest makes it; set when the message is about to leave';

alter table communication_events add column facts bytea;
comment on column communication_events.facts is
    'SENT, CONFIRMED: message_facts of the message at that moment';

-- Every setting that could change the spelling of a value is kept out: numbers, texts and hexadecimal only.
create function message_facts(l communication_logs) returns bytea language sql stable parallel safe as $$
    select sha256(convert_to(row(l.id, l.token, l.origin, l.campaign_id, l.contact_id, l.workflow_step_id,
        l.communication_type, l.message_type, l.template_id, l.destination, l.subject, l.external_id,
        encode(l.body_sha256, 'hex'), extract(epoch from l.sent_at))::text, 'UTF8'))
$$;
comment on function message_facts is 'digest of all of a message that never changes once it has left';

-- One link of the chain: the events with ids above the last one's bound, up to its own.
create table evidence_seals (
    position bigint primary key,
    last_event bigint not null,
    event_ids bigint[] not null,
    digests bytea not null,
    previous bytea not null,
    hash bytea not null,
    key_fingerprint bytea not null,
    signature bytea not null,
    sealed_at timestamptz not null,
    constraint evidence_seals_one_digest_each check (octet_length(digests) = 16 * cardinality(event_ids)),
    constraint evidence_seals_previous_once unique (previous)
);
comment on column evidence_seals.last_event is 'all events up to this id were committed or never will be when the seal was made';
comment on column evidence_seals.digests is 'first 16 bytes of the SHA-256 of each event, in the order of event_ids';
comment on column evidence_seals.hash is 'SHA-256 of previous, position, bound, ids and digests';
comment on column evidence_seals.signature is 'HMAC of hash under a key derived from SECRET_KEY: whoever holds only the database cannot make a chain of their own';
comment on column evidence_seals.key_fingerprint is 'tells with which SECRET_KEY it was signed, and nothing of it';
create trigger evidence_seals_are_kept before update or delete on evidence_seals
    for each row execute function refuse_rewriting();
create trigger evidence_seals_are_not_truncated before truncate on evidence_seals
    for each statement execute function refuse_rewriting();

-- As before, and of what has left nothing that its digest covers.
create or replace function communication_logs_guard() returns trigger language plpgsql as $$
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
