-- Whose a shared telephone is, on which channels a stated basis holds, and which simulation was seen.

-- The folded name in a contact's search key: what stands there before the address and the telephone.
create function name_in_key(search_key text, email text, phone text) returns text
    language sql immutable parallel safe
    as $$
        select rtrim(left(search_key, greatest(0, length(search_key)
            - length(trim(regexp_replace(concat_ws(' ', email, phone), '[^[:alnum:]]+', ' ', 'g'))))))
    $$;

-- Whether two folded names may be one person's: one says no other words than the other, or says nothing.
create function names_agree(one text, other text) returns boolean
    language sql immutable parallel safe
    as $$
        select one = '' or other = ''
            or string_to_array(one, ' ') <@ string_to_array(other, ' ')
            or string_to_array(one, ' ') @> string_to_array(other, ' ')
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
