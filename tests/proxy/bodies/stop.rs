//! Shutdown while bodies are in flight.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{End, FRAMINGS, GET, NOWHERE, setup};
use crate::{
    harness::{Reply, soon},
    process::Process,
};

struct Stopping {
    gateway: Process,
    address: SocketAddr,
    fallback: TcpListener,
}

impl Stopping {
    async fn start(server: &'static str) -> Self {
        let fallback = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let setup = setup(server, &fallback, "");
        let (gateway, address) = Process::serve(&setup.toml(NOWHERE)).await;
        Self {
            gateway,
            address,
            fallback,
        }
    }

    /// A client and the fallback that received its request.
    async fn asked(&self, request: &str) -> (End, End) {
        let mut client = End(TcpStream::connect(self.address).await.unwrap());
        client.send(request).await;
        let mut fallback = End(soon(self.fallback.accept()).await.unwrap().0);
        fallback.head().await;
        (client, fallback)
    }

    /// Signals the process and waits until it has begun to shut down.
    async fn stop(&self) {
        self.gateway.signal("TERM");
        soon(async { while TcpStream::connect(self.address).await.is_ok() {} }).await;
    }
}

#[tokio::test]
async fn bodies_in_flight_are_finished() {
    let stopping = Stopping::start("").await;
    let [length, chunked] = FRAMINGS;
    let (mut client, mut fallback) = stopping.asked(GET).await;
    fallback.send(chunked.answer() + chunked.pieces[0]).await;
    assert_eq!(client.answer().await.status, 200);
    client.receives(chunked.pieces[0]).await;
    let (mut uploading, mut reading) = stopping.asked(&length.request("POST")).await;
    uploading.send(length.pieces[0]).await;
    reading.receives(length.pieces[0]).await;
    stopping.stop().await;
    fallback.send(chunked.pieces[1]).await;
    client.receives(chunked.pieces[1]).await;
    assert_eq!(client.rest().await, (String::new(), true));
    uploading.send(length.pieces[1]).await;
    reading.receives(length.pieces[1]).await;
    reading
        .send(length.answer() + &length.pieces.concat())
        .await;
    assert_eq!(Reply::read(&mut uploading.0).await.status, 200);
    assert_eq!(stopping.gateway.ended().await.code, Some(0));
}

#[tokio::test]
async fn the_drain_limit_aborts_bodies_in_flight() {
    let stopping = Stopping::start("[server.drain]\nlimit = \"300ms\"").await;
    let [length, _] = FRAMINGS;
    let (mut client, mut fallback) = stopping.asked(GET).await;
    fallback.send(length.answer() + length.pieces[0]).await;
    assert_eq!(client.answer().await.status, 200);
    client.receives(length.pieces[0]).await;
    let (mut unanswered, _unanswering) = stopping.asked(GET).await;
    let (mut uploading, mut reading) = stopping.asked(&length.request("POST")).await;
    stopping.stop().await;
    for client in [&mut unanswered, &mut uploading] {
        let answer = Reply::read(&mut client.0).await;
        answer.assert_failure(504, "GATEWAY_TIMEOUT");
        assert!(
            answer
                .text("message")
                .contains("the fallback has not answered")
        );
    }
    reading.ends().await;
    client.ends().await;
    fallback.ends().await;
    assert_eq!(stopping.gateway.ended().await.code, Some(1));
}

#[tokio::test]
async fn after_a_body_that_ends_late_one_more_request_is_answered() {
    let stopping = Stopping::start("").await;
    let [_, chunked] = FRAMINGS;
    let (mut client, mut fallback) = stopping.asked(GET).await;
    fallback.send(chunked.answer() + chunked.pieces[0]).await;
    assert_eq!(client.answer().await.status, 200);
    client.receives(chunked.pieces[0]).await;
    stopping.stop().await;
    // Longer than an idle connection is kept open after the signal.
    sleep(Duration::from_millis(400)).await;
    fallback.send(chunked.pieces[1]).await;
    client.receives(chunked.pieces[1]).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    let answer = Reply::read(&mut client.0).await;
    answer.assert_failure(400, "BAD_REQUEST");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(stopping.gateway.ended().await.code, Some(0));
}
