-- Lists of contacts by what they spent and by how often they came.
alter table saved_views drop constraint saved_views_sort_known;
alter table saved_views
    add constraint saved_views_sort_known check (sort in ('NEWEST', 'NAME', 'ACTIVITY', 'SPENT', 'VISITS'));
