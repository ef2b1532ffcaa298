-- A mailing knows since when it goes on, and a wish who on the staff wrote it down.

alter table mailings add column resumed_at timestamptz;
comment on column mailings.resumed_at is 'when a person let it go on last: what left before says nothing of how it stands since';
update mailings m set resumed_at = told.at
from (select subject_id, max(at) as at from audit_events where action = 'mailing.resume' group by subject_id) told
where told.subject_id = m.id;

comment on column inbound_events.told_at is 'SENDER_REFUSED: when its campaign or mailing learned of it';

alter table contact_rhythms
    add column staff_user_id bigint references staff_users (id),
    add column asked_on date,
    add constraint contact_rhythms_said_once check (staff_user_id is null or communication_log_id is null);
comment on column contact_rhythms.staff_user_id is 'who on the staff was told; null: the person said it themselves';
comment on column contact_rhythms.asked_on is 'local day on which somebody on the staff was told';
