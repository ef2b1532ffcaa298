-- Who is deleted on purpose comes back to no list: the bare address that a place was before its contact came goes with them.
create or replace function list_members_outlive_people() returns trigger language plpgsql as $$
begin
    if not exists (select from contacts where id = old.contact_id) and exists (select from lists where id = old.list_id)
        and not exists (select from departed_contacts where id = old.contact_id)
    then
        insert into list_members (list_id, email, phone, added_at)
        values (old.list_id, case when old.came_as like '%@%' then old.came_as end,
            case when old.came_as not like '%@%' then old.came_as end, old.added_at)
        on conflict do nothing;
    end if;
    return null;
end $$;

-- What imports kept of their card, to give it back, goes with them.
create function forget_what_imports_kept() returns trigger language plpgsql as $$
begin
    -- By its key, import for import: there are few of them, and many rows.
    delete from import_changes c using imports i, gone g
    where c.import_id = i.id and c.subject_kind = 'contact' and c.subject_id = g.id;
    return null;
end $$;
create trigger departed_contacts_take_their_card after insert on departed_contacts referencing new table as gone
    for each statement execute function forget_what_imports_kept();

-- Who is put back on a list has the place that was theirs, as the bare address or the joined row that it came from.
alter table list_removals add column came_as text, add column came_with bigint references contacts (id) on delete set null;
comment on column list_removals.came_as is 'as in list_members';
comment on column list_removals.came_with is 'as in list_members';
create index list_removals_by_came_with on list_removals (came_with) where came_with is not null;
