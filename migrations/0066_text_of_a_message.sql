-- Which text a message of a campaign gets, where that has some for the people of one industry: asked by what lets it go and
-- by the pages that name what waits.
create function text_by_industry(campaign bigint, contact bigint, drawn smallint)
    returns table (place smallint, template_id bigint)
    language sql stable parallel safe
    as $$
        select coalesce(drawn, o.place, 0)::smallint, coalesce(got.template_id, g.template_id)
        from campaigns g
        -- Of who was joined, as of who stays.
        left join contacts asked on asked.id = contact
        left join contacts c on c.id = coalesce(asked.merged_into, asked.id)
        left join companies k on k.id = c.company_id
        left join campaign_own_texts o on o.campaign_id = campaign and o.industry = k.industry and o.removed_at is null
        left join campaign_own_texts got on got.campaign_id = campaign and got.place = coalesce(drawn, o.place)
        where g.id = campaign
    $$;
comment on function text_by_industry is
    'what its message drew once, or else the text of the industry that its recipient is of by now, or the campaign''s own, at place 0; not for a campaign that tries several on a sample';
