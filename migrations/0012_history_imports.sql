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
