//! The limit on the number of fields in a response's head.
//!
//! A head is limited by its bytes. hyper also limits the number of its fields, to 100 unless told
//! otherwise, and allocates 64 bytes for each of them while it parses a head. The number follows from the
//! bytes, low enough that these allocations are cheap.

/// Bytes for each field. A head whose lines are shorter on average reaches the number before the bytes.
const BYTES_PER_FIELD: usize = 32;

/// The most fields in a head of at most `bytes`.
pub(crate) const fn max_headers(bytes: usize) -> usize {
    bytes / BYTES_PER_FIELD
}
