-- An address on a list is whoever bears it: when somebody with it comes into the address book, however they
-- come, the place is theirs. When they are removed again (an import taken back), the address is back as it was.
alter table list_members add column came_as text;
comment on column list_members.came_as is 'the bare address that this place was before its contact came; null: it was always a contact''s';
create index list_members_by_email on list_members (email) where email is not null;
create index list_members_by_phone on list_members (phone) where phone is not null;

-- A telephone of several people is nobody's by itself.
create function list_members_find(people bigint[]) returns void language plpgsql
    set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
begin
    with theirs as (
        select m.id, m.list_id, c.id as contact_id from contacts c join list_members m on m.email = c.email
        where c.id = any (people) and c.merged_into is null
        union
        select m.id, m.list_id, c.id from contacts c join list_members m on m.phone = c.phone
        where c.id = any (people) and c.merged_into is null and not exists (
            select from contacts o where o.phone = c.phone and o.id <> c.id and o.merged_into is null)
    ), placed as (
        select t.*, row_number() over (partition by t.list_id, t.contact_id order by t.id) = 1 and not exists (
            select from list_members o where o.list_id = t.list_id and o.contact_id = t.contact_id) as is_first
        from theirs t
    ), twice as (
        delete from list_members m using placed p where m.id = p.id and not p.is_first
    )
    update list_members m set contact_id = p.contact_id, came_as = coalesce(m.email, m.phone), email = null, phone = null
    from placed p where m.id = p.id and p.is_first;
end $$;

create function list_members_follow_people() returns trigger language plpgsql as $$
begin
    -- Mostly there is none, and a file of a million people asks once.
    if exists (select from list_members where email is not null) or exists (select from list_members where phone is not null) then
        perform list_members_find(array(
            select id from added a where exists (select from list_members m where m.email = a.email)
                or exists (select from list_members m where m.phone = a.phone)));
    end if;
    return null;
end $$;
create trigger list_members_find_people after insert on contacts referencing new table as added
    for each statement execute function list_members_follow_people();

create function list_members_follow_address() returns trigger language plpgsql as $$
begin
    perform list_members_find(array[new.id]);
    return null;
end $$;
create trigger list_members_find_address after update of email, phone on contacts for each row
    when (new.merged_into is null and (old.email is distinct from new.email or old.phone is distinct from new.phone))
    execute function list_members_follow_address();

create function list_members_outlive_people() returns trigger language plpgsql as $$
begin
    if not exists (select from contacts where id = old.contact_id) and exists (select from lists where id = old.list_id) then
        insert into list_members (list_id, email, phone, added_at)
        values (old.list_id, case when old.came_as like '%@%' then old.came_as end,
            case when old.came_as not like '%@%' then old.came_as end, old.added_at)
        on conflict do nothing;
    end if;
    return null;
end $$;
create trigger list_members_outlive_people after delete on list_members for each row
    when (old.came_as is not null and old.contact_id is not null)
    execute function list_members_outlive_people();

do $$ begin
    perform list_members_find(array(
        select c.id from list_members m join contacts c on c.email = m.email where c.merged_into is null
        union select c.id from list_members m join contacts c on c.phone = m.phone where c.merged_into is null));
end $$;

-- Segments ask all day who came or bought lately.
create index contact_metrics_by_last_visit on contact_metrics (last_visit_on, contact_id) where last_visit_on is not null;
create index contact_metrics_by_last_purchase on contact_metrics (last_purchase_on, contact_id) where last_purchase_on is not null;
