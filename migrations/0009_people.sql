-- What people want, what happened with them, how far they have come, and what staff does next.

-- Tags that say what a person cares about, grouped in categories.
create table interests (
    id bigint generated always as identity primary key,
    name text not null,
    category text not null default '',
    key text collate "C" not null,
    created_at timestamptz not null,
    constraint interests_once unique (key),
    constraint interests_name_present check (key <> '')
);
comment on column interests.key is 'name without case, accents, punctuation and doubled spaces: the key of its uniqueness';
comment on column interests.category is 'heading under which it is offered; empty: none';

create table contact_interests (
    contact_id bigint not null references contacts (id) on delete cascade,
    interest_id bigint not null references interests (id) on delete cascade,
    at timestamptz not null,
    primary key (contact_id, interest_id)
);
create index contact_interests_by_interest on contact_interests (interest_id, contact_id);

-- The log of what staff talked about with a person.
create table interactions (
    id bigint generated always as identity primary key,
    contact_id bigint not null references contacts (id) on delete cascade,
    kind text not null,
    summary text not null,
    detail text,
    at timestamptz not null,
    staff_user_id bigint references staff_users (id) on delete set null,
    created_at timestamptz not null,
    constraint interactions_kind_known check (kind in ('CALL', 'EMAIL', 'MEETING', 'WHATSAPP', 'NOTE')),
    constraint interactions_summary_present check (summary <> '')
);
comment on column interactions.at is 'when it happened; created_at: when it was written down';
create index interactions_by_contact on interactions (contact_id, at desc, id desc);

-- Every move of a contact's lifecycle. Appended to, never altered; contacts.lifecycle holds how things stand, written with it.
create table lifecycle_changes (
    id bigint generated always as identity primary key,
    contact_id bigint not null references contacts (id) on delete cascade,
    from_lifecycle text not null,
    to_lifecycle text not null,
    cause text not null,
    detail text,
    staff_user_id bigint references staff_users (id) on delete set null,
    at timestamptz not null,
    constraint lifecycle_changes_from_known check (from_lifecycle in ('LEAD', 'PROSPECTO', 'CLIENTE', 'INACTIVO')),
    constraint lifecycle_changes_to_known check (to_lifecycle in ('LEAD', 'PROSPECTO', 'CLIENTE', 'INACTIVO')),
    constraint lifecycle_changes_moves check (from_lifecycle <> to_lifecycle),
    constraint lifecycle_changes_cause_known check (cause in
        ('HAND', 'IMPORT', 'UNDONE', 'FIRST_PURCHASE', 'FIRST_VISIT', 'FIRST_ENROLMENT', 'HISTORY_REMOVED',
         'INACTIVITY', 'ACTIVITY', 'MERGE'))
);
comment on column lifecycle_changes.detail is 'what a person should read beside the cause: the item bought, the days without activity';
create index lifecycle_changes_by_contact on lifecycle_changes (contact_id, at desc, id desc);

-- What a person bought, came to or enrolled in, from files of the time before.
create table history_entries (
    id bigint generated always as identity primary key,
    contact_id bigint not null references contacts (id) on delete cascade,
    kind text not null,
    occurred_on date not null,
    item text not null default '',
    amount bigint not null default 0,
    quantity int not null default 1,
    import_id bigint,
    created_at timestamptz not null,
    constraint history_entries_kind_known check (kind in ('PURCHASE', 'VISIT', 'ENROLMENT')),
    constraint history_entries_amount_positive check (amount >= 0),
    constraint history_entries_quantity_positive check (quantity >= 1)
);
comment on column history_entries.amount is 'whole pesos paid in all, not per unit';
create index history_entries_by_contact on history_entries (contact_id, occurred_on desc, id desc);
create index history_entries_by_import on history_entries (import_id) where import_id is not null;

-- What the history and the log of a contact add up to. No row means zeros. Counted again, for the contacts touched,
-- in the transaction that writes history or interactions.
create table contact_metrics (
    contact_id bigint primary key references contacts (id) on delete cascade,
    visits int not null default 0,
    purchases int not null default 0,
    enrolments int not null default 0,
    spent bigint not null default 0,
    last_visit_on date,
    last_purchase_on date,
    first_activity_at timestamptz,
    last_activity_at timestamptz
);
comment on column contact_metrics.last_activity_at is 'latest history entry or interaction other than a note, or message the person opened, followed or answered; an entry that has only a day counts from its noon';

-- The board on which staff moves leads forward.
create table pipeline_stages (
    id bigint generated always as identity primary key,
    name text not null,
    position int not null,
    is_hot boolean not null default false,
    outcome text not null default 'OPEN',
    constraint pipeline_stages_name_present check (name <> ''),
    constraint pipeline_stages_outcome_known check (outcome in ('OPEN', 'WON', 'LOST')),
    constraint pipeline_stages_position_once unique (position) deferrable initially deferred
);
create unique index pipeline_stages_name_once on pipeline_stages (lower(name));
comment on column pipeline_stages.is_hot is 'a lead that should be answered today; scores and flows put people here';
comment on column pipeline_stages.outcome is 'OPEN: still worked on; WON and LOST: the deal is over, and its value is no longer expected';
insert into pipeline_stages (name, position, is_hot, outcome) values
    ('Nuevo', 1, false, 'OPEN'),
    ('Contactado', 2, false, 'OPEN'),
    ('Interesado', 3, false, 'OPEN'),
    ('Propuesta', 4, false, 'OPEN'),
    ('Hot Lead', 5, true, 'OPEN'),
    ('Ganado', 6, false, 'WON'),
    ('Perdido', 7, false, 'LOST');

create table pipeline_cards (
    contact_id bigint primary key references contacts (id) on delete cascade,
    stage_id bigint not null references pipeline_stages (id),
    value bigint not null default 0,
    follow_up_on date,
    moved_at timestamptz not null,
    constraint pipeline_cards_value_positive check (value >= 0)
);
comment on column pipeline_cards.value is 'whole pesos that the deal may bring';
create index pipeline_cards_by_stage on pipeline_cards (stage_id, moved_at desc, contact_id) include (value);
create index pipeline_cards_by_follow_up on pipeline_cards (follow_up_on, contact_id) where follow_up_on is not null;

-- Every move on the board, for the timeline. Names are kept as they were: stages may be renamed and removed.
create table pipeline_moves (
    id bigint generated always as identity primary key,
    contact_id bigint not null references contacts (id) on delete cascade,
    from_stage text,
    to_stage text,
    staff_user_id bigint references staff_users (id) on delete set null,
    at timestamptz not null,
    constraint pipeline_moves_somewhere check (from_stage is distinct from to_stage)
);
comment on column pipeline_moves.from_stage is 'null: put on the board; to_stage null: taken off it';
create index pipeline_moves_by_contact on pipeline_moves (contact_id, at desc, id desc);

create table tasks (
    id bigint generated always as identity primary key,
    title text not null,
    detail text,
    contact_id bigint references contacts (id) on delete cascade,
    owner_id bigint references staff_users (id) on delete set null,
    due_on date not null,
    done_at timestamptz,
    done_by bigint references staff_users (id) on delete set null,
    created_by bigint references staff_users (id) on delete set null,
    created_at timestamptz not null,
    constraint tasks_title_present check (title <> '')
);
create index tasks_open on tasks (due_on, id) where done_at is null;
create index tasks_open_by_owner on tasks (owner_id, due_on, id) where done_at is null;
create index tasks_done on tasks (done_at desc, id desc) where done_at is not null;
create index tasks_by_contact on tasks (contact_id, due_on, id);

-- The timeline of one contact reads these by contact and time.
create index consent_events_by_contact_and_time on consent_events (contact_id, at desc, id desc);
