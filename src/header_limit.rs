//! The limit on the number of fields in a head.
//!
//! A head is limited by its bytes. hyper also limits the number of its fields, to 100 unless told
//! otherwise, and allocates 64 bytes for each of them while it parses a head. So the number follows from the
//! bytes, low enough that these allocations are cheap, and high enough that the bytes run out first.

/// Bytes for each field. A shorter one, such as `X-A: 1`, is rare, and a head of these alone is not met.
const BYTES_PER_FIELD: usize = 32;

/// The most fields in a head of at most `bytes`.
pub(crate) const fn max_headers(bytes: usize) -> usize {
    bytes / BYTES_PER_FIELD
}
