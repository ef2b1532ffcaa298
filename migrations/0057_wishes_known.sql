-- Two clocks may show the same instant, or one wait for a lock: what the gate knew of wishes is told by their rows.
alter table communication_reservations add column newest_rhythm bigint not null default 0;
comment on column communication_reservations.newest_rhythm is
    'the newest wish of anybody as the gate decided, with the person held: one of theirs with a higher id was said after';
