-- People who are deleted on purpose; whom somebody took off a list, so that it can be taken back; and what a simulated
-- import keeps of its rows.

create table departed_contacts (
    id bigint primary key,
    departed_at timestamptz not null
);
comment on table departed_contacts is 'numbers of contacts that were deleted for good: what was sent to them keeps the number, since its digest covers it';

-- Nobody who was written to is lost by mistake: as before, but for those who were let go.
create function refuse_losing_who_was_written_to() returns trigger language plpgsql
    set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
begin
    if exists (select from gone g join communication_logs l on l.contact_id = g.id
        where not exists (select from departed_contacts d where d.id = g.id))
    then
        raise exception 'communication_logs still refers by contact_id to what is deleted'
            using errcode = 'foreign_key_violation', table = 'communication_logs',
                constraint = 'communication_logs_contact_id_fkey';
    end if;
    return null;
end $$;
drop trigger contacts_are_written_to on contacts;
create trigger contacts_are_written_to after delete on contacts referencing old table as gone
    for each statement execute function refuse_losing_who_was_written_to();

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
