//! HTTP/1 in raw bytes, as a hostile or an unusual client sends it: ambiguous message lengths in
//! `smuggling`, valid requests in fragments in `fragments`, many requests on one connection in
//! `pipelining`. This file has their helper: an upstream that reads strictly by the RFC.

mod fragments;
mod pipelining;
mod smuggling;
mod spelling;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::harness::soon;

/// A complete request as an upstream read it: first line and body.
pub type Whole = (String, Vec<u8>);

/// An upstream that responds to each complete request with `answer`, and does not record others.
pub struct Reader {
    pub base_url: String,
    whole: Arc<Mutex<Vec<Whole>>>,
    task: JoinHandle<()>,
}

impl Reader {
    pub async fn start(answer: fn(&Whole) -> String) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", socket.local_addr().unwrap());
        let whole = Arc::<Mutex<Vec<Whole>>>::default();
        let log = Arc::clone(&whole);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = socket.accept().await {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    while let Some(request) = read_request(&mut stream).await {
                        let answer = answer(&request);
                        log.lock().unwrap().push(request);
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        Self {
            base_url,
            whole,
            task,
        }
    }

    /// The complete requests so far.
    pub fn seen(&self) -> Vec<Whole> {
        self.whole.lock().unwrap().clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request; `None` if the stream ends first. Panics if the request is malformed, because the
/// gateway must not send one.
async fn read_request(stream: &mut TcpStream) -> Option<Whole> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let first_line = head.lines().next().unwrap().to_owned();
    let values = |name: &str| -> Vec<&str> {
        let lines = head.lines().filter_map(|line| line.strip_prefix(name));
        lines.map(str::trim).collect()
    };
    let body = match (
        &values("content-length:")[..],
        &values("transfer-encoding:")[..],
    ) {
        ([], []) => Vec::new(),
        ([length], []) => read_bytes(stream, length.parse().unwrap()).await?,
        ([], ["chunked"]) => read_chunks(stream).await?,
        unsound => panic!("sent by the gateway: {unsound:?}"),
    };
    Some((first_line, body))
}

async fn read_bytes(stream: &mut TcpStream, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn read_chunks(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = read_line(stream).await?;
        let size = usize::from_str_radix(&size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend(read_bytes(stream, size).await?);
        assert_eq!(read_line(stream).await?, "");
    }
    while !read_line(stream).await?.is_empty() {}
    Some(body)
}

async fn read_line(stream: &mut TcpStream) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(line).unwrap().trim_end().to_owned())
}

/// A `[fallback]` table with a short idle timeout.
pub fn brief(base_url: &str) -> String {
    format!("base_url = {base_url:?}\nidle_timeout = \"300ms\"")
}

/// Sends bytes on a new connection, reads until the gateway closes it, and returns the status of each
/// response.
pub async fn statuses(address: SocketAddr, bytes: &[u8]) -> Vec<u16> {
    let mut caller = TcpStream::connect(address).await.unwrap();
    // The gateway may have closed it already.
    let _ = caller.write_all(bytes).await;
    let mut answers = Vec::new();
    let _ = soon(caller.read_to_end(&mut answers)).await;
    split(&answers)
}

/// The statuses of consecutive responses. Panics at a byte that belongs to none.
fn split(mut answers: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !answers.is_empty() {
        let end = answers.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let (head, rest) = answers.split_at(end.expect("a whole head") + 4);
        let head = str::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        let status = head.strip_prefix("http/1.").expect(&head);
        statuses.push(status.split(' ').nth(1).unwrap().parse().unwrap());
        answers = &rest[length..];
    }
    statuses
}
