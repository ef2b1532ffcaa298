-- Who was on a list stays on it as the contact that they were joined into. The joined
-- row keeps its places too, unseen, so that taking the joining back finds them there.
create function list_members_follow_merges() returns trigger language plpgsql as $$
begin
    insert into list_members (list_id, contact_id, added_at)
    select list_id, new.merged_into, added_at from list_members where contact_id = new.id
    on conflict (list_id, contact_id) where contact_id is not null do nothing;
    return null;
end $$;
create trigger list_members_follow after update of merged_into on contacts for each row
    when (old.merged_into is null and new.merged_into is not null)
    execute function list_members_follow_merges();
