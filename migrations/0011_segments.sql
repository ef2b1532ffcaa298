-- Sets of people that a rule describes: who belongs is asked anew each time.
create table segments (
    id bigint generated always as identity primary key,
    name text not null,
    kind text not null default 'RULE',
    key text,
    rule jsonb not null,
    version int not null default 1,
    created_at timestamptz not null,
    created_by bigint references staff_users (id) on delete set null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    constraint segments_named check (btrim(name) <> ''),
    constraint segments_kind_known check (kind in ('RULE', 'VALUE', 'SPECIAL')),
    constraint segments_key_once unique (key),
    constraint segments_key_of_automatic check ((kind = 'RULE') = (key is null)),
    constraint segments_automatic_stay check (kind = 'RULE' or deleted_at is null)
);
comment on column segments.kind is 'RULE: written by people; VALUE: one of the nine by visits and spend; SPECIAL: the other automatic ones';
comment on column segments.key is 'VALUE and SPECIAL: what the program calls it; their rules follow the thresholds of the settings';
comment on column segments.deleted_at is 'hidden from lists and choices; what already asks for it still finds it';
create unique index segments_name_once on segments (lower(name)) where deleted_at is null;

-- Every rule that a segment has had. Appended to, never altered.
create table segment_versions (
    segment_id bigint not null references segments (id),
    version int not null,
    name text not null,
    rule jsonb not null,
    created_at timestamptz not null,
    created_by bigint references staff_users (id) on delete set null,
    primary key (segment_id, version)
);

-- Sets of people that somebody put together.
create table lists (
    id bigint generated always as identity primary key,
    name text not null,
    note text not null default '',
    created_at timestamptz not null,
    created_by bigint references staff_users (id) on delete set null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    constraint lists_named check (btrim(name) <> '')
);
create unique index lists_name_once on lists (lower(name)) where deleted_at is null;

create table list_members (
    id bigint generated always as identity primary key,
    list_id bigint not null references lists (id) on delete cascade,
    contact_id bigint references contacts (id) on delete cascade,
    email text,
    phone text,
    added_at timestamptz not null,
    constraint list_members_one_thing check (num_nonnulls(contact_id, email, phone) = 1)
);
comment on table list_members is 'a contact, or a bare address of somebody who is not one';
create unique index list_members_contact_once on list_members (list_id, contact_id) where contact_id is not null;
create unique index list_members_email_once on list_members (list_id, email) where email is not null;
create unique index list_members_phone_once on list_members (list_id, phone) where phone is not null;
create index list_members_by_list on list_members (list_id, id desc);
create index list_members_by_contact on list_members (contact_id) where contact_id is not null;

-- Who had which messages, and what came of them: rules ask over all people at once.
drop index communication_logs_by_day;
create index communication_logs_by_day on communication_logs (communication_type, sent_at) include (contact_id)
    where sent_at is not null;
create index communication_logs_opened on communication_logs (opened_at, contact_id) where opened_at is not null;
create index communication_logs_clicked on communication_logs (clicked_at, contact_id) where clicked_at is not null;
create index communication_logs_replied on communication_logs (replied_at, contact_id) where replied_at is not null;

-- The automatic segments with the thresholds that a business starts with; later the program keeps them in step.
insert into segments (name, kind, key, rule, created_at, updated_at)
select name, kind, key, rule::jsonb, '2026-11-21 12:00:00+00', '2026-11-21 12:00:00+00'
from (values
    ('Nuevo, gasto bajo', 'VALUE', 'NEW_LOW',
     '{"join": "ALL", "items": [{"field": "VISITS", "op": "LESS_THAN", "values": ["2"]}, {"field": "SPENT", "op": "LESS_THAN", "values": ["50000"]}]}'),
    ('Nuevo, gasto medio', 'VALUE', 'NEW_MEDIUM',
     '{"join": "ALL", "items": [{"field": "VISITS", "op": "LESS_THAN", "values": ["2"]}, {"field": "SPENT", "op": "BETWEEN", "values": ["50000", "150000"]}]}'),
    ('Nuevo, gasto alto', 'VALUE', 'NEW_HIGH',
     '{"join": "ALL", "items": [{"field": "VISITS", "op": "LESS_THAN", "values": ["2"]}, {"field": "SPENT", "op": "MORE_THAN", "values": ["150000"]}]}'),
    ('Regular, gasto bajo', 'VALUE', 'REGULAR_LOW',
     '{"join": "ALL", "items": [{"field": "VISITS", "op": "BETWEEN", "values": ["2", "5"]}, {"field": "SPENT", "op": "LESS_THAN", "values": ["50000"]}]}'),
    ('Regular, gasto medio', 'VALUE', 'REGULAR_MEDIUM',
     '{"join": "ALL", "items": [{"field": "VISITS", "op": "BETWEEN", "values": ["2", "5"]}, {"field": "SPENT", "op": "BETWEEN", "values": ["50000", "150000"]}]}'),
    ('Regular, gasto alto', 'VALUE', 'REGULAR_HIGH',
     '{"join": "ALL", "items": [{"field": "VISITS", "op": "BETWEEN", "values": ["2", "5"]}, {"field": "SPENT", "op": "MORE_THAN", "values": ["150000"]}]}'),
    ('VIP, gasto bajo', 'VALUE', 'VIP_LOW',
     '{"join": "ALL", "items": [{"field": "VISITS", "op": "AT_LEAST", "values": ["6"]}, {"field": "SPENT", "op": "LESS_THAN", "values": ["50000"]}]}'),
    ('VIP, gasto medio', 'VALUE', 'VIP_MEDIUM',
     '{"join": "ALL", "items": [{"field": "VISITS", "op": "AT_LEAST", "values": ["6"]}, {"field": "SPENT", "op": "BETWEEN", "values": ["50000", "150000"]}]}'),
    ('VIP, gasto alto', 'VALUE', 'VIP_HIGH',
     '{"join": "ALL", "items": [{"field": "VISITS", "op": "AT_LEAST", "values": ["6"]}, {"field": "SPENT", "op": "MORE_THAN", "values": ["150000"]}]}'),
    ('Sin gasto', 'SPECIAL', 'ZERO_SPEND',
     '{"join": "ALL", "items": [{"field": "SPENT", "op": "EQUALS", "values": ["0"]}]}'),
    ('Sin actividad hace 90 días', 'SPECIAL', 'INACTIVE_90_DAYS',
     '{"join": "ANY", "items": [{"field": "LAST_ACTIVITY", "op": "BEFORE_DAYS", "values": ["90"]}, {"join": "ALL", "items": [{"field": "LAST_ACTIVITY", "op": "UNKNOWN"}, {"field": "CREATED", "op": "BEFORE_DAYS", "values": ["90"]}]}]}'),
    ('Clientes activos', 'SPECIAL', 'ACTIVE_CUSTOMERS',
     '{"join": "ALL", "items": [{"field": "LIFECYCLE", "op": "IS", "values": ["CLIENTE"]}, {"field": "LAST_ACTIVITY", "op": "WITHIN_DAYS", "values": ["90"]}]}')
) as automatic (name, kind, key, rule);
insert into segment_versions (segment_id, version, name, rule, created_at)
select id, version, name, rule, created_at from segments order by id;
