//! What speaks as DeepSeek does, on this machine: keeps what it was asked and answers what it is told to.

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedRwLockWriteGuard, RwLock},
};

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// A status, more headers, and a body.
    Answer(u16, &'static str, String),
    /// Nothing, ever.
    Silence,
    /// The beginning of an answer, and the line goes dead.
    Half,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Request line and headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl Asked {
    /// The body, read.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The provider.
#[derive(Clone)]
pub(crate) struct Provider {
    /// Where it listens.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<Vec<Say>>>,
    gate: Arc<RwLock<()>>,
}

impl Provider {
    /// One that answers three good proposals to whatever it is asked.
    pub(crate) async fn start() -> Provider {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let it = Provider {
            url: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            answers: Arc::default(),
            gate: Arc::default(),
        };
        let own = it.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = own.clone();
                tokio::spawn(async move { own.serve(stream).await });
            }
        });
        it
    }

    /// What it says next; after all of these, good proposals.
    pub(crate) fn says(&self, answers: impl IntoIterator<Item = Say>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// All that it was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Come back once it was asked `n` times.
    pub(crate) async fn until_asked(&self, n: usize) {
        while self.asked.lock().unwrap().len() < n {
            tokio::task::yield_now().await;
        }
    }

    /// It answers nobody while the guard lives.
    pub(crate) async fn hold(&self) -> OwnedRwLockWriteGuard<()> {
        self.gate.clone().write_owned().await
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut got = Vec::new();
        let (head, body) = loop {
            let text = String::from_utf8_lossy(&got).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .to_lowercase()
                    .split("content-length: ")
                    .nth(1)
                    .map_or(0, |it| it.split("\r\n").next().unwrap().trim().parse().unwrap());
                if body.len() >= length {
                    break (head.to_owned(), body.to_owned());
                }
            }
            if stream.read_buf(&mut got).await.unwrap_or(0) == 0 {
                return;
            }
        };
        self.asked.lock().unwrap().push(Asked { head, body });
        drop(self.gate.read().await);
        let say = {
            let mut answers = self.answers.lock().unwrap();
            if answers.is_empty() { good() } else { answers.remove(0) }
        };
        match say {
            Say::Answer(status, headers, body) => {
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                stream.write_all(text.as_bytes()).await.ok();
            }
            Say::Silence => std::future::pending().await,
            Say::Half => {
                let text = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"choices\":";
                stream.write_all(text.as_bytes()).await.ok();
            }
        }
    }
}

/// A 200 with `content`, that ended because of `finish`.
pub(crate) fn completion(content: &str, finish: &str) -> Say {
    let body = json!({
        "id": "x", "object": "chat.completion", "model": "deepseek-flash",
        "choices": [{ "index": 0, "finish_reason": finish, "message": { "role": "assistant", "content": content } }],
        "usage": {
            "prompt_tokens": 1000, "prompt_cache_hit_tokens": 400, "prompt_cache_miss_tokens": 600,
            "completion_tokens": 300, "total_tokens": 1300,
        },
    });
    // Under load the answer begins with blank lines.
    Say::Answer(200, "", format!("\n\n\r\n{body}"))
}

/// A refusal.
pub(crate) fn status(status: u16) -> Say {
    Say::Answer(status, "", json!({ "error": { "message": "no", "type": "x" } }).to_string())
}

/// The content of an answer with these subjects and openings.
pub(crate) fn proposals(all: &[(&str, &str)]) -> String {
    let all: Vec<Value> =
        all.iter().map(|(subject, opening)| json!({ "asunto": subject, "comienzo": opening })).collect();
    json!({ "propuestas": all }).to_string()
}

/// Good proposals.
pub(crate) fn good() -> Say {
    completion(
        &proposals(&[
            ("Una semana sin apuro", "Bajamos el ritmo para que tu semana respire."),
            ("{{ company | default(\"tu empresa\") }}, una pausa", "Guardamos un lugar para tu equipo."),
            ("Algo tibio para el invierno", "El agua está caliente y el resto espera."),
        ]),
        "stop",
    )
}
