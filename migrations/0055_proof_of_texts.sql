-- The proof of a message covers the text that it was made from, and also messages that never left: refused, failed, or
-- taken back. What was proven before is proven as it was: 32 bytes say nothing of the text.
create function text_digest(subject text, body text, body_format text, footer text, html text, plain text, registration jsonb)
    returns bytea language sql immutable parallel safe
    as $$ select sha256(convert_to(row($1, $2, $3, $4, $5, $6, $7)::text, 'UTF8')) $$;
alter table message_templates add column digest bytea not null
    generated always as (text_digest(subject, body, body_format, footer, html, plain, registration)) stored;

create function message_proof(l communication_logs) returns bytea language sql stable parallel safe as $$
    select message_facts(l) || coalesce((select t.digest from message_templates t where t.id = l.template_id), '')
$$;
comment on function message_proof is 'message_facts, and after it the digest of the text of the message, where it has one';
