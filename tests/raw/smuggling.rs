//! Requests with an ambiguous length (request smuggling, RFC 9112, 11.2): an invalid one is refused,
//! nothing after it on its connection is answered, and no byte of it reaches an upstream.

use tokio::task::JoinSet;

use super::{
    Reader, Whole, brief,
    spelling::{
        Spelling,
        Verdict::{Last, LastAndEmpty, Sound, Unsound},
        all,
    },
    statuses,
};
use crate::harness::{Setup, answer, confirmation};

/// Short timeouts, for spellings that leave the gateway waiting for more bytes.
const BRIEF: &str =
    "header_timeout = \"300ms\"\nbody_timeout = \"300ms\"\nidle_timeout = \"300ms\"";
/// Spellings tested concurrently.
const AT_ONCE: usize = 16;

/// The targets of three requests and the body of the first.
#[derive(Clone, Copy)]
struct Stage {
    carrier: &'static str,
    data: &'static str,
    hidden: &'static str,
    marked: &'static str,
}

const ON_RYZE: Stage = Stage {
    carrier: "/instances/I1/token/T1/privacy/photo",
    data: r#"{"visualizationType":"ALL"}"#,
    hidden: "/instances/I1/token/T1/privacy/read-receipts?value=disable",
    marked: "/instances/I1/token/T1/privacy/read-receipts?value=enable",
};
const ON_FALLBACK: Stage = Stage {
    carrier: "/carrier",
    data: "carried",
    hidden: "/hidden",
    marked: "/marked",
};

impl Stage {
    fn hidden(&self) -> String {
        let target = self.hidden;
        format!("POST {target} HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\n\r\n")
    }

    /// The request with this spelling, followed by the marked request on the same connection.
    fn bytes(&self, spelling: &Spelling) -> Vec<u8> {
        let Self {
            carrier, marked, ..
        } = self;
        let Spelling {
            version,
            headers,
            body,
            ..
        } = spelling;
        let text = format!(
            "POST {carrier} {version}\r\nHost: g\r\nContent-Type: application/json\r\n\
             {headers}\r\n{body}POST {marked} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n"
        );
        // Characters above ASCII stand for single bytes.
        text.chars().map(|char| char as u8).collect()
    }
}

/// Tests one spelling with its own upstreams; an error describes what went wrong.
async fn attempt(stage: Stage, spelling: Spelling) -> Result<(), String> {
    let ryze = Reader::start(|_| {
        confirmation(r#"{"visibility":{"profile":"all"},"privacy":{"readReceipts":"all"}}"#)
    });
    let old = Reader::start(|_| answer(200, "", "{}"));
    let (ryze, old) = tokio::join!(ryze, old);
    let setup = Setup {
        server: BRIEF,
        fallback: brief(&old.base_url),
        ..Setup::default()
    };
    let gateway = setup.start(&ryze.base_url).await;
    let bytes = stage.bytes(&spelling);
    let statuses = statuses(gateway.address, &bytes).await;
    let seen: Vec<Whole> = [ryze.seen(), old.seen()].concat();
    let data = match stage.carrier {
        "/carrier" => [stage.data, ""],
        _ => [
            r#"{"visibility":{"profile":"all"}}"#,
            r#"{"privacy":{"readReceipts":"all"}}"#,
        ],
    };
    let bodies: Vec<_> = seen.iter().map(|(_, body)| body.as_slice()).collect();
    let is_expected = match spelling.verdict {
        // Connections of that version end with their first answer.
        Sound if spelling.version != "HTTP/1.0" => {
            statuses == [200, 200] && bodies == data.map(str::as_bytes)
        }
        Sound | Last => statuses == [200] && bodies == [data[0].as_bytes()],
        // The fallback may accept an empty body; a translated call has none.
        LastAndEmpty if stage.carrier == ON_FALLBACK.carrier => {
            statuses == [200] && bodies == [b""]
        }
        LastAndEmpty => statuses == [400] && seen.is_empty(),
        Unsound => statuses.len() <= 1 && statuses.iter().all(|it| *it >= 400) && seen.is_empty(),
    };
    let told = String::from_utf8_lossy(&bytes).into_owned();
    let verdict = spelling.verdict;
    is_expected
        .then_some(())
        .ok_or_else(|| format!("{verdict:?}\n{told:?}\n{statuses:?} {seen:?}\n"))
}

async fn attempt_all(stage: Stage) {
    let mut spellings = all(stage.data, &stage.hidden()).into_iter();
    let mut running: JoinSet<_> = spellings
        .by_ref()
        .take(AT_ONCE)
        .map(|spelling| attempt(stage, spelling))
        .collect();
    let (mut tried, mut wrong) = (0, String::new());
    while let Some(result) = running.join_next().await {
        tried += 1;
        wrong.extend(result.unwrap().err());
        if let Some(spelling) = spellings.next() {
            running.spawn(attempt(stage, spelling));
        }
    }
    println!("{tried} spellings");
    assert!(tried > 400);
    assert_eq!(wrong, "");
}

#[tokio::test]
async fn on_the_way_to_ryze() {
    attempt_all(ON_RYZE).await;
}

#[tokio::test]
async fn on_the_way_to_the_fallback() {
    attempt_all(ON_FALLBACK).await;
}
