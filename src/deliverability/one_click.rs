//! Whether the one click of mail programs reaches us: the very request of RFC 8058, to our own public address.

use super::{Finding, Level, links::tls};
use std::time::Duration;

/// What the request names in place of a message: it takes nobody off anything.
pub const TOKEN: &str = "prueba";

/// What our answer to it says.
pub const ANSWER: &str = "Llovizna: baja con un clic";

/// The name of the part.
const PART: &str = "Baja con un clic";

/// Longest wait for an answer: mail programs wait no longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Press the one click of an invented message at `public_url`.
pub async fn press(public_url: &str) -> Finding {
    let address = format!("{public_url}/baja/{TOKEN}");
    let client = tls().and_then(|tls| {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .ok()
    });
    let Some(client) = client else {
        return Finding::new(PART, Level::Unasked, "no se pudo preparar la prueba: repítela");
    };
    let asked = client
        .post(&address)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("List-Unsubscribe=One-Click")
        .send()
        .await;
    let Ok(answer) = asked else {
        let text = format!(
            "no se llegó a {address}: revisa que PUBLIC_URL sea la dirección por la que este panel se abre desde internet"
        );
        return Finding::new(PART, Level::Bad, text);
    };
    let status = answer.status();
    if status.is_redirection() {
        let text = format!(
            "{address} lleva a otra parte ({status}), y los correos no siguen redirecciones (RFC 8058): pon en PUBLIC_URL la dirección final"
        );
        return Finding::new(PART, Level::Bad, text);
    }
    let is_ours = answer.text().await.is_ok_and(|it| it.contains(ANSWER));
    if !status.is_success() || !is_ours {
        let text = format!(
            "{address} respondió {status}, y no es este panel: revisa PUBLIC_URL, o que el proxy deje pasar POST a /baja"
        );
        return Finding::new(PART, Level::Bad, text);
    }
    if !public_url.starts_with("https://") {
        let text = "funciona, pero PUBLIC_URL no usa https: Gmail y Yahoo solo muestran su botón con https";
        return Finding::new(PART, Level::Doubtful, text);
    }
    Finding::new(PART, Level::Good, "la petición que hacen Gmail y los demás llegó y se respondió")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    /// What is found where somebody answers with `answer`, and what they were asked.
    async fn found(answer: &'static str) -> (Finding, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut asked = String::new();
            while !asked.ends_with("One-Click") {
                let mut part = [0; 1024];
                let n = peer.read(&mut part).await.unwrap();
                asked.push_str(std::str::from_utf8(&part[..n]).unwrap());
            }
            peer.write_all(answer.as_bytes()).await.unwrap();
            asked
        });
        let finding = press(&url).await;
        (finding, server.await.unwrap())
    }

    #[tokio::test]
    async fn each_answer_is_told() {
        let ours = "HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\nLlovizna: baja con un clic";
        let (finding, asked) = found(ours).await;
        assert_eq!(finding.level, Level::Doubtful, "not over https: {finding:?}");
        assert!(asked.starts_with("POST /baja/prueba HTTP/1.1"), "{asked}");
        let (other, _) = found("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhola").await;
        assert!(other.level == Level::Bad && other.text.contains("no es este panel"), "{other:?}");
        let (moved, _) = found("HTTP/1.1 301 Moved\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n").await;
        assert!(moved.level == Level::Bad && moved.text.contains("redirecciones"), "{moved:?}");
        let (gone, _) = found("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
        assert!(gone.level == Level::Bad && gone.text.contains("404"), "{gone:?}");
        let away = press("http://127.0.0.1:9").await;
        assert!(away.level == Level::Bad && away.text.contains("no se llegó"), "{away:?}");
    }
}
