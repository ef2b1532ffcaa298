-- An uploaded file and what became of it.
--
--   UPLOADED -> ANALYSING -> READY -> APPLYING -> DONE -> UNDOING -> UNDONE
--   READY, FAILED -> UPLOADED     another mapping, sheet or consent: read it again
--   ANALYSING -> APPLYING         asked to apply at once (command line)
--   UNDOING -> DONE               its rows were touched in the meantime
--   any state before DONE -> CANCELLED, FAILED
create table imports (
    id bigint generated always as identity primary key,
    kind text not null,
    filename text not null,
    byte_size bigint not null default 0,
    file_sha256 bytea,
    status text not null default 'UPLOADED',
    on_duplicate text not null default 'fill',
    apply_at_once boolean not null default false,
    consent_basis text,
    consent_source text,
    consent_obtained_on date,
    sheet text,
    mapping jsonb,
    layout jsonb,
    progress smallint not null default 0,
    rows_read bigint not null default 0,
    cancel_requested boolean not null default false,
    attempts int not null default 0,
    total bigint not null default 0,
    created bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    duplicates bigint not null default 0,
    rejected bigint not null default 0,
    warned bigint not null default 0,
    companies_created bigint not null default 0,
    failure text,
    created_at timestamptz not null,
    created_by bigint references staff_users (id) on delete set null,
    created_by_name text not null,
    decided_by bigint references staff_users (id) on delete set null,
    decided_by_name text,
    analysed_at timestamptz,
    applied_at timestamptz,
    finished_at timestamptz,
    undone_at timestamptz,
    constraint imports_kind_known check (kind in ('companies', 'contacts', 'history')),
    constraint imports_status_known check (status in
        ('UPLOADED', 'ANALYSING', 'READY', 'APPLYING', 'DONE', 'UNDOING', 'UNDONE', 'CANCELLED', 'FAILED')),
    constraint imports_on_duplicate_known check (on_duplicate in ('skip', 'fill', 'overwrite')),
    constraint imports_basis_known check (consent_basis in ('CONSENT', 'CONTRACT', 'LEGITIMATE_INTEREST')),
    constraint imports_consent_proven check (consent_basis is null or (consent_source is not null and consent_obtained_on is not null)),
    constraint imports_books_balance check (
        status not in ('READY', 'DONE') or total = created + updated + unchanged + duplicates + rejected),
    constraint imports_failure_explained check (status <> 'FAILED' or failure is not null)
);
comment on column imports.mapping is 'what a person chose: the field of each column, in order; null: guessed from the headers';
comment on column imports.layout is 'what was found in the file: format, sheets, header row, columns with their fields, first rows';
comment on column imports.consent_basis is 'lawful basis for promotions by email that the uploader states; null: none, so nobody becomes reachable by it';
comment on column imports.progress is 'percent of the running step';
comment on column imports.attempts is 'times that reading or applying began: a file that kills the process is given up';
comment on column imports.failure is 'why it failed, or why the last undo was refused; Spanish, for the user';
comment on table imports is 'while an import is worked on, its process holds the advisory lock (3, id): a running state without it was cut off';
create index imports_open on imports (id) where status in ('UPLOADED', 'ANALYSING', 'APPLYING', 'UNDOING');
create index imports_by_file on imports (file_sha256);

-- The file itself, until the import ends, so that any replica can go on with it after a restart.
create table import_chunks (
    import_id bigint not null references imports (id) on delete cascade,
    seq int not null,
    content bytea not null,
    primary key (import_id, seq)
);
-- Workbooks are compressed already, and text is read once: compressing costs more than it saves.
alter table import_chunks alter column content set storage external;

-- Each row of the file as it was understood, with its verdict.
create table import_rows (
    import_id bigint not null,
    row_number int not null,
    verdict text not null,
    company_name text,
    company_key text,
    rut text,
    industry text,
    first_name text,
    last_name text,
    email text,
    phone text,
    job_title text,
    birth_date date,
    comuna text,
    address text,
    website text,
    notes text,
    source text,
    accepts boolean,
    phone_ident text,
    search_key text,
    column_name text,
    value text,
    reason text,
    warning text,
    cells text[],
    primary key (import_id, row_number),
    constraint import_rows_verdict_known check (verdict in ('CREATED', 'UPDATED', 'UNCHANGED', 'DUPLICATE', 'REJECTED')),
    constraint import_rows_rejection_explained check (verdict <> 'REJECTED' or (reason is not null and cells is not null))
);
-- No foreign key to imports: a check a row would cost a tenth of an import, and imports are never deleted.
comment on column import_rows.row_number is 'as a spreadsheet shows it: the first row of the file is 1';
comment on column import_rows.accepts is 'what the file itself says about writing to this person; false counts as a no';
comment on column import_rows.column_name is 'REJECTED: header of the offending column';
comment on column import_rows.cells is 'REJECTED: the row as it stood in the file, to be corrected and uploaded again';
create index import_rows_remarkable on import_rows (import_id, verdict, row_number)
    where verdict in ('UPDATED', 'DUPLICATE', 'REJECTED');

-- What an import changed in rows that existed before it, so that it can be undone.
create table import_changes (
    import_id bigint not null references imports (id) on delete cascade,
    subject_kind text not null,
    subject_id bigint not null,
    before jsonb not null,
    primary key (import_id, subject_kind, subject_id),
    constraint import_changes_subject_known check (subject_kind in ('contact', 'company'))
);
