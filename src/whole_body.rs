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
    while let Some(frame) = body.frame().await {
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
