-- Working the list of contacts: views under a name, and the indexes of its filters.
create table saved_views (
    id bigint generated always as identity primary key,
    name text not null,
    owner_id bigint not null references staff_users (id) on delete cascade,
    is_shared boolean not null default false,
    filter jsonb not null,
    sort text not null,
    columns text[] not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint saved_views_name_present check (name <> ''),
    constraint saved_views_sort_known check (sort in ('NEWEST', 'NAME'))
);
comment on column saved_views.is_shared is 'the whole team sees it; its owner and whoever runs the team change it';
comment on column saved_views.columns is 'codes of the columns it shows, the name of the person aside';
create unique index saved_views_name_once on saved_views (owner_id, lower(name));
create index saved_views_shared on saved_views (lower(name), id) where is_shared;

-- Filters of the list that no index of the address book serves.
create index contacts_by_owner on contacts (owner_id, id) where owner_id is not null;
create index contacts_by_birth_month on contacts (extract(month from birth_date), id) where birth_date is not null;
create index contacts_by_creation on contacts (created_at, id);
