-- An address book of `bench.contacts` people: a fifth as many companies, five entries of history and ten messages for
-- each person. The same every time: what looks random is a multiplication. To be run on a migrated, empty database;
-- indexes, triggers and foreign keys of the big tables stand aside meanwhile.
create table bench_index as
select n.indrelid, n.indexrelid::regclass::text as name, pg_get_indexdef(n.indexrelid) as definition
from pg_index n left join pg_constraint o on o.conindid = n.indexrelid
where n.indrelid in ('companies'::regclass, 'contacts'::regclass, 'contact_words'::regclass, 'history_entries'::regclass,
    'communication_logs'::regclass, 'communication_events'::regclass) and o.oid is null;
do $$ declare it record; begin
    for it in select name from bench_index loop execute 'drop index ' || it.name; end loop;
    for it in select distinct indrelid::regclass as name from bench_index loop execute 'alter table ' || it.name || ' disable trigger all'; end loop;
end $$;
create function bench_dice(n bigint, sides bigint) returns bigint language sql immutable parallel safe
    as 'select (n * 2654435761 % 4294967291) / 7 % sides';
create function bench_pick(n bigint, variadic choices text[]) returns text language sql immutable parallel safe
    as 'select choices[1 + bench_dice(n, cardinality(choices))]';

insert into companies (name, name_key, rut, industry, comuna, created_at, updated_at)
select 'Sociedad ' || n, 'sociedad ' || n, (50000000 + n) || '-K', bench_pick(n, 'Turismo', 'Lecheria', 'Ferreteria', 'Salmonicultura', 'Transporte'),
    bench_pick(n + 7, '10101', '10301', '10201', '13101', '05101'), at, at
from generate_series(1, current_setting('bench.contacts')::bigint / 5) n, lateral (select timestamptz '2024-01-01' + n * interval '1 minute' as at) t;

insert into contacts (company_id, first_name, last_name, email, phone, comuna, source, lifecycle, email_basis, birth_date, search_key, created_at, updated_at)
select case when n % 4 < 3 then 1 + bench_dice(n, current_setting('bench.contacts')::bigint / 5) end, first, initcap(last), 'persona' || n || '@correo.example',
    '+569' || 10000000 + n, bench_pick(n + 3, '10101', '10301', '10201', '13101', '05101'),
    bench_pick(n + 5, 'IMPORT', 'IMPORT', 'IMPORT', 'WEB', 'EVENTO'), bench_pick(n + 11, 'LEAD', 'LEAD', 'PROSPECTO', 'CLIENTE', 'INACTIVO'),
    case when bench_dice(n + 13, 10) < 9 then 'CONSENT' end, date '1950-01-01' + bench_dice(n + 17, 20000)::int,
    lower(first) || ' ' || last || ' persona' || n || ' correo example 569' || 10000000 + n, at, at
from generate_series(1, current_setting('bench.contacts')::bigint) n,
    lateral (select bench_pick(n + 19, 'Ana', 'Camila', 'Pedro', 'Juan', 'Marcela', 'Sofia', 'Diego', 'Ignacio') as first,
        bench_pick(n + 23, 'gonzalez', 'munoz', 'rojas', 'diaz', 'perez', 'soto', 'contreras', 'silva', 'martinez') || ' '
        || bench_pick(n + 29, 'barria', 'ojeda', 'nunez', 'cardenas', 'guenante', 'alvarado', 'mansilla') as last,
        timestamptz '2024-01-01' + n * interval '1 minute' as at) p;
insert into contact_words select id, search_key from contacts;

insert into history_entries (contact_id, kind, occurred_on, item, amount, created_at)
select c.id, bench_pick(c.id * 5 + k, 'PURCHASE', 'PURCHASE', 'VISIT', 'ENROLMENT'), date '2024-06-01' + bench_dice(c.id * 7 + k, 900)::int,
    'Servicio ' || k, 1000 * bench_dice(c.id * 11 + k, 60), timestamptz '2026-11-01'
from contacts c, generate_series(1, 5) k;
insert into contact_metrics (contact_id, visits, purchases, enrolments, spent, last_visit_on, last_purchase_on, first_activity_at, last_activity_at)
select contact_id, count(*) filter (where kind = 'VISIT'), count(*) filter (where kind = 'PURCHASE'), count(*) filter (where kind = 'ENROLMENT'),
    sum(amount), max(occurred_on) filter (where kind = 'VISIT'), max(occurred_on) filter (where kind = 'PURCHASE'),
    min(occurred_on) + interval '15 hours', max(occurred_on) + interval '15 hours'
from history_entries group by contact_id;

insert into message_templates (communication_type, name, version, subject, body, body_format, footer, created_at)
values ('EMAIL', 'bench', 1, 'Novedades', 'Hola {{ first_name }}', 'TEXT', '{{ business_name }}, {{ business_address }}. Baja: {{ unsubscribe_url }}', '2026-01-01');
insert into campaigns (name, status, audience, template_id, enqueue_done, launched_at, created_at, updated_at)
select 'Campana ' || n, case when n = 1 then 'RUNNING' else 'FINISHED' end, '{}', t.id, true, at, at, at
from generate_series(1, 20) n, message_templates t, lateral (select timestamptz '2026-11-20' - n * interval '20 days' as at) d
where t.name = 'bench';
-- Everybody is in the first campaign, and in every other one of the rest.
insert into communication_logs (origin, campaign_id, contact_id, communication_type, message_type, template_id, destination, subject,
    status, block_reason, defer_reason, scheduled_at, next_attempt_at, created_at, sent_at, opened_at, clicked_at)
select 'CAMPAIGN', m.first + m.number, c.id, 'EMAIL', 'PROMOCIONAL', m.template, c.email, 'Novedades', m.status,
    case when m.status = 'BLOCKED' then bench_pick(c.id, 'NO_CONSENT', 'SUPPRESSED', 'PREFERENCE') end,
    case when m.status = 'PENDING' and c.id % 9 = 0 then 'FREQUENCY_CAP' end, m.at, m.at, m.at,
    case when m.status in ('SENT', 'OPENED', 'CLICKED') then m.at end,
    case when m.status in ('OPENED', 'CLICKED') then m.at + interval '1 hour' end,
    case when m.status = 'CLICKED' then m.at + interval '2 hours' end
from generate_series(0, 9) k, contacts c, lateral (
    select (select min(id) from campaigns where name like 'Campana %') as first, (select id from message_templates where name = 'bench') as template,
        number, timestamptz '2026-11-20' - number * interval '20 days' + bench_dice(c.id, 86400 * 10) * interval '1 second' as at,
        case when k = 0 and bench_dice(c.id * 13, 10) < 2 then 'PENDING'
            else bench_pick(c.id * 17 + k, 'SENT', 'SENT', 'SENT', 'SENT', 'SENT', 'SENT', 'OPENED', 'CLICKED', 'BLOCKED', 'FAILED') end as status
    from (select case when k = 0 then 0 else k * 2 - 1 + c.id % 2 end as number) n) m;
insert into campaign_tallies (campaign_id, status, reason, unsubscribed, messages)
select campaign_id, status, campaign_tally_reason(status, block_reason, defer_reason), unsubscribed_at is not null, count(*)
from communication_logs group by 1, 2, 3, 4;
insert into campaign_figures (campaign_id, what, hour, domain, messages, folded)
select campaign_id, what, hour, domain, count(*), true from (
    select m.campaign_id, f.what, date_trunc('hour', f.at, 'UTC') as hour, lower(split_part(m.destination, '@', 2)) as domain
    from communication_logs m cross join lateral campaign_figures_of(row(m.campaign_id, m.destination, m.status, m.sent_at, m.delivered_at,
        m.opened_at, m.clicked_at, m.replied_at, m.unsubscribed_at, m.machine_opened_at, m.machine_clicked_at)::campaign_figure_source) f
    where m.sent_at is not null and m.origin = 'CAMPAIGN'
) found group by grouping sets ((campaign_id, what, hour), (campaign_id, what, domain));
update contact_metrics m set last_opened_at = o.opened_at, last_clicked_at = o.clicked_at
from (select contact_id, max(opened_at) as opened_at, max(clicked_at) as clicked_at from communication_logs where opened_at is not null group by 1) o
where o.contact_id = m.contact_id;
insert into communication_events (communication_log_id, at, kind, reason)
select id, created_at, case when status = 'BLOCKED' then 'BLOCKED' else 'QUEUED' end, block_reason from communication_logs
union all
select id, coalesce(sent_at, created_at), case when status = 'FAILED' then 'FAILED' else 'SENT' end, null from communication_logs
where status not in ('BLOCKED', 'PENDING');

do $$ declare it record; begin
    for it in select definition from bench_index loop execute it.definition; end loop;
    for it in select distinct indrelid::regclass as name from bench_index loop execute 'alter table ' || it.name || ' enable trigger all'; end loop;
end $$;
drop table bench_index;
drop function bench_pick;
drop function bench_dice;
