//! The target of a request: a Ryze instance and a token, with the prepared parts of its requests.
//!
//! A target is immutable; a rotated token makes a new one. Queues are keyed by the instance's name,
//! which stays the same when its token or its entry in the configuration is replaced.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header,
    uri::{Authority, PathAndQuery},
};
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

const TOKEN: HeaderName = HeaderName::from_static("token");
/// Headers of a request, with those of its trace.
const HEADERS: usize = 7;
const USER_AGENT: &str = concat!("zapi-to-ryze/", env!("CARGO_PKG_VERSION"));

/// Builds the requests to one instance.
#[derive(Debug)]
pub struct Target {
    entry: Arc<str>,
    name: Arc<str>,
    path_to_update: PathAndQuery,
    path_to_read: PathAndQuery,
    host: HeaderValue,
    token: Secret,
    token_digest: [u8; 32],
    /// Shares the memory of the token, which is zeroed when the last request is dropped.
    token_header: HeaderValue,
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
        let mut token_header = HeaderValue::from_maybe_shared(Bytes::from_owner(token.clone()))?;
        token_header.set_sensitive(true);
        Ok(Self {
            entry: entry.into(),
            path_to_update: path("/api/profile/privacy/")?,
            path_to_read: path("/api/profile/getPrivacy/")?,
            host: HeaderValue::from_str(host)?,
            token: token.clone(),
            token_digest: digest_of(token),
            token_header,
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

    pub(super) fn update(&self, settings: &Settings) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(wire::update(settings)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path_to_update.clone().into();
        self.add_headers(request.headers_mut(), Some("application/json"));
        request
    }

    pub(super) fn read(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.path_to_read.clone().into();
        self.add_headers(request.headers_mut(), None);
        request
    }

    /// A map kept for each target would be two thirds of a KiB, and as slow to clone as to fill.
    fn add_headers(&self, headers: &mut HeaderMap, content_type: Option<&'static str>) {
        headers.reserve(HEADERS);
        headers.append(header::HOST, self.host.clone());
        headers.append(TOKEN, self.token_header.clone());
        if let Some(media_type) = content_type {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        let identity = HeaderValue::from_static("identity");
        headers.append(header::ACCEPT_ENCODING, identity);
        headers.append(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    }
}

fn digest_of(token: &Secret) -> [u8; 32] {
    let computed = digest::digest(&digest::SHA256, token.expose().as_bytes());
    let mut digest = [0; 32];
    digest.copy_from_slice(computed.as_ref());
    digest
}
