-- A page of a list is read in the index of that list, with whose places they are: by their ids alone, the members of a
-- list of last year stand behind those of all lists since.
drop index list_members_by_list;
create index list_members_by_list on list_members (list_id, id desc) include (contact_id);
