//! Bodies are streamed: memory does not grow with their size.

use std::{fs, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::sleep,
};

use super::{End, NOWHERE, setup};
use crate::{harness::soon, process::Process};

const MIB: usize = 1 << 20;
const SIZE: usize = 256 * MIB;
/// Limit of the process's resident memory; a debug build needs half of it.
const CEILING: usize = 24 * MIB;
const QUICK: Duration = Duration::ZERO;
const SLOW: Duration = Duration::from_millis(5);

/// Peak resident memory of a process, in bytes.
fn peak(id: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

async fn send(mut to: WriteHalf<'_>) {
    let block = vec![b'x'; MIB];
    for _ in 0..SIZE / MIB {
        soon(to.write_all(&block)).await.unwrap();
    }
}

/// Reads the whole body and pauses after each piece.
async fn receive(mut from: ReadHalf<'_>, pause: Duration) {
    let mut block = vec![0; MIB];
    for _ in 0..SIZE / MIB {
        soon(from.read_exact(&mut block)).await.unwrap();
        sleep(pause).await;
    }
}

#[tokio::test]
async fn large_bodies_both_ways_at_once_with_a_slow_reader() {
    if !Path::new("/proc/self/status").exists() {
        eprintln!("skipped: without /proc there is no telling what a process holds");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let setup = setup("", &listener, "");
    let (gateway, address) = Process::serve(&setup.toml(NOWHERE)).await;
    for (at_fallback, at_client) in [(QUICK, SLOW), (SLOW, QUICK)] {
        let mut client = End(TcpStream::connect(address).await.unwrap());
        let request = "POST /media HTTP/1.1\r\nHost: gateway\r\nContent-Length: ";
        client.send(format!("{request}{SIZE}\r\n\r\n")).await;
        let mut fallback = End(soon(listener.accept()).await.unwrap().0);
        fallback.head().await;
        // If the response ended first, it would end the request too.
        let length = SIZE + 1;
        fallback
            .send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            ))
            .await;
        assert_eq!(client.answer().await.status, 200);
        let (down, up) = client.0.split();
        let (from_caller, to_caller) = fallback.0.split();
        tokio::join!(
            send(up),
            receive(from_caller, at_fallback),
            send(to_caller),
            receive(down, at_client),
        );
    }
    let peak = peak(gateway.id());
    assert!(peak < CEILING, "it held {} MiB", peak / MIB);
}
