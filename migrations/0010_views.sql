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

-- One change to many people, worked on in the background a page of them at a time.
--
--   PENDING -> RUNNING            who they are was written to bulk_action_rows
--   RUNNING -> DONE, FAILED       FAILED: what they were to be given is gone; who was changed stays so
--   PENDING, RUNNING -> CANCELLED who was changed stays so
--   DONE, CANCELLED, FAILED -> UNDOING -> UNDONE
create table bulk_actions (
    id bigint generated always as identity primary key,
    status text not null default 'PENDING',
    action text not null,
    target_id bigint,
    target_code text,
    target_name text not null,
    filter jsonb not null,
    checkpoint bigint not null default 0,
    total bigint not null default 0,
    done bigint not null default 0,
    changed bigint not null default 0,
    undone bigint not null default 0,
    kept bigint not null default 0,
    failure text,
    created_at timestamptz not null,
    created_by bigint references staff_users (id) on delete set null,
    created_by_name text not null,
    finished_at timestamptz,
    undone_at timestamptz,
    constraint bulk_actions_status_known check (status in
        ('PENDING', 'RUNNING', 'DONE', 'CANCELLED', 'FAILED', 'UNDOING', 'UNDONE')),
    constraint bulk_actions_action_known check (action in ('TAG', 'UNTAG', 'OWNER', 'LIFECYCLE', 'STAGE', 'LIST')),
    constraint bulk_actions_failure_explained check (status <> 'FAILED' or failure is not null),
    constraint bulk_actions_books_balance check (
        done <= total and changed <= done and (status <> 'DONE' or done = total)
        and (status <> 'UNDONE' or undone + kept = changed))
);
comment on column bulk_actions.target_id is 'row of the interest, the person on the staff, the stage or the list; null: nobody, or the code says it';
comment on column bulk_actions.target_name is 'the target as people read it when it was asked for';
comment on column bulk_actions.filter is 'who, as the list was asked; looked at once, when it starts';
comment on column bulk_actions.checkpoint is 'the last contact that was looked at, by the running or the undoing';
comment on column bulk_actions.kept is 'changed by somebody after this, so the undoing left them alone';
create index bulk_actions_open on bulk_actions (id) where status in ('PENDING', 'RUNNING', 'UNDOING');

-- Whom a bulk action is about, and how each stood before it changed them.
create table bulk_action_rows (
    bulk_action_id bigint not null,
    contact_id bigint not null,
    changed boolean not null default false,
    before jsonb,
    primary key (bulk_action_id, contact_id)
);
-- No foreign keys: a check a row would cost more than the row, and bulk actions are never deleted.
comment on column bulk_action_rows.changed is 'the action changed this person, and no undoing has taken that back';
