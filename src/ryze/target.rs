//! The target of a request: a Ryze instance and a token, with the prepared parts of its requests.
//!
//! A target is immutable; a rotated token makes a new one. Queues are keyed by the instance's name,
//! which stays the same when its token or its entry in the configuration is replaced.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header, uri};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest;

use super::wire;
use crate::{config::Secret, privacy::Settings};

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
    path_to_update: Uri,
    path_to_read: Uri,
    token: Secret,
    token_digest: [u8; 32],
    /// The headers of an update.
    headers: HeaderMap,
}

impl Target {
    /// The instance `name` at `base_url`. `entry` is the id of its entry in the configuration.
    ///
    /// # Errors
    /// The token is not a valid header value, or the name not valid in a path.
    pub fn new(
        base_url: &Uri,
        entry: &str,
        name: &str,
        token: &Secret,
    ) -> Result<Self, http::Error> {
        let prefix = base_url.path().trim_end_matches('/');
        let segment = utf8_percent_encode(name, OUTSIDE_SEGMENT);
        let path = |call| uri::PathAndQuery::try_from(format!("{prefix}{call}{segment}"));
        let host = base_url.authority().map_or("", uri::Authority::as_str);
        Ok(Self {
            entry: entry.into(),
            name: name.into(),
            path_to_update: path("/api/profile/privacy/")?.into(),
            path_to_read: path("/api/profile/getPrivacy/")?.into(),
            headers: headers(HeaderValue::from_str(host)?, token)?,
            token: token.clone(),
            token_digest: digest_of(token),
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

    pub(super) fn update(&self, settings: &Settings) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(wire::update(settings)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path_to_update.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    pub(super) fn read(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.path_to_read.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().remove(header::CONTENT_TYPE);
        request
    }
}

/// The headers of an update.
fn headers(host: HeaderValue, token: &Secret) -> Result<HeaderMap, http::Error> {
    // The header value shares the secret's memory, which is wiped when the last request is dropped.
    let mut secret = HeaderValue::from_maybe_shared(Bytes::from_owner(token.clone()))?;
    secret.set_sensitive(true);
    let agent = concat!("zapi-to-ryze/", env!("CARGO_PKG_VERSION"));
    Ok(HeaderMap::from_iter([
        (header::HOST, host),
        (HeaderName::from_static("token"), secret),
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        ),
        (header::USER_AGENT, HeaderValue::from_static(agent)),
    ]))
}

fn digest_of(token: &Secret) -> [u8; 32] {
    let computed = digest::digest(&digest::SHA256, token.expose().as_bytes());
    let mut digest = [0; 32];
    digest.copy_from_slice(computed.as_ref());
    digest
}
