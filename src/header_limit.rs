//! The limit on the number of fields in a response's head.

/// Beyond it the response is malformed. hyper's own limit is 100, which real responses exceed. hyper
/// allocates 64 bytes a field while it parses a head: with 2,048 glibc returned and took that memory again for
/// each forwarded call (3.9 `brk` a call, with 512 none).
pub(crate) const MAX_RESPONSE_FIELDS: usize = 512;
