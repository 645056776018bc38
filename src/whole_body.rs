//! Reads a body as a whole.

use std::{error::Error, pin::pin};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body;

/// A body of at most `max` bytes. One that comes in one piece, as most do, is not copied.
///
/// # Errors
/// `LengthLimitError` for a longer one, else the error of the body.
pub(crate) async fn read<B>(body: B, max: usize) -> Result<Bytes, Box<dyn Error + Send + Sync>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut body = pin!(Limited::new(body, max));
    let mut whole = Bytes::new();
    // The end of a body whose length is known needs no further poll.
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        let Ok(data) = frame?.into_data() else {
            // Trailers.
            continue;
        };
        if whole.is_empty() {
            whole = data;
        } else {
            let mut joined = BytesMut::from(whole);
            joined.extend_from_slice(&data);
            whole = joined.freeze();
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use http::HeaderMap;
    use hyper::body::Frame;

    use super::*;

    /// Pieces, and then trailers.
    struct Pieces(VecDeque<&'static str>, Option<HeaderMap>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let data = self.0.pop_front().map(|it| Frame::data(it.into()));
            let frame = data.or_else(|| self.1.take().map(Frame::trailers));
            Poll::Ready(frame.map(Ok))
        }
    }

    #[tokio::test]
    async fn pieces_are_joined_in_their_order_up_to_the_limit() {
        for (pieces, whole) in [
            (&[][..], Some("")),
            (&["12345"], Some("12345")),
            (&["1", "", "23", "45"], Some("12345")),
            (&["12", "345", "6"], None),
        ] {
            let body = Pieces(pieces.iter().copied().collect(), Some(HeaderMap::new()));
            let read = read(body, 5).await;
            let read = read.map_err(|error| error.is::<http_body_util::LengthLimitError>());
            assert_eq!(read, whole.map(Bytes::from).ok_or(true), "{pieces:?}");
        }
    }
}
