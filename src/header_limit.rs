//! The limit on the number of fields in the head of a response of the fallback.

/// Beyond it the response is malformed. hyper's own limit is 100, and a response with more would become a 502
/// although the call was carried out. hyper allocates 64 bytes a field while it parses a head, 2,000
/// instructions a response; with 2,048 glibc returned and took that memory again for each forwarded call (3.9
/// `brk` a call, with 512 none).
pub(crate) const MAX_RESPONSE_FIELDS: usize = 512;
