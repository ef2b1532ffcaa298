-- A new sender starts with few messages a day and grows: how many each local day allowed, why, and what came of it.
create table warm_up_days (
    communication_type text not null,
    day date not null,
    start_cap int not null,
    cap int not null,
    reason text not null,
    sent int,
    bounced int,
    complained int,
    decided_at timestamptz not null,
    primary key (communication_type, day),
    constraint warm_up_days_channel_known check (communication_type in ('EMAIL', 'SMS', 'WHATSAPP')),
    constraint warm_up_days_reason_known check (reason in
        ('START', 'STEADY', 'GREW', 'UNUSED', 'BOUNCES', 'COMPLAINTS', 'CEILING')),
    constraint warm_up_days_cap_positive check (cap > 0 and start_cap > 0)
);
comment on column warm_up_days.start_cap is 'where the plan began; another start begins another plan';
comment on column warm_up_days.sent is 'promotions that left that day; with bounced and complained known once the next day is decided';
