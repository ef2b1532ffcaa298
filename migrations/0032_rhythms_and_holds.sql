-- What a person asks for between a yes and a no: promotions less often on a channel, or none of them until a day. Each
-- row is the whole wish as it was said, with its proof; the last one of a contact and channel holds.
create table contact_rhythms (
    id bigint generated always as identity primary key,
    contact_id bigint not null references contacts (id) on delete cascade,
    communication_type text not null,
    min_days int,
    paused_until date,
    source text not null,
    communication_log_id bigint references communication_logs (id),
    at timestamptz not null,
    constraint contact_rhythms_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP')),
    constraint contact_rhythms_days_sane check (min_days between 2 and 90)
);
comment on column contact_rhythms.min_days is 'at most one promotion in so many local days; null: as often as the caps allow';
comment on column contact_rhythms.paused_until is 'first local day on which promotions may leave again; null: no pause';
comment on column contact_rhythms.source is 'how it was said, in words';
comment on column contact_rhythms.communication_log_id is 'the message whose link was used';
create index contact_rhythms_last on contact_rhythms (contact_id, communication_type, id desc) include (min_days, paused_until);
-- Who leaves the base takes their wishes along.
create trigger contact_rhythms_are_kept before update or delete on contact_rhythms
    for each row execute function consent_events_guard();
create trigger contact_rhythms_are_not_truncated before truncate on contact_rhythms
    for each statement execute function refuse_rewriting();

-- After "Iniciar" nothing is queued until this instant, and a person may still take the launch back:
-- RUNNING, PAUSED -> DRAFT while nobody has a row in communication_logs.
alter table campaigns add column held_until timestamptz;
comment on column campaigns.held_until is 'started, but nobody is queued before; null: at once, or a draft';
