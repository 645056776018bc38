//! The target of a request: a Ryze instance and a token, with the prepared parts of its requests.
//!
//! A target is immutable; a rotated token makes a new one. Queues are keyed by the instance's name,
//! which stays the same when its token or its entry in the configuration is replaced.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header,
    uri::{Authority, PathAndQuery},
};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest;

use super::wire;
use crate::{
    config::Secret,
    privacy::Settings,
    telemetry::{Trace, X_REQUEST_ID},
};

const TOKEN: HeaderName = HeaderName::from_static("token");

/// The headers of an update. The values that are empty here are those of the request. A copy with all of
/// them costs half of what it costs to add them one by one, and no instance keeps a copy.
static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let agent = concat!("zapi-to-ryze/", env!("CARGO_PKG_VERSION"));
    let headers = [
        (header::HOST, ""),
        (TOKEN, ""),
        (header::CONTENT_TYPE, "application/json"),
        (header::ACCEPT_ENCODING, "identity"),
        (header::USER_AGENT, agent),
        (X_REQUEST_ID, ""),
        (header::CONTENT_LENGTH, ""),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    HeaderMap::from_iter(headers)
});

/// `Content-Length` of most updates. A copy costs 200 instructions less than a new value.
static LENGTHS: LazyLock<[HeaderValue; 64]> =
    LazyLock::new(|| std::array::from_fn(HeaderValue::from));

/// All but RFC 3986's unreserved characters.
const OUTSIDE_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Builds the requests to one instance.
#[derive(Debug)]
pub struct Target {
    entry: Arc<str>,
    name: Arc<str>,
    path_to_update: PathAndQuery,
    path_to_read: PathAndQuery,
    host: HeaderValue,
    token: Secret,
    /// Shares the token's memory, which is wiped when the last request is dropped.
    token_value: HeaderValue,
    token_digest: [u8; 32],
}

/// A request to a target. It is built for each attempt: to keep it would move it through several
/// futures.
#[derive(Clone, Copy)]
pub(super) struct OutgoingRequest<'r> {
    pub(super) target: &'r Target,
    /// Without one it is a read.
    pub(super) update: Option<&'r Settings>,
    pub(super) trace: Option<&'r Trace>,
}

impl OutgoingRequest<'_> {
    pub(super) fn build(self) -> Request<Full<Bytes>> {
        match self.update {
            Some(settings) => self.target.update(settings, self.trace),
            None => self.target.read(self.trace),
        }
    }
}

impl Target {
    /// The instance `name` at `base_url`. `entry` is the id of its entry in the configuration.
    ///
    /// # Errors
    /// The token is not a valid header value, or the name not valid in a path.
    pub fn new(
        base_url: &Uri,
        entry: impl Into<Arc<str>>,
        name: impl Into<Arc<str>>,
        token: &Secret,
    ) -> Result<Self, http::Error> {
        let name = name.into();
        let prefix = base_url.path().trim_end_matches('/');
        let segment = utf8_percent_encode(&name, OUTSIDE_SEGMENT);
        let path = |call| PathAndQuery::try_from(format!("{prefix}{call}{segment}"));
        let host = base_url.authority().map_or("", Authority::as_str);
        let mut token_value = HeaderValue::from_maybe_shared(Bytes::from_owner(token.clone()))?;
        token_value.set_sensitive(true);
        Ok(Self {
            entry: entry.into(),
            path_to_update: path("/api/profile/privacy/")?,
            path_to_read: path("/api/profile/getPrivacy/")?,
            host: HeaderValue::from_str(host)?,
            token: token.clone(),
            token_value,
            token_digest: digest_of(token),
            name,
        })
    }

    /// The id of its entry in the configuration. Several entries may share one instance.
    #[must_use]
    pub fn entry(&self) -> &Arc<str> {
        &self.entry
    }

    /// The instance's name, the key of its queue.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// A SHA-256 digest of the token, to compare tokens without keeping them.
    #[must_use]
    pub fn token_digest(&self) -> [u8; 32] {
        self.token_digest
    }

    pub(super) fn token(&self) -> &Secret {
        &self.token
    }

    fn update(&self, settings: &Settings, trace: Option<&Trace>) -> Request<Full<Bytes>> {
        let body = wire::update(settings);
        let headers = self.headers(body.len(), trace);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path_to_update.clone().into();
        *request.headers_mut() = headers;
        request
    }

    fn read(&self, trace: Option<&Trace>) -> Request<Full<Bytes>> {
        let mut headers = self.headers(0, trace);
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_LENGTH);
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.path_to_read.clone().into();
        *request.headers_mut() = headers;
        request
    }

    /// Those of an update of this length.
    fn headers(&self, length: usize, trace: Option<&Trace>) -> HeaderMap {
        let mut headers = HEADERS.clone();
        // Cheaper than an insertion of each, which hashes its name.
        for (name, value) in &mut headers {
            if *name == header::HOST {
                *value = self.host.clone();
            } else if *name == TOKEN {
                *value = self.token_value.clone();
            } else if *name == header::CONTENT_LENGTH {
                *value = LENGTHS
                    .get(length)
                    .cloned()
                    .unwrap_or_else(|| length.into());
            } else if *name == X_REQUEST_ID
                && let Some(trace) = trace
            {
                *value = trace.id().clone();
            }
        }
        match trace {
            Some(trace) => trace.propagate_parent(&mut headers),
            None => drop(headers.remove(X_REQUEST_ID)),
        }
        headers
    }
}

fn digest_of(token: &Secret) -> [u8; 32] {
    let computed = digest::digest(&digest::SHA256, token.expose().as_bytes());
    let mut digest = [0; 32];
    digest.copy_from_slice(computed.as_ref());
    digest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hyper::body::Body as _;

    use super::*;
    use crate::privacy::{Audience, Setting};

    #[test]
    fn the_length_of_an_update_is_that_of_its_body() {
        let base_url = "http://ryze.test".parse().unwrap();
        let target = Target::new(&base_url, "entry", "a", &Secret::new("token")).unwrap();
        let mut settings = Settings::default();
        for setting in Setting::ALL {
            settings.set(setting, Audience::ContactsExcept);
            let update = target.update(&settings, None);
            let length = update.body().size_hint().exact().unwrap().to_string();
            assert_eq!(update.headers()["content-length"], *length);
        }
    }

    #[test]
    fn a_request_has_its_own_values_and_no_empty_header() {
        let base_url = "http://ryze.test:81/v1/".parse().unwrap();
        let target = Target::new(&base_url, "entry", "a b", &Secret::new("planted")).unwrap();
        let trace = Trace::default();
        let mut settings = Settings::default();
        settings.set(Setting::ProfilePhoto, Audience::Everyone);
        let update = target.update(&settings, Some(&trace));
        assert_eq!(update.uri(), "/v1/api/profile/privacy/a%20b");
        let id = trace.id().to_str().unwrap();
        for (name, value) in [
            ("host", "ryze.test:81"),
            ("token", "planted"),
            ("content-type", "application/json"),
            ("content-length", "32"),
            ("x-request-id", id),
        ] {
            assert_eq!(update.headers()[name], value, "{name}");
        }
        let read = target.read(None);
        assert_eq!(read.uri(), "/v1/api/profile/getPrivacy/a%20b");
        let mut names: Vec<_> = read.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "host", "token", "user-agent"]);
        for request in [update, read] {
            assert!(request.headers().values().all(|value| !value.is_empty()));
            assert!(!format!("{request:?}").contains("planted"));
        }
    }
}
