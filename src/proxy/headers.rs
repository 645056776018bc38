//! Heads of forwarded messages (RFC 9110, 7.6): removes hop-by-hop fields, sets `Host`, extends `Via`
//! and rejects requests that a proxy must not forward.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version,
    header::{
        CONNECTION, EXPECT, HOST, MAX_FORWARDS, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
        TRANSFER_ENCODING, UPGRADE, VIA,
    },
    request, response,
};
use hyper::body::Frame;

use super::Error;

/// Hop-by-hop fields, removed even if `Connection` does not name them. `Trailer` is not one of them:
/// it describes the message. Without `Upgrade` a request goes on in HTTP/1.1 whatever protocol it offers
/// (RFC 9110, 7.8): some clients offer one with every request.
static HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// `Content-Length` and the hop-by-hop fields with a hyphen.
const DISGUISED: [&[u8]; 6] = [
    b"content-length",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"transfer-encoding",
];
/// Bit n: a name in [`DISGUISED`] or [`HOP_BY_HOP`] has n bytes.
const LENGTHS: u32 = {
    let (mut lengths, mut at) = (0, 0);
    while at < DISGUISED.len() {
        lengths |= 1 << DISGUISED[at].len();
        at += 1;
    }
    lengths | 1 << "te".len() | 1 << "upgrade".len() | 1 << "connection".len()
};
/// The gateway's name in `Via`.
const PSEUDONYM: &[u8] = b"zapi-to-ryze";
/// How often a request may have passed a gateway of this kind. More probably is a forwarding loop.
const MAX_GATEWAYS: usize = 4;
/// The value of `Allow`: the methods that are forwarded to any target.
const METHODS: &str = "DELETE, GET, HEAD, PATCH, POST, PUT";

/// Turns the head of a client's request into that of a request to `host`.
///
/// # Errors
/// A proxy must not forward the request.
pub(super) fn to_upstream(parts: &mut request::Parts, host: &HeaderValue) -> Result<(), Error> {
    let headers = &mut parts.headers;
    if parts.method == Method::TRACE || !may_go_on(&parts.method, headers) {
        return Err(Error::Method { allow: METHODS });
    }
    if parts.version == Version::HTTP_10 {
        // RFC 9110, 10.1.1: it is ignored in HTTP/1.0 requests.
        headers.remove(EXPECT);
    }
    if list(headers, &VIA)
        .filter(|hop| hop.ends_with(PSEUDONYM))
        .count()
        >= MAX_GATEWAYS
    {
        return Err(Error::Loop);
    }
    let takes_trailers = list(headers, &TE).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
    remove_hop_by_hop(headers);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    headers.insert(HOST, host.clone());
    add_via(headers, parts.version);
    parts.version = Version::HTTP_11;
    Ok(())
}

/// Turns the head of the upstream's response into that of a response to the client.
///
/// # Errors
/// The body has transfer codings other than chunked alone, or the status is informational.
pub(super) fn to_client(parts: &mut response::Parts) -> Result<(), Error> {
    let headers = &mut parts.headers;
    if !is_chunked_once_at_most(headers) || parts.status.is_informational() {
        return Err(Error::Unsolicited);
    }
    remove_hop_by_hop(headers);
    add_via(headers, parts.version);
    parts.version = Version::HTTP_11;
    Ok(())
}

/// The members of a field that is a list (RFC 9110, 5.6.1).
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let values = headers.get_all(name).into_iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// Whether `Transfer-Encoding` is absent or chunked, applied once. hyper reads the body of any other
/// list by its last coding alone, or until the connection is closed.
fn is_chunked_once_at_most(headers: &HeaderMap) -> bool {
    if !headers.contains_key(TRANSFER_ENCODING) {
        return true;
    }
    let mut codings = list(headers, &TRANSFER_ENCODING);
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    codings.next().is_some_and(is_chunked) && codings.next().is_none()
}

/// A frame without hop-by-hop fields, if it is a trailer section.
pub(super) fn of_frame<E>(mut frame: Result<Frame<Bytes>, E>) -> Result<Frame<Bytes>, E> {
    if let Some(trailers) = frame.as_mut().ok().and_then(Frame::trailers_mut) {
        remove_hop_by_hop(trailers);
    }
    frame
}

/// Removes hop-by-hop fields from a head or a trailer section, and fields that a recipient may take for
/// one of them or for `Content-Length`.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let known: Vec<_> = headers
        .keys()
        .filter(|name| {
            // Most names have another length, which is cheap to see.
            let length = name.as_str().len();
            length < 32
                && LENGTHS >> length & 1 == 1
                && (HOP_BY_HOP.contains(name) || is_disguised(name))
        })
        .cloned()
        .collect();
    if known.is_empty() {
        // No `Connection` either.
        return;
    }
    let named: Vec<_> = list(headers, &CONNECTION)
        .filter_map(|option| HeaderName::try_from(option).ok())
        .collect();
    for name in named.iter().chain(&known) {
        headers.remove(name);
    }
}

/// Whether a name is one of [`DISGUISED`] with other characters for its hyphens. CGI and its descendants
/// make one variable of `Content_Length` and `Content-Length`.
fn is_disguised(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let spells = |field: &&[u8]| {
        let mut pairs = name.iter().zip(*field);
        name != *field
            && name.len() == field.len()
            && pairs.all(|(one, other)| one == other || *other == b'-' && !is_plain(*one))
    };
    DISGUISED.iter().any(spells)
}

/// Decrements `Max-Forwards` of an `OPTIONS` request (RFC 9110, 7.6.2). Returns `false` if it is 0:
/// the gateway is the final recipient.
fn may_go_on(method: &Method, headers: &mut HeaderMap) -> bool {
    if *method != Method::OPTIONS {
        return true;
    }
    let left = headers.get(MAX_FORWARDS).and_then(|it| it.to_str().ok());
    let Some(left) = left.and_then(|left| left.parse::<u32>().ok()) else {
        return true;
    };
    if let Some(left) = left.checked_sub(1) {
        headers.insert(MAX_FORWARDS, left.into());
    }
    left > 0
}

/// Appends the gateway to `Via` (RFC 9110, 7.6.3).
fn add_via(headers: &mut HeaderMap, received: Version) {
    headers.append(
        VIA,
        HeaderValue::from_static(if received == Version::HTTP_10 {
            "1.0 zapi-to-ryze"
        } else {
            "1.1 zapi-to-ryze"
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_that_is_removed_has_a_length_that_is_looked_at() {
        let hop_by_hop = HOP_BY_HOP.iter().map(|name| name.as_str().len());
        for length in hop_by_hop.chain(DISGUISED.map(<[u8]>::len)) {
            assert_eq!(LENGTHS >> length & 1, 1, "{length}");
        }
    }
}
