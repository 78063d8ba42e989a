//! `lockkeeper health`: for the health check of a container that has neither shell nor curl.
//!
//! It must be quick and small, as it runs every few seconds beside the daemon: no AWS client, one thread, and an HTTP
//! client of a few lines. HTTP/1.0 is asked for, so that an answer ends where the connection does, and is never chunked.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Ended, FAILED, Output, say, say_json};

/// For connecting and the whole answer. Shorter than the 5 s that the image's own health check allows.
const PATIENCE: Duration = Duration::from_secs(3);
/// The answer has a few hundred bytes; whoever sends more is not Lockkeeper.
const LARGEST_ANSWER_BYTES: u64 = 64 * 1024;

/// The answer in JSON; `docs/commands.md` gives its shape.
#[derive(Serialize)]
struct Checked {
    healthy: bool,
    /// Whom was asked.
    address: SocketAddr,
    /// What HTTP said; none where nobody answered.
    status: Option<u16>,
    /// One line: how every part is, or why nobody can tell.
    detail: String,
    /// The parts as `/health` tells them.
    parts: Value,
}

pub(super) fn health(files: &[PathBuf], output: Output) -> Ended {
    let settings = match super::load(files) {
        Ok(settings) => settings,
        Err(ended) => return ended,
    };
    let checked = ask(reachable(settings.http.listen));
    match output {
        Output::Text => say(&checked.line()),
        Output::Json => say_json(&checked),
    }
    if checked.healthy { Ended::Done } else { Ended::Told(FAILED) }
}

impl Checked {
    fn answered(address: SocketAddr, Answer { status, body }: &Answer) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let parts = body.get("parts").cloned().unwrap_or_default();
        let detail = in_words(&parts, *status == 200).unwrap_or_else(|| format!("it answered HTTP {status}"));
        Self { healthy: *status == 200, address, status: Some(*status), detail, parts }
    }

    fn unanswered(address: SocketAddr, why: &anyhow::Error) -> Self {
        Self { healthy: false, address, status: None, detail: format!("{why:#}"), parts: Value::Null }
    }

    fn line(&self) -> String {
        let state = if self.healthy { "healthy" } else { "unhealthy" };
        format!("{state}: {}\n", self.detail.replace(char::is_control, " "))
    }
}

/// Where a process on this machine reaches the listener: an address that stands for all of them cannot be called.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen {
        SocketAddr::V4(it) if it.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(it) if it.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        SocketAddr::V4(_) | SocketAddr::V6(_) => listen.ip(),
    };
    SocketAddr::new(ip, listen.port())
}

/// What each part says; of an unhealthy one only those that fail.
fn in_words(parts: &Value, healthy: bool) -> Option<String> {
    let told = |(name, part): (&String, &Value)| {
        let detail = part.get("detail")?.as_str()?;
        let fails = part.get("ok").and_then(Value::as_bool) == Some(false);
        (healthy || fails).then(|| if healthy { detail.to_owned() } else { format!("{name}: {detail}") })
    };
    let told: Vec<String> = parts.as_object()?.iter().filter_map(told).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn ask(address: SocketAddr) -> Checked {
    let answer = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")
        .and_then(|runtime| runtime.block_on(within_patience(address)));
    match answer {
        Ok(answer) => Checked::answered(address, &answer),
        Err(error) => Checked::unanswered(address, &error),
    }
}

async fn within_patience(address: SocketAddr) -> anyhow::Result<Answer> {
    match tokio::time::timeout(PATIENCE, get(address)).await {
        Ok(answer) => answer,
        Err(_) => bail!("{address} did not answer within {} s", PATIENCE.as_secs()),
    }
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

async fn get(address: SocketAddr) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
    let request = format!("GET /health HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.with_context(|| format!("ask {address}"))?;
    let mut answer = Vec::new();
    let mut bounded = stream.take(LARGEST_ANSWER_BYTES);
    bounded.read_to_end(&mut answer).await.with_context(|| format!("read the answer of {address}"))?;
    parse(&answer).with_context(|| format!("what {address} answered is not HTTP"))
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let (version, rest) = head.split_once(' ')?;
    let status = rest.get(..3)?.parse().ok().filter(|_| version.starts_with("HTTP/1."))?;
    Some(Answer { status, body: answer[end + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_stands_for_all_is_asked_at_the_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:81", "[::1]:81"),
            ("127.0.0.2:9", "127.0.0.2:9"),
            ("10.0.0.7:9", "10.0.0.7:9"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn an_answer_is_read_as_far_as_it_is_http() {
        let answer = parse(b"HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\n{}").expect("HTTP");
        assert_eq!((answer.status, &*answer.body), (503, &b"{}"[..]));
        for wrong in
            ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 ok\r\n\r\n", "HTTP/2 200\r\n\r\n"]
        {
            assert!(parse(wrong.as_bytes()).is_none(), "{wrong} was taken");
        }
    }
}
