//! Log entries of forwarded requests: neither path nor token nor phone number is logged.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{After, Fallback, bytes};
use crate::{
    harness::Setup,
    process::{Process, request_lines, send},
};

/// Occurs in no other text.
const PLANTED: &str = "planted5544990001111";

#[tokio::test]
async fn a_request_is_logged_by_its_route_template() {
    let answer = format!(
        "HTTP/1.1 299 {PLANTED}\r\nX-Echo: {PLANTED}\r\nContent-Length: 20\r\n\r\n{PLANTED}"
    );
    let rows = [
        ("/send-text", "/instances/{id}/token/{token}/send-text"),
        ("/send-text/5544990001111", "other"),
        (
            "/privacy/photo",
            "/instances/{id}/token/{token}/privacy/photo",
        ),
        (
            "/privacy/messages-duration",
            "/instances/{id}/token/{token}/privacy/messages-duration",
        ),
    ];
    let broken = format!("HTTP/1.1 200 OK\r\nX {PLANTED}\r\n\r\n");
    let refused = format!("{PLANTED}\r\n\r\n");
    for (answer, status) in [(answer, 299), (broken, 502), (refused, 502)] {
        let fallback = Fallback::start(&answer, After::Close).await;
        let setup = Setup {
            fallback: format!("base_url = \"http://{}/{PLANTED}\"", fallback.authority),
            server: "[log]\nlevel = \"trace\"",
            ..Setup::default()
        };
        let (gateway, address) = Process::serve(&setup.toml("http://127.0.0.1:1")).await;
        for (below, _) in rows {
            let request = format!(
                "POST /instances/{PLANTED}/token/{PLANTED}{below}?phone={PLANTED} HTTP/1.1\r\n\
                 Host: {PLANTED}\r\nClient-Token: {PLANTED}\r\nContent-Length: 20\r\n\r\n{PLANTED}"
            );
            assert_eq!(send(address, bytes(&request)).await.status, status);
        }
        gateway.signal("TERM");
        let ended = gateway.ended().await;
        assert_eq!(ended.code, Some(0));
        assert!(!ended.stderr.contains(PLANTED), "{}", ended.stderr);
        let entries: Vec<Value> = request_lines(&ended.stderr)
            .into_iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(entries.len(), rows.len(), "{}", ended.stderr);
        for (line, (_, route)) in entries.iter().zip(rows) {
            let fields = ["route", "instance", "status", "ended_by"].map(|key| &line[key]);
            assert_eq!(
                fields,
                [
                    &json!(route),
                    &json!(""),
                    &json!(status),
                    &json!("fallback")
                ]
            );
        }
    }
}

/// Its `Content-Length` is that of another response.
#[tokio::test]
async fn a_response_without_a_body_is_whole_whatever_its_length_says() {
    for answer in ["204 No Content", "304 Not Modified\r\nContent-Length: 20"] {
        let answer = format!("HTTP/1.1 {answer}\r\n\r\n");
        let fallback = Fallback::start(&answer, After::Close).await;
        let setup = Setup {
            fallback: format!("base_url = \"http://{}\"", fallback.authority),
            ..Setup::default()
        };
        let (gateway, address) = Process::serve(&setup.toml("http://127.0.0.1:1")).await;
        let request = "GET /x HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n";
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client.read_to_end(&mut Vec::new()).await.unwrap();
        gateway.signal("TERM");
        let ended = gateway.ended().await;
        let lines = request_lines(&ended.stderr);
        let line: Value = serde_json::from_str(lines.first().unwrap()).unwrap();
        assert_eq!(line["outcome"], "forwarded", "{answer}");
        assert_eq!(line["ended_by"], "fallback", "{answer}");
    }
}
