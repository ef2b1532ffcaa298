//! Multipart forms: the token first, then fields and files as they stream in.

use super::{
    csrf,
    error::{Trouble, WebError},
};
use crate::{
    error::{Error, Result},
    state::AppState,
};
use axum::{
    extract::{FromRequest, FromRequestParts, Multipart, Request, multipart::MultipartError},
    http::{StatusCode, request::Parts},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

/// Most bytes of one text field beside a file.
const FIELD_LIMIT: usize = 64 * 1024;

/// A multipart body whose token was read, on its way to the handler.
#[derive(Clone)]
pub(super) struct Parsed(Arc<Mutex<Option<Multipart>>>);

/// Read the first field, which must be the token, and keep the rest for the handler.
pub(super) async fn open(
    request: Request,
    limit: usize,
) -> std::result::Result<(Request, String, Parsed), Trouble> {
    let declared = request
        .headers()
        .get("content-length")
        .and_then(|it| it.to_str().ok())
        .and_then(|it| it.parse::<usize>().ok());
    if declared.is_some_and(|it| it > limit) {
        return Err(too_large(limit));
    }
    let (parts, body) = request.into_parts();
    let mut rest = Request::new(axum::body::Body::empty());
    *rest.method_mut() = parts.method.clone();
    *rest.uri_mut() = parts.uri.clone();
    *rest.headers_mut() = parts.headers.clone();
    let mut multipart = Multipart::from_request(Request::from_parts(parts.clone(), body), &())
        .await
        .map_err(|_| unreadable())?;
    let token = match multipart.next_field().await {
        Ok(Some(field)) if field.name() == Some(csrf::FIELD) => {
            field.text().await.map_err(|_| unreadable())?
        }
        Ok(_) => String::new(),
        Err(_) => return Err(unreadable()),
    };
    *rest.extensions_mut() = parts.extensions;
    Ok((rest, token, Parsed(Arc::new(Mutex::new(Some(multipart))))))
}

/// A file and the fields beside it. The token has been checked.
pub(super) struct Upload {
    multipart: Multipart,
}

/// What came in.
pub(super) struct Received {
    /// Text fields.
    pub fields: HashMap<String, String>,
    /// The first file that was chosen, if one was.
    pub file: Option<ReceivedFile>,
}

/// A file on our disk, gone when dropped.
pub(super) struct ReceivedFile {
    /// Its name on the sender's machine, without folders.
    pub name: String,
    /// Where it is.
    pub content: NamedTempFile,
}

impl FromRequestParts<AppState> for Upload {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Upload, WebError> {
        let parsed = parts.extensions.remove::<Parsed>();
        let multipart = parsed.and_then(|it| it.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(multipart
            .map(|multipart| Upload { multipart })
            .ok_or_else(|| Error::Internal("an upload is asked for on a route not declared so".to_owned()))?)
    }
}

impl Upload {
    /// Stream everything in; the file goes to the disk as it comes, never whole into memory.
    pub(super) async fn receive(mut self) -> std::result::Result<Received, Trouble> {
        let mut received = Received { fields: HashMap::new(), file: None };
        while let Some(mut field) = self.multipart.next_field().await.map_err(|it| interrupted(&it))? {
            let name = field.name().unwrap_or_default().to_owned();
            let Some(file_name) = field.file_name().map(base_name) else {
                let mut text = Vec::new();
                while let Some(chunk) = field.chunk().await.map_err(|it| interrupted(&it))? {
                    text.extend_from_slice(&chunk);
                    if text.len() > FIELD_LIMIT {
                        return Err(too_large(FIELD_LIMIT));
                    }
                }
                received.fields.insert(name, String::from_utf8_lossy(&text).into_owned());
                continue;
            };
            // A file field left empty comes as a file without name and content.
            if file_name.is_empty() || received.file.is_some() {
                continue;
            }
            let content = NamedTempFile::new().map_err(|it| disk(&it))?;
            let mut out = tokio::fs::File::from_std(content.reopen().map_err(|it| disk(&it))?);
            while let Some(chunk) = field.chunk().await.map_err(|it| interrupted(&it))? {
                out.write_all(&chunk).await.map_err(|it| disk(&it))?;
            }
            out.flush().await.map_err(|it| disk(&it))?;
            received.file = Some(ReceivedFile { name: file_name, content });
        }
        Ok(received)
    }
}

/// The file's name without the folders that some browsers send, cut to what a name may be.
fn base_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    name.chars().filter(|it| !it.is_control()).take(200).collect::<String>().trim().to_owned()
}

fn unreadable() -> Trouble {
    Trouble::new(
        StatusCode::BAD_REQUEST,
        "El archivo no llegó entero. No se guardó nada: vuelve a la página y súbelo de nuevo.",
    )
}

fn interrupted(error: &MultipartError) -> Trouble {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Trouble::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "El archivo es más grande de lo que aceptamos aquí. No se guardó nada: divídelo y sube las partes.",
        );
    }
    unreadable()
}

fn too_large(limit: usize) -> Trouble {
    let megabytes = limit / 1024 / 1024;
    let most = if megabytes == 0 { format!("{} kB", limit / 1024) } else { format!("{megabytes} MB") };
    Trouble::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!(
            "Lo que enviaste es más grande de lo que aceptamos aquí ({most}). No se guardó nada: divídelo y sube las partes."
        ),
    )
}

fn disk(error: &std::io::Error) -> Trouble {
    tracing::error!(error = %error, "Could not write an upload to disk");
    Trouble::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "No pudimos guardar el archivo en el disco del servidor. No se guardó nada: avisa a quien lo administra.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_has_no_folders() {
        assert_eq!(base_name("C:\\Mis documentos\\clientes.xlsx"), "clientes.xlsx");
        assert_eq!(base_name("../../etc/passwd"), "passwd");
        assert_eq!(base_name("a\u{0}b.csv"), "ab.csv");
        assert_eq!(base_name(""), "");
    }
}
