-- One person who was here twice: `gone_id` was joined into `kept_id`. The joined row stays, empty of addresses, for
-- its messages and its consents point to it and are never rewritten; whoever reads the story of the one reads both.
alter table contacts add column merged_into bigint references contacts (id);
comment on column contacts.merged_into is 'this row was joined into that contact and is nobody any more';
alter table contacts drop constraint contacts_reachable;
alter table contacts add constraint contacts_reachable
    check ((merged_into is null) = (email is not null or phone is not null));
alter table contacts add constraint contacts_not_merged_into_itself check (merged_into <> id);
create index contacts_by_merged on contacts (merged_into) where merged_into is not null;

create table contact_merges (
    id bigint generated always as identity primary key,
    kept_id bigint not null references contacts (id) on delete cascade,
    gone_id bigint not null references contacts (id) on delete cascade,
    before_kept jsonb not null,
    before_gone jsonb not null,
    after_kept jsonb not null,
    moved jsonb not null,
    merged_at timestamptz not null,
    merged_by bigint references staff_users (id) on delete set null,
    undone_at timestamptz,
    undone_by bigint references staff_users (id) on delete set null
);
comment on column contact_merges.moved is 'ids of the rows that went over to the kept one, by table: what undo gives back';
create unique index contact_merges_once on contact_merges (gone_id) where undone_at is null;
create index contact_merges_by_kept on contact_merges (kept_id, id desc);

-- Pairs that may be one person, as last looked for. A person's "no" is kept, so that it is not asked again.
create table duplicate_candidates (
    first_id bigint not null references contacts (id) on delete cascade,
    second_id bigint not null references contacts (id) on delete cascade,
    reason text not null,
    found_at timestamptz not null,
    dismissed_at timestamptz,
    dismissed_by bigint references staff_users (id) on delete set null,
    primary key (first_id, second_id),
    constraint duplicate_candidates_ordered check (first_id < second_id),
    constraint duplicate_candidates_reason_known check (reason in ('SAME_PHONE', 'SAME_NAME_AND_COMPANY', 'NEAR_NAME_AND_COMPANY'))
);
create index duplicate_candidates_by_second on duplicate_candidates (second_id);
create index duplicate_candidates_open on duplicate_candidates (first_id desc, second_id desc) where dismissed_at is null;
