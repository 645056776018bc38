//! Secrets in memory.

use std::{fmt, sync::Arc};

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A secret. It is not printed by `Debug`, compared in constant time, and zeroed when its last clone is
/// dropped. Clones share one allocation, so that an inherited token is in memory once, whatever the number
/// of instances.
#[derive(Clone, Default)]
pub struct Secret(Arc<Zeroizing<Box<str>>>);

impl Secret {
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self(Arc::new(Zeroizing::new(value.into())))
    }

    /// The value, for the code that sends or compares it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in constant time; only the length can be inferred from the duration.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(other).into()
    }
}

/// Lets `Bytes::from_owner` zero its buffer when dropped.
impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs::File, os::unix::fs::FileExt as _};

    use super::*;

    /// Small enough for the allocator's per-thread free list: no other thread reuses the memory.
    const LENGTH: usize = 600;

    /// Makes a value, drops it, and reads the freed memory through a file, because a reference into
    /// freed memory is not allowed.
    fn left<T>(make: impl Fn(&str) -> T, place: impl Fn(&T) -> *const u8) -> Vec<u8> {
        let memory = File::open("/proc/self/mem").unwrap();
        let mut left = vec![0; LENGTH];
        let value = make(&"planted ".repeat(LENGTH / 8));
        let address = u64::try_from(place(&value).addr()).unwrap();
        memory.read_exact_at(&mut left, address).unwrap();
        assert_eq!(left, "planted ".repeat(LENGTH / 8).as_bytes());
        drop(value);
        memory.read_exact_at(&mut left, address).unwrap();
        left
    }

    fn is_planted(left: &[u8]) -> bool {
        left.windows(8).any(|window| window == b"planted ")
    }

    #[test]
    fn a_value_is_wiped_when_it_is_dropped() {
        let plain = left(|text| Box::<str>::from(text), |text| text.as_ptr());
        assert!(is_planted(&plain), "memory that is not wiped keeps a text");
        let secret = left(Secret::new, |secret| secret.expose().as_ptr());
        assert!(!is_planted(&secret));
        let bytes = left(
            |text| bytes::Bytes::from_owner(Secret::new(text)),
            |bytes| bytes.as_ptr(),
        );
        assert!(!is_planted(&bytes));
    }

    #[test]
    fn a_secret_is_not_printed_whatever_it_is_a_part_of() {
        let value = Some(vec![Secret::new("planted")]);
        let printed = format!("{value:?} {value:#?}");
        assert!(!printed.contains("planted"), "{printed}");
    }
}
