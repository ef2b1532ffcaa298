-- What the big tables refer to, asked once a statement for all the rows that it adds, and not once a row: a foreign key
-- asks 500 000 times whether the one campaign of 500 000 messages is there. The same is
-- refused as before, under the same names; both sides lock what a foreign key locks, so that neither slips past the other.
-- Ids are never changed (generated always), so only deleting is watched on the other side.

-- Plans are kept for rows by the thousand and for one alone: only looking each up by its key serves both.
create function contacts_refer() returns trigger language plpgsql
    set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
begin
    if (select count(distinct company_id) from added) <> (select count(*) from (
        select from companies where id in (select company_id from added) order by id for key share) held)
    then
        raise exception 'a contact refers to a company that is not there'
            using errcode = 'foreign_key_violation', table = 'contacts', constraint = 'contacts_company_id_fkey';
    end if;
    return null;
end $$;
create function contacts_refer_anew() returns trigger language plpgsql as $$
begin
    perform from companies where id = new.company_id for key share;
    if not found then
        raise exception 'a contact refers to a company that is not there'
            using errcode = 'foreign_key_violation', table = 'contacts', constraint = 'contacts_company_id_fkey';
    end if;
    return null;
end $$;
-- What is deleted, and the table and column that may refer to it.
create function refuse_while_referred_to() returns trigger language plpgsql
    set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
declare
    referred_to boolean;
begin
    execute format('select exists (select from gone g join %I r on r.%I = g.id)', tg_argv[0], tg_argv[1])
        into referred_to;
    if referred_to then
        raise exception '% still refers by % to what is deleted', tg_argv[0], tg_argv[1]
            using errcode = 'foreign_key_violation', table = tg_argv[0],
                constraint = tg_argv[0] || '_' || tg_argv[1] || '_fkey';
    end if;
    return null;
end $$;
alter table contacts drop constraint contacts_company_id_fkey;
create trigger contacts_refer after insert on contacts referencing new table as added
    for each statement execute function contacts_refer();
create trigger contacts_refer_anew after update of company_id on contacts for each row
    when (new.company_id is not null and old.company_id is distinct from new.company_id)
    execute function contacts_refer_anew();
create trigger companies_are_referred_to after delete on companies referencing old table as gone
    for each statement execute function refuse_while_referred_to('contacts', 'company_id');

-- New people enter the index of words as a set too.
create or replace function contact_words_follow() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        insert into contact_words (contact_id, words) values (new.id, new.search_key)
        on conflict (contact_id) do update set words = excluded.words;
    elsif current_setting('llovizna.words_later', true) is distinct from 'yes' then
        insert into contact_words (contact_id, words) select id, search_key from added
        on conflict (contact_id) do update set words = excluded.words;
    end if;
    return null;
end $$;
drop trigger contact_words_of_new on contacts;
create trigger contact_words_of_new after insert on contacts referencing new table as added
    for each statement execute function contact_words_follow();

create function communication_logs_refer() returns trigger language plpgsql
    set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
declare
    lacking text;
begin
    lacking := case
        when (select count(distinct campaign_id) from added) <> (select count(*) from (
            select from campaigns where id in (select campaign_id from added) order by id for key share) held)
            then 'campaign_id'
        when (select count(distinct contact_id) from added) <> (select count(*) from (
            select from contacts where id in (select contact_id from added) order by id for key share) held)
            then 'contact_id'
        when (select count(distinct template_id) from added) <> (select count(*) from (
            select from message_templates where id in (select template_id from added) order by id for key share) held)
            then 'template_id'
        when (select count(distinct requested_by) from added) <> (select count(*) from (
            select from staff_users where id in (select requested_by from added) order by id for key share) held)
            then 'requested_by'
    end;
    if lacking is not null then
        raise exception 'a message refers to something that is not there: %', lacking
            using errcode = 'foreign_key_violation', table = 'communication_logs',
                constraint = 'communication_logs_' || lacking || '_fkey';
    end if;
    return null;
end $$;
-- Its campaign can't be changed; the others hardly ever are.
create function communication_logs_refer_anew() returns trigger language plpgsql as $$
declare
    lacking text;
begin
    perform from contacts where id = new.contact_id for key share;
    if not found and new.contact_id is not null then lacking := 'contact_id'; end if;
    perform from message_templates where id = new.template_id for key share;
    if not found and new.template_id is not null then lacking := 'template_id'; end if;
    perform from staff_users where id = new.requested_by for key share;
    if not found and new.requested_by is not null then lacking := 'requested_by'; end if;
    if lacking is not null then
        raise exception 'a message refers to something that is not there: %', lacking
            using errcode = 'foreign_key_violation', table = 'communication_logs',
                constraint = 'communication_logs_' || lacking || '_fkey';
    end if;
    return null;
end $$;
alter table communication_logs
    drop constraint communication_logs_campaign_id_fkey,
    drop constraint communication_logs_contact_id_fkey,
    drop constraint communication_logs_template_id_fkey,
    drop constraint communication_logs_requested_by_fkey;
create trigger communication_logs_refer after insert on communication_logs referencing new table as added
    for each statement execute function communication_logs_refer();
create trigger communication_logs_refer_anew after update of contact_id, template_id, requested_by on communication_logs
    for each row when (old.contact_id is distinct from new.contact_id or old.template_id is distinct from new.template_id
        or old.requested_by is distinct from new.requested_by)
    execute function communication_logs_refer_anew();
-- Texts are never deleted: a trigger of theirs sees to it.
create trigger contacts_are_written_to after delete on contacts referencing old table as gone
    for each statement execute function refuse_while_referred_to('communication_logs', 'contact_id');
create trigger campaigns_have_messages after delete on campaigns referencing old table as gone
    for each statement execute function refuse_while_referred_to('communication_logs', 'campaign_id');
create trigger staff_users_asked_for_messages after delete on staff_users referencing old table as gone
    for each statement execute function refuse_while_referred_to('communication_logs', 'requested_by');

create function communication_events_refer() returns trigger language plpgsql
    set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
begin
    if (select count(distinct staff_user_id) from added) <> (select count(*) from (
        select from staff_users where id in (select staff_user_id from added) order by id for key share) held)
    then
        raise exception 'an event refers to somebody who is not there'
            using errcode = 'foreign_key_violation', table = 'communication_events',
                constraint = 'communication_events_staff_user_id_fkey';
    end if;
    return null;
end $$;

alter table communication_events drop constraint communication_events_staff_user_id_fkey;
create trigger communication_events_refer after insert on communication_events referencing new table as added
    for each statement execute function communication_events_refer();
create trigger staff_users_are_told_of after delete on staff_users referencing old table as gone
    for each statement execute function refuse_while_referred_to('communication_events', 'staff_user_id');

-- Pages of one import in the order of the list.
drop index contacts_by_import;
create index contacts_by_import on contacts (import_id, id) where import_id is not null;

-- A campaign's states are counted in the index alone, and those who left by it are found without reading the rest.
drop index communication_logs_by_campaign;
create index communication_logs_by_campaign on communication_logs (campaign_id, status, id desc) include (origin, sent_at);
create index communication_logs_unsubscribed_by_campaign on communication_logs (campaign_id) where unsubscribed_at is not null;
