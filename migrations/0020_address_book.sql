-- What working in the address book asks for: orders and filters of its lists, and edits that see each other.

-- Contacts by their latest sign of life.
create index contact_metrics_by_activity on contact_metrics (last_activity_at desc, contact_id desc)
    where last_activity_at is not null;
alter table saved_views drop constraint saved_views_sort_known;
alter table saved_views add constraint saved_views_sort_known check (sort in ('NEWEST', 'NAME', 'ACTIVITY'));

-- Filters of the list of companies.
create index companies_by_owner on companies (owner_id, id) where owner_id is not null;
create index companies_by_creation on companies (created_at, id);

-- What failed lately, by when it failed.
create index communication_events_failed on communication_events (at, communication_log_id) where kind = 'FAILED';

-- Two people at one task.
alter table tasks add column updated_at timestamptz;
comment on column tasks.updated_at is 'last change of what it says, which an edit must have seen; null: none since it was made';
