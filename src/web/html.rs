//! Templates to responses.

use super::{error::WebError, faults};
use crate::error::Error;
use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};

/// What a handler gives.
pub(super) type Answer = Result<Response, WebError>;

/// A page, or a fragment of one (`page.as_block()`), 200.
pub(super) fn page(template: &impl Template) -> Answer {
    with_status(StatusCode::OK, template)
}

/// The page of a form with its errors, 422.
pub(super) fn invalid(template: &impl Template) -> Answer {
    Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(faults::named(&rendered(template)?))).into_response())
}

/// A page with another status.
pub(super) fn with_status(status: StatusCode, template: &impl Template) -> Answer {
    Ok((status, Html(rendered(template)?)).into_response())
}

fn rendered(template: &impl Template) -> Result<String, WebError> {
    Ok(template.render().map_err(|it| Error::Internal(format!("template: {it}")))?)
}
