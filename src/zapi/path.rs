//! Paths of Z-API's form, `/instances/{id}/token/{token}/…`. Slashes may be doubled, as some clients' base
//! URLs make them, and any segment may be percent-encoded.

use std::{borrow::Cow, iter};

use memchr::memchr;
use percent_encoding::percent_decode_str;

/// The non-empty segments of a path.
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    let mut rest = path;
    iter::from_fn(move || {
        let (first, after) = split_first(rest)?;
        rest = after;
        Some(first)
    })
}

/// Splits a path of Z-API's form into id, token and the path below.
pub(super) fn split(path: &str) -> Option<(&str, &str, &str)> {
    let (instances, path) = split_first(path)?;
    let (id, path) = split_first(path)?;
    let (token_word, path) = split_first(path)?;
    let (token, below) = split_first(path)?;
    let is_form = is(instances, "instances") && is(token_word, "token");
    is_form.then_some((id, token, below))
}

/// The first non-empty segment of a path, and the path after its slash.
fn split_first(path: &str) -> Option<(&str, &str)> {
    let path = &path[path.bytes().position(|byte| byte != b'/')?..];
    let end = path.bytes().position(|byte| byte == b'/');
    Some(end.map_or((path, ""), |end| (&path[..end], &path[end + 1..])))
}

/// The instance id of a path that begins as Z-API's do, percent-encoded as it was sent.
pub(super) fn id(path: &str) -> Option<&str> {
    let (instances, path) = split_first(path)?;
    let (id, _) = split_first(path)?;
    is(instances, "instances").then_some(id)
}

/// The instance's id and token in a path of Z-API's form, percent-encoded as they were sent.
pub(super) fn credentials(path: &str) -> Option<[&str; 2]> {
    split(path).map(|(id, token, _)| [id, token])
}

/// What a percent-encoded text means. Most texts have no escape, which is cheaper to see than to decode.
pub(super) fn decoded(text: &str) -> Cow<'_, [u8]> {
    match memchr(b'%', text.as_bytes()) {
        Some(_) => percent_decode_str(text).into(),
        None => text.as_bytes().into(),
    }
}

/// Whether a segment, which may be percent-encoded and then is longer, means a word.
pub(super) fn is(segment: &str, word: &str) -> bool {
    segment == word || segment.len() > word.len() && percent_decode_str(segment).eq(word.bytes())
}
