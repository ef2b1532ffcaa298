-- A text for the people of one industry that is taken away stays, so that it can be put back as it was.
alter table campaign_own_texts add column removed_at timestamptz;
comment on column campaign_own_texts.removed_at is 'set: nobody gets it; it can be put back while its campaign is a draft';
