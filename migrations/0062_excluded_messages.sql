-- Whether the list of exclusion forbids a message, by its address or by the digest of it: one answer for whoever would try it again.
create function is_excluded(it communication_logs, promotional text[]) returns boolean language sql stable
    return exists (
        select from suppressions s
        where s.communication_type = it.communication_type and s.destination = it.destination and s.lifted_at is null
          and (s.scope = 'ALL' or it.message_type = any (promotional))
    ) or exists (
        select from suppressions s
        where s.communication_type = it.communication_type and s.destination is null and s.lifted_at is null
          and s.address_hash = suppression_hash((select key from suppression_key), it.destination)
          and (s.scope = 'ALL' or it.message_type = any (promotional))
    );
comment on function is_excluded is 'what each message is asked once more as it leaves is messaging::leaving''s';
