//! What of a started campaign's own text can't change any more, since several are compared or another won.

use super::{
    variants::{Variant, letter},
    wordings::Wordings,
};
use crate::{
    db::Tx,
    error::{Error, FieldError, Result},
    ids::CampaignId,
    messaging::{opening, template::Source},
};
use sqlx::PgConnection;

/// Why the own text of a campaign that was started can't change, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fixed {
    /// Its texts are being compared, and what is counted must be of one text.
    Compared,
    /// The rest gets the text at this place, which does not take all of its words from the campaign's own.
    Won(usize, Variant),
    /// Some industries, so many, have words of their own in its place.
    OfIndustries(usize),
}

impl Fixed {
    /// As its writer reads it.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Fixed::Compared => {
                "La campaña compara varios textos y aún no se elige uno: su asunto, su cuerpo y su pie no \
                 cambian hasta entonces. Elige el texto en la página de la campaña y después edítalo."
                    .to_owned()
            }
            Fixed::Won(place, variant) => {
                let own = match (variant.subject.trim().is_empty(), variant.opening.trim().is_empty()) {
                    (false, true) => "su propio asunto: cambiar el de aquí",
                    (true, false) => "su propio primer párrafo: cambiar el de aquí",
                    _ => "su propio asunto y su propio primer párrafo: cambiar los de aquí",
                };
                format!(
                    "El resto recibe el texto {}, que tiene {own} no le llegaría a nadie. Lo demás sí puede cambiar.",
                    letter(*place)
                )
            }
            Fixed::OfIndustries(count) => format!(
                "La campaña ya se inició: quienes faltan recibirán la versión nueva del texto. {}, que no cambia desde aquí.",
                match count {
                    1 => "Un rubro tiene asunto o comienzo propio".to_owned(),
                    _ => format!("{count} rubros tienen asunto o comienzo propio"),
                }
            ),
        }
    }

    /// The fields in which `after` differs from `before` though it may not.
    fn touched(&self, before: &Source, after: &Source) -> Vec<&'static str> {
        let subject = before.subject != after.subject;
        let body = before.body != after.body || before.body_format != after.body_format;
        let found = match self {
            Fixed::Compared => {
                [("subject", subject), ("body", body), ("footer", before.footer != after.footer)]
            }
            Fixed::Won(_, variant) => {
                let is_replaced = !variant.opening.trim().is_empty();
                let opening = is_replaced && opening::of(before) != opening::of(after);
                [
                    ("subject", subject && !variant.subject.trim().is_empty()),
                    ("body", opening),
                    ("footer", false),
                ]
            }
            // Who is of no such industry gets what it says.
            Fixed::OfIndustries(_) => return Vec::new(),
        };
        found.into_iter().filter(|it| it.1).map(|it| it.0).collect()
    }
}

/// What of a started campaign's own text can't change; none: whoever is still to get it gets what it says then.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn of(db: &mut PgConnection, id: CampaignId) -> Result<Option<Fixed>> {
    let Wordings { plan, own } = Wordings::of(&mut *db, id).await?;
    if plan.variants.is_empty() {
        return Ok(Some(own.len()).filter(|it| *it > 0).map(Fixed::OfIndustries));
    }
    let winner =
        sqlx::query_scalar!("select winner from campaigns where id = $1", id.0).fetch_one(db).await?;
    let Some(winner) = winner.and_then(|it| usize::try_from(it).ok()) else {
        return Ok(Some(Fixed::Compared));
    };
    let variant = winner.checked_sub(1).and_then(|it| plan.variants.into_iter().nth(it));
    Ok(variant.map(|it| Fixed::Won(winner, it)))
}

/// Refuse a change of a started campaign's own text from `before` to `after` that would spoil what is compared, or that
/// nobody would get.
///
/// # Errors
/// [`Error::Invalid`] at each field that can't change, or the database's.
pub(super) async fn refuse_unheard(
    tx: &mut Tx<'_>,
    id: CampaignId,
    before: &Source,
    after: &Source,
) -> Result<()> {
    let Some(fixed) = of(tx, id).await? else { return Ok(()) };
    let touched = fixed.touched(before, after);
    if touched.is_empty() {
        return Ok(());
    }
    let said = fixed.sentence();
    Err(Error::Invalid(touched.into_iter().map(|field| FieldError::new(field, said.clone())).collect()))
}
