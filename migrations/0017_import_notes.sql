-- What the base has to say to a row, beside what the row itself lacks: decided anew when it is written.
alter table import_rows add column note text;
comment on column import_rows.note is 'what the base says to the row: its person unsubscribed, its company can''t be told; warning is about the row alone';

-- The tab of rows with a reservation pages through them alone.
create index import_rows_warned on import_rows (import_id, row_number)
    where (warning is not null or note is not null) and verdict <> 'REJECTED';

alter table imports add column unsubscribed bigint not null default 0;
comment on column imports.unsubscribed is 'rows of people who unsubscribed before and stay so';

-- The search in the list of exclusion, by the beginning of an address on any channel.
create index suppressions_by_destination on suppressions (destination text_pattern_ops, id desc) where lifted_at is null;
