-- Who takes a bulk action back answers for it: not who asked for it, who may do less by now.
alter table bulk_actions
    add column undone_by bigint references staff_users (id) on delete set null,
    add column undone_by_name text;
comment on column bulk_actions.undone_by is 'who asked for the undoing: it is done with what they may do';
comment on column bulk_actions.filter is 'who, as the list was asked; their rows were written down when it was confirmed';
comment on column bulk_actions.status is 'PENDING: its rows are written, nobody was changed yet';

-- Rows were written by the engine so far: what still waits for them is asked for again.
update bulk_actions set status = 'FAILED', finished_at = created_at,
    failure = 'El programa se actualizó antes de que empezara. No se cambió a nadie: pide el cambio de nuevo.'
where status = 'PENDING';

-- What the rules of segments look up among everybody.
create index contact_metrics_by_spent on contact_metrics (spent, contact_id);
create index contact_metrics_by_visits on contact_metrics (visits, contact_id);
create index contact_metrics_by_last_activity on contact_metrics (last_activity_at, contact_id);
-- As `segments::compile` folds it.
create index history_entries_item_trigrams on history_entries using gin (
    translate(lower(item), 'ÁÀÂÄÃÉÈÊËÍÌÎÏÓÒÔÖÕÚÙÛÜÑÇáàâäãéèêëíìîïóòôöõúùûüñç',
        'aaaaaeeeeiiiiooooouuuuncaaaaaeeeeiiiiooooouuuunc') gin_trgm_ops);
