//! One client connection: hyper reads requests from its stream and a [`Handler`] responds.
//!
//! hyper keeps two buffers of 8 KiB for a connection. While a connection waits for its first request, or is one
//! of more than 256 that are idle, it exists without hyper: it has 3 KiB in place of 14 to 20, and its next
//! request costs 5,000 (translated) to 8,500 instructions more.

use std::{
    convert::Infallible,
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::{
    body::{RequestBody, ResponseBody},
    connection_state::ConnectionState,
    handler::Handler,
    idle_connections::IdleConnections,
    limits::Timeouts,
    timeout_stream::TimeoutStream,
};
use crate::timer::Timer;

/// Size of the read buffer: the longest request head, beyond which hyper responds with 431, and the most
/// of a body that is read ahead.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Fields of a request head, beyond which hyper responds with 431 too. hyper allocates 64 bytes for each of
/// them while it parses a head.
const MAX_REQUEST_FIELDS: usize = 256;

/// The first byte of a ClientHello (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Whether the requests of a connection are handled. If not, it is closed after the response to the first.
#[derive(Clone, Debug)]
pub(crate) enum Admission {
    /// They are handled. The connection is listed while it is idle.
    Granted(Arc<IdleConnections>),
    /// The connection is over the limit: [`Handler::overloaded`].
    Overloaded,
    /// The port has TLS, and the client spoke plain HTTP: [`Handler::tls_required`].
    TlsRequired,
}

/// Serves a connection until the client closes it or a timeout expires. After `stop`, the next response
/// is the last, and a connection without a request is closed after a grace period.
pub(crate) async fn serve<S, H>(
    stream: S,
    handler: Arc<H>,
    admission: Admission,
    timeouts: Timeouts,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Handler,
{
    let state = ConnectionState::new(match &admission {
        Admission::Granted(idle_connections) => Arc::clone(idle_connections),
        Admission::Overloaded | Admission::TlsRequired => Arc::default(),
    });
    let mut stream = TimeoutStream::new(stream, state.clone(), timeouts);
    let (shared_state, admission) = (state.clone(), &admission);
    let mut service = service_fn(move |request: Request<Incoming>| {
        let handler = Arc::clone(&handler);
        let state = shared_state.clone();
        // Outside of the future, because hyper reads on before it polls that.
        let [request_guard, response_guard] = state.begin_request();
        async move {
            let request = request.map(|body| RequestBody::new(body, request_guard));
            let (mut response, is_last) = match admission {
                Admission::Granted(_) => (handler.handle(request).await, stop.is_cancelled()),
                Admission::Overloaded => {
                    drop(request);
                    (handler.overloaded(), true)
                }
                Admission::TlsRequired => (handler.tls_required(request), true),
            };
            if is_last || state.has_unread_body() {
                // hyper closes the connection after this response.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(response.map(|body| ResponseBody::new(body, response_guard)))
        }
    });
    let mut builder = http1::Builder::new();
    builder
        // Deadlines has it.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_REQUEST_FIELDS)
        // Responses are small: one copy is cheaper than a vectored write.
        .writev(false);
    let mut deadlines = Deadlines {
        state: state.clone(),
        timeouts,
        timer: Timer::default(),
        stop,
        stopped: pin!(stop.cancelled()),
        is_registered: false,
    };
    loop {
        let arrival =
            poll_fn(|context| deadlines.poll(context, |context| stream.poll_arrival(context)));
        match arrival.await {
            Ok(true) => (),
            Ok(false) => {
                // The client is gone, or its connection idle for too long.
                let _ = stream.shutdown().await;
                return;
            }
            Err(_) => return,
        }
        let mut connection = builder.serve_connection(TokioIo::new(stream), service);
        let served = poll_fn(|context| {
            let served = deadlines.poll(context, |context| Pin::new(&mut connection).poll(context));
            match served {
                Poll::Pending if state.is_surplus() => Poll::Ready(None),
                served => served.map(Some),
            }
        });
        let served = served.await;
        let parts = connection.into_parts();
        match served {
            None => {
                (stream, service) = (parts.io.into_inner(), parts.service);
                stream.put_back(parts.read_buf);
            }
            // Errors are those of the client or the network; the handler logs the requests.
            Some(served) => {
                let is_malformed = served.is_err_and(|error| error.is_parse());
                if is_malformed && parts.read_buf.first() == Some(&TLS_HANDSHAKE) {
                    tracing::info!(
                        reason = "tls_on_plain_port",
                        "a client began a TLS handshake on a port without TLS"
                    );
                }
                return;
            }
        }
    }
}

/// Polls a connection within its deadlines: for a request head, between requests, and after a stop.
struct Deadlines<'p, 's> {
    state: ConnectionState,
    timeouts: Timeouts,
    timer: Timer,
    stop: &'s CancellationToken,
    stopped: Pin<&'p mut WaitForCancellationFuture<'s>>,
    /// Whether a stop wakes the task, whose waker stays the same.
    is_registered: bool,
}

impl Deadlines<'_, '_> {
    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // The question costs less than another poll.
        if (!self.is_registered || self.stop.is_cancelled())
            && self.stopped.as_mut().poll(context).is_ready()
        {
            self.state.stop();
        }
        self.is_registered = true;
        self.state.begin_poll();
        if let Poll::Ready(result) = poll(context) {
            return Poll::Ready(result);
        }
        let Some(deadline) = self.state.deadline(&self.timeouts, context) else {
            return Poll::Pending;
        };
        ready!(self.timer.poll(deadline, context));
        self.state.expire();
        poll(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use bytes::Bytes;
    use http::Response;
    use http_body_util::{BodyExt as _, Full};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        task::yield_now,
        time::{Instant, sleep, timeout},
    };

    use super::{super::connection_state::MAX_BUFFERED, *};

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(60);
    const GET: &str = "GET /at-once HTTP/1.1\r\n\r\n";

    /// Responds at once, after a while, after the body or a look at it, or with a large body, as the path
    /// says.
    struct ByPath;

    impl Handler for ByPath {
        type Body = Full<Bytes>;

        async fn handle(&self, request: Request<RequestBody>) -> Response<Self::Body> {
            let (parts, mut body) = request.into_parts();
            match parts.uri.path() {
                "/later" => sleep(Duration::from_secs(3)).await,
                "/after-header-timeout" => sleep(HEADER * 2).await,
                "/body" => drop(body.collect().await),
                "/look-at-body" => drop(timeout(Duration::from_secs(1), body.frame()).await),
                "/large" => return Response::new(Full::from(vec![b'x'; 100_000])),
                _ => (),
            }
            Response::new(Full::from("ok"))
        }

        fn overloaded(&self) -> Response<Self::Body> {
            Response::new(Full::from("busy"))
        }

        fn tls_required(&self, _: Request<RequestBody>) -> Response<Self::Body> {
            Response::new(Full::from("TLS"))
        }
    }

    fn connect() -> (DuplexStream, Arc<IdleConnections>) {
        let idle_connections = Arc::default();
        (connect_with(&idle_connections), idle_connections)
    }

    fn connect_with(idle_connections: &Arc<IdleConnections>) -> DuplexStream {
        let (client, stream) = duplex(4096);
        let admission = Admission::Granted(Arc::clone(idle_connections));
        let timeouts = Timeouts {
            header: HEADER,
            idle: IDLE,
        };
        tokio::spawn(async move {
            let stop = CancellationToken::new();
            serve(stream, Arc::new(ByPath), admission, timeouts, &stop).await;
        });
        client
    }

    /// Sends a request, reads the response, and lets the server wait for the next request.
    async fn become_idle(client: &mut DuplexStream) {
        client.write_all(GET.as_bytes()).await.unwrap();
        assert!(client.read(&mut [0; 4096]).await.unwrap() > 0);
        yield_now().await;
    }

    /// Reads until the server closes the connection. Returns the time between the last byte and the close.
    async fn closed_after(client: &mut DuplexStream) -> Duration {
        let mut last = Instant::now();
        let mut bytes = [0; 4096];
        while client.read(&mut bytes).await.unwrap() > 0 {
            last = Instant::now();
        }
        last.elapsed()
    }

    #[track_caller]
    fn assert_about(actual: Duration, expected: Duration, case: &str) {
        let is_about = actual >= expected && actual - expected < Duration::from_millis(10);
        assert!(is_about, "{actual:?} for {expected:?}: {case:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_timeout_begins_with_the_end_of_the_response_however_the_request_ended() {
        for path in [
            "/at-once",
            "/later",
            "/after-header-timeout",
            "/body",
            "/large",
        ] {
            let get = format!("GET {path} HTTP/1.1\r\n\r\n");
            let mut cases = vec![
                get.clone(),
                get.repeat(2),
                get.repeat(30),
                get.replace("GET", "HEAD"),
                format!("POST {path} HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
            ];
            if path == "/body" {
                let post = "POST /body HTTP/1.1\r\n";
                cases.push(format!("{post}Content-Length: 3\r\n\r\nabc"));
                cases.push(format!("{post}Content-Length: 3\r\n\r\nabc{get}"));
                cases.push(format!(
                    "{post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                ));
            }
            for case in cases {
                let (mut client, _) = connect();
                client.write_all(case.as_bytes()).await.unwrap();
                assert_about(closed_after(&mut client).await, IDLE, &case);
                // In pieces, as from a slow client.
                let (mut client, _) = connect();
                for piece in case.as_bytes().chunks(7) {
                    client.write_all(piece).await.unwrap();
                    yield_now().await;
                }
                assert_about(closed_after(&mut client).await, IDLE, &case);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_has_the_idle_timeout_after_its_last_byte() {
        let (mut client, _) = connect();
        let get = GET.replace("at-once", "large");
        client.write_all(get.as_bytes()).await.unwrap();
        let (mut read, mut bytes) = (0, [0; 4096]);
        while read < 100_000 {
            sleep(IDLE / 2).await;
            let count = client.read(&mut bytes).await.unwrap();
            assert!(count > 0, "closed after {read} bytes");
            read += count;
        }
        // The last bytes were written when those before them were read.
        assert_about(closed_after(&mut client).await, IDLE / 2, "large");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_began_with_the_request_before_it_has_the_header_timeout() {
        let post = "POST /body HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        for before in [GET, post] {
            for pieces in [&[before, "G"][..], &[&format!("{before}GET / HT")]] {
                let (mut client, idle_connections) = connect();
                for piece in pieces {
                    client.write_all(piece.as_bytes()).await.unwrap();
                }
                assert_eq!(client.read(&mut [0; 4096]).await.unwrap(), 77);
                assert!(!idle_connections.close_longest());
                assert_about(closed_after(&mut client).await, HEADER, before);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_is_idle_for_the_longest_time_is_closed() {
        let idle_connections = Arc::default();
        let [mut first, mut second, mut unused] = [(); 3].map(|()| connect_with(&idle_connections));
        for client in [&mut first, &mut second] {
            become_idle(client).await;
        }
        become_idle(&mut first).await;
        for client in [&mut second, &mut first] {
            assert!(idle_connections.close_longest());
            assert_about(closed_after(client).await, Duration::ZERO, "idle");
        }
        // It waits for its first request.
        assert!(!idle_connections.close_longest());
        become_idle(&mut unused).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_arrives_before_the_close_is_served_and_the_next_connection_closed() {
        let idle_connections = Arc::default();
        let [mut first, mut second] = [(); 2].map(|()| connect_with(&idle_connections));
        for client in [&mut first, &mut second] {
            become_idle(client).await;
        }
        first.write_all(&GET.as_bytes()[..1]).await.unwrap();
        assert!(idle_connections.close_longest());
        assert_about(closed_after(&mut second).await, Duration::ZERO, "idle");
        assert!(!idle_connections.close_longest());
        first.write_all(&GET.as_bytes()[1..]).await.unwrap();
        assert!(first.read(&mut [0; 4096]).await.unwrap() > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_one_of_many_idle_ones_is_served_as_before() {
        let idle_connections = Arc::default();
        let many = 0..MAX_BUFFERED + 100;
        let mut clients: Vec<_> = many.map(|_| connect_with(&idle_connections)).collect();
        for pieces in [&[GET][..], &[&GET[..1], &GET[1..]], &[GET, GET]] {
            for client in &mut clients {
                for piece in pieces {
                    client.write_all(piece.as_bytes()).await.unwrap();
                    yield_now().await;
                }
                let mut response = [0; 4096];
                assert!(client.read(&mut response).await.unwrap() > 70);
                yield_now().await;
            }
            sleep(HEADER * 2).await;
        }
        let last = clients.last_mut().unwrap();
        assert_about(closed_after(last).await, IDLE - HEADER * 2, GET);
        drop(clients);
        sleep(Duration::from_secs(1)).await;
        assert!(!idle_connections.close_longest());
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_body_that_was_not_read_is_not_a_request() {
        let idle_connections = Arc::default();
        let many = 0..MAX_BUFFERED + 100;
        let mut others: Vec<_> = many.map(|_| connect_with(&idle_connections)).collect();
        for client in &mut others {
            become_idle(client).await;
        }
        let mut client = connect_with(&idle_connections);
        let post = b"POST /look-at-body HTTP/1.1\r\nContent-Length: 100\r\n\r\n";
        client.write_all(post).await.unwrap();
        let mut response = [0; 4096];
        let read = client.read(&mut response).await.unwrap();
        assert!(response[..read].starts_with(b"HTTP/1.1 200"));
        yield_now().await;
        client.write_all(GET.as_bytes()).await.unwrap();
        assert_eq!(client.read(&mut response).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_ends_is_not_listed_any_more() {
        for is_closed_by_client in [true, false] {
            let (mut client, idle_connections) = connect();
            become_idle(&mut client).await;
            if is_closed_by_client {
                drop(client);
                sleep(Duration::from_secs(1)).await;
            } else {
                assert_about(closed_after(&mut client).await, IDLE, GET);
            }
            assert!(!idle_connections.close_longest());
        }
    }
}
