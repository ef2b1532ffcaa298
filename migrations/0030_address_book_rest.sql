-- Whom somebody took off a list, so that it can be taken back; and what a simulated import keeps of its rows.

create table list_removals (
    id bigint generated always as identity primary key,
    list_id bigint not null references lists (id) on delete cascade,
    contact_id bigint references contacts (id) on delete cascade,
    email text,
    phone text,
    added_at timestamptz not null,
    removed_at timestamptz not null
);
comment on table list_removals is 'taken off one by one; who is put back leaves it';
create index list_removals_by_list on list_removals (list_id);
create index list_removals_by_contact on list_removals (contact_id) where contact_id is not null;

comment on column import_rows.cells is 'the row as it stood in the file, while it may be corrected: one that is rejected, and before confirming also one that loses a cell';
