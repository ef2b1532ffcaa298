//! What the artificial intelligence may cost, the prices by which it is reckoned, and who looks at what it writes.

use super::{
    Shell, filters,
    flash::Flash,
    form::{Errors, Form},
    html::{self, Answer},
};
use crate::{
    access::{Actor, Permission},
    copywriter::{
        budget::{self, Spending},
        standing,
        terms::Terms,
    },
    error::{Error, FieldError, Result},
    settings,
    state::AppState,
    web::{numbers, routes::Route},
};
use askama::Template;
use axum::extract::State;
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/settings/copywriter", Permission::EditSettings, show),
        Route::post("/settings/copywriter", Permission::EditSettings, save),
    ]
}

#[derive(Template)]
#[template(path = "settings/copywriter.html")]
struct CopywriterPage {
    shell: Shell,
    form: TermsForm,
    errors: Errors,
    off: Option<String>,
    host: String,
    model: String,
    spending: Spending,
}

impl CopywriterPage {
    /// Help below a price: whether it is the one that we came with.
    fn price_help(typed: &str, ours: &str) -> String {
        if typed == ours {
            "Valor de fábrica, del precio más caro publicado en otoño de 2026: confírmalo en tu cuenta."
                .to_owned()
        } else {
            format!("De fábrica: {ours}.")
        }
    }

    /// The same below the rate, which moves every day.
    fn rate_help(typed: &str, ours: &str) -> String {
        if typed == ours {
            "Valor de fábrica, redondeado: ponlo al cambio de estos días.".to_owned()
        } else {
            format!("De fábrica: {ours}.")
        }
    }

    fn factory() -> TermsForm {
        TermsForm::of(&Terms::default())
    }
}

/// The terms as typed.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct TermsForm {
    monthly_budget: String,
    max_tokens: String,
    cache_days: String,
    price_sent: String,
    price_cached: String,
    price_written: String,
    rate: String,
    /// `no`: drafts take what comes by themselves. Whoever says nothing looks first.
    review: String,
}

impl TermsForm {
    fn of(terms: &Terms) -> TermsForm {
        TermsForm {
            monthly_budget: terms.monthly_budget.to_string(),
            max_tokens: terms.max_tokens.to_string(),
            cache_days: terms.cache_days.to_string(),
            price_sent: decimal(terms.price_sent, 4),
            price_cached: decimal(terms.price_cached, 4),
            price_written: decimal(terms.price_written, 4),
            rate: decimal(terms.rate, 2),
            review: if terms.review_first { "yes" } else { "no" }.to_owned(),
        }
    }

    fn reviews_first(&self) -> bool {
        self.review != "no"
    }

    fn read(&self) -> Result<Terms> {
        let mut wrong = Vec::new();
        let mut or_wrong = |field: &'static str, value: Result<u32, String>| {
            value.unwrap_or_else(|said| {
                wrong.push(FieldError::new(field, said));
                0
            })
        };
        let whole = |text: &str| numbers::whole(text).map_err(|said| format!("{said}."));
        let pesos =
            |text: &str| numbers::of_pesos(text).map(numbers::fitted).map_err(|said| format!("{said}."));
        let scaled = |text: &str, places, said: &str| scaled(text, places).ok_or_else(|| said.to_owned());
        let price = "Escribe un número como 8 o 0,04.";
        let terms = Terms {
            monthly_budget: or_wrong("monthly_budget", pesos(&self.monthly_budget)),
            max_tokens: or_wrong("max_tokens", whole(&self.max_tokens)),
            cache_days: or_wrong("cache_days", whole(&self.cache_days)),
            price_sent: or_wrong("price_sent", scaled(&self.price_sent, 4, price)),
            price_cached: or_wrong("price_cached", scaled(&self.price_cached, 4, price)),
            price_written: or_wrong("price_written", scaled(&self.price_written, 4, price)),
            rate: or_wrong("rate", scaled(&self.rate, 2, "Escribe pesos por yuan, como 135 o 135,5.")),
            review_first: self.reviews_first(),
        };
        if wrong.is_empty() { terms.checked() } else { Err(Error::Invalid(wrong)) }
    }
}

/// `value` with its last `places` digits after a comma: `0,04`, `8`.
fn decimal(value: u32, places: u32) -> String {
    let one = 10_u32.pow(places);
    let rest = format!("{:0width$}", value % one, width = places as usize);
    match rest.trim_end_matches('0') {
        "" => (value / one).to_string(),
        rest => format!("{},{rest}", value / one),
    }
}

/// A number with at most `places` digits after its comma, as a whole number of the smallest.
fn scaled(text: &str, places: usize) -> Option<u32> {
    let text = text.trim().replace('.', ",");
    let (whole, rest) = text.split_once(',').unwrap_or((&text, ""));
    let are_digits = |it: &str| it.chars().all(|it| it.is_ascii_digit());
    if whole.is_empty() || rest.len() > places || !are_digits(whole) || !are_digits(rest) {
        return None;
    }
    format!("{whole}{rest:0<places$}").parse().ok()
}

async fn page(state: &AppState, shell: Shell, form: TermsForm, errors: Errors) -> Result<CopywriterPage> {
    let terms: Terms = settings::load(&state.db, &state.config.first_values).await?;
    let standing = standing::of(&state.db, &state.config).await?;
    let deepseek = state.config.deepseek.as_ref();
    Ok(CopywriterPage {
        shell,
        form,
        errors,
        off: standing.why_off(),
        host: deepseek.map(crate::config::DeepSeek::host).unwrap_or_default(),
        model: deepseek.map(|it| it.model.clone()).unwrap_or_default(),
        spending: budget::spending(&state.db, state.clock.now(), &terms).await?,
    })
}

async fn show(State(state): State<AppState>, shell: Shell) -> Answer {
    let terms: Terms = settings::load(&state.db, &state.config.first_values).await?;
    html::page(&page(&state, shell, TermsForm::of(&terms), Errors::default()).await?)
}

async fn save(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<TermsForm>,
) -> Answer {
    match form.read() {
        Ok(terms) => {
            super::save(&state, &actor, &terms).await?;
            Ok(Flash::good("Guardado. Rige desde el próximo pedido.").to("/settings/copywriter"))
        }
        Err(error) => {
            let errors = Errors::from_error(error)?;
            html::invalid(&page(&state, shell, form, errors).await?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_written_and_read_with_a_comma() {
        for (text, value) in [("2", 20_000), ("0,04", 400), ("8.5", 85_000), (" 0,0001 ", 1)] {
            assert_eq!(scaled(text, 4), Some(value), "{text}");
        }
        for text in ["", ",5", "-1", "0,00001", "1e3", "1,2,3", "99999999"] {
            assert_eq!(scaled(text, 4), None, "{text}");
        }
        assert_eq!(
            (decimal(400, 4), decimal(80_000, 4), decimal(13_550, 2)),
            ("0,04".into(), "8".into(), "135,5".into())
        );
        let terms = Terms::default();
        assert_eq!(TermsForm::of(&terms).read().unwrap(), terms);
        let terms = Terms { review_first: false, ..terms };
        assert_eq!(TermsForm::of(&terms).read().unwrap(), terms);
        let silent = TermsForm { review: String::new(), ..TermsForm::of(&terms) };
        assert!(silent.read().unwrap().review_first, "whoever says nothing looks first");
    }
}
