//! SIGHUP between `observe` and `translate`, with calls in flight: each ends where it began.

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

use crate::{
    harness::{Message, Reply, Setup, Step, Upstream, confirmation, confirms, photo, soon},
    operator::Operated,
};

const CONFIRMED: &str = r#"{"visibility":{"profile":"all"}}"#;
const VENDOR: &str = "HTTP/1.1 299 Vendor\r\nContent-Length: 2\r\n\r\n{}";

fn toml(mode: &'static str, ryze: &str, fallback: &str) -> String {
    let setup = Setup {
        instance: mode,
        fallback: format!("base_url = \"{fallback}\""),
        ..Setup::default()
    };
    setup.toml(ryze)
}

/// A listener that the test plays, and its base URL.
async fn listener() -> (TcpListener, String) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", socket.local_addr().unwrap());
    (socket, base_url)
}

async fn begin(operated: &Operated) -> TcpStream {
    let mut client = TcpStream::connect(operated.address).await.unwrap();
    client.write_all(photo("ALL").as_bytes()).await.unwrap();
    client
}

#[tokio::test]
async fn from_observe_to_translate() {
    let ryze = Upstream::start(confirms(CONFIRMED)).await;
    let (fallback, base_url) = listener().await;
    let observe = toml("mode = \"observe\"", &ryze.base_url, &base_url);
    let operated = Operated::start(&observe).await;
    let mut first = begin(&operated).await;
    let (mut at_fallback, _) = soon(fallback.accept()).await.unwrap();
    soon(Message::read(&mut at_fallback)).await.unwrap();

    let translate = toml("mode = \"translate\"", &ryze.base_url, &base_url);
    operated.reload(&translate).await;
    assert!(operated.send(photo("ALL")).await.is_success());
    assert_eq!(ryze.calls(), [CONFIRMED]);

    at_fallback.write_all(VENDOR.as_bytes()).await.unwrap();
    assert_eq!(Reply::read(&mut first).await.status, 299);
    assert_eq!(ryze.calls().len(), 1);
    let instance = operated.status().await["instances"][0].take();
    assert_eq!(
        [&instance["mode"], &instance["outcome"]],
        ["translate", "confirmed"]
    );
    // The counts survive both reloads.
    operated.reload(&observe).await;
    let observed = operated.status().await["instances"][0]["observed"].take();
    assert_eq!(observed["translated"], 1);
}

#[tokio::test]
async fn from_translate_to_observe() {
    let (ryze, ryze_url) = listener().await;
    let fallback = Upstream::start(Step::Send(VENDOR.to_owned())).await;
    let translate = toml("", &ryze_url, &fallback.base_url);
    let operated = Operated::start(&translate).await;
    let mut first = begin(&operated).await;
    let (mut at_ryze, _) = soon(ryze.accept()).await.unwrap();
    soon(Message::read(&mut at_ryze)).await.unwrap();
    let mut queued = begin(&operated).await;
    let is_queued = async || operated.status().await["instances"][0]["waiting"] == 1;
    soon(async { while !is_queued().await {} }).await;

    let observe = toml("mode = \"observe\"", &ryze_url, &fallback.base_url);
    operated.reload(&observe).await;
    assert_eq!(operated.send(photo("ALL")).await.status, 299);

    let confirmed = confirmation(CONFIRMED);
    at_ryze.write_all(confirmed.as_bytes()).await.unwrap();
    assert!(Reply::read(&mut first).await.is_success());
    soon(Message::read(&mut at_ryze)).await.unwrap();
    at_ryze.write_all(confirmed.as_bytes()).await.unwrap();
    assert!(Reply::read(&mut queued).await.is_success());
    assert_eq!(fallback.seen().len(), 1);
}
