//! DKIM signatures (RFC 6376, RFC 8463): relaxed/relaxed over the finished
//! bytes of a message, with RSA or Ed25519. Pure but for the key; it knows
//! neither how a message is made nor how it leaves.

use crate::config::Dkim;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::{digest, rand::SystemRandom, signature};
use std::fmt::Write as _;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};

/// The headers that are signed where present. Large receivers ask that the two
/// of the unsubscribe link and Feedback-ID be among them.
const SIGNED: [&str; 11] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "MIME-Version",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Feedback-ID",
    "List-Id",
];

enum Key {
    Rsa(Box<signature::RsaKeyPair>),
    Ed25519(signature::Ed25519KeyPair),
}

/// Signs messages for one domain.
pub(super) struct Signer {
    domain: String,
    selector: String,
    key: Key,
    random: SystemRandom,
}

impl Signer {
    /// From the configuration. PKCS#1 and PKCS#8 keys are taken.
    ///
    /// # Errors
    /// A sentence in Spanish that names the variable.
    pub(super) fn new(settings: &Dkim) -> Result<Signer, String> {
        let is_name = |it: &str| {
            !it.is_empty()
                && it.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-' | b'_'))
        };
        if !is_name(&settings.domain) || !settings.domain.contains('.') {
            return Err("La variable DKIM_DOMAIN debe ser un dominio, por ejemplo minegocio.cl.".to_owned());
        }
        if !is_name(&settings.selector) {
            return Err("La variable DKIM_SELECTOR debe ser una palabra, por ejemplo llovizna.".to_owned());
        }
        Ok(Signer {
            domain: settings.domain.clone(),
            selector: settings.selector.clone(),
            key: key(settings.key_pem.reveal())?,
            random: SystemRandom::new(),
        })
    }

    /// Whether a signature takes long enough (0.4 ms) to keep it off the threads that serve.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self.key, Key::Rsa(_))
    }

    /// `message` (CRLF line ends) with its signature in front, made at `at` (seconds since 1970).
    ///
    /// # Errors
    /// When the key can't sign: memory ran out.
    pub(super) fn sign(&self, at: i64, message: &[u8]) -> Result<Vec<u8>, String> {
        let (head, body) = split(message);
        let headers = headers(head);
        let mut names = String::new();
        let mut data = Vec::with_capacity(2048);
        for name in SIGNED {
            if let Some(header) =
                headers.iter().rev().find(|it| it.name.eq_ignore_ascii_case(name.as_bytes()))
            {
                let _ = write!(names, "{}{name}", if names.is_empty() { "" } else { ":" });
                header.relaxed(&mut data);
                data.extend_from_slice(b"\r\n");
            }
        }
        // Named once more than it is present: a second From can't be added (RFC 6376 8.15).
        names.push_str(":From");

        let algorithm = match self.key {
            Key::Rsa(_) => "rsa-sha256",
            Key::Ed25519(_) => "ed25519-sha256",
        };
        let mut field = format!(
            "DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed; d={};\r\n s={}; t={at};\r\n h={};\r\n bh={};\r\n b=",
            self.domain,
            self.selector,
            names.replace(":List", ":\r\n  List"),
            BASE64.encode(body_hash(body)),
        );
        for header in self::headers(format!("{field}\r\n").as_bytes()) {
            header.relaxed(&mut data);
        }
        let signed = BASE64.encode(self.raw_signature(&data)?);
        for (at, chunk) in signed.as_bytes().chunks(72).enumerate() {
            if at > 0 {
                field.push_str("\r\n ");
            }
            field.push_str(&String::from_utf8_lossy(chunk));
        }
        field.push_str("\r\n");
        let mut out = field.into_bytes();
        out.extend_from_slice(message);
        Ok(out)
    }

    fn raw_signature(&self, data: &[u8]) -> Result<Vec<u8>, String> {
        match &self.key {
            Key::Rsa(key) => {
                let mut out = vec![0; key.public().modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &self.random, data, &mut out)
                    .map_err(|_| "No se pudo firmar el mensaje con DKIM.".to_owned())?;
                Ok(out)
            }
            // RFC 8463 3: what is signed is the hash.
            Key::Ed25519(key) => {
                Ok(key.sign(digest::digest(&digest::SHA256, data).as_ref()).as_ref().to_vec())
            }
        }
    }
}

/// The record that the DNS should hold for the key of `settings` (RFC 6376 3.6.1).
///
/// # Errors
/// A sentence in Spanish: the key is none.
pub fn published_key(settings: &Dkim) -> Result<String, String> {
    Ok(match key(settings.key_pem.reveal())? {
        Key::Rsa(key) => {
            format!("v=DKIM1; k=rsa; p={}", BASE64.encode(subject_public_key(key.public().as_ref())))
        }
        Key::Ed25519(key) => {
            format!("v=DKIM1; k=ed25519; p={}", BASE64.encode(signature::KeyPair::public_key(&key).as_ref()))
        }
    })
}

/// An RSA key in the form that says that it is one (RFC 5280 4.1): openssl's, and the DNS's.
fn subject_public_key(key: &[u8]) -> Vec<u8> {
    /// rsaEncryption, without parameters.
    const ALGORITHM: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
    let mut bits = vec![0];
    bits.extend(key);
    let mut inner = ALGORITHM.to_vec();
    inner.extend(der(3, &bits));
    der(0x30, &inner)
}

/// A value of DER that is longer than 127 bytes and shorter than 65 536, as keys are.
fn der(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut out = vec![kind, 0x82, length[0], length[1]];
    out.extend(content);
    out
}

fn key(pem: &str) -> Result<Key, String> {
    let wrong = |why: &str| format!("La clave de DKIM_PRIVATE_KEY no sirve: {why}.");
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        wrong(if pem.contains("ENCRYPTED") {
            "está protegida con contraseña; quítasela con openssl pkcs8"
        } else if pem.contains("PUBLIC") {
            "es la clave pública, que va en el DNS; aquí va la privada"
        } else {
            "debe ser una clave privada RSA o Ed25519 en formato PEM (-----BEGIN PRIVATE KEY-----)"
        })
    })?;
    let rejected = |why: ring::error::KeyRejected| {
        wrong(&match why.to_string().as_str() {
            "TooSmall" => "una clave RSA debe tener al menos 2048 bits".to_owned(),
            "TooLarge" => "una clave RSA debe tener a lo más 4096 bits".to_owned(),
            other => format!("no es una clave RSA ni Ed25519 válida ({other})"),
        })
    };
    match der {
        PrivateKeyDer::Pkcs1(der) => {
            let key = signature::RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(rejected)?;
            Ok(Key::Rsa(Box::new(key)))
        }
        PrivateKeyDer::Pkcs8(der) => {
            let der = der.secret_pkcs8_der();
            // OpenSSL writes version 1, which lacks the public half that ring could check.
            if let Ok(key) = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
                return Ok(Key::Ed25519(key));
            }
            let key = signature::RsaKeyPair::from_pkcs8(der).map_err(rejected)?;
            Ok(Key::Rsa(Box::new(key)))
        }
        _ => Err(wrong("debe ser RSA o Ed25519")),
    }
}

/// The header block with its last line end, and the body.
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    match message.windows(4).position(|it| it == b"\r\n\r\n") {
        Some(at) => (&message[..at + 2], &message[at + 4..]),
        None => (message, &[]),
    }
}

struct Header<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl Header<'_> {
    /// RFC 6376 3.4.2, without the final line end.
    fn relaxed(&self, out: &mut Vec<u8>) {
        out.extend(self.name.iter().map(u8::to_ascii_lowercase));
        out.push(b':');
        let mut words = self.value.split(|it| matches!(it, b' ' | b'\t' | b'\r' | b'\n'));
        if let Some(first) = words.by_ref().find(|it| !it.is_empty()) {
            out.extend_from_slice(first);
        }
        for word in words.filter(|it| !it.is_empty()) {
            out.push(b' ');
            out.extend_from_slice(word);
        }
    }
}

/// The headers of a block, each with its continuation lines.
fn headers(block: &[u8]) -> Vec<Header<'_>> {
    let mut headers = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < block.len() {
        let end = block[at..].iter().position(|it| *it == b'\n').map_or(block.len(), |it| at + it + 1);
        at = end;
        if !matches!(block.get(end), Some(b' ' | b'\t')) {
            let field = &block[start..end];
            if let Some(colon) = field.iter().position(|it| *it == b':') {
                headers.push(Header { name: field[..colon].trim_ascii_end(), value: &field[colon + 1..] });
            }
            start = end;
        }
    }
    headers
}

/// SHA-256 of the body as RFC 6376 3.4.4 relaxes it.
fn body_hash(body: &[u8]) -> digest::Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut empty_lines = 0;
    let mut relaxed = Vec::with_capacity(128);
    for line in body.split_inclusive(|it| *it == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = without_trailing_blanks(line.strip_suffix(b"\r").unwrap_or(line));
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty_lines) {
            hash.update(b"\r\n");
        }
        if is_relaxed(line) {
            hash.update(line);
            hash.update(b"\r\n");
            continue;
        }
        relaxed.clear();
        let mut blank = false;
        for byte in line {
            let is_blank = matches!(byte, b' ' | b'\t');
            if !is_blank {
                relaxed.push(*byte);
            } else if !blank {
                relaxed.push(b' ');
            }
            blank = is_blank;
        }
        relaxed.extend_from_slice(b"\r\n");
        hash.update(&relaxed);
    }
    hash.finish()
}

/// Whether a line without blanks at its end reads so already, as nearly all lines of a message do.
fn is_relaxed(line: &[u8]) -> bool {
    memchr::memchr(b'\t', line).is_none() && memchr::memmem::find(line, b"  ").is_none()
}

fn without_trailing_blanks(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|it| !matches!(it, b' ' | b'\t')).map_or(0, |it| it + 1);
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn the_example_of_the_standard_is_canonicalised_as_it_says() {
        // RFC 6376 3.4.5.
        let (head, body) = split(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n");
        let mut out = Vec::new();
        for header in headers(head) {
            header.relaxed(&mut out);
            out.extend_from_slice(b"\r\n");
        }
        assert_eq!(out, b"a:X\r\nb:Y Z\r\n");
        assert_eq!(body_hash(body).as_ref(), digest::digest(&digest::SHA256, b" C\r\nD E\r\n").as_ref());
    }

    #[test]
    fn an_empty_body_hashes_as_nothing() {
        for body in [&b""[..], b"\r\n", b"\r\n\r\n", b" \t\r\n"] {
            assert_eq!(body_hash(body).as_ref(), digest::digest(&digest::SHA256, b"").as_ref());
        }
        assert_eq!(body_hash(b"a").as_ref(), body_hash(b"a \r\n\r\n").as_ref());
    }

    #[test]
    fn a_key_that_cannot_sign_is_refused_in_words() {
        let refused = |pem: &str| {
            let settings = Dkim {
                domain: "ejemplo.cl".to_owned(),
                selector: "s1".to_owned(),
                key_pem: Secret::new(pem),
            };
            Signer::new(&settings).err().unwrap()
        };
        assert!(refused("hola").contains("formato PEM"));
        assert!(
            refused("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").contains("clave pública")
        );
        assert!(
            refused("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").contains("no sirve")
        );
    }
}
