-- An uploaded file and what became of it.
--   UPLOADED -> ANALYSING -> READY -> APPLYING -> DONE -> UNDONE
--   a changed mapping or sheet: READY -> UPLOADED; any open state -> CANCELLED, FAILED
create table imports (
    id bigint generated always as identity primary key,
    kind text not null,
    filename text not null,
    byte_size bigint not null,
    file_sha256 bytea not null,
    status text not null default 'UPLOADED',
    constraint imports_kind_known check (kind in ('companies', 'contacts', 'history'))
);
