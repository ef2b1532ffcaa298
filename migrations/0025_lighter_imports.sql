-- What each person of an import costs, less.

-- A foreign key looks at each row that comes, also at those that refer to nobody: of a file, all of them. These
-- look at the others only, refuse what it would, and under its name.
create function refer_to_owner() returns trigger language plpgsql as $$
begin
    perform from staff_users where id = new.owner_id for key share;
    if not found then
        raise exception '% refers to an owner who is not there', tg_table_name
            using errcode = 'foreign_key_violation', table = tg_table_name, constraint = tg_table_name || '_owner_id_fkey';
    end if;
    return null;
end $$;
create function staff_users_own_no_more() returns trigger language plpgsql as $$
begin
    update contacts set owner_id = null where owner_id = old.id;
    update companies set owner_id = null where owner_id = old.id;
    return null;
end $$;
alter table contacts drop constraint contacts_owner_id_fkey;
alter table companies drop constraint companies_owner_id_fkey;
create trigger contacts_refer_to_owner after insert on contacts for each row
    when (new.owner_id is not null) execute function refer_to_owner();
create trigger contacts_refer_to_another_owner after update of owner_id on contacts for each row
    when (new.owner_id is not null and old.owner_id is distinct from new.owner_id) execute function refer_to_owner();
create trigger companies_refer_to_owner after insert on companies for each row
    when (new.owner_id is not null) execute function refer_to_owner();
create trigger companies_refer_to_another_owner after update of owner_id on companies for each row
    when (new.owner_id is not null and old.owner_id is distinct from new.owner_id) execute function refer_to_owner();
create trigger staff_users_own_no_more after delete on staff_users for each row execute function staff_users_own_no_more();

create function contacts_refer_to_merged() returns trigger language plpgsql as $$
begin
    perform from contacts where id = new.merged_into for key share;
    if not found then
        raise exception 'a contact is merged into one who is not there'
            using errcode = 'foreign_key_violation', table = 'contacts', constraint = 'contacts_merged_into_fkey';
    end if;
    return null;
end $$;
alter table contacts drop constraint contacts_merged_into_fkey;
create trigger contacts_refer_to_merged after insert on contacts for each row
    when (new.merged_into is not null) execute function contacts_refer_to_merged();
create trigger contacts_refer_to_merged_anew after update of merged_into on contacts for each row
    when (new.merged_into is not null and old.merged_into is distinct from new.merged_into)
    execute function contacts_refer_to_merged();
create trigger contacts_are_merged_into after delete on contacts referencing old table as gone
    for each statement execute function refuse_while_referred_to('contacts', 'merged_into');

-- As before, with one look at those who came.
create or replace function contacts_refer() returns trigger language plpgsql
    set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
declare
    lacking boolean;
begin
    with employers as materialized (
        select distinct company_id as id from added where company_id is not null
    ), held as materialized (
        select c.id from employers e join companies c on c.id = e.id order by c.id for key share of c
    )
    select (select count(*) from employers) <> (select count(*) from held) into lacking;
    if lacking then
        raise exception 'a contact refers to a company that is not there'
            using errcode = 'foreign_key_violation', table = 'contacts', constraint = 'contacts_company_id_fkey';
    end if;
    return null;
end $$;

-- An import asks who of its people said no, among all that anybody ever said.
create index consent_events_withdrawn on consent_events (contact_id) where communication_type = 'EMAIL' and basis = 'WITHDRAWN';

-- Most rows of a written import have nothing to say but whom they became: they are kept by the block, not each by itself.
create table import_quiet_rows (
    import_id bigint not null,
    verdict text not null,
    last_row int not null,
    row_numbers int[] not null,
    subject_ids bigint[] not null,
    primary key (import_id, verdict, last_row),
    constraint import_quiet_rows_verdict_known check (verdict in ('CREATED', 'UNCHANGED')),
    constraint import_quiet_rows_paired check (cardinality(row_numbers) = cardinality(subject_ids))
);
comment on table import_quiet_rows is 'blocks of rows, in order, of written imports of people or companies: taken without a remark';
comment on column import_quiet_rows.last_row is 'greatest of row_numbers';
comment on column import_quiet_rows.subject_ids is 'the person or company of each of row_numbers';
