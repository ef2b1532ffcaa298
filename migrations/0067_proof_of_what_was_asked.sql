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

create function message_is_as_proven(l communication_logs, facts bytea) returns boolean language sql stable parallel safe as $$
    select facts = case octet_length(facts)
        when 32 then message_facts(l) when 64 then message_proof_of_text(l) else message_proof(l) end
$$;
