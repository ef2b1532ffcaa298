//! Static files, inside the program, under addresses that change with their content.

use super::error::Trouble;
use crate::state::AppState;
use askama::{FastWritable, filters::HtmlSafe};
use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};
use std::{collections::HashMap, fmt, sync::LazyLock};

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../static/", $path)))),*]
    };
}

/// Every file that may be asked for.
const FILES: &[(&str, &[u8])] = files![
    "app.css",
    "app.js",
    "theme.js",
    "favicon.svg",
    "vendor/htmx-2.0.11/htmx.min.js",
    "vendor/htmx-2.0.11/LICENSE",
    "vendor/tabler-1.6.1/tabler.min.css",
    "vendor/tabler-1.6.1/LICENSE",
    "vendor/tabler-icons-3.51.0/icons.svg",
    "vendor/tabler-icons-3.51.0/LICENSE",
];

/// Address of each file by its path.
static URLS: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(path, content)| {
            let hash = hex::encode(Sha256::digest(content));
            (*path, format!("/static/{}/{path}", &hash[..12]))
        })
        .collect()
});

/// The address of the file at `path` below `static/`.
pub(super) fn url(path: &str) -> &'static str {
    URLS.get(path).map_or("", String::as_str)
}

/// The file of all icons.
const ICONS: &str = "vendor/tabler-icons-3.51.0/icons.svg";

/// The address of an icon's drawing; `name` is one of ours and needs no escaping.
pub(super) fn icon(name: &str) -> Icon<'_> {
    static FILE: LazyLock<&'static str> = LazyLock::new(|| url(ICONS));
    Icon { file: &FILE, name }
}

/// An icon's address, written into a page as it is: a page of a list has hundreds.
pub(super) struct Icon<'a> {
    file: &'static str,
    name: &'a str,
}

impl fmt::Display for Icon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FastWritable::write_into(self, f, askama::NO_VALUES).map_err(|_| fmt::Error)
    }
}

impl FastWritable for Icon<'_> {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        dest.write_str(self.file)?;
        dest.write_char('#')?;
        Ok(dest.write_str(self.name)?)
    }
}

impl HtmlSafe for Icon<'_> {}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/static/{hash}/{*path}", get(serve))
        .route("/favicon.ico", get(async || serve(Path((String::new(), "favicon.svg".to_owned()))).await))
}

async fn serve(Path((hash, path)): Path<(String, String)>) -> Response {
    let Some((name, content)) = FILES.iter().find(|(name, _)| *name == path) else {
        return Trouble::new(StatusCode::NOT_FOUND, "No encontramos este archivo.").into_response();
    };
    // An old address gets today's file, but must not be remembered as such.
    let current = url(name).split('/').nth(2) == Some(hash.as_str());
    let cache = if current { "public, max-age=31536000, immutable" } else { "public, max-age=300" };
    ([(header::CONTENT_TYPE, media_type(name)), (header::CACHE_CONTROL, cache)], *content).into_response()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_icon_that_a_page_names_is_in_the_sprite() {
        let sprite = include_str!("../../static/vendor/tabler-icons-3.51.0/icons.svg");
        let mut missing = Vec::new();
        let mut folders = vec![std::path::PathBuf::from("templates"), std::path::PathBuf::from("src/web")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for part in text.split("ui::icon(\"").skip(1) {
                    let name = part.split('"').next().unwrap();
                    if !sprite.contains(&format!("<symbol id=\"{name}\"")) {
                        missing.push(format!("{}: {name}", path.display()));
                    }
                }
            }
        }
        assert!(missing.is_empty(), "not in the sprite: {missing:?}");
    }
}
