create extension if not exists pg_trgm;

-- The business's own choices, one document a subject ('business', 'email', ...).
-- A missing row means the defaults, or what the environment says.
create table settings (
    name text primary key,
    value jsonb not null,
    updated_at timestamptz not null,
    updated_by bigint
);

-- Corrections to the computed calendar of Chilean public holidays: days that a
-- law or the business adds, and computed ones that do not apply.
create table holidays (
    id bigint generated always as identity primary key,
    day date not null,
    name text not null,
    closed boolean not null,
    created_at timestamptz not null,
    constraint holidays_day_once unique (day)
);
comment on column holidays.closed is 'true: nothing promotional leaves that day; false: a computed holiday that is worked';
