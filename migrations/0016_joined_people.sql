-- What joining two people has to remember, so that a no, an address and a place on a list outlive it.

-- Which words of consent came before the joining, and which since.
alter table contact_merges
    add column consent_before bigint not null default 0,
    add column consent_after bigint not null default 0;
comment on column contact_merges.consent_before is 'consent_events.id of the last word before the joining';
comment on column contact_merges.consent_after is 'and of the last that the joining itself wrote: what is above was said since';
update contact_merges m set
    consent_before = coalesce((select max(id) from consent_events e where e.at < m.merged_at), 0),
    consent_after = coalesce((select max(id) from consent_events e where e.at <= m.merged_at), 0);

-- A no of the other was left out where there had been no yes: the next file that brought one would have been believed.
insert into consent_events (contact_id, communication_type, basis, source, at)
select distinct m.kept_id, no.communication_type, 'WITHDRAWN', 'Al unir dos fichas de la misma persona', m.merged_at
from contact_merges m
join contacts k on k.id = m.kept_id
cross join lateral (
    select distinct on (communication_type) communication_type, basis from consent_events
    where contact_id = m.gone_id order by communication_type, id desc
) no
left join lateral (
    select basis from consent_events
    where contact_id = m.kept_id and communication_type = no.communication_type order by id desc limit 1
) said on true
where m.undone_at is null and no.basis = 'WITHDRAWN' and said.basis is distinct from 'WITHDRAWN'
    and case no.communication_type when 'EMAIL' then k.email_basis when 'SMS' then k.sms_basis else k.whatsapp_basis end is null;

-- Addresses that nobody has since they were left out of a joining. Whoever brings one brings the person who stayed.
create table former_addresses (
    address text not null,
    merge_id bigint not null references contact_merges (id) on delete cascade,
    contact_id bigint not null references contacts (id) on delete cascade,
    primary key (address, merge_id)
);
comment on table former_addresses is 'emails and telephones; they go when the joining is taken back';
comment on column former_addresses.contact_id is 'who stayed then; who that is today stands in contacts.merged_into';
create index former_addresses_by_merge on former_addresses (merge_id);
create index former_addresses_by_contact on former_addresses (contact_id);
insert into former_addresses (address, merge_id, contact_id)
select distinct address, m.id, m.kept_id
from contact_merges m
cross join lateral (values (m.before_kept ->> 'email'), (m.before_gone ->> 'email'),
    (m.before_kept ->> 'phone'), (m.before_gone ->> 'phone')) as had (address)
where m.undone_at is null and address is not null
    and address is distinct from m.after_kept ->> 'email' and address is distinct from m.after_kept ->> 'phone';

create view former_owners as
    select f.address, f.merge_id, coalesce(c.merged_into, c.id) as contact_id
    from former_addresses f join contacts c on c.id = f.contact_id;
comment on view former_owners is 'former addresses with whom they lead to today';

-- A place on a list that somebody has for whom they were joined with goes when that one does.
alter table list_members add column came_with bigint references contacts (id) on delete set null;
comment on column list_members.came_with is 'the joined row whose place this is; null: their own';
create index list_members_by_came_with on list_members (came_with) where came_with is not null;
update list_members s set came_with = g.contact_id
from list_members g join contacts c on c.id = g.contact_id
where s.contact_id = c.merged_into and s.list_id = g.list_id and s.added_at = g.added_at;

drop trigger list_members_follow on contacts;
create or replace function list_members_follow_merges() returns trigger language plpgsql as $$
begin
    if old.merged_into is not null then
        -- Who was taken off a list while they were one was taken off as both.
        delete from list_members own where own.contact_id = new.id and own.came_with is null and not exists (
            select from list_members s where s.list_id = own.list_id and s.contact_id = old.merged_into);
        -- Another who is still joined may hold the same place.
        update list_members s set came_with = other.contact_id
        from list_members other join contacts c on c.id = other.contact_id
        where s.contact_id = old.merged_into and s.came_with = new.id and other.list_id = s.list_id
            and other.came_with is null and c.merged_into = old.merged_into and c.id <> new.id;
        delete from list_members where contact_id = old.merged_into and came_with = new.id;
    end if;
    if new.merged_into is not null then
        insert into list_members (list_id, contact_id, added_at, came_with)
        select list_id, new.merged_into, added_at, new.id from list_members
        where contact_id = new.id and came_with is null
        on conflict (list_id, contact_id) where contact_id is not null do nothing;
    end if;
    return null;
end $$;
create trigger list_members_follow after update of merged_into on contacts for each row
    when (old.merged_into is distinct from new.merged_into)
    execute function list_members_follow_merges();
