-- What files say of people beside who they are: what they are interested in, how far the relationship has come, who
-- looks after them.

alter table import_rows
    add column interests text[],
    add column lifecycle text,
    add column owner_name text,
    add column owner_id bigint;
comment on column import_rows.owner_name is 'who looks after the person, as the file calls them: a name or an address of the team; owner_id: whom that meant when it was simulated';

-- Tags that an import brought go with it.
alter table contact_interests add column import_id bigint references imports (id) on delete set null;
create index contact_interests_by_import on contact_interests (import_id) where import_id is not null;
comment on column contact_interests.import_id is 'the import that brought the tag; null: somebody gave it';

alter table interests add column import_id bigint references imports (id) on delete set null;
create index interests_by_import on interests (import_id) where import_id is not null;
comment on column interests.import_id is 'the import that named it first, as long as nobody renamed it; null: somebody made it';

alter table imports add column new_interests text[] not null default '{}';
comment on column imports.new_interests is 'interests that it makes or made, by name';
