-- Who stops text messages by a word may bring them back by another: only what that word did is taken back.
alter table suppressions add column word text;
comment on column suppressions.word is 'UNSUBSCRIBED by a text message or by WhatsApp: what the person wrote; another word of theirs lifts it';
