//! A request from the words of the command line.

use http::{HeaderName, HeaderValue, Method};

/// A request as it is typed or as a file has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::explain) struct Typed {
    pub(in crate::explain) method: String,
    pub(in crate::explain) target: String,
    /// Each as `Name: value`.
    pub(in crate::explain) headers: Vec<String>,
    pub(in crate::explain) body: Option<String>,
}

impl Typed {
    /// # Errors
    /// It is no request; says what to write.
    pub(in crate::explain) fn bytes(&self) -> Result<Vec<u8>, &'static str> {
        let Self {
            method,
            target,
            headers,
            body,
        } = self;
        from_words(method, target, body.as_ref(), headers)
    }
}

pub(super) fn from_words(
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;

    use super::super::{InvalidRequest, read};

    fn words(words: &[&str], headers: &[&str]) -> Result<String, InvalidRequest> {
        let strings = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let typed = read(&strings(words), &strings(headers), io::empty())?;
        Ok(String::from_utf8(typed.bytes).unwrap())
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
}
