//! What becomes of a request, told without any network: the gateway itself answers it, over pipes in
//! place of sockets, and both vendors are stand-ins that remember what they were asked. So nothing of
//! what the gateway does is said a second time here.
//!
//! What the user typed is read in `request.rs`, the vendors are in `stub.rs`, what must not be seen
//! is hidden in `mask.rs`, and people read what `print.rs` writes.

mod mask;
mod print;
pub mod request;
mod stub;

use std::{pin::pin, sync::Arc, time::Duration};

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

use self::{mask::MASK, stub::Vendor};
use crate::{
    budget::{Budget, Terms},
    config::{Config, ContactsBlacklist, Secret},
    gateway::Gateway,
    proxy::Fallback,
    queue::Lanes,
    ryze::Client,
    server::{self, Admission, Timeouts},
    telemetry::X_REQUEST_ID,
};

/// Longer than anything takes that waits for nothing. Then the caller hangs up: the rest of its
/// request will not come. It is waited for in steps, of which a process that is held up loses one.
const PATIENCE: [Duration; 10] = [Duration::from_millis(100); 10];
/// In place of the configured time limits, none of which is to end before [`PATIENCE`] does.
const NO_LIMIT: Duration = Duration::from_secs(3600);

/// Who answers a request, and with what. No secret and no token is in it.
#[derive(Debug)]
pub enum Explanation {
    /// Ryze does the work, and confirms it.
    Ryze {
        /// The one request that Ryze gets, with its whole URL.
        request: Request<Bytes>,
        /// What the caller gets then; `None` where it hung up too early.
        answer: Option<Response<Bytes>>,
        /// Requests that the budget has, of which this is one.
        requests_per_minute: u32,
        /// Whether it came with a list of contacts that goes nowhere.
        drops_contacts: bool,
    },
    /// The old vendor answers it.
    Fallback {
        /// The request as it goes on, with its whole URL.
        request: Request<Bytes>,
    },
    /// The gateway answers it, and sends nothing.
    Refused {
        /// What the caller gets; `None` where its connection is closed without a word.
        answer: Option<Response<Bytes>>,
    },
}

/// Tells what becomes of the bytes of a request with this configuration. Bytes behind the first
/// request are passed over. It takes about a second where the request is not complete.
///
/// # Errors
/// The configuration's hosts, names or tokens cannot stand in a request.
pub async fn explain(config: &Config, bytes: &[u8]) -> Result<Explanation, http::Error> {
    let (ryze, old_vendor) = (Vendor::ryze(), Vendor::old());
    let gateway = gateway(config, &ryze, &old_vendor)?;
    let mut answer = answer(gateway, bytes).await;
    if let Some(answer) = &mut answer {
        name_made_id(answer.headers_mut(), bytes);
    }
    if let Some(mut request) = ryze.asked() {
        name_made_id(request.headers_mut(), bytes);
        let budget = &config.budget;
        return Ok(Explanation::Ryze {
            request: with_whole_url(request, &config.ryze.base_url)?,
            answer,
            requests_per_minute: match budget.redis {
                Some(_) => budget.requests_per_minute,
                None => budget.share(),
            },
            drops_contacts: drops_contacts(config, bytes).await?,
        });
    }
    if let (Some(request), Some(fallback)) = (old_vendor.asked(), &config.fallback) {
        let request = mask::mask(request, &config.instances)?;
        return Ok(Explanation::Fallback {
            request: with_whole_url(request, &fallback.base_url)?,
        });
    }
    Ok(Explanation::Refused { answer })
}

/// Puts words in place of an id that is not the caller's: that of the next request is another.
fn name_made_id(headers: &mut HeaderMap, callers: &[u8]) {
    if let Some(id) = headers.get_mut(X_REQUEST_ID)
        && memmem::find(callers, id.as_bytes()).is_none()
    {
        *id = HeaderValue::from_static("(a new one)");
    }
}

/// Whether a request that is carried out would be refused for its list of contacts under the other
/// policy.
async fn drops_contacts(config: &Config, bytes: &[u8]) -> Result<bool, http::Error> {
    if config.policy.contacts_blacklist == ContactsBlacklist::Refuse {
        return Ok(false);
    }
    let mut config = config.clone();
    config.policy.contacts_blacklist = ContactsBlacklist::Refuse;
    let ryze = Vendor::ryze();
    answer(gateway(&config, &ryze, &Vendor::old())?, bytes).await;
    Ok(ryze.asked().is_none())
}

/// The gateway of the configuration, but without what depends on time, and with the mask for a token:
/// then the token itself cannot get anywhere.
fn gateway(
    config: &Config,
    ryze: &Vendor,
    old_vendor: &Vendor,
) -> Result<Gateway<Vendor>, http::Error> {
    let mut config = config.clone();
    config.server.deadline = NO_LIMIT;
    config.server.body_timeout = NO_LIMIT;
    for instance in &mut config.instances {
        instance.ryze_token = Secret::new(MASK);
    }
    if let Some(fallback) = &mut config.fallback {
        fallback.idle_timeout = NO_LIMIT;
    }
    let budget = Budget::new(Terms {
        share: 1,
        burst: 1,
        max_wait: Duration::ZERO,
    });
    let client = Client::new(ryze.clone(), NO_LIMIT);
    let lanes = Lanes::new(budget, client, NO_LIMIT, 1);
    let fallback = config.fallback.as_ref();
    let fallback = fallback.map(|it| Fallback::new(it, old_vendor.clone()).map(Arc::new));
    Gateway::new(&config, lanes, fallback.transpose()?)
}

/// What a caller who sends these bytes gets.
async fn answer(gateway: Gateway<Vendor>, request: &[u8]) -> Option<Response<Bytes>> {
    // With room for all of the request; an answer that is larger waits for its reader.
    let (caller, callers_end) = duplex(request.len().max(1024));
    let (mut reader, mut writer) = split(caller);
    writer.write_all(request).await.ok()?;
    let timeouts = Timeouts {
        // Whatever is to come is there.
        header: Duration::ZERO,
        idle: NO_LIMIT,
    };
    let mut answer = Vec::new();
    {
        // Told to stop from the start, the connection ends with its first answer.
        let stop = CancellationToken::new();
        stop.cancel();
        let served = server::serve(
            callers_end,
            Arc::new(gateway),
            Admission::Granted,
            timeouts,
            &stop,
        );
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

/// Reads an answer, as the gateway writes it: in UTF-8, and with an interim one before it at most.
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
    // What is behind it is the answer to what was behind the request.
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
