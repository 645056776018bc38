//! Hides what must not be seen of a request that goes on to the old vendor. Its body may be anything,
//! so secrets are looked for in all of it. Requests to Ryze are made with the mask from the start.

use std::{borrow::Cow, cmp::Reverse};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Uri,
    header::{AUTHORIZATION, COOKIE},
};
use memchr::memmem;
use percent_encoding::percent_decode_str;

use crate::{config::Instance, zapi::accounts::CLIENT_TOKEN};

/// What is seen in place of a secret.
pub(super) const MASK: &str = "********";
/// Bytes of a secret that does not stand in another word by chance.
const LONG: usize = 8;

/// Hides the token in the path, the headers that hold credentials, and every secret of the instances
/// wherever it stands.
///
/// # Errors
/// There is none: the mask may stand in a path.
pub(super) fn mask(
    request: Request<Bytes>,
    instances: &[Instance],
) -> Result<Request<Bytes>, http::Error> {
    let (mut head, body) = request.into_parts();
    let in_path = tokens(head.uri.path());
    let configured = instances.iter().flat_map(Instance::secrets);
    let configured = configured.map(|secret| secret.expose().as_bytes().into());
    let mut secrets: Vec<Cow<'_, [u8]>> = configured.collect();
    for token in &in_path {
        secrets.push(token.as_bytes().into());
        secrets.push(percent_decode_str(token).into());
    }
    secrets.sort_by_key(|secret| Reverse(secret.len()));
    let hide_all = |text: &[u8]| {
        let all = secrets.iter();
        all.fold(text.to_vec(), |text, secret| hide(&text, secret))
    };
    let target = in_path.iter().fold(head.uri.to_string(), |target, token| {
        target.replace(token, MASK)
    });
    head.uri = Uri::try_from(hide_all(target.as_bytes()))?;
    head.headers = mask_headers(&head.headers, hide_all)?;
    let body = hide_all(&body).into();
    Ok(Request::from_parts(head, body))
}

fn mask_headers(
    headers: &HeaderMap,
    hide_all: impl Fn(&[u8]) -> Vec<u8>,
) -> Result<HeaderMap, http::Error> {
    let mut masked = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let value = if [CLIENT_TOKEN, AUTHORIZATION, COOKIE].contains(name) {
            HeaderValue::from_static(MASK)
        } else {
            HeaderValue::from_bytes(&hide_all(value.as_bytes()))?
        };
        masked.append(name, value);
    }
    Ok(masked)
}

/// What stands behind `token` in a path, as it was written, the longest first, lest a part of one be
/// left over. An encoded slash may be part of a token, or the end of it.
fn tokens(path: &str) -> Vec<String> {
    let decoded = path.replace("%2F", "/").replace("%2f", "/");
    let mut tokens = behind_token(path);
    tokens.append(&mut behind_token(&decoded));
    tokens.sort_by_key(|token| Reverse(token.len()));
    tokens.dedup();
    tokens
}

/// The path is read as the most lenient server would.
fn behind_token(path: &str) -> Vec<String> {
    let mut segments = path.split('/').filter(|it| !matches!(*it, "" | "."));
    let mut tokens = Vec::new();
    while let Some(segment) = segments.next() {
        let decoded: Vec<u8> = percent_decode_str(segment).collect();
        let word = decoded.split(|byte| *byte == b';').next();
        if word.is_some_and(|word| word.eq_ignore_ascii_case(b"token")) {
            tokens.extend(segments.next().map(str::to_owned));
        }
    }
    tokens
}

/// Hides one secret. A short one has to stand alone, for it may be a part of any word.
fn hide(text: &[u8], secret: &[u8]) -> Vec<u8> {
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let mut hidden = Vec::with_capacity(text.len());
    let mut rest = 0;
    for begin in memmem::find_iter(text, secret) {
        let end = begin + secret.len();
        let is_alone = !is_word(text[..begin].last()) && !is_word(text.get(end));
        if is_alone || secret.len() >= LONG {
            hidden.extend_from_slice(&text[rest..begin]);
            hidden.extend_from_slice(MASK.as_bytes());
            rest = end;
        }
    }
    hidden.extend_from_slice(&text[rest..]);
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_however_the_path_is_written() {
        let cases = [
            ("/instances/I/token/SECRET/send-text", "SECRET"),
            ("/instances/I/token/SECRET", "SECRET"),
            ("//instances//I//token//SECRET", "SECRET"),
            ("/x/TOKEN/SECRET", "SECRET"),
            ("/x/t%6Fken/S%45CRET/y", "S%45CRET"),
            ("/x%2Ftoken%2fSECRET%2Fy", "SECRET"),
            ("/x/token;a=b/./SECRET;c", "SECRET;c"),
        ];
        for (path, token) in cases {
            assert_eq!(tokens(path), [token], "{path}");
        }
        assert_eq!(tokens("/token/S%2FECRET/y"), ["S%2FECRET", "S"]);
        for path in ["/", "/token", "/tokens/SECRET", "/x?token/SECRET"] {
            assert_eq!(tokens(path), [""; 0], "{path}");
        }
    }

    #[test]
    fn a_short_secret_is_hidden_where_it_stands_alone() {
        let cases = [
            ("t", "a t, at", "a ********, at"),
            ("t", "t", "********"),
            ("t1", "\"t1\":\"t12\"", "\"********\":\"t12\""),
            ("long-secret", "xlong-secretx", "x********x"),
            ("long-secret", "long-secrelong-secret", "long-secre********"),
        ];
        for (secret, text, hidden) in cases {
            assert_eq!(hide(text.as_bytes(), secret.as_bytes()), hidden.as_bytes());
        }
    }
}
