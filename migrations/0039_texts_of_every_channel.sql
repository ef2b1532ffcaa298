-- Texts for SMS and WhatsApp beside those for email, and links that were tried.

alter table message_templates
    add column registration jsonb,
    add constraint message_templates_registered check (registration is null or communication_type = 'WHATSAPP');
comment on column message_templates.registration is
    'how Meta knows a WhatsApp text: name, language, category, and what stands for each of its variables';

alter table library_templates
    add column approval text not null default 'UNSENT',
    add constraint library_templates_approval_known check (approval in ('UNSENT', 'APPROVED', 'REJECTED'));
comment on column library_templates.approval is
    'what Meta said of the version in force of a WhatsApp text, as the staff wrote it down';

create table link_checks (
    url text primary key,
    verdict text not null,
    answer smallint,
    checked_at timestamptz not null,
    constraint link_checks_verdict_known check (verdict in
        ('OPENS', 'MISSING', 'REFUSED', 'FAILING', 'UNRESOLVED', 'CERTIFICATE', 'SILENT', 'INNER', 'LOOPS')),
    constraint link_checks_short_enough check (octet_length(url) <= 2000)
);
comment on table link_checks is 'what a link of a text answered when somebody asked; only the last time is kept';
comment on column link_checks.answer is 'HTTP status, where there was one';

-- Each fits one part of 160 septets with the longest values: no á, í, ó, ú.
do $$
declare
    it record;
    text_id bigint;
begin
    for it in
        select * from (values
            ('OFERTA', 'SMS: oferta de la semana',
             '{{ first_name | default("Hola") }}: en {{ business_name }} tienes 20% de descuento esta semana. Muestra este mensaje al llegar. ¿No quieres SMS? Responde BAJA'),
            ('RECORDATORIO', 'SMS: se acerca tu taller',
             '{{ first_name | default("Hola") }}, se acerca tu taller en {{ business_name }}: llega 10 minutos antes. ¿No quieres SMS? Responde BAJA'),
            ('BOOKING_CONFIRMATION', 'SMS: reserva confirmada',
             '{{ first_name | default("Hola") }}, tu reserva en {{ business_name }} fue confirmada. ¡Te esperamos!'),
            ('BOOKING_REMINDER', 'SMS: recordatorio de reserva',
             '{{ first_name | default("Hola") }}, mañana te esperamos en {{ business_name }}. Si no puedes venir, responde este mensaje.'),
            ('BIRTHDAY', 'SMS: feliz cumpleaños',
             '¡Feliz cumpleaños, {{ first_name | default("de todo el equipo") }}! En {{ business_name }} tienes un regalo este mes. ¿No quieres SMS? Responde BAJA'),
            ('REACTIVATION', 'SMS: tu próxima clase es gratis',
             '{{ first_name | default("Hola") }}, en {{ business_name }} tu primera clase de vuelta es gratis. Ven este mes. ¿No quieres SMS? Responde BAJA')
        ) as ready (kind, name, body)
    loop
        insert into message_templates (communication_type, name, version, subject, body, body_format, footer, created_at)
        values ('SMS', 'library:ready:sms:' || lower(it.kind), 1, '', it.body, 'TEXT', '', now())
        returning id into text_id;
        insert into library_templates (kind, name, template_id, created_at, updated_at)
        values (it.kind, it.name, text_id, now(), now());
    end loop;
end $$;
