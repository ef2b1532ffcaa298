//! The file of what the list shows.

use super::asked::Asked;
use crate::{
    access::Actor,
    chile::time,
    contacts::export::{self, Kind, Patience},
    error::Error,
    segments::whom,
    state::AppState,
    web::{form::Form, html::Answer},
};
use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ExportForm {
    /// The list's address after its question mark.
    list: String,
    format: String,
}

pub(super) async fn create(
    State(state): State<AppState>,
    actor: Actor,
    Form(form): Form<ExportForm>,
) -> Answer {
    let asked = Asked::parse(&form.list)?;
    let kind = Kind::from_code(&form.format)
        .ok_or_else(|| Error::refused("Elige si quieres un archivo CSV o de Excel. No se exportó nada."))?;
    let now = state.clock.now();
    let (mut filter, columns) = (asked.filter(), asked.columns());
    whom::complete(&mut *state.db.acquire().await?, now, &mut filter).await?;
    let export = export::begin(&state.db, now, &actor, (&filter, asked.sort()), &columns, kind).await?;
    let name = format!("contactos-{}.{}", time::local_date(now), kind.code());
    match kind {
        Kind::Csv => {
            let (send, receive) = tokio::sync::mpsc::channel(4);
            let writing = tokio::spawn(export.csv(send, Patience::USUAL));
            let chunks = futures_util::stream::try_unfold(
                (receive, Some(writing)),
                |(mut receive, writing)| async move {
                    match (receive.recv().await, writing) {
                        (Some(chunk), writing) => Ok(Some((chunk, (receive, writing)))),
                        // A file that was cut off must not look whole.
                        (None, Some(writing)) => match writing.await {
                            Ok(Ok(())) => Ok(None),
                            Ok(Err(error)) => Err(error),
                            Err(error) => Err(Error::Internal(error.to_string())),
                        },
                        (None, None) => Ok(None),
                    }
                },
            );
            Ok(file(Body::from_stream(chunks), "text/csv; charset=utf-8", &name))
        }
        Kind::Xlsx => {
            let book = tokio::fs::File::from_std(export.xlsx().await?);
            let body = Body::from_stream(ReaderStream::new(book));
            Ok(file(body, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", &name))
        }
    }
}

fn file(body: Body, kind: &'static str, name: &str) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], body)
        .into_response()
}
