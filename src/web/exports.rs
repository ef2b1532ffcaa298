//! A list as a file to download.

use super::html::Answer;
use crate::{
    chile::time,
    contacts::export::{Export, Kind, Patience},
    error::{Error, Result},
};
use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

/// What is asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ExportForm {
    /// The list's address after its question mark.
    pub list: String,
    format: String,
}

impl ExportForm {
    /// Which file.
    pub(super) fn kind(&self) -> Result<Kind> {
        Kind::from_code(&self.format)
            .ok_or_else(|| Error::refused("Elige si quieres un archivo CSV o de Excel. No se exportó nada."))
    }
}

/// The file itself, streamed where it can be.
pub(super) async fn download(export: Export, kind: Kind, now: DateTime<Utc>) -> Answer {
    let name = format!("{}-{}.{}", export.title().to_lowercase(), time::local_date(now), kind.code());
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
