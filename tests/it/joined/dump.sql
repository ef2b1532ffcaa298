-- Everything that hangs on the people of $1, told without what joining and parting are documented to leave behind.
select jsonb_build_object(
    -- When a row was last written is told anew by both.
    'contacts', (select jsonb_agg(to_jsonb(t) - 'updated_at' order by id) from contacts t where id = any($1)),
    'words', (select jsonb_agg(to_jsonb(t) order by contact_id) from contact_words t where contact_id = any($1)),
    'interactions', (select jsonb_agg(to_jsonb(t) order by id) from interactions t where contact_id = any($1)),
    'history', (select jsonb_agg(to_jsonb(t) order by id) from history_entries t where contact_id = any($1)),
    'tasks', (select jsonb_agg(to_jsonb(t) order by id) from tasks t where contact_id = any($1)),
    'interests', (select jsonb_agg(to_jsonb(t) order by contact_id, interest_id) from contact_interests t where contact_id = any($1)),
    'preferences', (select jsonb_agg(to_jsonb(t) order by contact_id, communication_type, message_type)
        from contact_preferences t where contact_id = any($1)),
    -- No row means zeros.
    'metrics', (select jsonb_agg(to_jsonb(t) order by contact_id) from contact_metrics t where contact_id = any($1)
        and (visits + purchases + enrolments + spent > 0 or first_activity_at is not null)),
    'cards', (select jsonb_agg(to_jsonb(t) order by contact_id) from pipeline_cards t where contact_id = any($1)),
    'moves', (select jsonb_agg(to_jsonb(t) order by id) from pipeline_moves t where contact_id = any($1)),
    'rhythms', (select jsonb_agg(to_jsonb(t) order by id) from contact_rhythms t where contact_id = any($1)),
    'messages', (select jsonb_agg(to_jsonb(t) order by id) from communication_logs t where contact_id = any($1)),
    'events', (select jsonb_agg(to_jsonb(t) order by t.id) from communication_events t
        join communication_logs l on l.id = t.communication_log_id where l.contact_id = any($1)),
    -- A place that somebody has for whom they were joined with is made anew with each joining.
    'lists', (select jsonb_agg(case when came_with is null then to_jsonb(t) else to_jsonb(t) - 'id' end order by list_id, contact_id)
        from list_members t where contact_id = any($1)),
    'removals', (select jsonb_agg(to_jsonb(t) order by id) from list_removals t where contact_id = any($1)),
    'bulk', (select jsonb_agg(to_jsonb(t) order by bulk_action_id, contact_id) from bulk_action_rows t where contact_id = any($1)),
    'mailings', (select jsonb_agg(to_jsonb(t) order by mailing_id, contact_id) from mailing_people t where contact_id = any($1)),
    'imports', (select jsonb_agg(to_jsonb(t) order by import_id, row_number) from import_rows t where subject_id = any($1)),
    'imported', (select jsonb_agg(to_jsonb(t) order by import_id, subject_id) from import_changes t
        where subject_kind = 'contact' and subject_id = any($1)),
    'former', (select jsonb_agg(to_jsonb(t) order by address, merge_id) from former_addresses t where contact_id = any($1)),
    'joined', (select jsonb_agg(to_jsonb(t) order by id) from contact_merges t where kept_id = any($1) and undone_at is null),
    -- What nobody decided on is looked for anew each night.
    'told_apart', (select jsonb_agg(to_jsonb(t) order by first_id, second_id) from duplicate_candidates t
        where (first_id = any($1) or second_id = any($1)) and dismissed_at is not null),
    'excluded', (select jsonb_agg(to_jsonb(t) order by id) from suppressions t),
    -- That they were one stands in the story of the lifecycle; what it led to stands in their row.
    'lifecycle', (select jsonb_agg(to_jsonb(t) order by id) from lifecycle_changes t
        where contact_id = any($1) and cause <> 'MERGE' and not (cause = 'UNDONE' and detail is null)),
    -- Nothing is ever taken out of the ledger: what counts is its last word, and the proof of a yes that stands.
    'consent', (select jsonb_agg(jsonb_build_array(c.id, channel.code, coalesce(last.basis = 'WITHDRAWN', false),
            case when channel.basis is not null then last.basis end, case when channel.basis is not null then yes.proof end)
            order by c.id, channel.code)
        from contacts c
        cross join lateral (values ('EMAIL', c.email_basis), ('SMS', c.sms_basis), ('WHATSAPP', c.whatsapp_basis)) channel (code, basis)
        left join lateral (select basis from consent_events where contact_id = c.id and communication_type = channel.code
            order by id desc limit 1) last on true
        left join lateral (select jsonb_build_array(source, coalesce(obtained_on, (at at time zone 'America/Santiago')::date)) as proof
            from consent_events where contact_id = c.id and communication_type = channel.code and basis = channel.basis
            order by id desc limit 1) yes on true
        where c.id = any($1)))
