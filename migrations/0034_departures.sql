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
