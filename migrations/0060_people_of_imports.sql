-- Who the people of a file are by now: one answer for the list that is made of them and for the basis that they lack.
create view import_people as
select whom.import_id, coalesce(c.merged_into, c.id) as contact_id
from (
    select import_id, subject_id from import_rows where verdict <> 'REJECTED'
    union all
    select import_id, unnest(subject_ids) from import_quiet_rows
    union all
    select import_id, id from contacts where import_id is not null
) whom join contacts c on c.id = whom.subject_id;
comment on view import_people is 'those whom it created and those whom the base knew, more than once where two rows name one; who was joined, as who stays';
