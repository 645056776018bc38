//! The admin listener: probes, metrics, the status page and the configuration in force. It is read-only
//! and shows nothing that a client sent.

mod exposition;
mod gauges;
mod overview;
mod status;

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, uri::Authority};
use http_body_util::Full;
use prometheus_client::registry::Registry;

use self::{exposition::Exposition, gauges::Gauges};
pub use self::{overview::Overview, status::Phase};
use crate::{
    config,
    server::{Handler, RequestBody},
};

const PAGE: &str = include_str!("page.html");
/// Allows the page's own style and script, and its requests to `/status`; nothing else.
const PAGE_POLICY: &str = "default-src 'none'; \
    style-src 'sha256-lr/PCaOxd3OpwYPZcSva/J1jByuisJGaJXvKBQStNNY='; \
    script-src 'sha256-XubkMNlSPKyhedN7kKXf2wDEa+ULhdXUELJnd5Iq61M='; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const PATHS: &str = "there is /, /live, /ready, /status, /config and /metrics\n";

/// The handler of the admin listener.
pub struct Admin {
    overview: Arc<Overview>,
    registry: Registry,
    is_local: bool,
}

impl Admin {
    /// `is_local` says whether only this machine can reach the listener; `Host` must then name it.
    #[must_use]
    pub fn new(overview: Arc<Overview>, is_local: bool) -> Self {
        let mut registry = overview.metrics().registry();
        let own = registry.sub_registry_with_prefix("zapi_to_ryze");
        own.register_collector(Box::new(Gauges(Arc::clone(&overview))));
        Self {
            registry,
            overview,
            is_local,
        }
    }

    fn answer(&self, request: &Request<RequestBody>) -> (StatusCode, &'static str, Bytes) {
        let text = |status, text: &'static str| (status, TEXT, Bytes::from_static(text.as_bytes()));
        if self.is_local && !names_this_machine(request.headers()) {
            let why = "call it by its address or as localhost\n";
            return text(StatusCode::MISDIRECTED_REQUEST, why);
        }
        let found = |kind, body: String| (StatusCode::OK, kind, Bytes::from(body));
        let answer = match request.uri().path() {
            "/" => (StatusCode::OK, HTML, Bytes::from_static(PAGE.as_bytes())),
            "/ready" if self.overview.phase() != Phase::Serving => {
                text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
            }
            // Numbers, words and names always have a JSON form.
            "/status" => found(
                JSON,
                serde_json::to_string(&self.overview.status()).unwrap_or_default(),
            ),
            "/config" => found(TEXT, config::print(&self.overview.config())),
            "/metrics" => {
                let format = Exposition::negotiate(request.headers());
                found(format.content_type(), format.encode(&self.registry))
            }
            "/live" | "/ready" => text(StatusCode::OK, "ok\n"),
            _ => return text(StatusCode::NOT_FOUND, PATHS),
        };
        match *request.method() {
            Method::GET | Method::HEAD => answer,
            _ => text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n"),
        }
    }
}

impl Handler for Admin {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<RequestBody>) -> Response<Self::Body> {
        let (status, kind, body) = self.answer(&request);
        let mut answer = Response::new(Full::new(body));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        if kind == HTML {
            let policy = HeaderValue::from_static(PAGE_POLICY);
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        answer
    }

    /// Not used: the listener has no TLS.
    fn tls_required(&self, _: Request<RequestBody>) -> Response<Self::Body> {
        let mut answer = Response::new(Full::from("use https\n"));
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        answer
    }

    /// Not used: with [`Limits::ADMIN`](crate::server::Limits) connections wait in the backlog instead.
    fn overloaded(&self) -> Response<Self::Body> {
        let mut answer = Response::new(Full::from("too many connections\n"));
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        answer
    }
}

/// Whether `Host` is an address or a name of this machine. Prevents DNS rebinding: otherwise a web page
/// whose host name resolves to this address could read the responses in a browser on this machine.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let Ok(host) = Authority::try_from(host.as_bytes()) else {
        return false;
    };
    let host = host.host().trim_end_matches('.');
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    is_address || !host.contains('.') || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use ring::digest;

    use super::*;

    #[test]
    fn the_policy_allows_the_style_and_the_script_of_the_page_and_nothing_else() {
        for (element, directive) in [("style", "style-src"), ("script", "script-src")] {
            let (open, close) = (format!("<{element}>"), format!("</{element}>"));
            let pieces: Vec<_> = PAGE.split(&open).collect();
            assert_eq!(pieces.len(), 2, "one {element}");
            let content = pieces[1].split(&close).next().unwrap_or_default();
            let hash = digest::digest(&digest::SHA256, content.as_bytes());
            let source = format!("{directive} 'sha256-{}';", BASE64_STANDARD.encode(hash));
            assert!(PAGE_POLICY.contains(&source), "write {source}");
        }
    }

    #[test]
    fn names_of_the_internet_are_not_this_machine() {
        let is_named = |host: &'static str| {
            let host = HeaderValue::from_static(host);
            names_this_machine(&HeaderMap::from_iter([(header::HOST, host)]))
        };
        for host in [
            "127.0.0.1:8421",
            "[::1]:8421",
            "localhost:1",
            "a.localhost",
            "gateway",
        ] {
            assert!(is_named(host), "{host}");
        }
        for host in [
            "attacker.example",
            "attacker.example.:8421",
            "127.0.0.1.nip.io",
            "a b",
            "",
        ] {
            assert!(!is_named(host), "{host}");
        }
    }
}
