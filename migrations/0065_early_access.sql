-- What the best customers hear before everybody else is a kind of its own, so that it can have a cap of its own.
alter table communication_logs drop constraint communication_logs_message_type_known;
alter table communication_logs
    add constraint communication_logs_message_type_known check (message_type in
        ('PROMOCIONAL', 'NEWSLETTER', 'REACTIVATION', 'BIRTHDAY', 'VIP_EARLY_ACCESS', 'BOOKING_CONFIRMATION',
         'BOOKING_REMINDER', 'SATISFACTION_SURVEY', 'WORKFLOW', 'FOLLOW_UP', 'TRANSACTIONAL', 'OTHER'));

alter table library_templates drop constraint library_templates_kind_known;
alter table library_templates
    add constraint library_templates_kind_known check (kind in
        ('OFERTA', 'RECORDATORIO', 'PERSONALIZADO', 'NEWSLETTER', 'REACTIVATION', 'BIRTHDAY', 'VIP_EARLY_ACCESS',
         'BOOKING_CONFIRMATION', 'BOOKING_REMINDER', 'SATISFACTION_SURVEY', 'WORKFLOW', 'TRANSACTIONAL'));

-- It sells: whoever wants no offers wants none of these.
insert into contact_preferences (contact_id, communication_type, message_type, allowed, updated_at)
select contact_id, communication_type, 'VIP_EARLY_ACCESS', false, updated_at from contact_preferences
where message_type = 'PROMOCIONAL' and not allowed;

-- The no that a joining wrote goes with it when it is undone, and this one is of it.
update contact_merges m set moved = jsonb_set(moved, '{declined}', coalesce(moved->'declined', '[]') || d.declined)
from (
    select m.id, jsonb_agg(distinct jsonb_build_array(t->>0, 'VIP_EARLY_ACCESS')) as declined
    from contact_merges m
    cross join lateral jsonb_array_elements(coalesce(m.moved->'declined', '[]') || coalesce(m.moved->'turned', '[]')) t
    where m.undone_at is null and t->>1 = 'PROMOCIONAL'
    group by m.id
) d
where d.id = m.id;

insert into frequency_caps (communication_type, message_type, max_messages, days) values
    ('SMS', 'VIP_EARLY_ACCESS', 2, 30);

-- Fits one part of 160 septets, as the texts beside it do.
with made as (
    insert into message_templates (communication_type, name, version, subject, body, body_format, footer, created_at)
    values ('SMS', 'library:ready:sms:vip_early_access', 1, '',
            '{{ first_name | default("Hola") }}, antes que nadie: ya puedes reservar lo nuevo de {{ business_name }}. ¿No quieres SMS? Responde BAJA',
            'TEXT', '', now())
    returning id
)
insert into library_templates (kind, name, template_id, created_at, updated_at)
select 'VIP_EARLY_ACCESS', 'SMS: lo nuevo, antes que nadie', id, now(), now() from made;
