-- What waits for a person of all that came back: one rule for the list, the frame of each page and the figures.
create view unmatched_inbound_events as
    select id, received_at, kind from inbound_events where status = 'UNMATCHED' and kind not in ('DELIVERED', 'DEFERRED');
comment on view unmatched_inbound_events is 'what nobody could match, and a person is to decide on: that a message arrived or is late is not';
