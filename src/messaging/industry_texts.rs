//! Which text a message gets whose campaign has some for the people of one industry. It is the industry of their company
//! as their message is let go first; from then on the place of the text stands with the message, and trying it again, or
//! an industry that is corrected afterwards, changes nothing.

use super::sample::Lots;
use crate::{
    db::Tx,
    error::Result,
    ids::{CampaignId, TemplateId},
};

/// The texts of `messages`, all of `campaign`: who has no company, one without industry, or one whose industry has no
/// text, gets the campaign's own. Nothing where the campaign has none for any industry.
///
/// # Errors
/// When the database fails.
pub(super) async fn lots(tx: &mut Tx<'_>, campaign: CampaignId, messages: &[i64]) -> Result<Lots> {
    let rows = sqlx::query!(
        r#"select l.id, coalesce(l.variant, o.place, 0) as "place!", coalesce(t.template_id, g.template_id) as "text!"
           from campaigns g
           join communication_logs l on l.campaign_id = g.id
           -- Of who was joined, as of who stays.
           left join contacts asked on asked.id = l.contact_id
           left join contacts c on c.id = coalesce(asked.merged_into, asked.id)
           left join companies k on k.id = c.company_id
           left join campaign_own_texts o on o.campaign_id = g.id and o.industry = k.industry
               and o.removed_at is null
           left join campaign_own_texts t on t.campaign_id = g.id and t.place = coalesce(l.variant, o.place)
           where g.id = $1 and l.id = any ($2) and g.template_id is not null
             and exists (select from campaign_own_texts where campaign_id = g.id and removed_at is null)"#,
        campaign.0,
        messages
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(Lots::given(
        rows.into_iter().filter_map(|it| Some((it.id, usize::try_from(it.place).ok()?, TemplateId(it.text)))),
    ))
}
