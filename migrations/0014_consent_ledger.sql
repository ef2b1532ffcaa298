-- The ledger of consent is appended to, never altered. What an import stated and was taken
-- back with it stays on record: REVERSED says that it no longer holds.
alter table consent_events drop constraint consent_events_basis_known;
alter table consent_events add constraint consent_events_basis_known
    check (basis in ('CONSENT', 'CONTRACT', 'LEGITIMATE_INTEREST', 'WITHDRAWN', 'REVERSED'));
comment on column consent_events.basis is
    'WITHDRAWN: a no. REVERSED: what the import stated has no effect, things stand as before it';

create function consent_events_guard() returns trigger language plpgsql as $$
begin
    -- Who leaves the base takes their ledger along: an import is undone, and nobody had written to them.
    if tg_op = 'DELETE' and not exists (select from contacts where id = old.contact_id) then
        return old;
    end if;
    raise exception '% is append-only: % refused', tg_table_name, tg_op
        using errcode = 'restrict_violation';
end $$;
create trigger consent_events_are_kept before update or delete on consent_events
    for each row execute function consent_events_guard();
create trigger consent_events_are_not_truncated before truncate on consent_events
    for each statement execute function refuse_rewriting();
