//! Which text a message gets whose campaign has some for the people of one industry. It is the industry of their company
//! as their message is let go first; from then on the place of the text stands with the message, and trying it again, or
//! an industry that is corrected afterwards, changes nothing. The rule is a function of the database, `text_by_industry`,
//! so that the list of what waits ([`super::story`]) names the text that will leave.

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
        r#"select l.id, t.place as "place!", t.template_id as "text!"
           from communication_logs l cross join lateral text_by_industry(l.campaign_id, l.contact_id, l.variant) t
           where l.campaign_id = $1 and l.id = any ($2) and t.template_id is not null
             and exists (select from campaign_own_texts where campaign_id = $1 and removed_at is null)"#,
        campaign.0,
        messages
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(Lots::given(
        rows.into_iter().filter_map(|it| Some((it.id, usize::try_from(it.place).ok()?, TemplateId(it.text)))),
    ))
}
