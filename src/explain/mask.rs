//! Masks the credentials of a request that goes to the fallback: the token in its path and the headers
//! that authenticate. Requests to Ryze need no masking: the gateway of `explain` has no Ryze token.

use http::{
    HeaderMap, HeaderValue, Uri,
    header::{AUTHORIZATION, COOKIE},
    uri::{InvalidUri, PathAndQuery},
};
use percent_encoding::percent_decode_str;

use crate::zapi::auth::CLIENT_TOKEN;

/// Shown in place of a secret.
pub(super) const MASK: &str = "********";

/// Masks the token of the path.
///
/// # Errors
/// None: the mask is valid in a path.
pub(super) fn mask_path(uri: &Uri) -> Result<Uri, InvalidUri> {
    let query = uri.query().map(|query| format!("?{query}"));
    let target = masked(uri.path()) + &query.unwrap_or_default();
    PathAndQuery::try_from(target).map(Uri::from)
}

/// Masks the values of the headers that authenticate.
pub(super) fn mask_headers(headers: &mut HeaderMap) {
    for (name, value) in headers {
        if [CLIENT_TOKEN, AUTHORIZATION, COOKIE].contains(name) {
            *value = HeaderValue::from_static(MASK);
        }
    }
}

/// Replaces the segment behind each `token`. The path is read as a lenient server would: empty and `.`
/// segments are skipped, and an encoded slash may separate segments or belong to the token.
fn masked(path: &str) -> String {
    let mut is_token = false;
    let segments = path.split('/').map(|segment| {
        if is_token && !is_skipped(segment) {
            is_token = false;
            return MASK.to_owned();
        }
        let pieces = segment.replace("%2f", "%2F");
        let pieces = pieces.split("%2F").map(|piece| {
            if is_skipped(piece) {
                return piece.to_owned();
            }
            let shown = if is_token { MASK } else { piece };
            is_token = !is_token && is_token_keyword(piece);
            shown.to_owned()
        });
        pieces.collect::<Vec<_>>().join("%2F")
    });
    segments.collect::<Vec<_>>().join("/")
}

fn is_skipped(segment: &str) -> bool {
    matches!(segment, "" | ".")
}

/// Whether the segment is `token`, possibly encoded or with parameters.
fn is_token_keyword(segment: &str) -> bool {
    let decoded: Vec<u8> = percent_decode_str(segment).collect();
    let mut parts = decoded.split(|byte| *byte == b';');
    parts
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case(b"token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_masked_however_the_path_is_written() {
        let cases = [
            (
                "/instances/I/token/SECRET/x",
                "/instances/I/token/********/x",
            ),
            ("/instances/I/token/SECRET", "/instances/I/token/********"),
            (
                "//instances//I//token//SECRET",
                "//instances//I//token//********",
            ),
            ("/x/TOKEN/SECRET", "/x/TOKEN/********"),
            ("/x/t%6Fken/S%45CRET/y", "/x/t%6Fken/********/y"),
            ("/x%2Ftoken%2fSECRET%2Fy", "/x%2Ftoken%2F********%2Fy"),
            ("/x%2Ftoken/SECRET/y", "/x%2Ftoken/********/y"),
            ("/x/token;a=b/./SECRET;c", "/x/token;a=b/./********"),
            ("/token/S%2FECRET/y", "/token/********/y"),
            (
                "/token/SECRET/token/SECRET",
                "/token/********/token/********",
            ),
            ("/", "/"),
            ("/token", "/token"),
            ("/tokens/x", "/tokens/x"),
        ];
        for (path, expected) in cases {
            assert_eq!(masked(path), expected, "{path}");
        }
    }
}
