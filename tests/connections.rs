//! Two facts that the budget relies on: whether a request was sent, and that its connection is closed if
//! it got no response. The failure that a client gets is in `ryze_answers.rs`.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpSocket,
    time::{Instant, sleep},
};
use zapi_to_ryze::{
    config::Secret,
    net::{Connect, MAX_CONNECTION_AGE, Network, Opening, Stream},
    privacy::{Audience, Change, Setting, Settings},
    ryze::{Client, Error, Target},
};

use crate::{
    harness::{PATIENCE, soon},
    pipes::{Ending, Fate, Pipes, target},
};

/// Pipes whose connections are counted.
#[derive(Clone)]
struct Counted {
    pipes: Pipes,
    opened: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Counted {
    fn new(endings: &'static [Ending]) -> Self {
        Self {
            pipes: Pipes::new(move |number| Fate {
                transit: Duration::ZERO,
                work: Duration::from_millis(1),
                ending: endings[number % endings.len()],
            }),
            opened: Arc::default(),
            open: Arc::default(),
        }
    }

    /// How many connections were opened so far, and how many are open.
    fn count(&self) -> (usize, usize) {
        let load = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (load(&self.opened), load(&self.open))
    }
}

impl Connect for Counted {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async move {
            let stream = self.pipes.connect().await?;
            self.opened.fetch_add(1, Ordering::Relaxed);
            self.open.fetch_add(1, Ordering::Relaxed);
            let open = Arc::clone(&self.open);
            Ok(Box::new(Counting { stream, open }) as _)
        })
    }
}

struct Counting {
    stream: Box<dyn Stream>,
    open: Arc<AtomicUsize>,
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn update() -> Settings {
    let change = Change {
        setting: Setting::ProfilePhoto,
        audience: Audience::Nobody,
    };
    [change].into_iter().collect()
}

fn client(connector: impl Connect) -> Client {
    Client::new(connector, Duration::from_secs(180))
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_is_over_only_when_its_connection_is_closed() {
    for ending in [&[Ending::Hang], &[Ending::Close]] {
        let counted = Counted::new(ending);
        let client = client(counted.clone());
        let result = client.update(&target("one"), &update(), None).await.result;
        assert_eq!(counted.count(), (1, 0), "{ending:?}");
        assert!(matches!(result, Err(Error::Unknown(_))), "{result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_and_not_after_a_long_pause() {
    let counted = Counted::new(&[Ending::Confirm]);
    let client = client(counted.clone());
    for _ in 0..3 {
        client
            .update(&target("one"), &update(), None)
            .await
            .result
            .unwrap();
        client
            .update(&target("other"), &update(), None)
            .await
            .result
            .unwrap();
    }
    assert_eq!(counted.count(), (1, 1));
    sleep(Duration::from_secs(14)).await;
    client
        .update(&target("one"), &update(), None)
        .await
        .result
        .unwrap();
    assert_eq!(counted.count(), (1, 1));
    sleep(Duration::from_secs(16)).await;
    client
        .update(&target("one"), &update(), None)
        .await
        .result
        .unwrap();
    tokio::task::yield_now().await;
    assert_eq!(counted.count(), (2, 1));
}

/// The addresses of the host may have changed meanwhile.
#[tokio::test(start_paused = true)]
async fn a_connection_in_constant_use_is_replaced_when_it_is_old() {
    let counted = Counted::new(&[Ending::Confirm]);
    let client = client(counted.clone());
    let opened = Instant::now();
    while opened.elapsed() < MAX_CONNECTION_AGE * 5 / 2 {
        let updated = client.update(&target("one"), &update(), None).await;
        updated.result.unwrap();
        let age = opened.elapsed().as_secs() / MAX_CONNECTION_AGE.as_secs();
        let replaced = usize::try_from(age).unwrap();
        tokio::task::yield_now().await;
        assert_eq!(counted.count(), (1 + replaced, 1));
        sleep(Duration::from_secs(7)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn updates_at_the_same_time_have_connections_of_their_own() {
    let counted = Counted::new(&[Ending::Confirm]);
    let client = client(counted.clone());
    let (one, other) = (target("one"), target("other"));
    let (first, second) = (update(), update());
    let (first, second) = tokio::join!(
        client.update(&one, &first, None),
        client.update(&other, &second, None)
    );
    assert!(first.result.is_ok() && second.result.is_ok());
    assert_eq!(counted.count(), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_sends_nothing() {
    let client = client(Pipes::refusing());
    let result = client.update(&target("one"), &update(), None).await.result;
    assert!(matches!(result, Err(Error::Unreachable(_))), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_is_found_closed_is_replaced() {
    let counted = Counted::new(&[Ending::ConfirmAndClose]);
    let client = client(counted.clone());
    for updates in 1..20 {
        client
            .update(&target("one"), &update(), None)
            .await
            .result
            .unwrap();
        assert_eq!(counted.count().0, updates);
    }
}

/// A Ryze that restarted has closed them all, and the next request reads back the lost one.
#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_breaks_makes_the_others_suspect() {
    let counted = Counted::new(&[
        Ending::Confirm,
        Ending::Confirm,
        Ending::Close,
        Ending::Confirm,
    ]);
    let client = client(counted.clone());
    let (one, other) = (target("one"), target("other"));
    let (first, second) = (update(), update());
    let (first, second) = tokio::join!(
        client.update(&one, &first, None),
        client.update(&other, &second, None)
    );
    assert!(first.result.is_ok() && second.result.is_ok());
    let broken = client.update(&one, &update(), None).await.result;
    assert!(matches!(broken, Err(Error::Unknown(_))), "{broken:?}");
    client.update(&one, &update(), None).await.result.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(counted.count(), (3, 1));
}

/// What is on its way when a connection is given up must not arrive later, when its slot was given
/// back: the system has to throw it away.
#[tokio::test]
async fn nothing_is_delivered_after_a_request_was_given_up() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let base_url = base_url.parse().unwrap();
    let network = Network::new(&base_url, PATIENCE, None).unwrap();
    let token = Secret::new(&"t".repeat(60_000));
    let target = Target::new(&base_url, "one", "one", &token).unwrap();
    let client = Client::new(network, Duration::from_millis(300));
    let result = client.update(&target, &update(), None).await.result;
    assert!(matches!(result, Err(Error::Unknown(_))), "{result:?}");
    let (mut upstream, _) = listener.accept().await.unwrap();
    let mut arrived = Vec::new();
    // An end or a reset, and before it only what the system had taken already.
    let _ = soon(upstream.read_to_end(&mut arrived)).await;
    assert!(arrived.len() < 60_000, "{} bytes", arrived.len());
}
