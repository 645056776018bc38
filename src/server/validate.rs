//! Validation of request heads, as far as hyper leaves it to its user: target, `Host` and
//! `Transfer-Encoding` (RFC 9112, 3.2 and 6.1; RFC 9110, 7.2).

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header, request::Parts,
    uri::Authority,
};

/// What is wrong with a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidHead {
    /// The target is neither in origin-form nor in absolute-form.
    TargetForm,
    /// The target is not ASCII.
    TargetNotAscii,
    /// A header that may occur once occurs twice.
    RepeatedHeader(HeaderName),
    /// A transfer coding other than chunked.
    TransferEncoding,
    /// `Host` is not `uri-host [ ":" port ]`.
    HostMalformed,
    /// HTTP/1.1 without `Host`.
    HostMissing,
}

/// Validates a head, in which `Host` and `once` may occur only once.
pub(crate) fn check(parts: &Parts, once: &HeaderName) -> Result<(), InvalidHead> {
    if parts.method == Method::CONNECT || !parts.uri.path().starts_with('/') {
        return Err(InvalidHead::TargetForm);
    }
    check_headers(&parts.headers, once, parts.version)
}

/// Validates that a target is a URI, which is ASCII (RFC 3986, 2). hyper also accepts UTF-8.
pub(crate) fn check_ascii(target: &Uri) -> Result<(), InvalidHead> {
    if target.path().is_ascii() && target.query().is_none_or(str::is_ascii) {
        Ok(())
    } else {
        Err(InvalidHead::TargetNotAscii)
    }
}

/// Validates `Host`, `Transfer-Encoding` and the header `once` in one pass.
fn check_headers(
    headers: &HeaderMap,
    once: &HeaderName,
    version: Version,
) -> Result<(), InvalidHead> {
    let mut host = None;
    let mut coding = None;
    let mut other = None;
    for (name, value) in headers {
        let is_repeated = (*name == header::HOST && host.replace(value).is_some())
            || (*name == header::TRANSFER_ENCODING && coding.replace(value).is_some())
            || (name == once && other.replace(value).is_some());
        if is_repeated {
            return Err(InvalidHead::RepeatedHeader(name.clone()));
        }
    }
    // hyper decodes chunked and ignores codings before it (RFC 9112, 6.1).
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(InvalidHead::TransferEncoding);
    }
    match host.map(HeaderValue::as_bytes) {
        Some(host) if is_name_and_port(host) => Ok(()),
        Some(host) => match Authority::try_from(host) {
            Ok(host) if is_host_and_port(&host) => Ok(()),
            _ => Err(InvalidHead::HostMalformed),
        },
        None if version == Version::HTTP_10 => Ok(()),
        None => Err(InvalidHead::HostMissing),
    }
}

/// Whether a `Host` is one of those that most clients send, which need no parser: 500 instructions less.
fn is_name_and_port(host: &[u8]) -> bool {
    let mut parts = host.splitn(2, |byte| *byte == b':');
    let name = parts.next().unwrap_or_default();
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.".contains(byte);
    let is_short_number = |port: &[u8]| port.len() < 5 && port.iter().all(u8::is_ascii_digit);
    !name.is_empty() && name.iter().all(is_of_name) && parts.next().is_none_or(is_short_number)
}

/// `uri-host [ ":" port ]`, whose port may be empty (RFC 3986, 3.2.3).
fn is_host_and_port(authority: &Authority) -> bool {
    let host = authority.host();
    match authority.as_str().strip_prefix(host) {
        Some("" | ":") => !host.is_empty(),
        Some(_) => !host.is_empty() && authority.port_u16().is_some(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_needs_no_parser_is_one_that_the_parser_accepts() {
        let mut hosts = vec![String::new()];
        for _ in 0..5 {
            let longer = |host: &String| {
                "a-.:0@[%"
                    .chars()
                    .map(|next| format!("{host}{next}"))
                    .collect::<Vec<_>>()
            };
            hosts = hosts.iter().flat_map(longer).collect();
            for host in &hosts {
                let is_valid =
                    Authority::try_from(&**host).is_ok_and(|host| is_host_and_port(&host));
                assert!(is_valid || !is_name_and_port(host.as_bytes()), "{host}");
            }
        }
        for host in ["api.z-api.io", "127.0.0.1:8420", "gateway", "gateway:"] {
            assert!(is_name_and_port(host.as_bytes()), "{host}");
        }
    }
}
