//! Busy clients while the configuration is reloaded ten times and the gateway shuts down: no call is
//! lost. A client may get `Connection: close`, or be refused a new connection.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};

use super::Operated;
use crate::harness::{Reply, Setup, Upstream, confirms, photo, soon};
use crate::process::request_lines;

const CALLERS: usize = 24;
const RELOADS: usize = 10;

/// How the calls went.
#[derive(Default)]
struct Calls {
    under_way: AtomicUsize,
    confirmed: AtomicUsize,
    /// With what was answered in place of a success, or nothing.
    lost: std::sync::Mutex<Vec<String>>,
}

/// Calls on one connection after the other until no connection is to be had.
async fn call_on(address: SocketAddr, calls: Arc<Calls>) {
    while let Ok(mut caller) = TcpStream::connect(address).await {
        loop {
            calls.under_way.fetch_add(1, Ordering::Relaxed);
            let sent = caller.write_all(photo("ALL").as_bytes()).await;
            let reply = Reply::read_or_end(&mut caller).await;
            calls.under_way.fetch_sub(1, Ordering::Relaxed);
            match reply {
                Some(reply) if reply.is_success() => {
                    calls.confirmed.fetch_add(1, Ordering::Relaxed);
                    if reply.header("connection") == Some("close") {
                        break;
                    }
                }
                reply => {
                    let told = reply.map(|reply| reply.message);
                    calls
                        .lost
                        .lock()
                        .unwrap()
                        .push(format!("{sent:?} {told:?}"));
                    return;
                }
            }
        }
    }
}

#[tokio::test]
async fn no_call_is_lost_in_ten_reloads_and_a_drain() {
    let upstream = Upstream::start(confirms(r#"{"visibility":{"profile":"all"}}"#)).await;
    let setup = Setup {
        budget: "requests_per_minute = 1000000\nburst = 1000000",
        ..Setup::default()
    };
    let one = setup.toml(&upstream.base_url);
    let other = one.clone()
        + "[[instances]]\nzapi_instance = \"I2\"\nzapi_token = \"T2\"\nryze_instance = \"other\"\n\
           ryze_token = \"t2\"\n";
    let operated = Operated::start(&one).await;
    let calls = Arc::<Calls>::default();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(call_on(operated.address, Arc::clone(&calls)));
    }
    let mut under_way = Vec::new();
    for number in 0..RELOADS {
        let confirmed = calls.confirmed.load(Ordering::Relaxed);
        under_way.push(calls.under_way.load(Ordering::Relaxed));
        operated
            .reload(if number % 2 == 0 { &other } else { &one })
            .await;
        // The callers go on between two reloads.
        soon(async {
            while calls.confirmed.load(Ordering::Relaxed) < confirmed + CALLERS {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let applied = operated.status().await["configuration"]["reloads_applied"].clone();
    assert_eq!(applied, RELOADS);
    under_way.push(calls.under_way.load(Ordering::Relaxed));
    operated.gateway.signal("TERM");
    soon(callers.join_all()).await;
    let lost = calls.lost.lock().unwrap().clone();
    let confirmed = calls.confirmed.load(Ordering::Relaxed);
    println!(
        "{confirmed} calls, under way at the signals: {under_way:?}, lost: {}",
        lost.len()
    );
    assert!(lost.is_empty(), "{lost:?}");
    let ended = operated.gateway.ended().await;
    assert_eq!(ended.code, Some(0));
    let lines = request_lines(&ended.stderr);
    assert_eq!(lines.len(), confirmed, "each has its line in the log");
}
