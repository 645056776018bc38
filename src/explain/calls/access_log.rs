//! The requests of an access log: lines in the common or combined format of nginx, Apache and others, or
//! JSON lines of Caddy, Traefik and nginx.

use std::io::{self, BufRead, Read as _};

use serde::Deserialize;

/// Bytes of a line; a longer one is skipped.
const MAX_LINE: u64 = 64 * 1024;

/// Calls `each` with method and target of each line, or with `None` for a line that has none.
pub(super) fn lines(
    mut log: impl BufRead,
    mut each: impl FnMut(Option<(&str, &str)>),
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut part = (&mut log).take(MAX_LINE);
        if part.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            log.skip_until(b'\n')?;
            each(None);
            continue;
        }
        let line = line.trim_ascii();
        if line.starts_with(b"{") {
            let request = serde_json::from_slice::<Line>(line)
                .ok()
                .and_then(Line::request);
            each(
                request
                    .as_ref()
                    .map(|(method, target)| (method.as_str(), target.as_str())),
            );
        } else if !line.is_empty() {
            each(str::from_utf8(line).ok().and_then(quoted));
        }
    }
}

/// The request line in the first quotes.
fn quoted(line: &str) -> Option<(&str, &str)> {
    request_line(line.split('"').nth(1)?)
}

fn request_line(line: &str) -> Option<(&str, &str)> {
    let (method, rest) = line.split_once(' ')?;
    let (target, _) = rest.rsplit_once(" HTTP/")?;
    Some((method, target))
}

/// A line of JSON.
#[derive(Deserialize)]
struct Line {
    #[serde(alias = "request_method", alias = "RequestMethod")]
    method: Option<String>,
    #[serde(alias = "request_uri", alias = "RequestPath")]
    uri: Option<String>,
    request: Option<InLine>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum InLine {
    RequestLine(String),
    Parts { method: String, uri: String },
}

impl Line {
    fn request(self) -> Option<(String, String)> {
        match (self.request, self.method, self.uri) {
            (Some(InLine::Parts { method, uri }), ..) => Some((method, uri)),
            (Some(InLine::RequestLine(line)), ..) => {
                request_line(&line).map(|(method, target)| (method.into(), target.into()))
            }
            (None, method, uri) => Some((method?, uri?)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(log: &[u8]) -> Vec<Option<(String, String)>> {
        let mut found = Vec::new();
        lines(log, |request| {
            found.push(request.map(|(method, target)| (method.into(), target.into())));
        })
        .unwrap();
        found
    }

    #[test]
    fn common_formats_have_a_request_line() {
        let request = [Some(("POST".to_owned(), "/instances/I?a=b".to_owned()))];
        for line in [
            r#"127.0.0.1 - - [28/Nov/2026:13:00:00 +0000] "POST /instances/I?a=b HTTP/1.1" 200 17"#,
            r#"a.test:443 ::1 - u [x] "POST /instances/I?a=b HTTP/2.0" 200 17 "-" "curl/8 \"x\"""#,
            r#"{"level":"info","request":{"method":"POST","uri":"/instances/I?a=b","headers":{}},"status":200}"#,
            r#"{"RequestMethod":"POST","RequestPath":"/instances/I?a=b","DownstreamStatus":200}"#,
            r#"{"request_method":"POST","request_uri":"/instances/I?a=b"}"#,
            r#"{"request":"POST /instances/I?a=b HTTP/1.1"}"#,
        ] {
            assert_eq!(read(line.as_bytes()), request, "{line}");
        }
    }

    #[test]
    fn other_lines_are_none_and_a_long_one_ends_nothing() {
        let good = "- - - [x] \"GET / HTTP/1.1\" 200 1\n";
        let request = Some(("GET".to_owned(), "/".to_owned()));
        assert_eq!(
            read(b"\n\nx\n\"\"\n{}\n{\"request\":1}\n\xff\n"),
            [const { None }; 5]
        );
        let long = format!("{good}{}\n{good}", "x".repeat(200_000));
        assert_eq!(read(long.as_bytes()), [request.clone(), None, request]);
    }
}
