-- What a run that was cut off had done is told by its events. They are written in the order of time, so that blocks tell
-- where a run's lie at next to no cost for whoever writes them.
create index communication_events_by_time on communication_events using brin (at);

-- What a server refuses by rules of its own is nobody's proven fault: it is counted before it pauses anything. And what is
-- refused in the conversation itself is one event more, so that one rule reads what is refused at once and what comes back.
alter table inbound_events
    drop constraint inbound_events_cause_known,
    add constraint inbound_events_cause_known check (cause in
        ('DEAD', 'DISABLED', 'FULL', 'TOO_BIG', 'REFUSED', 'POLICY', 'SENDER', 'QUOTA', 'PASSING')) not valid;
alter table inbound_events validate constraint inbound_events_cause_known;
