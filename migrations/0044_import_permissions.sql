-- What an import does to whom may be written to is told before it is confirmed.
alter table imports add column permitted bigint not null default 0;
comment on column imports.permitted is 'people who were there before and who get, or got, the stated basis by it';
