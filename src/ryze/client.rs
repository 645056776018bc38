//! Calls to Ryze: builds the request, keeps the connections that can be used again, and reads the
//! answer. When a call is made, and whether it is made again, belongs in `lane`.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header, response::Parts, uri};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest;

use super::{
    connection::{Connection, Unanswered},
    error::{self, Error},
    limit::{self, RateLimit},
    wire,
};
use crate::{config::Secret, network::Connect, privacy::Settings};

/// Connections kept open while nothing is in flight on them.
const MOST_IDLE: usize = 64;
/// A connection that was idle for longer may be about to be closed by the other side.
const LONGEST_IDLE: Duration = Duration::from_secs(15);
/// All but RFC 3986's unreserved characters.
const OUTSIDE_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An instance as Ryze knows it, with all of a request that stays the same from call to call. Two
/// are equal if token and name are.
#[derive(Debug)]
pub struct Target {
    name: String,
    token: Secret,
    path_to_update: Uri,
    path_to_read: Uri,
    /// Of an update.
    headers: HeaderMap,
    token_digest: [u8; 32],
    /// Of name and token, made once, for a lane is looked up several times for each change.
    hash: u64,
}

impl Target {
    /// The instance `name` of the Ryze at `base_url`.
    ///
    /// # Errors
    /// The token cannot stand in a header, or the name not in a path.
    pub fn new(base_url: &Uri, name: &str, token: &Secret) -> Result<Self, http::Error> {
        let prefix = base_url.path().trim_end_matches('/');
        let segment = utf8_percent_encode(name, OUTSIDE_SEGMENT);
        let path = |call| uri::PathAndQuery::try_from(format!("{prefix}{call}{segment}"));
        let host = base_url.authority().map_or("", uri::Authority::as_str);
        // Its memory is wiped once the last request that has it is gone.
        let mut secret = HeaderValue::from_maybe_shared(Bytes::from_owner(token.clone()))?;
        secret.set_sensitive(true);
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([
            (header::HOST, HeaderValue::from_str(host)?),
            (header::HeaderName::from_static("token"), secret),
            (header::CONTENT_TYPE, json),
            (
                header::ACCEPT_ENCODING,
                HeaderValue::from_static("identity"),
            ),
            (
                header::USER_AGENT,
                HeaderValue::from_static(concat!("zapi-to-ryze/", env!("CARGO_PKG_VERSION"))),
            ),
        ]);
        let mut hasher = DefaultHasher::new();
        (name, token.expose()).hash(&mut hasher);
        let digest = digest::digest(&digest::SHA256, token.expose().as_bytes());
        let mut token_digest = [0; 32];
        token_digest.copy_from_slice(digest.as_ref());
        Ok(Self {
            name: name.into(),
            token: token.clone(),
            path_to_update: path("/api/profile/privacy/")?.into(),
            path_to_read: path("/api/profile/getPrivacy/")?.into(),
            headers,
            token_digest,
            hash: hasher.finish(),
        })
    }

    /// What stands for the token where the token itself is not needed.
    #[must_use]
    pub fn token_digest(&self) -> [u8; 32] {
        self.token_digest
    }

    /// The instance's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn update(&self, settings: &Settings) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(wire::update(settings)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path_to_update.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    fn read(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.path_to_read.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().remove(header::CONTENT_TYPE);
        request
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.token.expose() == other.token.expose()
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The settings as they are now, or why they are not known.
    pub result: Result<Settings, Error>,
    /// What Ryze says is left for the token.
    pub limit: Option<RateLimit>,
}

/// Speaks to one Ryze.
pub struct Client<C> {
    connector: C,
    request_timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl<C: Connect> Client<C> {
    /// An answer may take `request_timeout`; then its outcome is given up as unknown.
    pub fn new(connector: C, request_timeout: Duration) -> Self {
        Self {
            connector,
            request_timeout,
            idle: Mutex::default(),
        }
    }

    /// Has an instance's settings changed, and returns what they are now. When this returns, the
    /// request is answered or its connection closed. Dropping the future closes it soon.
    pub async fn update(&self, target: &Target, settings: &Settings) -> Reply {
        let request = target.update(settings);
        self.call(target, request, self.request_timeout).await
    }

    /// Reads an instance's settings, which may take `longest` at most, otherwise as
    /// [`update`](Self::update).
    pub async fn read(&self, target: &Target, longest: Duration) -> Reply {
        let limit = longest.min(self.request_timeout);
        self.call(target, target.read(), limit).await
    }

    async fn call(&self, target: &Target, request: Request<Full<Bytes>>, limit: Duration) -> Reply {
        match self.exchange(request, limit).await {
            Err(error) => Reply {
                result: Err(error),
                limit: None,
            },
            Ok((parts, body)) => {
                let limit = limit::read(&parts.headers);
                let result = error::read(&parts, &body, &target.token);
                Reply { result, limit }
            }
        }
    }

    async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<(Parts, Bytes), Error> {
        loop {
            let (connection, is_new) = match self.take_idle() {
                Some(connection) => (connection, false),
                None => (Connection::open(&self.connector).await?, true),
            };
            let (answer, reusable) = connection.exchange(request, limit).await;
            if let Some(connection) = reusable {
                self.keep(connection);
            }
            match answer {
                Ok(answer) => return Ok(answer),
                Err(Unanswered::Failed(error)) => {
                    if !is_new {
                        // The others may be as dead, and what comes next is to find out.
                        self.forget_idle();
                    }
                    return Err(error);
                }
                Err(Unanswered::NotSent(_)) if is_new => {
                    return Err(Error::Unreachable("the connection was closed at once"));
                }
                Err(Unanswered::NotSent(again)) => request = *again,
            }
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| connection.is_fresh(LONGEST_IDLE));
        idle.pop()
    }

    fn forget_idle(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.clear();
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
    }
}
