//! Builds the bytes of an HTTP request from the command line, or reads them from stdin.
//!
//! The request need not be valid: the gateway decides that.

mod curl;

use std::io::{self, Read};

use http::{HeaderName, HeaderValue, Method};

/// Bytes of a request on stdin.
const MAX_STDIN: u64 = 1024 * 1024;
const NOT_ANNOUNCED: &str = "what follows the head is not part of the request, for it has neither \
     Content-Length nor Transfer-Encoding";

/// A request in HTTP/1.1.
#[derive(Debug)]
pub struct RawRequest {
    /// As sent over a connection.
    pub bytes: Vec<u8>,
    /// Something that is probably not intended.
    pub warning: Option<&'static str>,
}

/// Why there is no request. The message does not quote the input, which may be secret.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRequest {
    /// The input is not a request; the message says what to write.
    #[error("{0}")]
    Usage(&'static str),
    /// Stdin failed.
    #[error("stdin cannot be read: {0}")]
    Stdin(#[from] io::Error),
}

/// Builds a request from method, target, an optional body and headers, or reads one from `stdin` if there
/// are no words.
pub fn read(
    words: &[String],
    headers: &[String],
    stdin: impl Read,
) -> Result<RawRequest, InvalidRequest> {
    let bytes = match words {
        [] if headers.is_empty() => return from_stdin(stdin),
        [line] if headers.is_empty() && curl::is_line(line) => {
            curl::from_line(line).and_then(|typed| typed.bytes())
        }
        [method, target] => from_words(method, target, None, headers),
        [method, target, body] => from_words(method, target, Some(body), headers),
        _ => Err("give METHOD and TARGET, and perhaps BODY, or a request on stdin and no headers"),
    };
    let bytes = bytes.map_err(InvalidRequest::Usage)?;
    Ok(RawRequest {
        bytes,
        warning: None,
    })
}

/// Builds a request from the words behind `curl`.
///
/// # Errors
/// It is not a request, or is not understood.
pub fn from_curl(words: &[String]) -> Result<RawRequest, InvalidRequest> {
    let typed = curl::from_words(words.iter().cloned());
    let bytes = typed
        .and_then(|typed| typed.bytes())
        .map_err(InvalidRequest::Usage)?;
    Ok(RawRequest {
        bytes,
        warning: None,
    })
}

/// A request as it is typed or as a file has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) method: String,
    pub(super) target: String,
    /// Each as `Name: value`.
    pub(super) headers: Vec<String>,
    pub(super) body: Option<String>,
}

impl Typed {
    /// # Errors
    /// It is no request; says what to write.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, &'static str> {
        from_words(
            &self.method,
            &self.target,
            self.body.as_ref(),
            &self.headers,
        )
    }
}

fn from_words(
    method: &str,
    target: &str,
    body: Option<&String>,
    headers: &[String],
) -> Result<Vec<u8>, &'static str> {
    if Method::from_bytes(method.as_bytes()).is_err() {
        return Err("METHOD is not one");
    }
    if target.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err("TARGET has a space or a control character in it; percent-encode it");
    }
    let (host, target) =
        split(target).ok_or("TARGET must be a URL, or a path that begins with /")?;
    let root = if target.starts_with('/') { "" } else { "/" };
    let headers: Vec<_> = headers
        .iter()
        .map(|header| parse(header).ok_or("a header must look like -H 'Name: value'"))
        .collect::<Result<_, _>>()?;
    let length = body.map_or(0, String::len).to_string();
    let implied = [
        ("host", host, true),
        ("content-type", "application/json", body.is_some()),
        ("content-length", &length, body.is_some()),
    ];
    let has = |name: &str| headers.iter().any(|(given, _)| given == name);
    let mut request = format!("{method} {root}{target} HTTP/1.1\r\n");
    for (name, value, is_wanted) in implied {
        let is_excluded = name == "content-length" && has("transfer-encoding");
        if is_wanted && !has(name) && !is_excluded {
            request += &format!("{name}: {value}\r\n");
        }
    }
    for (name, value) in &headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    request += body.map_or("", |body| body);
    Ok(request.into())
}

/// The host and the path of a URL or a path.
fn split(target: &str) -> Option<(&str, &str)> {
    if target.starts_with('/') {
        return Some(("localhost", target));
    }
    let (scheme, rest) = target.split_once("://")?;
    if !["http", "https"]
        .iter()
        .any(|it| scheme.eq_ignore_ascii_case(it))
    {
        return None;
    }
    // A client does not send the fragment.
    let rest = rest.split('#').next()?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next()?;
    Some((host, path))
}

fn parse(header: &str) -> Option<(HeaderName, &str)> {
    let (name, value) = header.split_once(':')?;
    let value = value.trim_matches([' ', '\t']);
    HeaderValue::from_str(value).ok()?;
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
}

fn from_stdin(stdin: impl Read) -> Result<RawRequest, InvalidRequest> {
    let mut bytes = Vec::new();
    stdin.take(MAX_STDIN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_STDIN {
        return Err(InvalidRequest::Usage(
            "the request on stdin is larger than 1 MiB",
        ));
    }
    let is_content = |byte: &u8| !matches!(byte, b'\r' | b'\n');
    let Some(begin) = bytes.iter().position(is_content) else {
        return Err(InvalidRequest::Usage(
            "there is no request on stdin; give METHOD and TARGET, or a request on stdin",
        ));
    };
    bytes.drain(..begin);
    if let Ok(text) = str::from_utf8(&bytes)
        && curl::is_line(text)
    {
        let bytes = curl::from_line(text).and_then(|typed| typed.bytes());
        return Ok(RawRequest {
            bytes: bytes.map_err(InvalidRequest::Usage)?,
            warning: None,
        });
    }
    let mut warning = None;
    match end_of_head(&bytes) {
        Some(end) => {
            let (head, rest) = bytes.split_at(end);
            let head = head.to_ascii_lowercase();
            let has = |name: &[u8]| head.split(|it| *it == b'\n').any(|it| it.starts_with(name));
            let is_announced = has(b"content-length:") || has(b"transfer-encoding:");
            if !is_announced && !rest.trim_ascii().is_empty() {
                warning = Some(NOT_ANNOUNCED);
            }
        }
        None if bytes.ends_with(b"\n") => bytes.extend_from_slice(b"\r\n"),
        None => bytes.extend_from_slice(b"\r\n\r\n"),
    }
    Ok(RawRequest { bytes, warning })
}

/// The offset behind the empty line that ends the head.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| at + 1)
        .find_map(|next| match &bytes[next..] {
            [b'\n', ..] => Some(next + 1),
            [b'\r', b'\n', ..] => Some(next + 2),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn words(words: &[&str], headers: &[&str]) -> Result<String, InvalidRequest> {
        let strings = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let typed = read(&strings(words), &strings(headers), io::empty())?;
        Ok(String::from_utf8(typed.bytes).unwrap())
    }

    fn stdin(text: &str) -> (String, bool) {
        let typed = read(&[], &[], text.as_bytes()).unwrap();
        let text = String::from_utf8(typed.bytes).unwrap();
        (text, typed.warning.is_some())
    }

    #[test]
    fn words_become_a_request() {
        let body = "content-type: application/json\r\ncontent-length: 2\r\n";
        let cases: [(&[&str], &[&str], &str); 8] = [
            (
                &["GET", "/a"],
                &[],
                "GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n",
            ),
            (
                &["GET", "HTTPS://a:1"],
                &[],
                "GET / HTTP/1.1\r\nhost: a:1\r\n\r\n",
            ),
            (
                &["GET", "http://u:p@a//b/%2f?c=%20/#d"],
                &[],
                "GET //b/%2f?c=%20/ HTTP/1.1\r\nhost: a\r\n\r\n",
            ),
            (
                &["GET", "http://a?b"],
                &[],
                "GET /?b HTTP/1.1\r\nhost: a\r\n\r\n",
            ),
            (
                &["GET", "/a"],
                &["HOST:  b ", "X:"],
                "GET /a HTTP/1.1\r\nhost: b\r\nx: \r\n\r\n",
            ),
            (
                &["POST", "/", "{}"],
                &[],
                &format!("POST / HTTP/1.1\r\nhost: localhost\r\n{body}\r\n{{}}"),
            ),
            (
                &["POST", "/", "\n"],
                &["Content-Type: a", "Content-Length: 7"],
                "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: a\r\ncontent-length: 7\r\n\r\n\n",
            ),
            (
                &["POST", "/", "0"],
                &["Content-Type: a", "Transfer-Encoding: chunked"],
                "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: a\r\n\
                 transfer-encoding: chunked\r\n\r\n0",
            ),
        ];
        for (given, headers, request) in cases {
            assert_eq!(words(given, headers).unwrap(), request, "{given:?}");
        }
    }

    #[test]
    fn words_that_are_no_request() {
        let cases: [(&[&str], &[&str]); 12] = [
            (&["GET"], &[]),
            (&["GET", "/", "", ""], &[]),
            (&[], &["A: b"]),
            (&["G T", "/"], &[]),
            (&["", "/"], &[]),
            (&["GET", "a/b"], &[]),
            (&["GET", "ftp://a/b"], &[]),
            (&["GET", "/a b"], &[]),
            (&["GET", "/a\r\nb"], &[]),
            (&["GET", "/"], &["a"]),
            (&["GET", "/"], &["a b: c"]),
            (&["GET", "/"], &["a: b\nc: d"]),
        ];
        for (given, headers) in cases {
            let error = words(given, headers).unwrap_err();
            assert!(
                matches!(error, InvalidRequest::Usage(_)),
                "{given:?} {headers:?}"
            );
        }
    }

    #[test]
    fn a_raw_request_stays_as_it_is_but_for_the_end_of_its_head() {
        let cases = [
            ("GET / HTTP/1.1\r\nA: b\r\n\r\n", "", false),
            ("GET / HTTP/1.1\nA: b\n\n", "", false),
            ("GET / HTTP/1.1\nA: b\n", "\r\n", false),
            ("GET / HTTP/1.1", "\r\n\r\n", false),
            ("GET / HTTP/1.1\r\n\r\n\n \r\n", "", false),
            ("POST / HTTP/1.1\n\n{}", "", true),
            ("POST / HTTP/1.1\nX-Content-Length: 2\n\n{}", "", true),
            ("POST / HTTP/1.1\nCONTENT-LENGTH: 2\n\n{}", "", false),
            (
                "POST / HTTP/1.1\ntransfer-encoding: chunked\r\n\r\n0",
                "",
                false,
            ),
        ];
        for (text, more, warns) in cases {
            assert_eq!(stdin(text), (format!("{text}{more}"), warns), "{text:?}");
        }
        assert_eq!(stdin("\r\n\nGET /\n").0, "GET /\n\r\n");
    }

    #[test]
    fn stdin_is_bounded_and_not_empty() {
        let largest = usize::try_from(MAX_STDIN).unwrap();
        assert!(read(&[], &[], vec![b'a'; largest].as_slice()).is_ok());
        for bytes in [vec![], b"\r\n\n".to_vec(), vec![b'a'; largest + 1]] {
            let error = read(&[], &[], bytes.as_slice()).unwrap_err();
            assert!(matches!(error, InvalidRequest::Usage(_)), "{}", bytes.len());
        }
    }
}
