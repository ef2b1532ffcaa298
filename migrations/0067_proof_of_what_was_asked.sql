-- The proof of a message covers also what asked for it, when it was to leave, and which of several texts it got. What was
-- proven before is proven as it was: its length tells how.
alter function message_proof(communication_logs) rename to message_proof_of_text;

create function message_proof(l communication_logs) returns bytea language sql stable parallel safe as $$
    select message_facts(l)
        || coalesce((select t.digest from message_templates t where t.id = l.template_id), decode(repeat('00', 32), 'hex'))
        || sha256(convert_to(row(l.mailing_id, l.dedupe_key, l.requested_by, l.variant, l.in_sample,
               extract(epoch from l.scheduled_at), extract(epoch from l.created_at))::text, 'UTF8'))
$$;
comment on function message_proof is
    'message_facts, the digest of the text of the message or zeros where it has none, and the digest of what it was asked for with';

comment on column communication_events.facts is
    'message_proof of the message at that moment: as it left, or as it ended without leaving; of older versions message_facts, with the digest of its text or without';

-- As before, and what it was asked for with.
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
        or new.dedupe_key is distinct from old.dedupe_key
        or new.requested_by is distinct from old.requested_by
        or new.scheduled_at <> old.scheduled_at
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

create function message_is_as_proven(l communication_logs, facts bytea) returns boolean language sql stable parallel safe as $$
    select facts = case octet_length(facts)
        when 32 then message_facts(l) when 64 then message_proof_of_text(l) else message_proof(l) end
$$;

-- The moments of a message are the earliest of its events: what was heard of later and had happened earlier moved the
-- message alone.
insert into communication_events (communication_log_id, at, kind)
select l.id, moved.at, moved.kind
from communication_logs l
cross join lateral (values ('OPENED', l.opened_at), ('CLICKED', l.clicked_at), ('MACHINE_OPENED', l.machine_opened_at),
    ('MACHINE_CLICKED', l.machine_clicked_at)) moved (kind, at)
where coalesce(l.opened_at, l.clicked_at, l.machine_opened_at, l.machine_clicked_at) is not null and moved.at < (
    select min(e.at) from communication_events e
    where e.communication_log_id = l.id and (e.kind = moved.kind or (moved.kind = 'OPENED' and e.kind = 'CLICKED')))
  -- Whoever followed a link has opened it too, and its event says when.
  and not (moved.kind = 'OPENED' and l.clicked_at <= moved.at);
