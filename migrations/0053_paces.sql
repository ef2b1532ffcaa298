-- A channel whose servers asked to go slowly: how much leaves in a run at most, less each time that they ask again, a little
-- more after each run in which they did not. Without a row it goes as fast as its settings say.
create table channel_paces (
    communication_type text primary key,
    per_run int not null,
    answer text not null,
    slowed_at timestamptz not null,
    changed_at timestamptz not null,
    constraint channel_paces_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP')),
    constraint channel_paces_per_run_sane check (per_run between 1 and 1000)
);
comment on column channel_paces.answer is 'what was said last when they asked';
comment on column channel_paces.slowed_at is 'when they asked last';
