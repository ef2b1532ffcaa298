-- Many people at once are taken off a list, and put back.
alter table bulk_actions drop constraint bulk_actions_action_known;
alter table bulk_actions add constraint bulk_actions_action_known
    check (action in ('TAG', 'UNTAG', 'OWNER', 'LIFECYCLE', 'STAGE', 'LIST', 'UNLIST'));
