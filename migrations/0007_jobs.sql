-- Each run of a scheduled job. A slot is taken once, whoever comes first among the replicas.
create table job_runs (
    id bigint generated always as identity primary key,
    name text not null,
    slot timestamptz not null,
    trigger text not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    status text not null default 'RUNNING',
    outcome text,
    constraint job_runs_slot_once unique (name, slot, trigger),
    constraint job_runs_trigger_known check (trigger in ('SCHEDULER', 'MANUAL')),
    constraint job_runs_status_known check (status in ('RUNNING', 'DONE', 'FAILED', 'INTERRUPTED'))
);
comment on column job_runs.slot is 'the moment it was due; for a manual run, when it was asked for';
create index job_runs_by_name on job_runs (name, id desc);
create index job_runs_running on job_runs (id) where status = 'RUNNING';
comment on index job_runs_running is 'runs that may be of a process that is gone: looked for every few seconds';
