//! How the process stops while bodies are under way.

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
    vendor: TcpListener,
}

impl Stopping {
    async fn start(server: &'static str) -> Self {
        let vendor = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let setup = setup(server, &vendor, "");
        let (gateway, address) = Process::serve(&setup.toml(NOWHERE)).await;
        Self {
            gateway,
            address,
            vendor,
        }
    }

    /// A caller and the vendor that has its request.
    async fn asked(&self, request: &str) -> (End, End) {
        let mut caller = End(TcpStream::connect(self.address).await.unwrap());
        caller.send(request).await;
        let mut vendor = End(soon(self.vendor.accept()).await.unwrap().0);
        vendor.head().await;
        (caller, vendor)
    }

    /// Tells it to stop, and waits until it does.
    async fn stop(&self) {
        self.gateway.signal("TERM");
        soon(async { while TcpStream::connect(self.address).await.is_ok() {} }).await;
    }
}

#[tokio::test]
async fn bodies_that_are_under_way_are_finished() {
    let stopping = Stopping::start("").await;
    let [length, chunked] = FRAMINGS;
    let (mut caller, mut vendor) = stopping.asked(GET).await;
    vendor.send(chunked.answer() + chunked.pieces[0]).await;
    assert_eq!(caller.answer().await.status, 200);
    caller.receives(chunked.pieces[0]).await;
    let (mut uploading, mut reading) = stopping.asked(&length.request("POST")).await;
    uploading.send(length.pieces[0]).await;
    reading.receives(length.pieces[0]).await;
    stopping.stop().await;
    vendor.send(chunked.pieces[1]).await;
    caller.receives(chunked.pieces[1]).await;
    assert_eq!(caller.rest().await, (String::new(), true));
    uploading.send(length.pieces[1]).await;
    reading.receives(length.pieces[1]).await;
    reading
        .send(length.answer() + &length.pieces.concat())
        .await;
    assert_eq!(Reply::read(&mut uploading.0).await.status, 200);
    assert_eq!(stopping.gateway.ended().await.code, Some(0));
}

#[tokio::test]
async fn the_limit_cuts_what_is_under_way() {
    let stopping = Stopping::start("[server.drain]\nlimit = \"300ms\"").await;
    let [length, _] = FRAMINGS;
    let (mut caller, mut vendor) = stopping.asked(GET).await;
    vendor.send(length.answer() + length.pieces[0]).await;
    assert_eq!(caller.answer().await.status, 200);
    caller.receives(length.pieces[0]).await;
    let (mut unanswered, _unanswering) = stopping.asked(GET).await;
    let (mut uploading, mut reading) = stopping.asked(&length.request("POST")).await;
    stopping.stop().await;
    for told in [&mut unanswered, &mut uploading] {
        let answer = Reply::read(&mut told.0).await;
        answer.assert_failure(504, "GATEWAY_TIMEOUT");
        assert!(
            answer
                .text("message")
                .contains("the fallback has not answered")
        );
    }
    reading.ends().await;
    caller.ends().await;
    vendor.ends().await;
    assert_eq!(stopping.gateway.ended().await.code, Some(1));
}

#[tokio::test]
async fn after_a_body_that_ends_late_one_more_request_is_answered() {
    let stopping = Stopping::start("").await;
    let [_, chunked] = FRAMINGS;
    let (mut caller, mut vendor) = stopping.asked(GET).await;
    vendor.send(chunked.answer() + chunked.pieces[0]).await;
    assert_eq!(caller.answer().await.status, 200);
    caller.receives(chunked.pieces[0]).await;
    stopping.stop().await;
    // Longer than a connection without a request is kept after a stop.
    sleep(Duration::from_millis(400)).await;
    vendor.send(chunked.pieces[1]).await;
    caller.receives(chunked.pieces[1]).await;
    caller.send("GET / HTTP/1.1\r\n\r\n").await;
    let answer = Reply::read(&mut caller.0).await;
    answer.assert_failure(400, "BAD_REQUEST");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(stopping.gateway.ended().await.code, Some(0));
}
