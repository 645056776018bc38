//! `report`: the calls that a running gateway has forwarded to the fallback, and its exit codes.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::{
    harness::{Setup, Upstream, answers, photo, post, soon},
    process::{Ended, Process, file, program, send},
};

async fn report(admin: SocketAddr, more: &[&str]) -> Ended {
    let file = file(&format!("[admin]\nlisten = \"{admin}\"\n"));
    let mut command = program(["report"]);
    command.args(more).arg("--config").arg(file.path());
    Process::start(&mut command).ended().await
}

/// A gateway after calls of which four go to the fallback, and its admin listener.
async fn gateway(fallback: &Upstream) -> (Process, SocketAddr) {
    let ryze = Upstream::start(crate::harness::confirms(
        r#"{"visibility":{"profile":"all"}}"#,
    ))
    .await;
    let setup = Setup {
        fallback: format!("base_url = \"{}\"", fallback.base_url),
        ..Setup::default()
    };
    let (mut gateway, address) = Process::serve(&setup.toml(&ryze.base_url)).await;
    let admin = gateway.admin_address().await;
    for call in [
        photo("ALL"),
        photo("ALL").replace("I1", "planted"),
        post("/instances/I1/token/T1/send-text?planted", "{}"),
        post("/instances/planted/token/planted/send-text", "{}"),
        post("/instances/I1/token/T1/planted", "{}"),
    ] {
        assert_eq!(send(address, call).await.status, 200);
    }
    // A client may have its response before its call is counted.
    let counted = async {
        loop {
            let ended = report(admin, &["--json"]).await;
            let report: Value = serde_json::from_str(&ended.stdout).unwrap();
            let calls = report["forwarded"]["calls"].as_array().unwrap().iter();
            if calls.filter_map(|call| call["total"].as_u64()).sum::<u64>() == 4 {
                return;
            }
        }
    };
    soon(counted).await;
    (gateway, admin)
}

#[tokio::test]
async fn the_calls_to_the_fallback_are_listed_and_the_most_frequent_is_first() {
    let fallback = Upstream::start(answers(200, "{}")).await;
    let (_gateway, admin) = gateway(&fallback).await;
    let ended = report(admin, &["--json"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(!ended.stdout.contains("planted"), "{}", ended.stdout);
    let mut report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert!(report["uptime_seconds"].is_u64());
    for call in report["forwarded"]["calls"].as_array_mut().unwrap() {
        assert!(call["seconds_ago"].take().is_u64());
    }
    let call = |route: &str, total: u64| {
        json!({
            "method": "POST", "route": route, "total": total,
            "statuses": { "2xx": total }, "seconds_ago": null,
        })
    };
    let expected = json!({
        "base_url": format!("{}/", fallback.base_url),
        "calls": [
            call("/instances/{id}/token/{token}/send-text", 2),
            call("/instances/{id}/token/{token}/privacy/photo", 1),
            call("other", 1),
        ],
    });
    assert_eq!(report["forwarded"], expected);

    let ended = self::report(admin, &[]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let mut lines = ended.stdout.lines().map(|line| {
        let (words, _) = line.split_once("  0 s ago").unwrap_or((line, ""));
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    let head = format!("4 calls to {}/ since the start, ", fallback.base_url);
    assert!(lines.next().unwrap().starts_with(&head));
    let table: Vec<_> = lines.take(5).collect();
    let of = |line: &str| table.iter().filter(|it| it.starts_with(line)).count();
    assert_eq!(table[..2], ["", "calls method path 2xx last"]);
    for line in [
        "2 POST /send-text 2",
        "1 POST /privacy/photo 1",
        "1 POST other 1",
    ] {
        assert_eq!(of(line), 1, "{table:?}");
    }
}

#[tokio::test]
async fn a_gateway_without_a_fallback_says_so() {
    let (mut gateway, _) = Process::serve(&Setup::default().toml("http://127.0.0.1:9")).await;
    let admin = gateway.admin_address().await;
    let ended = report(admin, &[]).await;
    let text =
        "There is no [fallback]: the gateway rejects the calls that it does not translate.\n";
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), text));
}

#[tokio::test]
async fn without_a_gateway_or_a_file_there_is_no_report() {
    // A bound socket reserves the port, and connections to it are refused.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let admin = socket.local_addr().unwrap();
    let ended = report(admin, &[]).await;
    let error = format!("error: http://{admin}/status did not answer: ");
    assert!(ended.stderr.starts_with(&error), "{}", ended.stderr);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));

    let other = Upstream::start(answers(200, "{\"version\":\"0.0.1\"}")).await;
    let admin = other.base_url.replace("http://", "").parse().unwrap();
    let ended = report(admin, &[]).await;
    let error =
        format!("error: http://{admin}/status is not the status of a gateway of this version\n");
    assert_eq!((ended.code, ended.stderr), (Some(1), error));

    let ended = Process::start(&mut program([
        "report",
        "--config",
        "/nowhere/gateway.toml",
    ]));
    assert_eq!(ended.ended().await.code, Some(64));
}
