//! Builds the bytes of an HTTP request from the command line, or reads them from stdin.
//!
//! The request need not be valid: the gateway decides that.

mod curl;
mod stdin;
mod words;

use std::io::{self, Read};

pub(super) use self::words::Typed;
use self::{stdin::from_stdin, words::from_words};

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
        [line] if headers.is_empty() && curl::is_line(line) => curl::from_line(line),
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
    let bytes = curl::from_words(words.iter().cloned());
    Ok(RawRequest {
        bytes: bytes.map_err(InvalidRequest::Usage)?,
        warning: None,
    })
}
