create table staff_users (
    id bigint generated always as identity primary key,
    email text not null,
    name text not null,
    role text not null,
    password_hash text not null,
    active boolean not null default true,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    last_login_at timestamptz,
    constraint staff_users_email_once unique (email),
    constraint staff_users_role_known check (role in ('SUPERADMIN', 'ADMIN', 'STAFF', 'READ_ONLY'))
);
comment on column staff_users.password_hash is 'Argon2id, PHC string';

create table staff_sessions (
    id bigint generated always as identity primary key,
    token_hash bytea not null,
    staff_user_id bigint not null references staff_users (id) on delete cascade,
    csrf_token text not null,
    notice jsonb,
    user_agent text not null default '',
    created_at timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at timestamptz not null,
    constraint staff_sessions_token_once unique (token_hash)
);
comment on column staff_sessions.token_hash is 'SHA-256 of the cookie; the cookie itself is never kept';
comment on column staff_sessions.notice is 'what the next page says once: "Guardado", with a way back where there is one';
create index staff_sessions_by_user on staff_sessions (staff_user_id);

-- Wrong passwords, by a keyed hash of the address typed and of the client's IP, so that guessing slows down.
create table login_failures (
    id bigint generated always as identity primary key,
    subject bytea not null,
    failed_at timestamptz not null
);
create index login_failures_recent on login_failures (subject, failed_at);

-- What people on the staff changed. Appended to, never altered.
create table audit_events (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    staff_user_id bigint references staff_users (id),
    actor text not null,
    action text not null,
    subject_kind text not null,
    subject_id bigint,
    before jsonb,
    after jsonb
);
comment on column audit_events.actor is 'who it was, as shown: a name, "línea de comandos", "sistema"';
create index audit_events_by_subject on audit_events (subject_kind, subject_id, id desc);
create index audit_events_by_kind on audit_events (subject_kind, id desc);
create index audit_events_by_staff on audit_events (staff_user_id, id desc);

create function refuse_rewriting() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused', tg_table_name, tg_op
        using errcode = 'restrict_violation';
end $$;

create trigger audit_events_are_kept before update or delete on audit_events
    for each row execute function refuse_rewriting();
create trigger audit_events_are_not_truncated before truncate on audit_events
    for each statement execute function refuse_rewriting();
