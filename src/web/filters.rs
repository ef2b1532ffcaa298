//! How values look in a page. A file whose template uses them says `use super::filters;`.

#![expect(
    unreachable_pub,
    clippy::inline_always,
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "the shape that askama gives to a filter"
)]

use crate::chile::{format, time};
use askama::{Result, Values};
use chrono::{DateTime, NaiveDate, Utc};

/// A value that a filter takes, behind any number of references, as templates pass them.
pub(super) trait As<T> {
    /// The value itself.
    fn value(&self) -> T;
}

impl<T, R: As<T> + ?Sized> As<T> for &R {
    fn value(&self) -> T {
        (**self).value()
    }
}

impl As<i64> for i64 {
    fn value(&self) -> i64 {
        *self
    }
}

impl As<i64> for i32 {
    fn value(&self) -> i64 {
        i64::from(*self)
    }
}

impl As<i64> for u32 {
    fn value(&self) -> i64 {
        i64::from(*self)
    }
}

impl As<i64> for u64 {
    fn value(&self) -> i64 {
        i64::try_from(*self).unwrap_or(i64::MAX)
    }
}

impl As<i64> for usize {
    fn value(&self) -> i64 {
        i64::try_from(*self).unwrap_or(i64::MAX)
    }
}

impl As<NaiveDate> for NaiveDate {
    fn value(&self) -> NaiveDate {
        *self
    }
}

impl As<DateTime<Utc>> for DateTime<Utc> {
    fn value(&self) -> DateTime<Utc> {
        *self
    }
}

/// A count, `1.234`.
#[askama::filter_fn]
pub(super) fn number(it: impl As<i64>, _: &dyn Values) -> Result<String> {
    Ok(format::number(it.value()))
}

/// What was counted no further than one more than `most`: `1.234`, or that there are more.
#[askama::filter_fn]
pub(super) fn up_to(it: impl As<i64>, _: &dyn Values, most: i64) -> Result<String> {
    let it = it.value();
    Ok(if it > most { format!("Más de {}", format::number(most)) } else { format::number(it) })
}

/// Pesos, `$1.234.567`.
#[askama::filter_fn]
pub(super) fn money(it: impl As<i64>, _: &dyn Values) -> Result<String> {
    Ok(format::money(it.value()))
}

/// Millionths of a peso, `$0,87`.
#[askama::filter_fn]
pub(super) fn fine_money(it: impl As<i64>, _: &dyn Values) -> Result<String> {
    Ok(format::fine_money(it.value()))
}

/// A count of something, `1 contacto`, `1.250 contactos`: `{{ n|count("contacto", "contactos") }}`.
#[askama::filter_fn]
pub(super) fn count(it: impl As<i64>, _: &dyn Values, one: &str, many: &str) -> Result<String> {
    Ok(format::count(it.value(), one, many))
}

/// A day, `21-11-2026`.
#[askama::filter_fn]
pub(super) fn date(it: impl As<NaiveDate>, _: &dyn Values) -> Result<String> {
    Ok(format::date(it.value()))
}

/// An instant in Chile's time, `21-11-2026 09:05`.
#[askama::filter_fn]
pub(super) fn datetime(it: impl As<DateTime<Utc>>, _: &dyn Values) -> Result<String> {
    Ok(format::datetime(it.value()))
}

/// The hour of an instant in Chile's time, `09:05`.
#[askama::filter_fn]
pub(super) fn clock(it: impl As<DateTime<Utc>>, _: &dyn Values) -> Result<String> {
    Ok(time::local(it.value()).format("%H:%M").to_string())
}

/// An instant for machines, for `<time datetime>`.
#[askama::filter_fn]
pub(super) fn iso(it: impl As<DateTime<Utc>>, _: &dyn Values) -> Result<String> {
    Ok(it.value().to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

/// How far from `now`, `hace 5 minutos`: `{{ at|relative(now) }}`.
#[askama::filter_fn]
pub(super) fn relative(it: impl As<DateTime<Utc>>, _: &dyn Values, now: &DateTime<Utc>) -> Result<String> {
    Ok(format::relative(it.value(), *now))
}
