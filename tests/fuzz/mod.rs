//! With any input the program does not panic, and every statement in its responses is true: `request` is
//! about the bytes of a Z-API call on their way through the whole gateway, `reply` about those of Ryze,
//! `coalesce` about the changes of one instance. For the configuration file see `config/arbitrary.rs`.
//! The inputs are made by proptest, blindly but from good ones; one that ever failed stays here as a
//! named case.

mod coalesce;
mod reply;
mod request;

use proptest::{prelude::*, sample::Index};

/// Bytes that mean something to HTTP or to JSON, and some that mean nothing to either.
const TELLING: &[u8] = b"\r\n\t :;,=/?%&\"\\{}[]0019aAzZxX.-+\0\x0b\x7f\x80\xc3\xa9\xff";

/// An edit: where, how many bytes are taken out there, and which are put in.
type Edit = (Index, usize, Vec<u8>);

/// A few edits, most of which change little.
fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let telling = proptest::sample::select(TELLING);
    let bytes = prop_oneof![
        4 => proptest::collection::vec(telling, 0..4),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    let cut = prop_oneof![4 => 0..3_usize, 1 => 0..40_usize];
    proptest::collection::vec((any::<Index>(), cut, bytes), 1..5)
}

fn apply(edits: &[Edit], bytes: &mut Vec<u8>) {
    for (at, cut, put) in edits {
        let at = at.index(bytes.len() + 1);
        let end = bytes.len().min(at + cut);
        bytes.splice(at..end, put.iter().copied());
    }
}
