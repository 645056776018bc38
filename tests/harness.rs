//! Test harness: a gateway on a free port, a scripted upstream that records its requests, and a client
//! that sends raw bytes. It has no assertions on behaviour.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use zapi_to_ryze::{app, config};

/// Longer than anything takes that works; only a test that fails waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Awaits what is to come.
pub async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future)
        .await
        .expect("it did not happen in time")
}

/// The configuration of one instance `I1`, with more lines for its tables.
#[derive(Clone, Default)]
pub struct Setup {
    pub server: &'static str,
    pub ryze: &'static str,
    pub budget: &'static str,
    pub policy: &'static str,
    pub instance: &'static str,
    /// The table `fallback`, which there is only where this is not empty.
    pub fallback: String,
}

impl Setup {
    pub fn toml(&self, base_url: &str) -> String {
        let fallback = match self.fallback.as_str() {
            "" => String::new(),
            fallback => format!("[fallback]\n{fallback}\n"),
        };
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n{}\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [ryze]\nbase_url = \"{base_url}\"\n{}\n[budget]\n{}\n[policy]\n{}\n\
             {fallback}[[instances]]\nzapi_instance = \"I1\"\nzapi_token = \"T1\"\nryze_instance = \"main\"\n\
             ryze_token = \"ryze-secret\"\n{}\n",
            self.server, self.ryze, self.budget, self.policy, self.instance
        )
    }

    pub async fn start(&self, base_url: &str) -> Gateway {
        start(&self.toml(base_url)).await
    }
}

/// A gateway with this configuration.
pub async fn start(toml: &str) -> Gateway {
    let loaded = config::parse(toml, &|_| None).expect("a sound configuration");
    let gateway = app::start(&loaded.config).await.unwrap();
    Gateway {
        address: gateway.address.tcp().unwrap(),
        task: tokio::spawn(async move {
            let _ = gateway.run().await;
        }),
    }
}

/// A running gateway; it ends with its owner.
pub struct Gateway {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gateway {
    /// Sends bytes on a connection of their own and reads one answer.
    pub async fn send(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut caller = TcpStream::connect(self.address).await.unwrap();
        caller.write_all(request.as_ref()).await.unwrap();
        Reply::read(&mut caller).await
    }

    /// Sets who may see the profile photo.
    pub async fn set_photo(&self, value: &str) -> Reply {
        self.send(photo(value)).await
    }
}

/// The call that sets who may see the profile photo, as callers send it.
pub fn photo(value: &str) -> String {
    let body = format!("{{\"visualizationType\":\"{value}\"}}");
    post("/instances/I1/token/T1/privacy/photo", &body)
}

/// A POST of a JSON body.
pub fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One HTTP message as it was read: an answer, or a request that the upstream saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub head: String,
    pub body: String,
}

impl Message {
    /// Reads one, or `None` where the stream ends before it begins.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut message = Self::read_head(stream).await?;
        let length = message
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.expect("a whole body");
        message.body = String::from_utf8(body).unwrap();
        Some(message)
    }

    /// Reads the head alone, or `None` where the stream ends before it begins.
    pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => bytes.push(byte),
                Err(_) if bytes.is_empty() => return None,
                Err(error) => panic!("a head was cut short: {error}"),
            }
        }
        let head = String::from_utf8(bytes).unwrap().trim_end().to_owned();
        Some(Self {
            head,
            body: String::new(),
        })
    }

    pub fn first_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The names of the headers, in lower case and in order.
    pub fn header_names(&self) -> Vec<String> {
        let names = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        let mut names: Vec<_> = names.map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    }
}

/// An answer of the gateway.
pub struct Reply {
    pub status: u16,
    pub message: Message,
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        let status = message.first_line().split(' ').nth(1).unwrap();
        Self {
            status: status.parse().unwrap(),
            message,
        }
    }
}

impl Reply {
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        Self::read_or_end(stream).await.expect("an answer")
    }

    /// `None` where the connection was closed without an answer.
    pub async fn read_or_end(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        soon(Message::read(stream)).await.map(Self::from)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.message.header(name)
    }

    /// A string in the JSON body, empty where there is none.
    pub fn text(&self, key: &str) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.message.body).expect("JSON");
        body[key].as_str().unwrap_or_default().to_owned()
    }

    pub fn is_success(&self) -> bool {
        self.status == 200 && self.message.body == r#"{"success":true}"#
    }

    /// Whether the answer is in one of the two shapes that every refusal has.
    pub fn assert_failure(&self, status: u16, error: &str) {
        let body: serde_json::Value = serde_json::from_str(&self.message.body)
            .unwrap_or_else(|_| panic!("not JSON: {:?}", self.message));
        assert_eq!(
            (self.status, self.text("error").as_str()),
            (status, error),
            "{body}"
        );
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(body["success"], false, "{body}");
    }
}

/// What the upstream does with a request.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Send(String),
    /// Sends these bytes, then closes the connection.
    SendAndClose(String),
    /// Never answers.
    Hang,
}

/// A Ryze that confirms `fields`, given as the content of `settings`.
pub fn confirms(settings: &str) -> Step {
    Step::Send(confirmation(settings))
}

/// The bytes with which Ryze confirms them.
pub fn confirmation(settings: &str) -> String {
    let body = format!("{{\"success\":true,\"message\":\"ok\",\"settings\":{settings}}}");
    answer(200, "", &body)
}

/// An answer with a status and a JSON body.
pub fn answers(status: u16, body: &str) -> Step {
    Step::Send(answer(status, "", body))
}

/// An address at which connections are refused as long as the socket is kept: it is bound and does
/// not listen, so that no other test gets its port.
pub fn refusing() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base_url = format!("http://{}", socket.local_addr().unwrap());
    (socket, base_url)
}

/// The bytes of an answer; each of the more headers ends with CRLF.
pub fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Ryze's envelope of an error.
pub fn refuses(status: u16, message: &str) -> Step {
    answers(
        status,
        &format!("{{\"success\":false,\"error\":{{\"message\":\"{message}\"}}}}"),
    )
}

/// An upstream that does what it is told with each request.
pub struct Upstream {
    pub base_url: String,
    seen: Arc<Mutex<Vec<Message>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Does the same with every request.
    pub async fn start(step: Step) -> Self {
        Self::script(vec![step]).await
    }

    /// Does the n-th step with the n-th request, and the last one with all that follow.
    pub async fn script(steps: Vec<Step>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(socket, steps)
    }

    /// As [`script`](Self::script), on a socket that listens already.
    pub fn on(socket: TcpListener, steps: Vec<Step>) -> Self {
        let steps = Arc::<[Step]>::from(steps);
        let base_url = format!("http://{}", socket.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<Message>>>::default();
        let connections = Arc::<AtomicUsize>::default();
        let (log, accepted) = (Arc::clone(&seen), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&steps), Arc::clone(&log)));
            }
        });
        Self {
            base_url,
            seen,
            connections,
            task,
        }
    }

    /// The requests that arrived so far.
    pub fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests that arrived so far: the body of an update, and `GET` for a read.
    pub fn calls(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let told = seen.iter().map(|request| match request.first_line() {
            line if line.starts_with("GET ") => "GET".to_owned(),
            _ => request.body.clone(),
        });
        told.collect()
    }

    /// The connections that were opened so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, steps: Arc<[Step]>, seen: Arc<Mutex<Vec<Message>>>) {
    while let Some(request) = Message::read(&mut stream).await {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            seen.len() - 1
        };
        match steps.get(number).or(steps.last()).expect("a step") {
            Step::Send(bytes) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Step::SendAndClose(bytes) => {
                // The gateway may have hung up on an answer that is too much.
                let _ = stream.write_all(bytes.as_bytes()).await;
                return;
            }
            Step::Hang => (),
        }
    }
}
