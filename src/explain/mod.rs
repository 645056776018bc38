//! Explains how the gateway handles a request, without a network.
//!
//! The gateway itself answers the request, over in-memory pipes in place of sockets, and stubs in place
//! of Ryze and the fallback record what they receive (`stub.rs`). So no rule of the gateway is repeated
//! here. `request.rs` builds the request, `mask.rs` masks credentials, and `print.rs` writes the result.

mod calls;
mod json;
mod mask;
mod print;
mod reason;
pub mod request;
mod stub;
mod why;

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header::CONTENT_LENGTH, uri::Scheme,
};
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

pub use self::calls::{Source, Tally, judge};
pub use self::why::{Explained, Verdict, explain_why};
use self::{mask::MASK, stub::Stub};
use crate::{
    budget::{self, Budget},
    config::{Config, Mode, Secret},
    gateway::{AnswerBody, CallObserved, ContactsList, Gateway},
    net::Stream,
    proxy::Proxy,
    queue::Queues,
    ryze::Client,
    server::{self, Admission, Handler, RequestBody, Timeouts},
    sync::lock,
    telemetry::{Metrics, X_REQUEST_ID},
};

/// How long to wait before half-closing the connection, so that an incomplete request ends. Split into
/// steps so that one scheduling stall costs only one.
const PATIENCE: [Duration; 10] = [Duration::from_millis(100); 10];
/// Replaces the configured time limits: none may expire before [`PATIENCE`].
const NO_LIMIT: Duration = Duration::from_secs(3600);

/// Which upstream answers a request, and with what. It contains no credentials.
#[derive(Debug)]
pub enum Explanation {
    /// Ryze performs the call and confirms it.
    Ryze {
        /// The one request to Ryze, with its whole URL.
        request: Request<Bytes>,
        /// The response to the client; `None` if it disconnected too early.
        answer: Option<Response<Bytes>>,
        /// The budget, of which this call costs one request.
        requests_per_minute: u32,
        /// Whether its list of contacts is dropped.
        drops_contacts: bool,
    },
    /// The fallback answers the request.
    Fallback {
        /// The request to the fallback, with its whole URL.
        request: Request<Bytes>,
        /// Whether it is sent in its order among the calls of its instance to Ryze.
        in_turn: bool,
        /// What would happen to the call if its instance, which is observed, were translated.
        if_translated: Option<Box<Explanation>>,
    },
    /// The gateway rejects the request and sends nothing.
    Refused {
        /// The response to the client; `None` if its connection is closed without one.
        answer: Option<Response<Bytes>>,
    },
}

/// Explains the first request in `bytes`. It takes about a second for an incomplete one.
///
/// # Errors
/// A host, name or token of the configuration is not valid in a request.
pub async fn explain(config: &Config, bytes: &[u8]) -> Result<Explanation, http::Error> {
    let (mut explanation, is_observed) = explain_once(config, bytes).await?;
    if let Explanation::Fallback { if_translated, .. } = &mut explanation
        && is_observed
    {
        let mut config = config.clone();
        for instance in &mut config.instances {
            instance.mode = Mode::Translate;
        }
        let (translated, _) = explain_once(&config, bytes).await?;
        *if_translated = Some(Box::new(translated));
    }
    Ok(explanation)
}

/// Also returns whether the call is one of an observed instance.
async fn explain_once(config: &Config, bytes: &[u8]) -> Result<(Explanation, bool), http::Error> {
    let (ryze, fallback) = (Stub::ryze(), Stub::fallback());
    let observer = Arc::new(Observer {
        gateway: gateway(config, &ryze, &fallback)?,
        contacts: Mutex::default(),
        is_observed: AtomicBool::new(false),
    });
    let mut answer = answer(Arc::clone(&observer), bytes).await;
    if let Some(answer) = &mut answer {
        name_made_id(answer.headers_mut(), bytes);
    }
    if let Some(mut request) = ryze.received() {
        name_made_id(request.headers_mut(), bytes);
        let budget = &config.budget;
        let explanation = Explanation::Ryze {
            request: with_whole_url(request, &config.ryze.base_url)?,
            answer,
            requests_per_minute: match budget.redis {
                Some(_) => budget.requests_per_minute,
                None => budget.share(),
            },
            drops_contacts: observer.saw(ContactsList::Dropped),
        };
        return Ok((explanation, false));
    }
    if let (Some(mut request), Some(fallback)) = (fallback.received(), &config.fallback) {
        *request.uri_mut() = mask::mask_path(request.uri())?;
        mask::mask_headers(request.headers_mut());
        let explanation = Explanation::Fallback {
            request: with_whole_url(request, &fallback.base_url)?,
            in_turn: observer.saw(ContactsList::Forwarded),
            if_translated: None,
        };
        return Ok((explanation, observer.is_observed.load(Ordering::Relaxed)));
    }
    Ok((Explanation::Refused { answer }, false))
}

/// Replaces a generated request id, which would be another for the next request.
fn name_made_id(headers: &mut HeaderMap, callers: &[u8]) {
    if let Some(id) = headers.get_mut(X_REQUEST_ID)
        && memmem::find(callers, id.as_bytes()).is_none()
    {
        *id = HeaderValue::from_static("(a new one)");
    }
}

/// The gateway, which also records what it does with a list of contacts and whether it observes
/// the call.
struct Observer {
    gateway: Gateway,
    contacts: Mutex<Option<ContactsList>>,
    is_observed: AtomicBool,
}

impl Observer {
    fn saw(&self, contacts: ContactsList) -> bool {
        *lock(&self.contacts) == Some(contacts)
    }
}

impl Handler for Observer {
    type Body = AnswerBody;

    async fn handle(&self, request: Request<RequestBody>) -> Response<AnswerBody> {
        let response = self.gateway.handle(request).await;
        if let Some(contacts) = response.extensions().get() {
            *lock(&self.contacts) = Some(*contacts);
        }
        if response.extensions().get::<CallObserved>().is_some() {
            self.is_observed.store(true, Ordering::Relaxed);
        }
        response
    }

    fn overloaded(&self) -> Response<AnswerBody> {
        self.gateway.overloaded()
    }

    fn tls_required(&self, request: Request<RequestBody>) -> Response<AnswerBody> {
        self.gateway.tls_required(request)
    }
}

/// The gateway of the configuration, without its time limits, and with the mask for the tokens of Ryze,
/// so that no token can be printed.
fn gateway(config: &Config, ryze: &Stub, fallback: &Stub) -> Result<Gateway, http::Error> {
    let mut config = config.clone();
    config.server.deadline = NO_LIMIT;
    config.server.body_timeout = NO_LIMIT;
    for instance in &mut config.instances {
        instance.ryze_token = Secret::new(MASK);
    }
    if let Some(fallback) = &mut config.fallback {
        fallback.idle_timeout = NO_LIMIT;
    }
    let budget = Budget::new(budget::Quota {
        share: 1,
        burst: 1,
        max_wait: Duration::ZERO,
    });
    let client = Client::new(ryze.clone(), NO_LIMIT);
    let (metrics, abort) = (Arc::<Metrics>::default(), CancellationToken::new());
    let queues = Queues::new(
        budget,
        client,
        NO_LIMIT,
        1,
        Arc::clone(&metrics),
        abort.clone(),
    );
    let configured = config.fallback.as_ref();
    let proxy = configured.map(|it| Proxy::new(it, fallback.clone()).map(Arc::new));
    Gateway::new(&config, queues, proxy.transpose()?, metrics, abort)
}

/// The response of a handler to a client that sends these bytes.
async fn answer<H: Handler>(handler: Arc<H>, request: &[u8]) -> Option<Response<Bytes>> {
    // Holds the whole request; a larger response is read while it is written.
    let (client, server_end) = duplex(request.len().max(1024));
    let (mut reader, mut writer) = split(client);
    writer.write_all(request).await.ok()?;
    let timeouts = Timeouts {
        // The whole request is there already.
        header: Duration::ZERO,
        idle: NO_LIMIT,
    };
    let mut answer = Vec::new();
    {
        // A server that shuts down closes the connection after the first response.
        let stop = CancellationToken::new();
        stop.cancel();
        let admission = Admission::Granted(Arc::default());
        // As the gateway has it: with a type of its own it would be a second copy of the server.
        let stream: Box<dyn Stream> = Box::new(server_end);
        let served = server::serve(stream, handler, admission, timeouts, &stop);
        let exchange = async { tokio::join!(served, reader.read_to_end(&mut answer)) };
        let mut exchange = pin!(exchange);
        let patience = async {
            for step in PATIENCE {
                sleep(step).await;
            }
        };
        tokio::select! {
            biased;
            _ = &mut exchange => (),
            () = patience => {
                let _ = writer.shutdown().await;
                let _ = exchange.await;
            }
        }
    }
    read(&answer)
}

/// Parses a response of the gateway: UTF-8, possibly behind one interim response.
fn read(bytes: &[u8]) -> Option<Response<Bytes>> {
    let text = str::from_utf8(bytes).ok()?;
    let (mut head, mut body) = text.split_once("\r\n\r\n")?;
    if head.split(' ').nth(1) == Some(StatusCode::CONTINUE.as_str()) {
        (head, body) = body.split_once("\r\n\r\n")?;
    }
    let mut lines = head.split("\r\n");
    let mut answer = Response::builder().status(lines.next()?.split(' ').nth(1)?);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        answer = answer.header(name, value.trim());
    }
    // Behind the body is the response to a pipelined request.
    let length = answer.headers_ref()?.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let body = body.get(..length.unwrap_or(body.len())).unwrap_or(body);
    answer.body(Bytes::copy_from_slice(body.as_bytes())).ok()
}

fn with_whole_url(
    mut request: Request<Bytes>,
    base_url: &Uri,
) -> Result<Request<Bytes>, http::Error> {
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = base_url.scheme().cloned().or(Some(Scheme::HTTP));
    parts.authority = base_url.authority().cloned();
    *request.uri_mut() = Uri::from_parts(parts)?;
    Ok(request)
}
