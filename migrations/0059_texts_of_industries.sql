-- Texts of a campaign's own for the people of one industry, beside the one that everybody else gets; and what a proposal
-- that was asked for an industry is about, so that the draft can take it for those people alone, by itself where the
-- business wants that.
create table campaign_own_texts (
    campaign_id bigint not null references campaigns (id) on delete cascade,
    place smallint not null,
    industry text not null,
    subject text not null,
    opening text not null,
    template_id bigint not null references message_templates (id),
    primary key (campaign_id, place),
    constraint campaign_own_texts_one unique (campaign_id, industry),
    constraint campaign_own_texts_place check (place >= 10),
    constraint campaign_own_texts_industry check (btrim(industry) <> ''),
    constraint campaign_own_texts_written check (btrim(subject) <> '' or btrim(opening) <> '')
);
comment on table campaign_own_texts is 'a campaign that has any tries no others on a sample, and the other way round';
comment on column campaign_own_texts.place is 'as in communication_logs.variant; 0 is the campaign''s own text, 1 to 9 are those that are tried';
comment on column campaign_own_texts.industry is 'as companies have it';
comment on column campaign_own_texts.subject is 'empty: the campaign''s own';
comment on column campaign_own_texts.opening is 'stands in place of the first paragraph; empty: the campaign''s own';
comment on column campaign_own_texts.template_id is 'the whole text with them, made anew whenever the campaign''s own changes';

comment on column communication_logs.variant is
    'which text of its campaign it got or will, drawn once, or that of its recipient''s industry as it was then; null: its campaign has one';

-- PROPOSED -> APPROVED, REFUSED;  APPROVED -> PROPOSED (what the draft took by itself is taken back)
alter table copy_requests
    add column industry bytea,
    add column replaces bytea;
comment on column copy_requests.industry is 'SHA-256 of the one that it was asked for, as companies have it; not the words, which may name people';
comment on column copy_requests.replaces is 'SHA-256 of what a proposal would replace, as that was when it was asked for; not the words, which may name people';
alter table copy_proposals
    add column for_industry boolean not null default false,
    add column taken_by_itself boolean not null default false,
    add column put_back jsonb;
comment on column copy_proposals.for_industry is 'the draft took it for the people of its request''s industry alone';
comment on column copy_proposals.taken_by_itself is 'nobody looked at it before: the business does not ask for that';
comment on column copy_proposals.put_back is 'what taking it back restores, and what must stand there until then';
