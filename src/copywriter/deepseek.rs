//! One call to DeepSeek: what is sent, how long it is waited for, and its answer told apart from all that can come
//! instead. The key is named in one place, the header; nothing of the conversation is logged.

use super::{outcome::Outcome, terms::Usage};
use crate::config::DeepSeek;
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, Instant};

/// Bytes of an answer that are read: many times the longest that the limit of tokens allows.
const MOST: usize = 1024 * 1024;

/// How long a connection is waited for.
const CONNECT: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The same for every question, so that the provider finds them in its cache.
    pub instructions: &'a str,
    /// What is asked this time.
    pub prompt: &'a str,
    /// Most tokens of the answer.
    pub max_tokens: u32,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// How it ended.
    pub outcome: Outcome,
    /// What the provider wrote; none: nothing.
    pub answer: Option<String>,
    /// What it says to have used; none: it did not say.
    pub usage: Option<Usage>,
    /// How long it asks us to wait.
    pub wait: Option<Duration>,
    /// How long it took.
    pub latency: Duration,
}

/// Ask `question`. Never fails: how it ended is its outcome.
pub async fn ask(config: &DeepSeek, question: Question<'_>) -> Reply {
    let start = Instant::now();
    let mut reply = match tokio::time::timeout(config.patience, converse(config, question)).await {
        Ok(reply) => reply,
        Err(_) => Reply::ended(Outcome::Slow),
    };
    reply.latency = start.elapsed();
    reply
}

impl Reply {
    /// One that gave nothing.
    #[must_use]
    pub fn ended(outcome: Outcome) -> Reply {
        Reply { outcome, answer: None, usage: None, wait: None, latency: Duration::ZERO }
    }
}

/// What goes over the line.
fn body(model: &str, question: Question<'_>) -> serde_json::Value {
    json!({
        "model": model,
        "messages": [
            { "role": "system", "content": question.instructions },
            { "role": "user", "content": question.prompt },
        ],
        "response_format": { "type": "json_object" },
        // It is on unless it is turned off, and its tokens are paid for and count against the limit.
        "thinking": { "type": "disabled" },
        "temperature": 1.0,
        "max_tokens": question.max_tokens,
        "stream": false,
    })
}

async fn converse(config: &DeepSeek, question: Question<'_>) -> Reply {
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT.min(config.patience))
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let Ok(client) = client else { return Reply::ended(Outcome::Unreachable) };
    let asked = client
        .post(format!("{}/chat/completions", config.url))
        .bearer_auth(config.key.reveal())
        .json(&body(&config.model, question))
        .send()
        .await;
    let mut answer = match asked {
        Ok(it) => it,
        // Nothing was asked yet where the connection itself failed; after that it may have been.
        Err(error) if error.is_connect() => return Reply::ended(Outcome::Unreachable),
        Err(_) => return Reply::ended(Outcome::Cut),
    };
    let status = answer.status().as_u16();
    if let Some(outcome) = refusal(status) {
        let wait = answer.headers().get("retry-after").and_then(|it| it.to_str().ok()?.trim().parse().ok());
        return Reply { wait: wait.map(Duration::from_secs), ..Reply::ended(outcome) };
    }
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(part)) if body.len() + part.len() <= MOST => body.extend_from_slice(&part),
            Ok(None) => return read(&body),
            Ok(Some(_)) => return Reply::ended(Outcome::Garbage),
            Err(_) => return Reply::ended(Outcome::Cut),
        }
    }
}

/// What a status says by itself; none: the body says it.
fn refusal(status: u16) -> Option<Outcome> {
    Some(match status {
        200 => return None,
        401 | 403 => Outcome::Key,
        402 => Outcome::Balance,
        429 => Outcome::Busy,
        500..=599 => Outcome::Down,
        400..=499 => Outcome::Rejected,
        _ => Outcome::Garbage,
    })
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Told>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    finish_reason: Option<String>,
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Told {
    prompt_tokens: u32,
    completion_tokens: u32,
    #[serde(default)]
    prompt_cache_hit_tokens: Option<u32>,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u32>,
}

/// The body of a 200. Under load it begins with blank lines, which keep the connection open and mean nothing.
fn read(body: &[u8]) -> Reply {
    let Ok(told) = serde_json::from_slice::<Completion>(body.trim_ascii()) else {
        return Reply::ended(Outcome::Garbage);
    };
    let usage = told.usage.map(|it| Usage {
        prompt: it.prompt_tokens,
        cached: it
            .prompt_cache_hit_tokens
            .or(it.prompt_tokens_details.and_then(|it| it.cached_tokens))
            .unwrap_or_default(),
        completion: it.completion_tokens,
    });
    let Some(choice) = told.choices.into_iter().next() else {
        return Reply { usage, ..Reply::ended(Outcome::Garbage) };
    };
    // What Postgres cannot keep.
    let answer = choice.message.content.unwrap_or_default().replace('\0', "");
    let outcome = match choice.finish_reason.as_deref() {
        Some("length") => Outcome::Truncated,
        Some("content_filter") => Outcome::Filtered,
        Some("insufficient_system_resource") => Outcome::Short,
        _ if answer.trim().is_empty() => Outcome::Blank,
        _ => Outcome::Answered,
    };
    Reply { answer: (!answer.is_empty()).then_some(answer), usage, ..Reply::ended(outcome) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_all_that_can_come_instead() {
        let said = |finish: &str, content: &str| {
            let body = json!({
                "choices": [{ "finish_reason": finish, "message": { "role": "assistant", "content": content } }],
                "usage": { "prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 8 },
            });
            read(format!("\n\n\r\n  {body}\n").as_bytes())
        };
        let it = said("stop", "{}");
        assert_eq!((it.outcome, it.answer.as_deref()), (Outcome::Answered, Some("{}")));
        assert_eq!(it.usage, Some(Usage { prompt: 9, cached: 8, completion: 4 }));
        for (finish, content, outcome) in [
            ("stop", " \n\t", Outcome::Blank),
            ("stop", "", Outcome::Blank),
            ("length", "{\"pro", Outcome::Truncated),
            ("content_filter", "", Outcome::Filtered),
            ("insufficient_system_resource", "", Outcome::Short),
        ] {
            assert_eq!(said(finish, content).outcome, outcome, "{finish}");
        }
        for garbage in ["", "\n\n", "<html>", "[]", "{}", "{\"choices\":[]}", "{\"choices\":[{}]}"] {
            assert_eq!(read(garbage.as_bytes()).outcome, Outcome::Garbage, "{garbage}");
        }
        let other = r#"{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}}"#;
        assert_eq!(read(other.as_bytes()).usage.unwrap().cached, 2);
    }

    #[test]
    fn a_status_is_told_by_what_to_do_about_it() {
        let check = |status, outcome| assert_eq!(refusal(status), outcome, "{status}");
        check(200, None);
        check(400, Some(Outcome::Rejected));
        check(401, Some(Outcome::Key));
        check(402, Some(Outcome::Balance));
        check(422, Some(Outcome::Rejected));
        check(429, Some(Outcome::Busy));
        check(500, Some(Outcome::Down));
        check(503, Some(Outcome::Down));
        check(302, Some(Outcome::Garbage));
    }

    #[test]
    fn thinking_is_turned_off_and_json_asked_for() {
        let question = Question { instructions: "a", prompt: "b", max_tokens: 300 };
        let body = body("deepseek-flash", question);
        assert_eq!(body["thinking"]["type"], "disabled");
        assert_eq!(body["response_format"]["type"], "json_object");
        assert_eq!((&body["max_tokens"], &body["stream"]), (&json!(300), &json!(false)));
    }
}
