-- A library of texts to start from, and texts written to people who were chosen by hand.

alter table message_templates
    add column html text,
    add column plain text,
    drop constraint message_templates_format_known,
    add constraint message_templates_format_known check (body_format in ('TEXT', 'HTML', 'MJML', 'BLOCKS')),
    add constraint message_templates_made_whole check ((html is null) = (plain is null));
comment on column message_templates.html is
    'what MJML or blocks were turned into when they were saved, without the footer; null: made when the text is read';

create table library_templates (
    id bigint generated always as identity primary key,
    kind text not null,
    name text not null,
    template_id bigint not null references message_templates (id),
    created_at timestamptz not null,
    created_by bigint references staff_users (id) on delete set null,
    updated_at timestamptz not null,
    updated_by bigint references staff_users (id) on delete set null,
    archived_at timestamptz,
    constraint library_templates_kind_known check (kind in
        ('OFERTA', 'RECORDATORIO', 'PERSONALIZADO', 'NEWSLETTER', 'REACTIVATION', 'BIRTHDAY', 'BOOKING_CONFIRMATION',
         'BOOKING_REMINDER', 'SATISFACTION_SURVEY', 'WORKFLOW', 'TRANSACTIONAL')),
    constraint library_templates_named check (btrim(name) <> '')
);
comment on column library_templates.template_id is 'the version in force; all versions share the name of the first';

-- One text to people chosen by hand, queued a page of them at a time.
--
--   RUNNING -> DONE, FAILED     FAILED: who asked may not send any more; who was queued stays so
--   RUNNING, DONE -> CANCELLED  what had not left was taken back
create table mailings (
    id bigint generated always as identity primary key,
    once uuid not null,
    status text not null default 'RUNNING',
    title text not null,
    message_type text not null,
    template_id bigint not null references message_templates (id),
    library_id bigint references library_templates (id),
    filter jsonb not null,
    checkpoint bigint not null default 0,
    total bigint not null default 0,
    done bigint not null default 0,
    failure text,
    created_at timestamptz not null,
    created_by bigint references staff_users (id) on delete set null,
    created_by_name text not null,
    finished_at timestamptz,
    constraint mailings_once unique (once),
    constraint mailings_status_known check (status in ('RUNNING', 'DONE', 'CANCELLED', 'FAILED')),
    constraint mailings_failure_explained check ((status = 'FAILED') = (failure is not null)),
    constraint mailings_books_balance check (done <= total and (status <> 'DONE' or done = total))
);
comment on column mailings.once is 'what the form carried: sending it twice makes one mailing';
comment on column mailings.filter is 'who, as the list was asked; their rows were written down when it was confirmed';
comment on column mailings.library_id is 'template of the library that it was written with; null: its own words';
create index mailings_open on mailings (id) where status = 'RUNNING';

-- No foreign keys: a check a row would cost more than the row, and mailings are never deleted.
create table mailing_people (
    mailing_id bigint not null,
    contact_id bigint not null,
    primary key (mailing_id, contact_id)
);

-- The messages of each mailing: its key holds whom it was queued for, who may have been joined before or after.
create view mailing_messages as
select distinct p.mailing_id, l.id, l.status, l.block_reason
from mailing_people p
left join contacts c on c.id = p.contact_id
cross join lateral (values (p.contact_id), (c.merged_into)) as who (id)
join communication_logs l on l.dedupe_key = 'manual:mailing:' || p.mailing_id || ':' || who.id;

-- Ready to be used as they are, or to be changed.
do $$
declare
    footer constant text := E'Este correo promocional lo envía {{ business_name }}, {{ business_address }}. Contacto: {{ business_email }}.\nSi no quieres recibir más correos, puedes darte de baja aquí: {{ unsubscribe_url }}';
    it record;
    text_id bigint;
begin
    for it in
        select * from (values
            ('OFERTA', 'Oferta: tinas y masaje para dos', '{{ first_name | default("Hola") }}, tinas y masaje para dos esta semana',
             jsonb_build_array(
                 jsonb_build_object('kind', 'TITLE', 'text', 'Un descanso para dos'),
                 jsonb_build_object('kind', 'TEXT', 'text', E'Hola {{ first_name | default("¿cómo estás?") }}:\n\nDe lunes a jueves, las tinas calientes y el masaje de relajación para dos personas tienen 20 % de descuento. Es un momento tranquilo, con pocas personas y el agua a tu gusto.'),
                 jsonb_build_object('kind', 'COLUMNS', 'text', E'Qué incluye\n\nDos horas de tina y 50 minutos de masaje para cada persona.', 'other', E'Hasta cuándo\n\nReservando antes del domingo, para venir dentro de los próximos 30 días.'),
                 jsonb_build_object('kind', 'BUTTON', 'text', 'Reservar por correo', 'link', 'mailto:{{ business_email }}'),
                 jsonb_build_object('kind', 'TEXT', 'text', E'Te esperamos,\n{{ business_name }}'))),
            ('RECORDATORIO', 'Recordatorio: se acerca tu taller', '{{ first_name | default("Hola") }}, se acerca tu taller',
             jsonb_build_array(
                 jsonb_build_object('kind', 'TITLE', 'text', 'Nos vemos pronto'),
                 jsonb_build_object('kind', 'TEXT', 'text', E'Hola {{ first_name | default("¿cómo estás?") }}:\n\nTe recordamos que esta semana comienza el taller en el que estás. Llega diez minutos antes y trae ropa cómoda; los materiales los ponemos nosotros.\n\nSi no puedes venir, responde este correo y buscamos otra fecha.'),
                 jsonb_build_object('kind', 'DIVIDER'),
                 jsonb_build_object('kind', 'TEXT', 'text', E'{{ business_name }}\n{{ business_address }}'))),
            ('PERSONALIZADO', 'Mensaje personal', '{{ first_name | default("Hola") }}, una pregunta',
             jsonb_build_array(
                 jsonb_build_object('kind', 'TEXT', 'text', E'Hola {{ first_name | default("¿cómo estás?") }}:\n\nTe escribo de {{ business_name }}. Quería saber cómo te ha ido y si hay algo en que te podamos ayudar.\n\nPuedes responder directamente a este correo.\n\nSaludos,\n{{ business_name }}'))),
            ('REACTIVATION', 'Vuelve a entrenar', '{{ first_name | default("Hola") }}, tu próxima clase va por nuestra cuenta',
             jsonb_build_array(
                 jsonb_build_object('kind', 'TITLE', 'text', 'Te echamos de menos'),
                 jsonb_build_object('kind', 'TEXT', 'text', E'Hola {{ first_name | default("¿cómo estás?") }}:\n\nHace un tiempo que no te vemos. Para que vuelvas sin compromiso, tu próxima clase es gratis: elige el día y la hora, y nosotros te guardamos el cupo.'),
                 jsonb_build_object('kind', 'BUTTON', 'text', 'Pedir mi clase', 'link', 'mailto:{{ business_email }}'))),
            ('BIRTHDAY', 'Feliz cumpleaños', '¡Feliz cumpleaños, {{ first_name | default("de todo corazón") }}!',
             jsonb_build_array(
                 jsonb_build_object('kind', 'TITLE', 'text', '¡Feliz cumpleaños!'),
                 jsonb_build_object('kind', 'TEXT', 'text', E'Todo el equipo de {{ business_name }} te saluda en tu día.\n\nDurante tu mes tienes un regalo: pregunta por él en tu próxima visita.')))
        ) as ready (kind, name, subject, body)
    loop
        insert into message_templates (communication_type, name, version, subject, body, body_format, footer, created_at)
        values ('EMAIL', 'library:ready:' || lower(it.kind), 1, it.subject, it.body::text, 'BLOCKS', footer, now())
        returning id into text_id;
        insert into library_templates (kind, name, template_id, created_at, updated_at)
        values (it.kind, it.name, text_id, now(), now());
    end loop;
end $$;
