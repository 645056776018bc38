//! The admin listener: probes, metrics, the status page, the configuration in force and the runbook. It is
//! read-only. Of what a client sent it shows a valid request id alone.

mod activity;
mod exposition;
mod gauges;
mod host;
mod language;
mod overview;
mod page;
mod status;

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, uri::Authority};
use http_body_util::Full;
use prometheus_client::registry::Registry;

use self::{exposition::Exposition, gauges::Gauges, language::Language};
pub use self::{overview::Overview, status::Phase};
use crate::{
    config,
    server::{Handler, RequestBody},
};

/// In the version of this program.
const RUNBOOK: &str = include_str!("../../docs/runbook.md");
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const PATHS: &str = "there is /, /live, /ready, /status, /config, /metrics and /runbook\n";

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
            "/" => found(HTML, page::html(Language::negotiate(request.headers()))),
            "/runbook" => text(StatusCode::OK, RUNBOOK),
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
            let policy = HeaderValue::from_static(page::POLICY);
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
            let vary = HeaderValue::from_static("accept-language");
            headers.insert(header::VARY, vary);
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
    use super::*;

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
