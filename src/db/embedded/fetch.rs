//! Fetches a build of Postgres where the machine has none: a pinned version from
//! one public place, checked by SHA-256, unpacked beside the data. Runs nothing.
//!
//! What is verified: the archive is, byte for byte, the one whose SHA-256 is
//! `LLOVIZNA_PG_SHA256`, or else the one published beside it. The published sum comes from the
//! same place over the same TLS, so that it proves that nothing was lost or altered on the way,
//! and not that the publisher is to be trusted: who wants that pins the sum. The sums of
//! each platform are not written in this source, because nobody has verified them independently of
//! that place.

use crate::{
    config::Config,
    error::{Error, Result},
};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// The version fetched: Postgres 18.6, first build of it.
pub const VERSION: &str = "18.6.0";

/// Where builds come from (project `theseus-rs/postgresql-binaries`, PostgreSQL Licence).
const SOURCE: &str = "https://github.com/theseus-rs/postgresql-binaries/releases/download";

/// No build is a tenth of this: a wrong address must not fill the disk.
const LARGEST_ARCHIVE: u64 = 400 << 20;
const LARGEST_UNPACKED: u64 = 2 << 30;

/// The archive for this platform.
fn archive_name() -> String {
    let os = match std::env::consts::OS {
        "macos" => "apple-darwin",
        _ if cfg!(target_env = "musl") => "unknown-linux-musl",
        _ => "unknown-linux-gnu",
    };
    format!("postgresql-{VERSION}-{}-{os}.tar.gz", std::env::consts::ARCH)
}

/// Fetch the pinned build into `folder`, which keeps one folder a version, and
/// give the folder of its programs. `tell` is told of progress, in Spanish.
///
/// # Errors
/// A Spanish sentence without advice on what to do instead: the caller knows it.
pub async fn fetch(config: &Config, folder: &Path, tell: &(dyn Fn(&str) + Sync)) -> Result<PathBuf> {
    let done = folder.join(VERSION);
    if done.join("bin/postgres").is_file() {
        return Ok(done.join("bin"));
    }
    let base = config.postgres_url.as_deref().unwrap_or(SOURCE).trim_end_matches('/');
    let url = format!("{base}/{VERSION}/{}", archive_name());
    tell(&format!("Descargando PostgreSQL {VERSION} desde {url}"));
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .user_agent(concat!("llovizna/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|it| Error::Internal(it.to_string()))?;
    let expected = match &config.postgres_sha256 {
        Some(pinned) => digest_in(pinned).ok_or_else(|| {
            Error::refused("LLOVIZNA_PG_SHA256 no es un SHA-256: son 64 cifras hexadecimales.")
        })?,
        None => published_digest(&client, &url).await?,
    };
    fs::create_dir_all(folder)?;
    let mut archive = tempfile::Builder::new().prefix("pg-").suffix(".tar.gz").tempfile_in(folder)?;
    let actual = download(&client, &url, archive.as_file_mut()).await?;
    if actual != expected {
        return Err(Error::refused(format!(
            "El archivo descargado de PostgreSQL no es el publicado (SHA-256 {actual}, se esperaba {expected}). Se descartó."
        )));
    }
    tell("Descomprimiendo PostgreSQL");
    let parent = folder.to_owned();
    let unpacked = tokio::task::spawn_blocking(move || unpack(archive.path(), &parent))
        .await
        .map_err(|it| Error::Internal(it.to_string()))??;
    fs::rename(unpacked.path().join("root"), &done)?;
    Ok(done.join("bin"))
}

/// The SHA-256 in the file beside the archive: a bare digest, or `digest  name`.
async fn published_digest(client: &reqwest::Client, url: &str) -> Result<String> {
    let answer = get(client, &format!("{url}.sha256")).await?;
    let text = answer.text().await.map_err(|it| unreachable(&it))?;
    digest_in(&text).ok_or_else(|| Error::refused("La suma SHA-256 publicada de PostgreSQL no se entiende."))
}

fn digest_in(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?;
    (word.len() == 64 && word.chars().all(|it| it.is_ascii_hexdigit())).then(|| word.to_ascii_lowercase())
}

async fn get(client: &reqwest::Client, url: &str) -> Result<reqwest::Response> {
    let answer = client.get(url).send().await.map_err(|it| unreachable(&it))?;
    if answer.status().is_success() {
        Ok(answer)
    } else {
        Err(Error::refused(format!(
            "El servidor de descargas respondió {} por {url}.",
            answer.status().as_u16()
        )))
    }
}

fn unreachable(error: &reqwest::Error) -> Error {
    let why = if error.is_timeout() { "no respondió a tiempo" } else { "no se pudo llegar a él" };
    Error::refused(format!("El servidor de descargas de PostgreSQL falló: {why}."))
}

/// Write the archive to `to` and give its SHA-256.
async fn download(client: &reqwest::Client, url: &str, to: &mut File) -> Result<String> {
    let answer = get(client, url).await?;
    let mut digest = Sha256::new();
    let mut size = 0;
    let mut body = answer.bytes_stream();
    while let Some(part) = body.next().await {
        let part = part.map_err(|it| unreachable(&it))?;
        size += part.len() as u64;
        if size > LARGEST_ARCHIVE {
            return Err(Error::refused("El archivo de PostgreSQL es demasiado grande. Se descartó."));
        }
        digest.update(&part);
        to.write_all(&part)?;
    }
    to.flush()?;
    Ok(hex::encode(digest.finalize()))
}

/// Unpack into a fresh folder, whose `root` is then the installation.
fn unpack(archive: &Path, parent: &Path) -> Result<tempfile::TempDir> {
    let broken = |_| Error::refused("El archivo de PostgreSQL no se pudo descomprimir. Se descartó.");
    let fresh = tempfile::Builder::new().prefix("unpack-").tempdir_in(parent)?;
    let raw = fresh.path().join("raw");
    fs::create_dir(&raw)?;
    let mut total = 0;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(io::BufReader::new(File::open(archive)?)));
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        total += entry.size();
        if total > LARGEST_UNPACKED {
            return Err(Error::refused(
                "El archivo de PostgreSQL es demasiado grande al descomprimirlo. Se descartó.",
            ));
        }
        // Refuses names that would land outside the folder.
        entry.unpack_in(&raw).map_err(broken)?;
    }
    let root = installation_in(&raw)
        .ok_or_else(|| Error::refused("El archivo descargado no contiene PostgreSQL. Se descartó."))?;
    open_to_others(&root)?;
    fs::rename(&root, fresh.path().join("root"))?;
    Ok(fresh)
}

/// The folder that holds `bin/postgres`: the top, or the single folder in it.
fn installation_in(raw: &Path) -> Option<PathBuf> {
    let inner = raw.read_dir().ok()?.flatten().map(|it| it.path());
    std::iter::once(raw.to_owned()).chain(inner).find(|it| it.join("bin/postgres").is_file())
}

/// The account that Postgres runs under is not the one that unpacks.
fn open_to_others(folder: &Path) -> io::Result<()> {
    let mode = fs::metadata(folder)?.permissions().mode();
    fs::set_permissions(folder, Permissions::from_mode(mode | 0o755))?;
    for entry in folder.read_dir()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open_to_others(&entry.path())?;
        } else if kind.is_file() {
            let mode = entry.metadata()?.permissions().mode();
            let open = mode | 0o444 | if mode & 0o100 == 0 { 0 } else { 0o111 };
            fs::set_permissions(entry.path(), Permissions::from_mode(open))?;
        }
    }
    Ok(())
}
