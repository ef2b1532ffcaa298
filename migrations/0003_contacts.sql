create table companies (
    id bigint generated always as identity primary key,
    name text not null,
    name_key text collate "C" not null,
    rut text,
    industry text,
    comuna text,
    address text,
    website text,
    phone text,
    email text,
    notes text,
    owner_id bigint references staff_users (id) on delete set null,
    import_id bigint,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint companies_rut_once unique (rut),
    constraint companies_name_present check (name_key <> '')
);
comment on column companies.name_key is 'name without case, accents, punctuation and doubled spaces: the key of its uniqueness';
-- Two legal entities may bear one trade name; without a RUT nothing but the name tells companies apart.
create unique index companies_name_once on companies (name_key) where rut is null;
create index companies_by_name on companies (name_key, id);
comment on column companies.rut is 'body and check digit without dots: 76086428-5';
comment on column companies.comuna is 'CUT code of the comuna, five digits; its first two are the region';
comment on column companies.import_id is 'the import that created it';
create index companies_by_industry on companies (industry, id);
create index companies_by_comuna on companies (comuna, id);
create index companies_by_import on companies (import_id) where import_id is not null;
create index companies_name_trigrams on companies using gin (name_key gin_trgm_ops);

create table contacts (
    id bigint generated always as identity primary key,
    company_id bigint references companies (id),
    kind text not null generated always as (case when company_id is null then 'B2C' else 'B2B' end) stored,
    first_name text not null default '',
    last_name text not null default '',
    email text,
    phone text,
    job_title text,
    birth_date date,
    comuna text,
    source text not null default 'OTRO',
    lifecycle text not null default 'LEAD',
    owner_id bigint references staff_users (id) on delete set null,
    notes text,
    email_basis text,
    sms_basis text,
    whatsapp_basis text,
    quiet_from time,
    quiet_until time,
    search_key text collate "C" not null,
    import_id bigint,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint contacts_email_once unique (email),
    constraint contacts_reachable check (email is not null or phone is not null),
    constraint contacts_email_normal check (email = lower(email)),
    constraint contacts_source_known check (source in
        ('INSTAGRAM', 'FACEBOOK', 'GOOGLE', 'REFERIDO', 'EVENTO', 'WEB', 'WALK_IN', 'IMPORT', 'NEWSLETTER', 'OTRO')),
    constraint contacts_lifecycle_known check (lifecycle in ('LEAD', 'PROSPECTO', 'CLIENTE', 'INACTIVO')),
    constraint contacts_basis_known check (
        email_basis in ('CONSENT', 'CONTRACT', 'LEGITIMATE_INTEREST')
        and sms_basis in ('CONSENT', 'CONTRACT', 'LEGITIMATE_INTEREST')
        and whatsapp_basis in ('CONSENT', 'CONTRACT', 'LEGITIMATE_INTEREST')),
    constraint contacts_quiet_hours_whole check ((quiet_from is null) = (quiet_until is null))
);
comment on column contacts.email_basis is 'lawful basis for promotions by email as it stands (Ley 21.719 art. 12 and 13); null: none. The ledger is consent_events';
comment on column contacts.quiet_from is 'local time from which this person wants no promotions; with quiet_until';
comment on column contacts.search_key is 'name, email and phone without case, accents and punctuation: for the search box and to list by name';
create index contacts_by_name on contacts (search_key, id);
create index contacts_by_company on contacts (company_id, id);
create index contacts_by_phone on contacts (phone) where phone is not null;
create index contacts_by_phone_alone on contacts (phone) where email is null;
create index contacts_by_import on contacts (import_id) where import_id is not null;
create index contacts_by_comuna on contacts (comuna, id);
-- Most contacts are leads from imports: only the others are worth an index, and imports stay quick.
create index contacts_by_lifecycle on contacts (lifecycle, id) where lifecycle <> 'LEAD';
create index contacts_by_source on contacts (source, id) where source not in ('IMPORT', 'OTRO');

-- What the search box looks in: search_key by its trigrams. A table of its own, since sorting a hundred thousand
-- people into the trigrams takes longer than all the rest of an import: people that come in bulk stand in
-- contact_words_pending until somebody has the time.
create table contact_words (
    contact_id bigint primary key references contacts (id) on delete cascade,
    words text collate "C" not null
);
create index contact_words_trigrams on contact_words using gin (words gin_trgm_ops) with (fastupdate = off);
create table contact_words_pending (
    id bigint generated always as identity primary key,
    first_id bigint not null,
    last_id bigint not null
);
comment on table contact_words_pending is 'ids of contacts, from first to last, that may lack their contact_words: searched one by one meanwhile';
create function contact_words_follow() returns trigger language plpgsql as $$
begin
    insert into contact_words (contact_id, words) values (new.id, new.search_key)
    on conflict (contact_id) do update set words = excluded.words;
    return null;
end $$;
create trigger contact_words_of_new after insert on contacts for each row
    when (current_setting('llovizna.words_later', true) is distinct from 'yes')
    execute function contact_words_follow();
create trigger contact_words_of_changed after update of search_key on contacts for each row
    when (old.search_key <> new.search_key)
    execute function contact_words_follow();

-- Every yes and no to promotions, with its proof. Appended to, never altered.
create table consent_events (
    id bigint generated always as identity primary key,
    contact_id bigint not null references contacts (id) on delete cascade,
    communication_type text not null,
    basis text not null,
    source text not null,
    obtained_on date,
    import_id bigint,
    staff_user_id bigint references staff_users (id),
    communication_log_id bigint,
    at timestamptz not null,
    constraint consent_events_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP')),
    constraint consent_events_basis_known check (basis in ('CONSENT', 'CONTRACT', 'LEGITIMATE_INTEREST', 'WITHDRAWN'))
);
comment on column consent_events.source is 'where it was given, in words: a form, a fair, the file that says so';
comment on column consent_events.obtained_on is 'the day it was given, where that is not the day of the entry';
create index consent_events_by_contact on consent_events (contact_id, communication_type, id desc);

-- What a person chose on the preferences page. No row means yes.
create table contact_preferences (
    contact_id bigint not null references contacts (id) on delete cascade,
    communication_type text not null,
    message_type text not null,
    allowed boolean not null,
    updated_at timestamptz not null,
    primary key (contact_id, communication_type, message_type),
    constraint contact_preferences_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP'))
);
