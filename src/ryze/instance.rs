//! An instance as Ryze knows it: all of a request that stays the same from call to call, and the token,
//! which the operator may change meanwhile. How a request is sent belongs in `client.rs`.

use std::{
    hash::{Hash, Hasher},
    ptr,
    sync::Arc,
};

use arc_swap::ArcSwap;
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

/// An instance. It is one and the same whatever its token: only it is equal to itself.
#[derive(Debug)]
pub struct Target {
    name: String,
    path_to_update: Uri,
    path_to_read: Uri,
    host: HeaderValue,
    credentials: ArcSwap<Credentials>,
}

/// A token, ready to be sent.
#[derive(Debug)]
pub struct Credentials {
    pub(crate) token: Secret,
    digest: [u8; 32],
    /// Of an update.
    headers: HeaderMap,
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
        let host = HeaderValue::from_str(host)?;
        Ok(Self {
            name: name.into(),
            path_to_update: path("/api/profile/privacy/")?.into(),
            path_to_read: path("/api/profile/getPrivacy/")?.into(),
            credentials: ArcSwap::from_pointee(Credentials::new(&host, token)?),
            host,
        })
    }

    /// The instance's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands for its token where the token itself is not needed.
    #[must_use]
    pub fn token_digest(&self) -> [u8; 32] {
        self.credentials.load().digest
    }

    /// Another token for it.
    ///
    /// # Errors
    /// The token cannot stand in a header.
    pub fn credentials_with(&self, token: &Secret) -> Result<Credentials, http::Error> {
        Credentials::new(&self.host, token)
    }

    /// Uses another token from the next request on.
    pub fn renew(&self, credentials: Credentials) {
        self.credentials.store(Arc::new(credentials));
    }

    /// The token that a request made now is sent with.
    pub(super) fn credentials(&self) -> Arc<Credentials> {
        self.credentials.load_full()
    }

    pub(super) fn update(
        &self,
        credentials: &Credentials,
        settings: &Settings,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(wire::update(settings)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path_to_update.clone();
        *request.headers_mut() = credentials.headers.clone();
        request
    }

    pub(super) fn read(&self, credentials: &Credentials) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.path_to_read.clone();
        *request.headers_mut() = credentials.headers.clone();
        request.headers_mut().remove(header::CONTENT_TYPE);
        request
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        ptr::from_ref(self).hash(state);
    }
}

impl Credentials {
    fn new(host: &HeaderValue, token: &Secret) -> Result<Self, http::Error> {
        // Its memory is wiped once the last request that has it is gone.
        let mut secret = HeaderValue::from_maybe_shared(Bytes::from_owner(token.clone()))?;
        secret.set_sensitive(true);
        let agent = concat!("zapi-to-ryze/", env!("CARGO_PKG_VERSION"));
        let headers = HeaderMap::from_iter([
            (header::HOST, host.clone()),
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
        ]);
        Ok(Self {
            token: token.clone(),
            digest: digest_of(token),
            headers,
        })
    }
}

/// What stands for a token where the token itself is not needed.
#[must_use]
pub fn digest_of(token: &Secret) -> [u8; 32] {
    let found = digest::digest(&digest::SHA256, token.expose().as_bytes());
    let mut digest = [0; 32];
    digest.copy_from_slice(found.as_ref());
    digest
}
