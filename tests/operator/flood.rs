//! Connections over the limit: the admin listener has a limit of its own, and the log names the full
//! one. The responses to clients are in `limits.rs`.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::Operated;
use crate::harness::{Reply, Setup, soon};

/// A gateway with room for one caller, who may be silent.
async fn start() -> Operated {
    let setup = Setup {
        server: "max_connections = 1\nheader_timeout = \"1h\"\nidle_timeout = \"1h\"",
        ..Setup::default()
    };
    Operated::start(&setup.toml("http://127.0.0.1:9")).await
}

#[tokio::test]
async fn a_full_admin_listener_has_a_probe_wait_and_does_not_turn_it_away() {
    let operated = start().await;
    let begun = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..32 {
        silent.push(TcpStream::connect(operated.admin).await.unwrap());
    }
    assert_eq!(operated.get("/ready").await.status, 200);
    assert!(begun.elapsed() >= Duration::from_secs(1), "it has no limit");
    for connection in &mut silent {
        assert!(matches!(soon(connection.read(&mut [0])).await, Ok(0)));
    }
    let mut kept = TcpStream::connect(operated.admin).await.unwrap();
    let live = format!("GET /live HTTP/1.1\r\nHost: {}\r\n\r\n", operated.admin);
    kept.write_all(live.as_bytes()).await.unwrap();
    assert_eq!(Reply::read(&mut kept).await.status, 200);
    assert!(matches!(soon(kept.read(&mut [0])).await, Ok(0)));
}

#[tokio::test]
async fn the_log_tells_which_listener_turned_somebody_away() {
    let mut operated = start().await;
    let _silent = TcpStream::connect(operated.address).await.unwrap();
    let call = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(operated.send(call).await.status, 503);
    let line = operated.gateway.stderr.line("is turned away").await;
    assert!(line.contains("\"listener\":\"server\""), "{line}");
}
