//! The place of a change of a list among the calls to Ryze, over sockets and across a reload. Everything
//! else of that order is in `queue/turn` and in the simulation.

use std::time::Duration;

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::{MADE, POLICY, photo_list};
use crate::{
    harness::{Message, Reply, Setup, confirmation, photo, soon},
    operator::Operated,
};

/// A gateway whose two upstreams are played by the test.
struct Both {
    operated: Operated,
    ryze: TcpListener,
    fallback: TcpListener,
}

fn url(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().unwrap())
}

fn configuration(ryze: &TcpListener, fallback: &TcpListener, policy: &'static str) -> String {
    let setup = Setup {
        policy,
        fallback: format!("base_url = \"{}\"", url(fallback)),
        ..Setup::default()
    };
    setup.toml(&url(ryze))
}

impl Both {
    async fn start() -> Self {
        let ryze = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fallback = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let configuration = configuration(&ryze, &fallback, POLICY);
        Self {
            operated: Operated::start(&configuration).await,
            ryze,
            fallback,
        }
    }

    /// Sends a call, and returns when so many calls of the instance are queued.
    async fn client(&self, request: &str, waiting: u64) -> TcpStream {
        let mut client = TcpStream::connect(self.operated.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let queued =
            async { while self.operated.status().await["instances"][0]["waiting"] != waiting {} };
        soon(queued).await;
        client
    }
}

/// The next connection, and the call that came on it.
async fn received(listener: &TcpListener) -> (TcpStream, Message) {
    let mut stream = soon(listener.accept()).await.unwrap().0;
    let call = soon(Message::read(&mut stream)).await.unwrap();
    (stream, call)
}

async fn hears_nothing(listener: &TcpListener) {
    let heard = timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(heard.is_err());
}

async fn answer(stream: &mut TcpStream, bytes: &str) {
    stream.write_all(bytes.as_bytes()).await.unwrap();
}

async fn is_success(mut client: TcpStream) -> bool {
    soon(Reply::read(&mut client)).await.is_success()
}

#[tokio::test]
async fn both_upstreams_get_the_changes_of_an_instance_in_their_order() {
    let both = Both::start().await;
    let before = both.client(&photo("NONE"), 0).await;
    let (mut ryze, _) = received(&both.ryze).await;
    let list = both.client(&photo_list(), 1).await;
    let behind = both.client(&photo("ALL"), 2).await;
    hears_nothing(&both.fallback).await;
    answer(
        &mut ryze,
        &confirmation(r#"{"visibility":{"profile":"none"}}"#),
    )
    .await;
    assert!(is_success(before).await);
    let (mut fallback, call) = received(&both.fallback).await;
    assert!(call.body.contains("contactsBlacklist"), "{call:?}");
    sleep(Duration::from_millis(100)).await;
    assert!(
        timeout(Duration::ZERO, Message::read(&mut ryze))
            .await
            .is_err()
    );
    answer(&mut fallback, MADE).await;
    assert!(is_success(list).await);
    let call = soon(Message::read(&mut ryze)).await.unwrap();
    assert_eq!(call.body, r#"{"visibility":{"profile":"all"}}"#);
    answer(&mut ryze, &confirmation(&call.body)).await;
    assert!(is_success(behind).await);
}

/// A call keeps the policy and the fallback of the moment in which it came, and its place.
#[tokio::test]
async fn a_reload_replaces_policy_and_fallback_for_the_next_call() {
    let both = Both::start().await;
    let before = both.client(&photo("NONE"), 0).await;
    let (mut ryze, _) = received(&both.ryze).await;
    let list = both.client(&photo_list(), 1).await;
    let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refuse = configuration(&both.ryze, &second, "").replace("ryze-secret", "another-secret");
    both.operated.reload(&refuse).await;
    assert_eq!(both.operated.send(photo_list()).await.status, 422);
    answer(
        &mut ryze,
        &confirmation(r#"{"visibility":{"profile":"none"}}"#),
    )
    .await;
    assert!(is_success(before).await);
    let (mut fallback, _) = received(&both.fallback).await;
    // Another reload while it is in flight.
    let again = configuration(&both.ryze, &second, POLICY);
    both.operated.reload(&again).await;
    let next = both.client(&photo_list(), 1).await;
    hears_nothing(&second).await;
    answer(&mut fallback, MADE).await;
    assert!(is_success(list).await);
    let (mut fallback, _) = received(&second).await;
    answer(&mut fallback, MADE).await;
    assert!(is_success(next).await);
}

/// Without a fallback there is nothing that could carry it out.
#[tokio::test]
async fn a_reload_without_the_fallback_is_refused_as_long_as_the_policy_names_it() {
    let both = Both::start().await;
    let without = Setup {
        policy: POLICY,
        ..Setup::default()
    };
    both.operated.reload(&without.toml(&url(&both.ryze))).await;
    let configuration = &both.operated.status().await["configuration"];
    assert_eq!(configuration["reloads_refused"], 1);
    let list = both.client(&photo_list(), 0).await;
    let (mut fallback, _) = received(&both.fallback).await;
    answer(&mut fallback, MADE).await;
    assert!(is_success(list).await);
}
