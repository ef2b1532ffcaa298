//! What the environment says of the provider that proposes texts.

use super::{ConfigError, Secret, number, wrong};
use std::time::Duration;

/// Names that the provider retired on 24 July 2026: asking for them is an error there.
const RETIRED: [&str; 2] = ["deepseek-chat", "deepseek-reasoner"];

/// How DeepSeek, or what speaks as it does, is reached.
#[derive(Clone, Debug)]
pub struct DeepSeek {
    /// `DEEPSEEK_API_URL` without the final slash.
    pub url: String,
    /// `DEEPSEEK_API_KEY`.
    pub key: Secret,
    /// `DEEPSEEK_MODEL`.
    pub model: String,
    /// `DEEPSEEK_TIMEOUT_SECONDS`: how long an answer is waited for.
    pub patience: Duration,
}

impl DeepSeek {
    /// The model's name, where it was retired.
    #[must_use]
    pub fn retired_model(&self) -> Option<&str> {
        RETIRED.iter().any(|it| self.model.eq_ignore_ascii_case(it)).then_some(self.model.as_str())
    }

    /// Where texts go, as people recognise it: `api.deepseek.com`.
    #[must_use]
    pub fn host(&self) -> String {
        let host = url::Url::parse(&self.url).ok().and_then(|it| it.host_str().map(str::to_owned));
        host.unwrap_or_else(|| self.url.clone())
    }
}

/// None: there is no key.
pub(super) fn deepseek(get: &impl Fn(&str) -> Option<String>) -> Result<Option<DeepSeek>, ConfigError> {
    let address = get("DEEPSEEK_API_URL").unwrap_or_else(|| "https://api.deepseek.com".to_owned());
    let is_address = url::Url::parse(&address)
        .is_ok_and(|it| matches!(it.scheme(), "http" | "https") && it.has_host() && it.password().is_none());
    if !is_address {
        return Err(wrong("DEEPSEEK_API_URL", "una dirección como https://api.deepseek.com"));
    }
    let model = get("DEEPSEEK_MODEL").unwrap_or_else(|| "deepseek-flash".to_owned());
    let seconds = number(get, "DEEPSEEK_TIMEOUT_SECONDS", 1, 600)?.unwrap_or(90);
    let Some(key) = get("DEEPSEEK_API_KEY") else { return Ok(None) };
    // It travels in a header.
    if !key.chars().all(|it| it.is_ascii_graphic()) {
        return Err(wrong(
            "DEEPSEEK_API_KEY",
            "la clave tal como la entrega DeepSeek, sin espacios ni comillas",
        ));
    }
    Ok(Some(DeepSeek {
        url: address.trim_end_matches('/').to_owned(),
        key: Secret::new(key),
        model,
        patience: Duration::from_secs(seconds.into()),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn without_a_key_there_is_nobody_to_ask() {
        assert!(read(&[]).unwrap().deepseek.is_none());
        assert!(read(&[("DEEPSEEK_MODEL", "deepseek-flash")]).unwrap().deepseek.is_none());
    }

    #[test]
    fn the_key_is_enough_and_never_shows() {
        let config = read(&[("DEEPSEEK_API_KEY", "sk-secreta")]).unwrap();
        let it = config.deepseek.clone().unwrap();
        assert_eq!((it.url.as_str(), it.model.as_str()), ("https://api.deepseek.com", "deepseek-flash"));
        assert_eq!((it.host().as_str(), it.patience.as_secs()), ("api.deepseek.com", 90));
        assert!(it.retired_model().is_none() && !format!("{config:?}").contains("sk-secreta"));
    }

    #[test]
    fn a_retired_model_is_told_and_a_wrong_address_refused() {
        let it = read(&[("DEEPSEEK_API_KEY", "k"), ("DEEPSEEK_MODEL", "deepseek-chat")]).unwrap();
        assert_eq!(it.deepseek.unwrap().retired_model(), Some("deepseek-chat"));
        for (name, value) in [
            ("DEEPSEEK_API_URL", "api.deepseek.com"),
            ("DEEPSEEK_TIMEOUT_SECONDS", "0"),
            ("DEEPSEEK_API_KEY", "a b"),
        ] {
            assert!(read(&[(name, value)]).unwrap_err().to_string().contains(name), "{name}");
        }
    }
}
