//! `Content-Encoding` (RFC 9110, 8.4) of bodies that the gateway reads itself, which it does not decode.

use http::{HeaderMap, header};

/// Values that do not change the body. `UTF-8` is no coding; clients send it to say that of the text.
const PLAIN: [&[u8]; 4] = [b"", b"identity", b"utf-8", b"utf8"];

/// Whether a body with these headers is encoded.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| {
        let coding = coding.trim_ascii();
        !PLAIN.iter().any(|plain| coding.eq_ignore_ascii_case(plain))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn identity_utf_8_and_nothing_encode_nothing() {
        let is_encoded = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = HeaderValue::from_static(value);
                headers.append(header::CONTENT_ENCODING, value);
            }
            super::is_encoded(&headers)
        };
        let plain: [&[&str]; 9] = [
            &[],
            &[""],
            &["identity"],
            &["Identity"],
            &["UTF-8"],
            &["utf8"],
            &["identity, utf-8"],
            &[" ,identity ,, "],
            &["identity", "", "UTF-8"],
        ];
        for values in plain {
            assert!(!is_encoded(values), "{values:?}");
        }
        let encoded: [&[&str]; 6] = [
            &["gzip"],
            &["br"],
            &["identity, gzip"],
            &["identity", "gzip"],
            &["utf-16"],
            &["identity;q=1"],
        ];
        for values in encoded {
            assert!(is_encoded(values), "{values:?}");
        }
    }
}
