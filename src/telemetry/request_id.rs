//! Request ids: a client's, if they are safe to reuse, and generated ones.
//!
//! A client's `X-Request-Id` and `traceparent` reach the log, the response and Ryze, so they are reused
//! only in forms without room for free text: a UUID, a ULID (github.com/ulid/spec), at least 16
//! hexadecimal digits, or a trace context. Decimal digits alone could be a phone number with something
//! appended. An id in one of these forms can still be a credential, so the ids are compared with those
//! of the request as well.

use std::array;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, request::Parts};

const MIN_HEX_DIGITS: usize = 16;
const MAX_HEX_DIGITS: usize = 64;
const ULID_LENGTH: usize = 26;
/// Lengths of the groups of a UUID (RFC 9562, 4).
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// Whether a text contains part of a credential of the request.
pub type ContainsCredentials = fn(&Parts, &str) -> bool;

/// The client's id, if it is valid.
pub(super) fn from_client(
    parts: &Parts,
    name: &HeaderName,
    contains_credentials: ContainsCredentials,
) -> Option<HeaderValue> {
    let (value, id) = only(parts, name)?;
    let is_valid = is_uuid(id) || is_ulid(id) || is_long_hexadecimal(id);
    (is_valid && !contains_credentials(parts, id)).then(|| value.clone())
}

/// The client's trace context, if it is valid.
pub(super) fn traceparent(
    parts: &Parts,
    name: &HeaderName,
    contains_credentials: ContainsCredentials,
) -> Option<HeaderValue> {
    let (value, context) = only(parts, name)?;
    let ids = trace_context(context)?;
    let is_secret = ids.into_iter().any(|id| contains_credentials(parts, id));
    (!is_secret).then(|| value.clone())
}

/// The value of a header that occurs once.
fn only<'p>(parts: &'p Parts, name: &HeaderName) -> Option<(&'p HeaderValue, &'p str)> {
    let mut values = parts.headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    Some((value, value.to_str().ok()?))
}

fn is_uuid(id: &str) -> bool {
    let lengths = id.split('-').map(str::len);
    lengths.eq(UUID_GROUPS) && id.split('-').all(is_hexadecimal)
}

/// 128 bits in Crockford's base 32, so the first character has three bits.
fn is_ulid(id: &str) -> bool {
    let is_digit =
        |byte: u8| byte.is_ascii_alphanumeric() && !b"ILOU".contains(&byte.to_ascii_uppercase());
    id.len() == ULID_LENGTH
        && id.starts_with(|first| ('0'..='7').contains(&first))
        && id.bytes().all(is_digit)
        && !is_decimal(id)
}

fn is_long_hexadecimal(id: &str) -> bool {
    (MIN_HEX_DIGITS..=MAX_HEX_DIGITS).contains(&id.len()) && is_hexadecimal(id) && !is_decimal(id)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_decimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The ids of the trace and of the client's span in `version-trace-parent-flags` (W3C Trace Context,
/// 3.2.2). A later version may append more, which is not reused.
fn trace_context(text: &str) -> Option<[&str; 2]> {
    let mut fields = text.split('-');
    let mut field = |length| {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let field = fields.next()?;
        (field.len() == length && field.bytes().all(is_digit)).then_some(field)
    };
    let (version, trace, parent, _flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
    let is_zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    let is_valid =
        fields.next().is_none() && version != "ff" && !is_zero(trace) && !is_zero(parent);
    is_valid.then_some([trace, parent])
}

/// Generates an id.
pub(super) fn random() -> HeaderValue {
    let bits = fastrand::u128(..);
    let id: [u8; 32] = array::from_fn(|at| b"0123456789abcdef"[(bits >> (4 * at)) as usize % 16]);
    // Hexadecimal digits are always valid in a header.
    HeaderValue::from_maybe_shared(Bytes::from_owner(id))
        .unwrap_or_else(|_| HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Request};

    use super::super::trace::{TRACEPARENT, Trace};
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const SECRET: &str = "5ec4e7a0";

    fn trace(headers: &[(&str, &str)]) -> Trace {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap_or_default().into_parts();
        Trace::of(&parts, |_, text| text.contains(SECRET))
    }

    #[test]
    fn a_valid_id_is_reused_and_any_other_is_replaced() {
        for id in [
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "0F8FAD5B-D9CB-469F-A165-70867728950E",
            "12345678-1234-1234-1234-123456789012",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "01arz3ndektsv4rrffq69g5fav",
            "0f8fad5bd9cb469f",
            "0f8fad5bd9cb469fa16570867728950e",
            &"a1".repeat(32),
        ] {
            assert_eq!(trace(&[("x-request-id", id)]).id(), id);
        }
        for id in [
            "",
            "a",
            "two words",
            "quote\"",
            "req-42.b_C",
            "0f8fad5bd9cb469",
            "0f8fad5bd9cb469g",
            "0f8fad5b-d9cb-469f-a165-70867728950",
            "0f8fad5b-d9cb-469f-a165-70867728950e-",
            "0f8fad5b-d9cb-469f-a165-7086772895+e",
            "0f8fad5b-d9cb469f-a165-70867728950e",
            "81ARZ3NDEKTSV4RRFFQ69G5FAV",
            "01ARZ3NDEKTSV4RRFFQ69G5FAU",
            "01ARZ3NDEKTSV4RRFFQ69G5FA",
            "5511999999999",
            "55119999999991700000000",
            "00000000000005511999999999",
            "55-11-98765-4321",
            "5ec4e7a0d9cb469f",
            "0f8fad5b-d9cb-469f-a165-70865ec4e7a0",
            &"a1".repeat(33),
        ] {
            let trace = trace(&[("x-request-id", id)]);
            let made = trace.id().to_str().unwrap_or_default();
            assert_ne!(made, id);
            assert!(made.len() == 32 && is_hexadecimal(made), "{made}");
        }
        let id = ("x-request-id", "0f8fad5bd9cb469f");
        assert_ne!(trace(&[id, id]).id(), id.1);
    }

    #[test]
    fn a_valid_traceparent_is_propagated_and_any_other_is_not() {
        let propagated = |parent: &str| {
            let mut headers = HeaderMap::new();
            trace(&[("traceparent", parent)]).propagate_parent(&mut headers);
            headers.get(TRACEPARENT).map(|sent| sent == parent)
        };
        assert_eq!(propagated(PARENT), Some(true));
        let trace_id = trace(&[("traceparent", PARENT)])
            .trace_id()
            .map(str::to_owned);
        assert_eq!(
            trace_id.as_deref(),
            Some("4bf92f3577b34da6a3ce929d0e0e4736")
        );
        for parent in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-5ec4e7a077b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa5ec4e7a0-01",
        ] {
            assert_eq!(propagated(parent), None, "{parent}");
        }
    }
}
