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
