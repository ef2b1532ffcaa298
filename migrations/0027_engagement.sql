-- When each person last opened, followed and answered a message, among the sums of what they did: rules ask for it, and
-- the log of millions need not be gone through for each.
alter table contact_metrics
    add column last_opened_at timestamptz,
    add column last_clicked_at timestamptz,
    add column last_replied_at timestamptz;
comment on column contact_metrics.last_opened_at is 'of a message that was no test, theirs or of whoever was joined into them';
create index contact_metrics_by_last_opened on contact_metrics (last_opened_at, contact_id) where last_opened_at is not null;
create index contact_metrics_by_last_clicked on contact_metrics (last_clicked_at, contact_id) where last_clicked_at is not null;
create index contact_metrics_by_last_replied on contact_metrics (last_replied_at, contact_id) where last_replied_at is not null;

insert into contact_metrics as m (contact_id, last_opened_at, last_clicked_at, last_replied_at)
select coalesce(c.merged_into, c.id), max(l.opened_at), max(l.clicked_at), max(l.replied_at)
from communication_logs l join contacts c on c.id = l.contact_id
where coalesce(l.opened_at, l.clicked_at, l.replied_at) is not null and l.origin <> 'TEST'
group by 1
on conflict (contact_id) do update set last_opened_at = excluded.last_opened_at,
    last_clicked_at = excluded.last_clicked_at, last_replied_at = excluded.last_replied_at;

drop index communication_logs_opened;
drop index communication_logs_clicked;
drop index communication_logs_replied;

-- Counting everybody, or those of a stage, takes the index alone: whoever was joined into another never counts.
drop index contacts_by_creation;
create index contacts_by_creation on contacts (created_at, id) where merged_into is null;
drop index contacts_by_lifecycle;
create index contacts_by_lifecycle on contacts (lifecycle, id) where lifecycle <> 'LEAD' and merged_into is null;
