-- What caps count, said once: what a person got of us, is being sent, or has set apart for them by a living run. The
-- gate asks it before each message, and a person's page shows it.
create view messages_counted as
select id, contact_id, communication_type, message_type, coalesce(sent_at, claimed_at, reserved_at) as at
from (
    select *, case when status = 'PENDING' then (
        select reserved_at from communication_reservations where communication_log_id = communication_logs.id
    ) end as reserved_at
    from communication_logs
) message
where origin <> 'TEST'
    and (status in ('SENDING', 'UNCONFIRMED', 'SENT', 'DELIVERED', 'OPENED', 'CLICKED', 'REPLIED', 'BOUNCED')
        or reserved_at is not null);
comment on column messages_counted.at is 'when it left, else when it was taken up to be sent, else when it was set apart';
