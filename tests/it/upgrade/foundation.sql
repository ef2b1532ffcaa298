-- What a business had after some weeks with the schema of migration 0008: a row and more of each kind.
insert into staff_users (email, name, role, password_hash, created_at, updated_at)
values ('ana@termas.example', 'Ana Soto', 'SUPERADMIN', 'none', '2026-10-01 12:00Z', '2026-10-01 12:00Z');
insert into audit_events (at, staff_user_id, actor, action, subject_kind, subject_id, after)
select '2026-10-01 12:05Z', id, name, 'campaign.create', 'campaign', 1, '{"name": "Otoño"}' from staff_users;

insert into companies (name, name_key, rut, industry, comuna, created_at, updated_at) values
    ('Lácteos del Sur SpA', 'lacteos del sur spa', '76086428-5', 'Alimentos', '10101', '2026-10-01 12:00Z', '2026-10-01 12:00Z'),
    ('Turismo Ñirehue', 'turismo nirehue', null, 'Turismo', '10109', '2026-10-01 12:00Z', '2026-10-01 12:00Z');

insert into imports (kind, filename, byte_size, status, consent_basis, consent_source, consent_obtained_on, rows_read, total, created,
    duplicates, rejected, companies_created, layout, created_at, created_by, created_by_name, analysed_at, applied_at, finished_at)
select 'contacts', 'clientes.csv', 4096, 'DONE', 'CONSENT', 'Formulario del local', '2026-09-01', 42, 42, 40, 1, 1, 2,
    null, '2026-10-01 12:00Z', id, name, '2026-10-01 12:01Z', '2026-10-01 12:02Z', '2026-10-01 12:02Z' from staff_users;

-- 1 to 30 said yes by email, 31 to 35 have a telephone alone, 36 to 40 said nothing.
insert into contacts (company_id, first_name, last_name, email, phone, source, email_basis, search_key, import_id, created_at, updated_at)
select case when i <= 20 then 1 + i % 2 end, 'Persona ' || i, 'Muñoz',
    case when i between 31 and 35 then null else 'persona' || i || '@correo.example' end,
    case when i between 31 and 35 then '+5691234567' || i % 10 end,
    'IMPORT', case when i <= 30 then 'CONSENT' end,
    'persona ' || i || ' munoz' || case when i between 31 and 35 then ' 5691234567' || i % 10
        else ' persona' || i || ' correo example' end,
    1, '2026-10-01 12:02Z', '2026-10-01 12:02Z'
from generate_series(1, 40) i;
insert into import_rows (import_id, row_number, verdict, first_name, email)
select 1, 1 + id, 'CREATED', first_name, email from contacts;
insert into import_rows (import_id, row_number, verdict, first_name, email, column_name, value, reason, cells) values
    (1, 42, 'DUPLICATE', 'Persona 1', 'persona1@correo.example', null, null, null, null),
    (1, 43, 'REJECTED', 'Nadie', null, 'Email', 'nadie@', 'El correo no tiene dominio', array['Nadie', 'nadie@']);
insert into consent_events (contact_id, communication_type, basis, source, obtained_on, import_id, at)
select id, 'EMAIL', 'CONSENT', 'Formulario del local', '2026-09-01', 1, '2026-10-01 12:02Z' from contacts where email_basis is not null;
insert into contact_preferences (contact_id, communication_type, message_type, allowed, updated_at)
values (5, 'EMAIL', 'NEWSLETTER', false, '2026-10-20 12:00Z');

insert into message_templates (communication_type, name, version, subject, body, body_format, footer, created_at) values
    ('EMAIL', 'campaign:otono', 1, 'Otoño en las termas', 'Hola {{ first_name }}', 'TEXT', '{{ business_name }}, {{ business_address }}, {{ business_email }}. Baja: {{ unsubscribe_url }}', '2026-10-01 13:00Z'),
    ('EMAIL', 'campaign:primavera', 1, 'Primavera en las termas', 'Hola {{ first_name }}', 'TEXT', '{{ business_name }}, {{ business_address }}, {{ business_email }}. Baja: {{ unsubscribe_url }}', '2026-11-01 13:00Z');
insert into campaigns (name, status, audience, template_id, created_at, updated_at, launched_at, finished_at, enqueue_done, enqueued_through)
select 'Otoño', 'FINISHED', '{"industries": [], "comunas": [], "import_ids": [1]}', id,
    '2026-10-01 13:00Z', '2026-10-01 13:00Z', '2026-10-01 13:00Z', '2026-10-02 15:00Z', true, 40
from message_templates where name = 'campaign:otono';
insert into campaigns (name, status, audience, template_id, created_at, updated_at, launched_at, enqueue_done, enqueued_through)
select 'Primavera', 'RUNNING', '{"industries": ["Turismo"], "comunas": [], "import_ids": []}', id,
    '2026-11-01 13:00Z', '2026-11-01 13:00Z', '2026-11-20 13:00Z', true, 40
from message_templates where name = 'campaign:primavera';
insert into drip_runs (trigger, communication_type, status, started_at, finished_at, claimed, sent, failed, blocked, unconfirmed)
values ('SCHEDULER', 'EMAIL', 'DONE', '2026-10-01 14:00Z', '2026-10-01 14:01Z', 14, 8, 1, 1, 1);

-- Otoño: 1 to 8 sent, of whom 8 wants no more; 9 failed for good, 10 in doubt, 11 refused, 12 called off.
insert into communication_logs (origin, campaign_id, contact_id, communication_type, message_type, template_id, destination, subject,
    status, block_reason, scheduled_at, next_attempt_at, attempts, drip_run_id, external_id, error, created_at, sent_at, unsubscribed_at)
select 'CAMPAIGN', c.id, p.id, 'EMAIL', 'PROMOCIONAL', c.template_id, p.email, 'Otoño en las termas',
    case p.id when 9 then 'FAILED' when 10 then 'UNCONFIRMED' when 11 then 'BLOCKED' when 12 then 'CANCELLED' else 'SENT' end,
    case when p.id = 11 then 'SUPPRESSED' end,
    '2026-10-01 13:00Z', '2026-10-01 13:00Z', case when p.id <= 10 then 1 else 0 end, case when p.id <= 10 then 1 end,
    case when p.id <= 8 then p.id || '.otono@termas.example' end, case when p.id = 9 then '550 5.1.1 No such user' end,
    '2026-10-01 13:00Z', case when p.id <= 8 then timestamptz '2026-10-01 14:00Z' end,
    case when p.id = 8 then timestamptz '2026-10-02 12:30Z' end
from campaigns c cross join contacts p where c.name = 'Otoño' and p.id <= 12;
insert into communication_events (communication_log_id, at, kind)
select id, created_at, 'QUEUED' from communication_logs;
insert into communication_events (communication_log_id, at, kind, drip_run_id)
select id, '2026-10-01 14:00Z', 'ALLOWED', 1 from communication_logs where attempts = 1;
insert into communication_events (communication_log_id, at, kind, attempt, answer, drip_run_id)
select id, '2026-10-01 14:00Z', case when sent_at is not null then 'SENT' else status end, 1, coalesce(error, '250 Ok'), 1
from communication_logs where attempts = 1;
insert into communication_events (communication_log_id, at, kind, reason)
select id, '2026-10-01 14:00Z', 'BLOCKED', block_reason from communication_logs where status = 'BLOCKED';
insert into communication_events (communication_log_id, at, kind)
select id, '2026-10-01 15:00Z', 'CANCELLED' from communication_logs where status = 'CANCELLED';
insert into communication_events (communication_log_id, at, kind)
select id, unsubscribed_at, 'UNSUBSCRIBED' from communication_logs where unsubscribed_at is not null;

-- Primavera: 13 to 16 wait, of whom 15 was put off to another day.
insert into communication_logs (origin, campaign_id, contact_id, communication_type, message_type, template_id, destination, status,
    defer_reason, scheduled_at, next_attempt_at, created_at)
select 'CAMPAIGN', c.id, p.id, 'EMAIL', 'PROMOCIONAL', c.template_id, p.email, 'PENDING',
    case when p.id = 15 then 'FREQUENCY_CAP' end, '2026-11-20 13:00Z',
    case when p.id = 15 then timestamptz '2026-12-15 12:00Z' else '2026-11-20 13:00Z' end, '2026-11-20 13:00Z'
from campaigns c cross join contacts p where c.name = 'Primavera' and p.id between 13 and 16;
insert into communication_events (communication_log_id, at, kind)
select l.id, l.created_at, 'QUEUED' from communication_logs l join campaigns c on c.id = l.campaign_id where c.name = 'Primavera';
insert into communication_events (communication_log_id, at, kind, reason, until)
select id, '2026-11-20 14:00Z', 'DEFERRED', defer_reason, next_attempt_at from communication_logs where defer_reason is not null;

insert into suppressions (communication_type, destination, scope, reason, communication_log_id, created_at)
select 'EMAIL', destination, case when unsubscribed_at is null then 'ALL' else 'PROMOTIONAL' end,
    case when unsubscribed_at is null then 'HARD_BOUNCE' else 'UNSUBSCRIBED' end, id, '2026-10-02 12:30Z'
from communication_logs where status = 'FAILED' or unsubscribed_at is not null;
insert into outbox_messages (communication_log_id, message_id, sender, destination, subject, headers, html, plain, captured_at)
select id, external_id, 'hola@termas.example', destination, subject, '[]', '<p>Hola</p>', 'Hola', sent_at
from communication_logs where contact_id = 1;
