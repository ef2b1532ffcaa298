//! Web sites in one form, whether they are typed or imported.

/// `text` as the address of a web site with its scheme; none: it is no such thing. Only what a
/// browser may safely open from a page of ours passes.
#[must_use]
pub fn parse(text: &str) -> Option<String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = url::Url::parse(&whole).ok()?;
    let is_site = matches!(url.scheme(), "http" | "https") && url.domain().is_some_and(|it| it.contains('.'));
    is_site.then(|| url.as_str().trim_end_matches('/').to_owned())
}
