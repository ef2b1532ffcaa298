-- Messages know the mailing that they are of; a mailing that stands still says why and can go on.

alter table communication_logs add column mailing_id bigint;
comment on column communication_logs.mailing_id is
    'the mailing that asked for it. No foreign key: a check a row would cost more than the row, and mailings are never deleted';

-- Until here only its key told.
update communication_logs set mailing_id = split_part(dedupe_key, ':', 3)::bigint
where origin = 'MANUAL' and dedupe_key like 'manual:mailing:%';
drop view mailing_messages;

create index communication_logs_by_mailing on communication_logs (mailing_id, status, id) where mailing_id is not null;

-- A mailing's own turn, and that of messages that nobody asked for together.
create index communication_logs_due_by_hand on communication_logs (communication_type, mailing_id, next_attempt_at, id)
where status = 'PENDING' and campaign_id is null;

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
            or new.template_id is distinct from old.template_id)) then
        raise exception 'what a message was cannot be rewritten'
            using errcode = 'restrict_violation', constraint = 'communication_logs_rewrite';
    end if;
    return new;
end $$;

--   RUNNING -> DONE, FAILED              FAILED: not everybody could be queued; who was stays so
--   RUNNING, DONE, FAILED -> PAUSED      the server refuses it, or it may not leave as things stand
--   PAUSED, FAILED -> RUNNING            a person lets it go on, in their own name
--   RUNNING, PAUSED, DONE, FAILED -> CANCELLED   what had not left was taken back
alter table mailings
    add column resumed_by bigint references staff_users (id) on delete set null,
    add column resumed_by_name text,
    drop constraint mailings_status_known,
    add constraint mailings_status_known check (status in ('RUNNING', 'PAUSED', 'DONE', 'CANCELLED', 'FAILED')),
    drop constraint mailings_failure_explained,
    add constraint mailings_failure_explained check ((status in ('PAUSED', 'FAILED')) = (failure is not null));
comment on column mailings.failure is 'why it stands still: paused, or failed';
comment on column mailings.resumed_by_name is 'who let it go on last: people are queued in their name; null: in that of who asked';
create index mailings_standing_still on mailings (id) where status in ('PAUSED', 'FAILED');

-- Who was asked for is written down person by person: the words that were searched for and the rows that were marked say
-- nothing more, and may be somebody's name.
update mailings set filter = '{}';
update bulk_actions set filter = '{}';
comment on column mailings.filter is 'how the list was asked, without the words or rows of anybody; their rows were written down when it was confirmed';

-- The ready texts read right with a name and without, and those that sell nothing do not call themselves a promotion.
do $$
declare
    offer constant text := E'Este correo promocional lo envía {{ business_name }}, {{ business_address }}. Contacto: {{ business_email }}.\nSi no quieres recibir más correos, puedes darte de baja aquí: {{ unsubscribe_url }}';
    plain constant text := E'Este correo lo envía {{ business_name }}, {{ business_address }}. Contacto: {{ business_email }}.\nSi no quieres recibir más correos, puedes darte de baja aquí: {{ unsubscribe_url }}';
    hello constant text := 'Hola{% if first_name %} {{ first_name }}{% endif %}:';
    it record;
    text_id bigint;
begin
    for it in
        select ready.*, l.id as library_id, t.body from (values
            ('oferta', '{% if first_name %}{{ first_name }}, tinas{% else %}Tinas{% endif %} y masaje para dos esta semana', offer),
            ('recordatorio', '{% if first_name %}{{ first_name }}, se{% else %}Se{% endif %} acerca tu taller', plain),
            ('personalizado', '{% if first_name %}{{ first_name }}, una{% else %}Una{% endif %} pregunta', plain),
            ('reactivation', '{% if first_name %}{{ first_name }}, tu{% else %}Tu{% endif %} próxima clase va por nuestra cuenta', offer),
            ('birthday', '¡Feliz cumpleaños{% if first_name %}, {{ first_name }}{% endif %}!', offer)
        ) as ready (kind, subject, footer)
        join message_templates t on t.name = 'library:ready:' || ready.kind and t.version = 1
        -- Whoever changed one keeps their words.
        join library_templates l on l.template_id = t.id
    loop
        insert into message_templates (communication_type, name, version, subject, body, body_format, footer, created_at)
        values ('EMAIL', 'library:ready:' || it.kind, 2, it.subject,
                replace(it.body, 'Hola {{ first_name | default(\"¿cómo estás?\") }}:', hello), 'BLOCKS', it.footer, now())
        returning id into text_id;
        update library_templates set template_id = text_id, updated_at = now() where id = it.library_id;
    end loop;
end $$;
