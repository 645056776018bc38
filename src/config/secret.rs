//! A value that must not be seen. Reading one from the configuration belongs in `readers.rs`.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A secret: it cannot be printed, is compared in constant time and is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// Takes the value into keeping.
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `other` is the same value, in a time that tells at most whether the lengths agree.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(other).into()
    }
}

/// For buffers that are to be wiped with it, as `Bytes::from_owner` makes them.
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

    /// Small enough for the thread's own free list: no other thread gets the memory.
    const LENGTH: usize = 600;

    /// Makes a value, drops it, and reads what is left in its memory, by way of a file, for no
    /// reference may point there any more.
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
