//! Detection of configured secrets in a text from another program.
//!
//! The index stores keyed hashes of pieces of the secrets, not the secrets: about 100 bytes a secret.
//! The search is linear in the text, whatever the number of secrets, and ignores case. A secret of at
//! least [`PIECE`] bytes is found whole, by its first or last [`PIECE`] bytes and by any `2 × PIECE - 1`
//! bytes of it; a shorter one only as a whole word, because it would match parts of ordinary words.
//!
//! Encodings: plain, percent-encoded, base64 at any offset, and hexadecimal for short secrets. A long
//! one in hexadecimal is a long word with digits, which `ryze/reason.rs` removes anyway.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
};

use memchr::memmem;
use percent_encoding::percent_decode_str;

use crate::config::{Instance, Secret};

/// Bytes of a piece: long enough to be rare in other texts.
const PIECE: usize = 8;
/// A secret of this many bytes is, in hexadecimal, a word that `ryze/reason.rs` removes.
const SHORT: usize = 6;
/// A secret with fewer bytes is not searched for in an encoding, which would match any short word.
const ENCODED: usize = 3;
/// Bytes of a secret that are already too much of it.
const FRAGMENT: usize = 6;

/// Whether `text` contains a fragment of the secret of at least [`FRAGMENT`] bytes, in upper or lower
/// case. Stricter than [`SecretIndex`], for the one secret that the text is most likely to quote.
pub(crate) fn contains_fragment(text: &str, secret: &[u8]) -> bool {
    let (text, secret) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    let length = FRAGMENT.min(secret.len()).max(1);
    let mut fragments = secret.windows(length);
    fragments.any(|fragment| memmem::find(text.as_bytes(), fragment).is_some())
}

/// An index of secrets. The default one is empty and matches nothing.
#[derive(Default)]
pub struct SecretIndex {
    hasher: RandomState,
    /// Hashes of pieces of [`PIECE`] bytes, sorted.
    pieces: Vec<u64>,
    /// Hashes of whole secrets that are shorter, sorted.
    words: Vec<u64>,
}

impl SecretIndex {
    pub fn new<'s>(secrets: impl Iterator<Item = &'s str>) -> Self {
        let mut index = Self::default();
        for secret in secrets {
            let secret = secret.as_bytes();
            index.add(&secret.to_ascii_lowercase());
            if (ENCODED..SHORT).contains(&secret.len()) {
                index.add(hexadecimal(secret).as_bytes());
                index.add(&base64(secret, 0));
            } else if secret.len() >= SHORT {
                for before in 0..3 {
                    // The last character depends on the bytes that follow.
                    let encoded = base64(secret, before);
                    let encoded = &encoded[..encoded.len() - 1];
                    index.add(encoded.get(..PIECE).unwrap_or(encoded));
                }
            }
        }
        for hashes in [&mut index.pieces, &mut index.words] {
            hashes.sort_unstable();
            hashes.dedup();
            hashes.shrink_to_fit();
        }
        index
    }

    /// Indexes all secrets of these instances.
    #[must_use]
    pub fn of(instances: &[Instance]) -> Self {
        let secrets = instances.iter().flat_map(Instance::secrets);
        Self::new(secrets.map(Secret::expose))
    }

    /// Whether the text contains one of the secrets.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.is_in_bytes(text.as_bytes())
            || text.contains('%') && self.is_in_bytes(&percent_decode_str(text).collect::<Vec<_>>())
    }

    fn is_in_bytes(&self, text: &[u8]) -> bool {
        let text = text.to_ascii_lowercase();
        let mut pieces = text.windows(PIECE);
        pieces.any(|piece| self.has(&self.pieces, piece)) || self.has_word(&text)
    }

    fn has_word(&self, text: &[u8]) -> bool {
        let is_inner = |at: Option<&u8>| at.is_some_and(u8::is_ascii_alphanumeric);
        let begins =
            (0..text.len()).filter(|at| !is_inner(at.checked_sub(1).and_then(|at| text.get(at))));
        let mut words = begins.flat_map(|begin| {
            let ends = (begin + 1..text.len() + 1).take(PIECE - 1);
            ends.filter(|end| !is_inner(text.get(*end)))
                .map(move |end| &text[begin..end])
        });
        !self.words.is_empty() && words.any(|word| self.has(&self.words, word))
    }

    fn add(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let Some(last) = text.len().checked_sub(PIECE) else {
            self.words.push(self.hash(text));
            return;
        };
        let places = (0..last).step_by(PIECE).chain([last]);
        let hashes = places.map(|at| self.hash(&text[at..at + PIECE]));
        let hashes: Vec<_> = hashes.collect();
        self.pieces.extend(hashes);
    }

    fn has(&self, hashes: &[u64], piece: &[u8]) -> bool {
        hashes.binary_search(&self.hash(piece)).is_ok()
    }

    fn hash(&self, piece: &[u8]) -> u64 {
        self.hasher.hash_one(piece)
    }
}

impl fmt::Debug for SecretIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secrets]")
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The base64 of these bytes after `before` others, in lower case, without padding and without a first
/// character that depends on the bytes before. The URL-safe alphabet differs in `+` and `/` only, which
/// are rare.
fn base64(bytes: &[u8], before: usize) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789+/";
    let first = (6 - before * 8 % 6) % 6;
    let digits = (first..bytes.len() * 8).step_by(6).map(|at| {
        let next = bytes.get(at / 8 + 1).copied().unwrap_or(0);
        let pair = u16::from_be_bytes([bytes[at / 8], next]);
        DIGITS[usize::from(pair >> (10 - at % 8) & 63)]
    });
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "wq7RzP0vKd3mXt5bYn8cHa6L";

    #[test]
    fn a_long_secret_is_found_in_any_encoding() {
        let index = SecretIndex::new(["one-OTHER-secret", LONG].into_iter());
        let percent: String = LONG.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for secret in [
            LONG,
            &LONG.to_uppercase(),
            &percent,
            &LONG[..8],
            &LONG[16..],
            &LONG[3..18],
        ] {
            assert!(
                index.is_in(&format!("token {secret} is unknown")),
                "{secret}"
            );
            assert!(index.is_in(&format!("x{secret}x")), "{secret}");
        }
        for before in ["", "x", "xx", "xxx"] {
            use ::base64::{Engine as _, engine::general_purpose::STANDARD};
            let encoded = STANDARD.encode(format!("{before}{LONG}"));
            assert!(index.is_in(&encoded), "{encoded}");
        }
        for text in ["", "token", "token is unknown", &LONG[..7], "100%"] {
            assert!(!index.is_in(text), "{text}");
        }
    }

    #[test]
    fn a_short_secret_is_found_as_a_whole_word_only() {
        let index = SecretIndex::new(["ab1", "q", "S-3cre!"].into_iter());
        for text in [
            "ab1",
            "AB1",
            "token=ab1;",
            "\"ab1\"",
            "q",
            "no q",
            "%61b1",
            "s-3cre!",
            "(s-3cre!)",
            "616231",
            "YWIx",
        ] {
            assert!(index.is_in(text), "{text}");
        }
        for text in ["ab12", "cab1", "quite", "s-3cre", "iraq", "xs-3cre!"] {
            assert!(!index.is_in(text), "{text}");
        }
    }

    #[test]
    fn nothing_is_found_without_secrets() {
        for index in [SecretIndex::default(), SecretIndex::new([""].into_iter())] {
            assert!(!index.is_in("failed to update profile privacy"));
            assert!(!index.is_in(""));
        }
    }

    #[test]
    fn the_secrets_of_ten_thousand_instances_match_no_ordinary_words() {
        let secrets: Vec<_> = (0..30_000_u128)
            .map(|number| {
                format!(
                    "{:032X}",
                    number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C834)
                )
            })
            .collect();
        let index = SecretIndex::new(secrets.iter().map(String::as_str));
        assert!(
            !index.is_in(
                "failed to update profile privacy: info query returned status 403: forbidden"
            )
        );
        assert!(index.is_in(&format!("token {} is unknown", secrets[17_000])));
        assert!(index.pieces.len() <= 30_000 * 8, "{}", index.pieces.len());
    }
}
