//! A request from stdin.

use std::io::Read;

use super::{InvalidRequest, RawRequest, curl};

/// Bytes of a request on stdin.
const MAX_STDIN: u64 = 1024 * 1024;
const NOT_ANNOUNCED: &str = "what follows the head is not part of the request, for it has neither \
     Content-Length nor Transfer-Encoding";

pub(super) fn from_stdin(stdin: impl Read) -> Result<RawRequest, InvalidRequest> {
    let mut bytes = Vec::new();
    stdin.take(MAX_STDIN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_STDIN {
        return Err(InvalidRequest::Usage(
            "the request on stdin is larger than 1 MiB",
        ));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        // The byte order mark of an editor.
        bytes.drain(..3);
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
        return Ok(RawRequest {
            bytes: curl::from_line(text).map_err(InvalidRequest::Usage)?,
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

    use super::{super::read, *};

    fn stdin(text: &str) -> (String, bool) {
        let typed = read(&[], &[], text.as_bytes()).unwrap();
        let text = String::from_utf8(typed.bytes).unwrap();
        (text, typed.warning.is_some())
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
        assert_eq!(stdin("\u{feff}\nGET /\n").0, "GET /\n\r\n");
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
