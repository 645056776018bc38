//! Valid requests in fragments: wherever the bytes are split, each gets one response, in order.

use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::yield_now};

use super::Reader;
use crate::harness::{Reply, Setup, answer, confirmation, photo};

/// A rate limit that is not reached.
const PLENTY: &str = "requests_per_minute = 10000\nburst = 10000";

/// Three requests and the statuses of their responses: with a length, in chunks, and one for the fallback
/// with a body and a trailer.
fn requests() -> [(String, u16); 3] {
    let chunked = photo("ALL")
        .replace("Content-Length: 27", "Transfer-Encoding: chunked")
        .replace(
            "{\"visualizationType\":\"ALL\"}",
            "5;a=b\r\n{\"vis\r\n16\r\nualizationType\":\"ALL\"}\r\n0\r\n\r\n",
        );
    let passed_on = "POST /x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n\
                     3\r\nabc\r\n0\r\n\r\n";
    [
        (photo("ALL"), 200),
        (chunked, 200),
        (passed_on.to_owned(), 299),
    ]
}

struct Scene {
    ryze: Reader,
    old: Reader,
    caller: TcpStream,
    _gateway: crate::harness::Gateway,
}

impl Scene {
    async fn start() -> Self {
        let ryze = Reader::start(|_| confirmation(r#"{"visibility":{"profile":"all"}}"#));
        let old = Reader::start(|_| answer(299, "", "{}"));
        let (ryze, old) = tokio::join!(ryze, old);
        let setup = Setup {
            budget: PLENTY,
            fallback: format!("base_url = {:?}", old.base_url),
            ..Setup::default()
        };
        let gateway = setup.start(&ryze.base_url).await;
        let caller = TcpStream::connect(gateway.address).await.unwrap();
        caller.set_nodelay(true).unwrap();
        Self {
            ryze,
            old,
            caller,
            _gateway: gateway,
        }
    }

    /// Sends each fragment in a separate write, and checks the responses.
    async fn send<'p>(&mut self, pieces: impl IntoIterator<Item = &'p [u8]>, statuses: &[u16]) {
        for piece in pieces {
            self.caller.write_all(piece).await.unwrap();
            // The gateway runs on this thread: it has its turn to read.
            for _ in 0..4 {
                yield_now().await;
            }
        }
        for status in statuses {
            assert_eq!(Reply::read(&mut self.caller).await.status, *status);
        }
    }

    fn check(&self, on_ryze: usize, passed_on: usize) {
        let update = br#"{"visibility":{"profile":"all"}}"#;
        let ryze = self.ryze.seen();
        assert_eq!(ryze.len(), on_ryze);
        assert!(ryze.iter().all(|(_, body)| body == update), "{ryze:?}");
        let old = self.old.seen();
        assert_eq!(old.len(), passed_on);
        assert!(old.iter().all(|(_, body)| body == b"abc"), "{old:?}");
    }
}

#[tokio::test]
async fn a_request_may_be_cut_at_every_byte() {
    for (request, status) in requests() {
        let mut scene = Scene::start().await;
        let bytes = request.as_bytes();
        for cut in 0..=bytes.len() {
            let (before, after) = bytes.split_at(cut);
            scene.send([before, after], &[status]).await;
        }
        let sent = bytes.len() + 1;
        match status {
            200 => scene.check(sent, 0),
            _ => scene.check(0, sent),
        }
    }
}

#[tokio::test]
async fn requests_may_come_byte_by_byte() {
    let mut scene = Scene::start().await;
    let requests = requests();
    let all = requests.clone().map(|(request, _)| request).concat();
    let statuses = requests.map(|(_, status)| status);
    for size in [1, 2, 3, 7] {
        scene.send(all.as_bytes().chunks(size), &statuses).await;
    }
    scene.check(8, 4);
}

#[tokio::test]
async fn pipelined_requests_may_be_cut_at_every_byte() {
    let mut scene = Scene::start().await;
    let requests = requests();
    let all = requests.clone().map(|(request, _)| request).concat();
    let statuses = requests.map(|(_, status)| status);
    for cut in 0..=all.len() {
        let (before, after) = all.as_bytes().split_at(cut);
        scene.send([before, after], &statuses).await;
    }
    scene.check(2 * (all.len() + 1), all.len() + 1);
}
