//! Sees what hyper hides: a head with both `Content-Length` and `Transfer-Encoding`. hyper goes by
//! the second and takes the first out of the headers, but two readers that disagree on where a
//! request ends are how requests are smuggled (RFC 9112, 6.1 and 11.2), so such a head is refused.
//!
//! A head that was pipelined behind another request is not seen: its bytes came with those of the
//! other. hyper reads it by its chunks alone and closes the connection, as the RFC has it.

use memchr::memchr;

const CONTENT_LENGTH: &[u8] = b"content-length:";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding:";

/// Watches the bytes of one request head go by, however they are cut.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// The first bytes of the current line: as many as the longest name has.
    line: [u8; TRANSFER_ENCODING.len()],
    length: usize,
    content_length: bool,
    transfer_encoding: bool,
    begun: bool,
    complete: bool,
}

impl Framing {
    /// Takes the next bytes; those behind the head are passed over.
    pub(super) fn watch(&mut self, mut bytes: &[u8]) {
        while !self.complete && !bytes.is_empty() {
            let end = memchr(b'\n', bytes);
            let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            let room = &mut self.line[self.length..];
            let taken = room.len().min(line.len());
            room[..taken].copy_from_slice(&line[..taken]);
            self.length += taken;
            if end.is_some() {
                self.end_line();
            }
            bytes = rest;
        }
    }

    fn end_line(&mut self) {
        let line = &self.line[..self.length];
        let begins_with = |name: &[u8]| {
            line.get(..name.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(name))
        };
        self.content_length |= begins_with(CONTENT_LENGTH);
        self.transfer_encoding |= begins_with(TRANSFER_ENCODING);
        // Empty lines before a request are passed over (RFC 9112, 2.2).
        let is_empty = matches!(line, b"\n" | b"\r\n");
        self.complete = is_empty && self.begun;
        self.begun |= !is_empty;
        self.length = 0;
    }

    /// Whether the head has both headers.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.content_length && self.transfer_encoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambiguous(pieces: &[&str]) -> bool {
        let mut framing = Framing::default();
        for piece in pieces {
            framing.watch(piece.as_bytes());
        }
        framing.is_ambiguous()
    }

    #[test]
    fn both_headers_are_seen_however_the_head_is_cut() {
        let head =
            "POST / HTTP/1.1\r\nHost: a\r\nContent-LENGTH: 4\r\nTransfer-encoding: chunked\r\n\r\n";
        for cut in 0..head.len() {
            assert!(ambiguous(&[&head[..cut], &head[cut..]]), "cut at {cut}");
        }
        let bytes: Vec<_> = head.chars().map(String::from).collect();
        let bytes: Vec<_> = bytes.iter().map(String::as_str).collect();
        assert!(ambiguous(&bytes));
        assert!(ambiguous(&["\r\n\r\n", head]), "empty lines before it");
    }

    #[test]
    fn one_header_or_one_outside_the_head_is_sound() {
        for head in [
            "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nTransfer-Encoding: chunked\r\n",
            "POST / HTTP/1.1\nContent-Length: 4\n\nTransfer-Encoding: chunked\n",
            "POST /content-length: HTTP/1.1\r\nX: content-length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(!ambiguous(&[head]), "{head}");
        }
    }
}
