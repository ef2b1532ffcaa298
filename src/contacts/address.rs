//! Email addresses, in one normal form. Case, surrounding blanks, `mailto:` and
//! angle brackets are seen through; anything else that is wrong is refused with
//! its reason, since a silent repair could write to a stranger.

use std::{fmt, str::FromStr};

/// An email address in lower case, `ana.perez+feria@sur.cl`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress(String);

/// Why a text is no email address. The sentences are for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing there.
    #[error("falta el correo")]
    Empty,
    /// No @, or nothing before or after it.
    #[error("no es un correo: escríbelo como nombre@empresa.cl")]
    Form,
    /// More than one @.
    #[error("lleva más de una @: deja un solo correo")]
    TwoAts,
    /// A comma or semicolon.
    #[error("lleva una coma o un punto y coma: deja un solo correo")]
    Separator,
    /// A blank inside.
    #[error("lleva espacios")]
    Blank,
    /// ñ, accents and other letters that most servers do not take.
    #[error("lleva letras con tilde, ñ u otro signo que los correos no admiten")]
    NotAscii,
    /// A sign that does not belong there.
    #[error("lleva un signo que los correos no admiten")]
    Sign,
    /// A dot at an end or two in a row.
    #[error("tiene un punto de más")]
    Dots,
    /// No dot in the domain, or a malformed one.
    #[error("el dominio está incompleto o mal escrito: debe ser como empresa.cl")]
    Domain,
    /// Beyond what the protocol takes.
    #[error("es demasiado largo para ser un correo")]
    Long,
}

/// Longest address that SMTP takes (RFC 5321 4.5.3.1.3), in bytes.
const MAX_ADDRESS: usize = 254;
/// Longest part before the @ (RFC 5321 4.5.3.1.1), in bytes.
const MAX_LOCAL: usize = 64;

impl EmailAddress {
    /// As stored and sent to.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the @.
    #[must_use]
    pub fn domain(&self) -> &str {
        parts(&self.0).1
    }
}

/// What stands before and after the @ of an address.
#[must_use]
pub fn parts(address: &str) -> (&str, &str) {
    address.split_once('@').unwrap_or((address, ""))
}

/// Signs allowed before the @ besides letters and digits (RFC 5322 3.2.3, unquoted).
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte)
}

fn check_local(local: &str) -> Result<(), AddressError> {
    if local.is_empty() {
        return Err(AddressError::Form);
    }
    if local.len() > MAX_LOCAL {
        return Err(AddressError::Long);
    }
    if !local.bytes().all(is_local) {
        return Err(AddressError::Sign);
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err(AddressError::Dots);
    }
    Ok(())
}

fn check_domain(domain: &str) -> Result<(), AddressError> {
    if domain.starts_with('.') || domain.ends_with('.') || domain.contains("..") {
        return Err(AddressError::Dots);
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top = domain.rsplit_once('.').map(|it| it.1);
    let top_is_name = |top: &str| {
        top.len() >= 2 && (top.bytes().all(|it| it.is_ascii_alphabetic()) || top.starts_with("xn--"))
    };
    if domain.split('.').all(is_label) && top.is_some_and(top_is_name) {
        Ok(())
    } else {
        Err(AddressError::Domain)
    }
}

/// `text` without blanks around, `mailto:`, or a name before angle brackets.
fn unwrapped(text: &str) -> &str {
    let is_blank = |it: char| {
        it.is_whitespace() || it.is_control() || matches!(it, '\u{feff}' | '\u{200b}'..='\u{200f}')
    };
    let mut text = text.trim_matches(is_blank);
    if let (Some(open), true) = (text.rfind('<'), text.ends_with('>')) {
        text = text[open + 1..text.len() - 1].trim_matches(is_blank);
    }
    match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => text[7..].trim_matches(is_blank),
        _ => text,
    }
}

impl FromStr for EmailAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<EmailAddress, AddressError> {
        let text = unwrapped(text);
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.len() > MAX_ADDRESS {
            return Err(AddressError::Long);
        }
        if text.contains([',', ';']) {
            return Err(AddressError::Separator);
        }
        if text.contains(|it: char| it.is_whitespace() || it.is_control()) {
            return Err(AddressError::Blank);
        }
        let (local, domain) = text.split_once('@').ok_or(AddressError::Form)?;
        if domain.contains('@') {
            return Err(AddressError::TwoAts);
        }
        if !text.is_ascii() {
            return Err(AddressError::NotAscii);
        }
        if domain.is_empty() {
            return Err(AddressError::Form);
        }
        check_local(local)?;
        check_domain(domain)?;
        Ok(EmailAddress(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(text.parse::<EmailAddress>().map(|it| it.0), Ok(expected.to_owned()), "{text}");
    }

    fn refused(text: &str, why: AddressError) {
        assert_eq!(text.parse::<EmailAddress>(), Err(why), "{text}");
    }

    #[test]
    fn one_address_has_one_form() {
        for text in [
            "ana@sur.cl",
            " ANA@Sur.CL ",
            "mailto:ana@sur.cl",
            "Ana Muñoz <Ana@sur.cl>",
            "<ana@sur.cl>",
            "\u{feff}ana@sur.cl\u{a0}",
        ] {
            check(text, "ana@sur.cl");
        }
        check("ana+feria@sur.cl", "ana+feria@sur.cl");
        check("a@b.co", "a@b.co");
        check("o'higgins@correo.sur-austral.cl", "o'higgins@correo.sur-austral.cl");
        check("x@xn--uoa-6qa5m.cl", "x@xn--uoa-6qa5m.cl");
        check("contacto@salmones.example", "contacto@salmones.example");
    }

    #[test]
    fn each_fault_has_its_reason() {
        use AddressError as E;
        for (text, why) in [
            ("", E::Empty),
            ("  ", E::Empty),
            ("ana", E::Form),
            ("@sur.cl", E::Form),
            ("ana@", E::Form),
            ("ana@@sur.cl", E::TwoAts),
            ("ana@sur.cl@norte.cl", E::TwoAts),
            ("ana@sur.cl,", E::Separator),
            ("ana@sur.cl; juan@sur.cl", E::Separator),
            ("ana perez@sur.cl", E::Blank),
            ("ana @sur.cl", E::Blank),
            ("muñoz@sur.cl", E::NotAscii),
            ("ana@ñuñoa.cl", E::NotAscii),
            ("ana(x)@sur.cl", E::Sign),
            ("\"ana\"@sur.cl", E::Sign),
            ("ana..perez@sur.cl", E::Dots),
            (".ana@sur.cl", E::Dots),
            ("ana.@sur.cl", E::Dots),
            ("ana@sur..cl", E::Dots),
            ("ana@sur.cl.", E::Dots),
            ("ana@sur", E::Domain),
            ("ana@127.0.0.1", E::Domain),
            ("ana@[127.0.0.1]", E::Domain),
            ("ana@-sur.cl", E::Domain),
            ("ana@sur_austral.cl", E::Domain),
            ("ana@sur.c", E::Domain),
        ] {
            refused(text, why);
        }
        refused(&format!("{}@sur.cl", "a".repeat(65)), E::Long);
        refused(&format!("a@{}.cl", "sur.".repeat(70)), E::Long);
        check(&format!("{}@sur.cl", "a".repeat(64)), &format!("{}@sur.cl", "a".repeat(64)));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_in_normal_form(text in "[ -~]{0,12}@[ -~]{0,12}|\\PC{0,24}|[a-z.+]{1,8}@[a-z.-]{1,12}") {
            if let Ok(address) = text.parse::<EmailAddress>() {
                prop_assert_eq!(address.as_str().parse::<EmailAddress>(), Ok(address.clone()));
                prop_assert_eq!(address.as_str().matches('@').count(), 1);
                prop_assert!(address.domain().contains('.'));
            }
        }
    }
}
