-- Whether what of a mailing is queued may leave is said in one place.
alter table mailings
    add column sends boolean not null generated always as (status in ('RUNNING', 'DONE', 'FAILED')) stored;
comment on column mailings.sends is 'what of it is queued may leave';
