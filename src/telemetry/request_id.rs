//! Which ids of a caller are taken over: those that are sound and cannot be what must not be told.

use http::{HeaderName, HeaderValue, request::Parts};

/// Characters of an id that is taken over.
const LONGEST_ID: usize = 64;
/// So many digits may be a phone number.
const PHONE_DIGITS: usize = 10;

/// The caller's value of a header, where it stands once, is sound, and `tells` nothing of the request's
/// secrets.
pub(super) fn sent(
    parts: &Parts,
    name: &HeaderName,
    is_sound: fn(&str) -> bool,
    tells: fn(&Parts, &str) -> bool,
) -> Option<HeaderValue> {
    let mut values = parts.headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let text = value.to_str().ok()?;
    (is_sound(text) && !tells(parts, text)).then(|| value.clone())
}

/// Whether an id is one that can go wherever an id goes.
pub(super) fn is_sound(id: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=LONGEST_ID).contains(&id.len())
        && id.bytes().all(is_known)
        && (is_uuid(id) || !has_phone_number(id))
}

/// Whether there are as many digits as in a phone number, whatever but letters is between them.
fn has_phone_number(id: &str) -> bool {
    let count = |run: &str| run.bytes().filter(u8::is_ascii_digit).count();
    id.split(|char: char| char.is_ascii_alphabetic())
        .any(|run| count(run) >= PHONE_DIGITS)
}

/// With or without hyphens.
fn is_uuid(id: &str) -> bool {
    let groups: Vec<_> = id.split('-').collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    matches!(lengths[..], [32] | [8, 4, 4, 4, 12])
        && groups.iter().all(|group| is_hexadecimal(group))
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `version-trace-parent-flags` (W3C Trace Context, 3.2.2).
pub(super) fn is_sound_parent(parent: &str) -> bool {
    let fields: Vec<_> = parent.split('-').collect();
    let [version, trace, parent, flags] = fields[..] else {
        return false;
    };
    let is_field = |field: &str, length| {
        field.len() == length && is_hexadecimal(field) && field == field.to_ascii_lowercase()
    };
    let is_zero = |field: &str| field.bytes().all(|byte| byte == b'0');
    is_field(version, 2)
        && version != "ff"
        && is_field(trace, 32)
        && !is_zero(trace)
        && is_field(parent, 16)
        && !is_zero(parent)
        && is_field(flags, 2)
}

/// A new id.
pub(super) fn random() -> HeaderValue {
    let id = format!("{:032x}", fastrand::u128(..));
    // Hexadecimal digits can always stand in a header.
    HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Request};

    use super::super::trace::{TRACEPARENT, Trace};
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn trace(headers: &[(&str, &str)]) -> Trace {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap_or_default().into_parts();
        Trace::of(&parts, |_, text| text.contains("5ecre7a"))
    }

    #[test]
    fn a_sane_id_is_taken_over_and_any_other_is_replaced() {
        for id in [
            "a",
            "req-42.b_C",
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "12345678-1234-1234-1234-123456789012",
            "12345678901234567890123456789012",
            "id-123456789",
        ] {
            assert_eq!(trace(&[("x-request-id", id)]).id(), id);
        }
        let long = "a".repeat(LONGEST_ID + 1);
        for id in [
            "",
            "two words",
            "quote\"",
            "5511999999999",
            "req-5511999999999",
            "5ecre7a",
            "req-5ecre7a",
            "55-11-98765-4321",
            "x55.11_98765.4321",
            &long,
        ] {
            let trace = trace(&[("x-request-id", id)]);
            let made = trace.id().to_str().unwrap_or_default();
            assert_ne!(made, id);
            assert!(made.len() == 32 && is_hexadecimal(made), "{made}");
        }
        let twice = trace(&[("x-request-id", "a"), ("x-request-id", "a")]);
        assert_ne!(twice.id(), "a");
    }

    #[test]
    fn a_sound_traceparent_is_carried_on_and_any_other_is_not() {
        let told = |parent: &str| {
            let mut headers = HeaderMap::new();
            trace(&[("traceparent", parent)]).propagate(&mut headers);
            headers.get(TRACEPARENT).map(|sent| sent == parent)
        };
        assert_eq!(told(PARENT), Some(true));
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
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        ] {
            assert_eq!(told(parent), None, "{parent}");
        }
    }
}
