-- What an office adds to its address book by working: four notes and two tasks for each person, most of them on the
-- board, files of twelve thousand rows, changes in bulk, lists, pairs that may be one. Of all of it a page shows little.
insert into staff_users (email, name, role, password_hash, created_at, updated_at)
select lower(name) || '@sur.example', name, 'STAFF', 'x', '2026-01-01', '2026-01-01' from unnest(array['Eva', 'Raul', 'Ines']) name;
-- Eva looks after a few, Raul after a third.
update contacts set owner_id = (select id from staff_users where name = case when contacts.id % 1000 = 7 then 'Eva' else 'Raul' end)
where id % 1000 = 7 or id % 3 = 0;
-- One in fifty was there twice.
insert into contacts (first_name, last_name, merged_into, search_key, created_at, updated_at)
select 'Ana', 'Soto', id, '', created_at, created_at from contacts where id % 50 = 0;

insert into interactions (contact_id, kind, summary, at, created_at)
select c.id, 'CALL', 'Llamada ' || k, c.created_at + k * interval '9 days', c.created_at from contacts c, generate_series(1, 4) k;
insert into tasks (title, contact_id, owner_id, due_on, done_at, created_at)
select 'Llamar ' || k, c.id, c.owner_id, date '2026-11-23' + (c.id % 300)::int, case when c.id % 10 > 0 then timestamptz '2026-11-01' end, '2026-10-01'
from contacts c, generate_series(1, 2) k;
insert into pipeline_cards (contact_id, stage_id, value, follow_up_on, moved_at)
select c.id, s.id, 1000 * (c.id % 90), case when c.id % 7 = 0 then date '2026-11-23' + (c.id % 200)::int end, c.created_at
from contacts c join pipeline_stages s on s.position = 1 + c.id % 7 where c.id % 20 > 0;
insert into pipeline_moves (contact_id, to_stage, at)
select c.id, 'Columna ' || k, c.created_at from contacts c, generate_series(1, 3) k;
insert into audit_events (at, actor, action, subject_kind, subject_id)
select created_at, 'Raul', 'contact.update', 'contact', contact_id from communication_logs where id % 4 = 0;

-- Some files are written, with their rows without a remark in blocks; one waits to be confirmed with all its rows; of others
-- nothing is left but their name.
insert into imports (kind, filename, byte_size, status, created_by_name, created_at)
select 'contacts', 'hoja ' || n || '.csv', 1000, case when n > 26 then 'DONE' when n = 26 then 'READY' else 'CANCELLED' end, 'Raul', '2026-11-01'
from generate_series(1, 30) n;
create temp table typed as
select n, case when n % 40 = 1 then 'REJECTED' when n % 40 = 2 then 'DUPLICATE' when n % 40 = 3 then 'UPDATED'
    when n % 5 = 4 then 'UNCHANGED' else 'CREATED' end as verdict, p.id as subject_id
from generate_series(2, 12001) n left join contacts p on p.email = 'persona' || n || '@correo.example';
insert into import_rows (import_id, row_number, verdict, first_name, last_name, email, column_name, value, reason, warning, cells, subject_id)
select i.id, n, verdict, 'Ana', 'Soto ' || n, 'fila' || n || '@correo.example', case when verdict = 'REJECTED' then 'email' end,
    case when verdict = 'REJECTED' then 'x' end, case when verdict = 'REJECTED' then 'Motivo ' || n % 3 end,
    case when n % 50 = 7 then 'Se dejó fuera «' || n || '»' end, case when verdict = 'REJECTED' then array['Ana', 'x'] end,
    case when i.status = 'DONE' and verdict <> 'REJECTED' then subject_id end
from imports i, typed where i.status = 'READY' or i.status = 'DONE' and (verdict not in ('CREATED', 'UNCHANGED') or n % 50 = 7);
insert into import_quiet_rows (import_id, verdict, last_row, row_numbers, subject_ids)
select i.id, verdict, max(n), array_agg(n order by n), array_agg(subject_id order by n)
from imports i, typed where i.status = 'DONE' and verdict in ('CREATED', 'UNCHANGED') and n % 50 <> 7 group by i.id, verdict, n / 150;
insert into import_changes (import_id, subject_kind, subject_id, before)
select i.id, 'contact', subject_id, '{}' from imports i, typed where i.status = 'DONE' and verdict = 'UPDATED';
update imports i set total = 12000, created = c.created, updated = c.updated, unchanged = c.unchanged, duplicates = c.duplicates,
    rejected = c.rejected, warned = c.warned
from (select count(*) filter (where verdict = 'CREATED') as created, count(*) filter (where verdict = 'UPDATED') as updated,
        count(*) filter (where verdict = 'UNCHANGED') as unchanged, count(*) filter (where verdict = 'DUPLICATE') as duplicates,
        count(*) filter (where verdict = 'REJECTED') as rejected, count(*) filter (where n % 50 = 7 and verdict <> 'REJECTED') as warned
    from typed) c
where i.status in ('READY', 'DONE');

insert into interests (name, key, created_at) values ('Pilates', 'pilates', '2026-01-01');
insert into bulk_actions (status, action, target_id, target_name, filter, total, done, changed, created_at, created_by_name, finished_at)
select 'DONE', 'TAG', i.id, i.name, '{}', 12000, 12000, 12000, '2026-11-01', 'Raul', '2026-11-01'
from interests i, generate_series(1, 30) n where i.key = 'pilates';
-- Some of them were about many.
insert into bulk_action_rows (bulk_action_id, contact_id, changed)
select b.id, c.id, true from bulk_actions b join contacts c on c.id % 400 = b.id or b.id % 5 = 1 and c.merged_into is null;

-- Filled one after the other: the first stand behind all others by the ids of their places. Who is there twice is on them twice.
insert into lists (name, created_at, updated_at) select name, '2026-01-01', '2026-01-01'
from unnest(array['Primeros', 'Feria', 'Todos'] || array(select 'Lista ' || n from generate_series(1, 20) n)) name;
insert into list_members (list_id, contact_id, added_at)
select l.id, c.id, '2026-01-01' from lists l, contacts c
where l.name in ('Primeros', 'Todos') or l.name = 'Feria' and c.id % 400 = 0 or l.name like 'Lista %' and c.id % 40 = l.id
order by l.id, c.id;
insert into list_members (list_id, email, added_at)
select l.id, 'nadie' || n || '@correo.example', '2026-01-01' from lists l, generate_series(1, 30) n;
insert into list_removals (list_id, contact_id, added_at, removed_at)
select l.id, c.id, '2026-01-01', '2026-02-01' from lists l, contacts c where l.name like 'Lista %' and c.id % 40 = l.id + 1;

insert into contact_interests select c.id, i.id, c.created_at from contacts c, interests i where i.key = 'pilates' and c.id % 400 = 0;
insert into segments (name, rule, created_at, updated_at)
values ('De Eva', jsonb_build_object('join', 'ALL', 'items', jsonb_build_array(jsonb_build_object('field', 'OWNER', 'op', 'IS', 'values',
    jsonb_build_array((select id::text from staff_users where name = 'Eva'))))), '2026-01-01', '2026-01-01');

-- Two thirds of the pairs were looked at.
insert into duplicate_candidates (first_id, second_id, reason, found_at, dismissed_at)
select c.id, c.id + k, 'SAME_PHONE', '2026-11-01', case when (c.id + k) % 3 > 0 then timestamptz '2026-11-02' end
from contacts c, generate_series(1, 3) k where exists (select from contacts o where o.id = c.id + k);
