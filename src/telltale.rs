//! Whether a text tells something of a secret. What is done with a text that does belongs to whoever
//! asks.

use memchr::memmem;

/// Bytes of a secret that tell too much of it.
const TELLTALE: usize = 6;

/// Whether a piece of the secret long enough to be of use is in the text, in upper or lower case.
pub(crate) fn has_piece(text: &str, secret: &[u8]) -> bool {
    let (text, secret) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    let length = TELLTALE.min(secret.len()).max(1);
    let mut pieces = secret.windows(length);
    pieces.any(|piece| memmem::find(text.as_bytes(), piece).is_some())
}
