-- What people bought, attended or enrolled in before, read from files; whom each
-- row became; and cells that a person mended before confirming.
alter table imports
    add column history_kind text,
    add column create_people boolean not null default false,
    add column people_created bigint not null default 0,
    add constraint imports_history_kind_known check (history_kind in ('PURCHASE', 'VISIT', 'ENROLMENT'));
comment on column imports.history_kind is 'a file of history: what rows are that don''t say it; null: told by the headers';
comment on column imports.create_people is 'a file of history: people whom the base doesn''t know are created';

alter table import_rows
    add column subject_id bigint,
    add column name_key text,
    add column event_kind text,
    add column event_on date,
    add column item text,
    add column amount bigint,
    add column quantity int;
comment on column import_rows.subject_id is 'the contact or company that the row became or was; once written, what it says is read there and kept here no more';

-- A row of the file as a person wrote it anew. The file itself stays as it came.
create table import_corrections (
    import_id bigint not null references imports (id) on delete cascade,
    row_number int not null,
    cells text[] not null,
    corrected_by bigint references staff_users (id) on delete set null,
    corrected_at timestamptz not null,
    primary key (import_id, row_number)
);

-- Addresses of lists such as "No Molestar": kept as keyed hashes, since most are of people we don't know. A person whose
-- contact was deleted, or never was, stays excluded whatever file brings the address again.
create table suppression_key (
    one boolean primary key default true,
    key bytea not null,
    constraint suppression_key_alone check (one)
);
comment on table suppression_key is 'random, made once; it goes with every backup, since without it the hashes mean nothing';
insert into suppression_key (key)
values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- Declared stable as convert_to is, so that queries take it in instead of calling it.
create function suppression_hash(key bytea, address text) returns bytea language sql stable parallel safe
    return sha256(key || sha256(key || convert_to(address, 'UTF8')));

alter table suppressions
    alter column destination drop not null,
    add column address_hash bytea,
    add column hint text,
    add constraint suppressions_of_an_address check (destination is not null or address_hash is not null);
comment on column suppressions.destination is 'the address; null: only its hash is kept';
comment on column suppressions.hint is 'where only the hash is kept: enough of the address to recognise it when asked';
create unique index suppressions_hashed_once on suppressions (communication_type, address_hash, scope, reason)
    where lifted_at is null and destination is null;
