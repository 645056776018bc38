//! What a word was probably meant to be.

/// Whether two words differ in one stretch of at most two letters.
pub(crate) fn is_close(one: &str, other: &str) -> bool {
    let same = |(a, b): &(u8, u8)| a == b;
    let head = one.bytes().zip(other.bytes()).take_while(same).count();
    let backwards = one.bytes().rev().zip(other.bytes().rev());
    let tail = backwards.take_while(same).count();
    head + tail + 2 >= one.len().max(other.len())
}
