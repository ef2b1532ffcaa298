//! Forms as they are typed: kept as text, with what is wrong at each field.

use super::{
    audit_fields,
    error::{Trouble, WebError},
};
use crate::{
    accounts::staff::StaffUser,
    error::{Error, FieldError},
};
use axum::{
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

/// A form's fields. `T` holds text as it was typed (`#[serde(default)]`), so that it can be shown again.
pub(super) struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Form<T>, Response> {
        match axum_extra::extract::Form::<T>::from_request(request, state).await {
            Ok(axum_extra::extract::Form(it)) => Ok(Form(it)),
            Err(_) => Err(Trouble::new(
                StatusCode::BAD_REQUEST,
                "Al formulario le falta algo o trae un valor que no entendemos. No se guardó nada: \
                 recarga la página y vuelve a intentarlo.",
            )
            .into_response()),
        }
    }
}

/// What is wrong in a form.
#[derive(Clone, Debug, Default)]
pub(super) struct Errors(pub Vec<FieldError>);

impl Errors {
    /// What is wrong at `field`, if anything.
    pub(super) fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|it| it.field == field).map(|it| it.message.as_str())
    }

    /// Something is.
    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Each wrong field, for the summary on top.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, FieldError> {
        self.0.iter()
    }

    /// What was wrong at fields, or the error if it is of another kind.
    pub(super) fn from_error(error: Error) -> Result<Errors, WebError> {
        match error {
            Error::Invalid(fields) => Ok(Errors(fields)),
            other => Err(other.into()),
        }
    }
}

/// A field that somebody else changed while a form was open.
pub(super) struct Difference {
    /// As the form calls it.
    pub label: &'static str,
    /// What it says now; empty: nothing.
    pub theirs: String,
    /// What was typed.
    pub typed: String,
}

/// The fields in which `typed` differs from `current`, under their `labels` (name, label), in words: codes by their
/// labels, people on the staff by their names.
pub(super) fn differences<T: serde::Serialize>(
    current: &T,
    typed: &T,
    labels: &[(&'static str, &'static str)],
    owners: &[StaffUser],
) -> Vec<Difference> {
    let object = |it: &T| serde_json::to_value(it).unwrap_or_default();
    let (current, typed) = (object(current), object(typed));
    let text = |it: &serde_json::Value, name: &str| {
        let text = it[name].as_str().unwrap_or_default().trim();
        let owner = owners.iter().find(|it| name == "owner_id" && it.id.to_string() == text);
        owner.map_or_else(|| audit_fields::value(name, text), |it| it.name.clone())
    };
    labels
        .iter()
        .map(|(name, label)| Difference { label, theirs: text(&current, name), typed: text(&typed, name) })
        .filter(|it| it.theirs != it.typed)
        .collect()
}
