//! Requests that meet a kept connection which the fallback closes: safe ones without a body are sent once
//! more, on a new connection, and no other request is sent twice.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};
use zapi_to_ryze::{
    config,
    net::{Connect, Opening},
    proxy::{Error, Proxy},
};

use super::{Fallback, Scene, bytes, confirming, read};
use crate::harness::{Reply, Setup, soon};

const OK: Step = Step::Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What the fallback does with a request.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(&'static str),
    /// Sends this and closes the connection.
    Close(&'static str),
    Hang,
}

/// A fallback over pipes: a list of connections, each of them a list of steps. It refuses further
/// connections.
#[derive(Clone)]
struct Script {
    connections: Arc<Mutex<Vec<Vec<Step>>>>,
    opened: Arc<Mutex<usize>>,
    /// Each request with the number of its connection.
    seen: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Script {
    fn new(connections: &[&[Step]]) -> Self {
        Self {
            connections: Arc::new(Mutex::new(
                connections
                    .iter()
                    .rev()
                    .map(|steps| steps.to_vec())
                    .collect(),
            )),
            opened: Arc::default(),
            seen: Arc::default(),
        }
    }

    fn proxy(&self) -> Proxy {
        let config = config::Fallback {
            base_url: "http://fallback.test".parse().unwrap(),
            connect_timeout: Duration::from_secs(3),
            idle_timeout: IDLE_TIMEOUT,
            ca_file: None,
        };
        Proxy::new(&config, self.clone()).unwrap()
    }

    /// The numbers of the connections on which requests were received.
    fn used(&self) -> Vec<usize> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(connection, _)| *connection).collect()
    }

    async fn play(self, mut stream: DuplexStream, number: usize, steps: Vec<Step>) {
        for step in steps {
            let request = read(&mut stream).await;
            if request.is_empty() {
                return;
            }
            self.seen.lock().unwrap().push((number, request));
            match step {
                Step::Send(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                Step::Close(answer) => return stream.write_all(answer.as_bytes()).await.unwrap(),
                Step::Hang => {}
            }
        }
        // Until the gateway closes the connection.
        let _ = stream.read_u8().await;
    }
}

impl Connect for Script {
    fn connect(&self) -> Opening<'_> {
        let mut opened = self.opened.lock().unwrap();
        let steps = self.connections.lock().unwrap().pop();
        let Some(steps) = steps else {
            return Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) });
        };
        let (near, far) = duplex(64 * 1024);
        tokio::spawn(self.clone().play(far, *opened, steps));
        *opened += 1;
        Box::pin(async { Ok(Box::new(near) as _) })
    }
}

fn request(method: &str, body: &'static str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri("/x?a=b");
    let request = request.header("Host", "gateway").header("X-A", "1");
    request.body(Full::from(body)).unwrap()
}

/// Forwards a request and reads the whole response.
async fn forward(proxy: &Proxy, request: Request<Full<Bytes>>) -> Result<u16, Error> {
    let response = proxy.forward(request).await?;
    let status = response.status();
    response.into_body().collect().await.unwrap();
    // The connection returns to the pool.
    sleep(Duration::from_millis(1)).await;
    Ok(status.into())
}

#[tokio::test(start_paused = true)]
async fn a_safe_request_is_sent_once_more_on_a_new_connection() {
    for method in ["GET", "HEAD", "OPTIONS"] {
        let last = match method {
            "HEAD" => Step::Send("HTTP/1.1 200 OK\r\n\r\n"),
            _ => OK,
        };
        let script = Script::new(&[&[OK, Step::Close("")], &[last]]);
        let proxy = script.proxy();
        assert_eq!(forward(&proxy, request("GET", "")).await, Ok(200));
        assert_eq!(
            forward(&proxy, request(method, "")).await,
            Ok(200),
            "{method}"
        );
        assert_eq!(script.used(), [0, 0, 1], "{method}");
        let seen = script.seen.lock().unwrap();
        assert!(
            seen[1]
                .1
                .starts_with(&format!("{method} /x?a=b HTTP/1.1\r\n"))
        );
        assert_eq!(seen[1].1, seen[2].1);
    }
}

#[tokio::test(start_paused = true)]
async fn no_other_request_is_sent_twice() {
    let requests = [
        ("POST", ""),
        ("POST", "hi"),
        ("PUT", ""),
        ("DELETE", ""),
        ("PATCH", ""),
        ("PROPFIND", ""),
        ("get", ""),
        ("GET", "hi"),
        ("OPTIONS", "hi"),
    ];
    for (method, body) in requests {
        let script = Script::new(&[&[OK, Step::Close("")], &[OK]]);
        let proxy = script.proxy();
        assert_eq!(forward(&proxy, request("GET", "")).await, Ok(200));
        let answer = forward(&proxy, request(method, body)).await;
        assert_eq!(answer, Err(Error::Broken), "{method} {body}");
        assert_eq!(script.used(), [0, 0], "{method} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_not_repeated_after_a_byte_of_a_response() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    for (step, error) in [
        (Step::Close("H"), Error::Broken),
        (Step::Close(interim), Error::Broken),
        (Step::Close("?"), Error::Malformed),
    ] {
        let script = Script::new(&[&[OK, step], &[OK]]);
        let proxy = script.proxy();
        assert_eq!(forward(&proxy, request("GET", "")).await, Ok(200));
        let answer = forward(&proxy, request("GET", "")).await;
        assert_eq!(answer, Err(error), "{step:?}");
        assert_eq!(script.used(), [0, 0], "{step:?}");
    }
}

/// A request that breaks a new connection may break each.
#[tokio::test(start_paused = true)]
async fn a_new_connection_that_closes_is_a_failure() {
    let script = Script::new(&[&[Step::Close("")], &[OK]]);
    let answer = forward(&script.proxy(), request("GET", "")).await;
    assert_eq!((answer, script.used()), (Err(Error::Broken), vec![0]));
    let closing: &[Step] = &[OK, Step::Close("")];
    let script = Script::new(&[closing, &[Step::Close("")], &[OK]]);
    let proxy = script.proxy();
    assert_eq!(forward(&proxy, request("GET", "")).await, Ok(200));
    let answer = forward(&proxy, request("GET", "")).await;
    assert_eq!((answer, script.used()), (Err(Error::Broken), vec![0, 0, 1]));
}

/// They may have been closed as well.
#[tokio::test(start_paused = true)]
async fn other_kept_connections_are_not_used_for_the_repetition() {
    let closing: &[Step] = &[OK, Step::Close("")];
    let script = Script::new(&[closing, closing, closing, &[OK]]);
    let proxy = script.proxy();
    let first = || forward(&proxy, request("GET", ""));
    assert_eq!(
        tokio::join!(first(), first(), first()),
        (Ok(200), Ok(200), Ok(200))
    );
    assert_eq!(forward(&proxy, request("GET", "")).await, Ok(200));
    assert_eq!(script.used().len(), 5);
    assert_eq!(script.used().last(), Some(&3));
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_not_a_closed_one() {
    let script = Script::new(&[&[OK, Step::Hang], &[OK]]);
    let proxy = script.proxy();
    assert_eq!(forward(&proxy, request("GET", "")).await, Ok(200));
    assert_eq!(
        forward(&proxy, request("GET", "")).await,
        Err(Error::Silent)
    );
    assert_eq!(script.used(), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_repetition_has_the_limits_of_a_request() {
    let script = Script::new(&[&[OK, Step::Close("")], &[Step::Hang]]);
    let proxy = script.proxy();
    assert_eq!(forward(&proxy, request("GET", "")).await, Ok(200));
    let begun = Instant::now();
    assert_eq!(
        forward(&proxy, request("GET", "")).await,
        Err(Error::Silent)
    );
    assert!(begun.elapsed() <= IDLE_TIMEOUT + Duration::from_secs(1));
    assert_eq!(script.used(), [0, 0, 1]);
    // No second connection: not "nothing was sent".
    let script = Script::new(&[&[OK, Step::Close("")]]);
    let proxy = script.proxy();
    assert_eq!(forward(&proxy, request("GET", "")).await, Ok(200));
    assert_eq!(
        forward(&proxy, request("GET", "")).await,
        Err(Error::Broken)
    );
    assert_eq!(script.used(), [0, 0]);
}

/// A fallback that closes each connection when it receives the second request on it.
async fn closing(after: Close) -> Fallback {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = socket.local_addr().unwrap().to_string();
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&seen);
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let answers = [super::FALLBACK_RESPONSE, ""];
                for answer in answers {
                    let request = read(&mut stream).await;
                    if request.is_empty() {
                        return;
                    }
                    log.lock().unwrap().push(request);
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                if let Close::Reset = after {
                    stream.set_zero_linger().unwrap();
                }
            });
        }
    });
    Fallback {
        authority,
        seen,
        connections: Arc::default(),
        task,
    }
}

#[derive(Clone, Copy, Debug)]
enum Close {
    Gracefully,
    Reset,
}

#[tokio::test]
async fn a_client_sees_no_failure_of_a_safe_request() {
    for close in [Close::Gracefully, Close::Reset] {
        let fallback = closing(close).await;
        let scene = Scene::with(Setup::default(), confirming().await, fallback, "").await;
        let mut client = scene.connect().await;
        let mut ask = async |method: &str| {
            let request = format!("{method} /x HTTP/1.1\r\nHost: g\r\n\r\n");
            client.write_all(&bytes(&request)).await.unwrap();
            Reply::read(&mut client).await
        };
        for _ in 0..20 {
            assert_eq!(ask("GET").await.status, 299, "{close:?}");
        }
        // Every other one met a kept connection.
        assert_eq!(scene.fallback.seen().len(), 30, "{close:?}");
        assert_eq!(ask("GET").await.status, 299);
        let answer = ask("POST").await;
        answer.assert_failure(502, "BAD_GATEWAY");
        let seen = scene.fallback.seen();
        let posts = seen.iter().filter(|it| it.starts_with("POST ")).count();
        assert_eq!(posts, 1, "{close:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_repetition() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let setup = Setup {
        fallback: format!("base_url = \"http://{}\"", socket.local_addr().unwrap()),
        ..Setup::default()
    };
    let gateway = setup.start("http://127.0.0.1:1").await;
    let mut client = TcpStream::connect(gateway.address).await.unwrap();
    let request = b"GET /x HTTP/1.1\r\nHost: g\r\n\r\n";
    client.write_all(request).await.unwrap();
    let (mut kept, _) = soon(socket.accept()).await.unwrap();
    soon(read(&mut kept)).await;
    kept.write_all(super::FALLBACK_RESPONSE.as_bytes())
        .await
        .unwrap();
    Reply::read(&mut client).await;
    client.write_all(request).await.unwrap();
    soon(read(&mut kept)).await;
    drop(kept);
    let (mut second, _) = soon(socket.accept()).await.unwrap();
    assert!(soon(read(&mut second)).await.starts_with("GET /x "));
    drop(client);
    assert_eq!(soon(read(&mut second)).await, "");
}
