-- Whose a shared telephone is, on which channels a stated basis holds, and which simulation was seen.

-- The folded name in a contact's search key: what stands there before the address and the telephone.
create function name_in_key(search_key text, email text, phone text) returns text
    language sql immutable parallel safe
    as $$
        select rtrim(left(search_key, greatest(0, length(search_key)
            - length(trim(regexp_replace(concat_ws(' ', email, phone), '[^[:alnum:]]+', ' ', 'g'))))))
    $$;

-- Whether two folded names may be one person's: one says no other words than the other, or says nothing. An initial
-- says any word that begins so.
create function names_agree(one text, other text) returns boolean
    language sql immutable parallel safe
    as $$
        select one = other or one = '' or other = '' or not exists (
                select from unnest(string_to_array(one, ' ')) said (word) where not exists (
                    select from unnest(string_to_array(other, ' ')) known (word)
                    where known.word = said.word or length(said.word) = 1 and starts_with(known.word, said.word)))
            or not exists (
                select from unnest(string_to_array(other, ' ')) said (word) where not exists (
                    select from unnest(string_to_array(one, ' ')) known (word)
                    where known.word = said.word or length(said.word) = 1 and starts_with(known.word, said.word)))
    $$;

-- Whether a row of a file that gives a telephone may mean the contact who has it: on a mobile their names have to agree,
-- on a fixed line, which an office shares (then `phone_ident` holds the name behind a bar), theirs has to begin with the row's.
create function telephone_means(phone_ident text, name_key text, search_key text, email text, phone text) returns boolean
    language sql immutable parallel safe
    as $$
        select case when strpos(phone_ident, '|') = 0 then names_agree(name_key, name_in_key(search_key, email, phone))
            else starts_with(search_key, split_part(phone_ident, '|', 2) || ' ') end
    $$;

-- Whether a contact may be given a basis on a channel by an import: no when they said no, or their address is excluded.
create function may_get_basis(contact bigint, channel text, address text) returns boolean
    language sql stable parallel safe
    as $$
        select coalesce((select e.basis <> 'WITHDRAWN' from consent_events e
                where e.contact_id = $1 and e.communication_type = $2 order by e.id desc limit 1), true)
            and not exists (select from suppressions x
                where x.communication_type = $2 and x.destination = $3 and x.lifted_at is null)
            and not exists (select from suppressions h
                where h.communication_type = $2 and h.destination is null and h.lifted_at is null
                    and h.address_hash = suppression_hash((select key from suppression_key), $3))
    $$;

alter table imports
    add column simulation integer not null default 0,
    add column header_row integer,
    add column consent_channels text[] not null default '{EMAIL}',
    add constraint imports_channels_known
        check (consent_channels <@ array['EMAIL', 'SMS', 'WHATSAPP'] and cardinality(consent_channels) > 0);
comment on column imports.simulation is 'how often it was simulated: who confirms says which one they saw';
comment on column imports.header_row is 'the row of the header that a person chose; 0: there is none; null: it is guessed';
comment on column imports.consent_channels is 'the channels on which the stated basis holds';
