//! Just enough of HTTP/1.1 for the load driver: whole messages, one at a time, framed by
//! `Content-Length`.

use std::io;

use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// The longest message that is accepted, in bytes.
const LIMIT: usize = 16 * 1024;

/// Reads one whole message over what `message` held before. `false`: the peer closed the
/// connection between two messages.
pub async fn read(stream: &mut TcpStream, message: &mut Vec<u8>) -> io::Result<bool> {
    message.clear();
    loop {
        message.reserve(2 * 1024);
        if stream.read_buf(message).await? == 0 {
            let between_messages = message.is_empty();
            return if between_messages {
                Ok(false)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        if length(message)?.is_some_and(|whole| whole <= message.len()) {
            return Ok(true);
        }
        if message.len() > LIMIT {
            return Err(io::Error::other("a message is over the limit"));
        }
    }
}

/// The length of a message, head and body, once its head is there.
fn length(message: &[u8]) -> io::Result<Option<usize>> {
    let Some(head) = message.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    message[..head]
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split_at_checked("content-length:".len()))
        .find(|(name, _)| name.eq_ignore_ascii_case(b"content-length:"))
        .and_then(|(_, value)| str::from_utf8(value).ok()?.trim().parse::<usize>().ok())
        .map(|body| Some(head + 4 + body))
        .ok_or_else(|| io::Error::other("a message has no Content-Length"))
}
