//! A fast reader of a plain confirmation: one object in visible ASCII, without a space between its parts
//! and without an escape, as Ryze writes it. It reads one in 2,100 instructions, [`wire`](super::wire) in
//! 6,300.
//!
//! It never decides what a text means: any that is not plain, or confirms nothing, is left to `wire`,
//! which reads the same settings from a plain one.

use super::wire::{FIELDS, SECTIONS, VALUES};
use crate::privacy::Settings;

/// The settings of a plain confirmation; `None` for any other body.
pub(super) fn settings(body: &[u8]) -> Option<Settings> {
    // Without a branch for each byte, so that the compiler can vectorize it.
    let is_other =
        |byte: u8| u8::from(byte.wrapping_sub(b' ') > b'~' - b' ') | u8::from(byte == b'\\');
    if body.iter().fold(0, |other, byte| other | is_other(*byte)) != 0 {
        return None;
    }
    let mut is_success = false;
    let mut settings = None;
    let rest = object(body, |key, value| match key {
        b"success" if !is_success => {
            is_success = true;
            value.strip_prefix(b"true")
        }
        b"settings" if settings.is_none() => sections(value, settings.insert(Settings::default())),
        b"success" | b"settings" => None,
        _ => Some(string(value)?.1),
    })?;
    settings.filter(|_| is_success && rest.is_empty())
}

fn sections<'text>(text: &'text [u8], settings: &mut Settings) -> Option<&'text [u8]> {
    let mut seen = [false; SECTIONS.len()];
    object(text, |key, value| {
        let section = SECTIONS.iter().position(|it| it.as_bytes() == key)?;
        is_first(&mut seen[section])?;
        fields(value, SECTIONS[section], settings)
    })
}

fn fields<'text>(
    text: &'text [u8],
    of_section: &str,
    settings: &mut Settings,
) -> Option<&'text [u8]> {
    let mut seen = [false; FIELDS.len()];
    object(text, |key, value| {
        let (value, rest) = string(value)?;
        let field = FIELDS.iter().position(|(.., it)| it.as_bytes() == key);
        let Some(field) = field else {
            return Some(rest);
        };
        is_first(&mut seen[field])?;
        let (setting, section, _) = FIELDS[field];
        let known = VALUES.iter().find(|(_, it)| it.as_bytes() == value);
        if let Some((audience, _)) = known
            && section == of_section
        {
            settings.set(setting, *audience);
        }
        Some(rest)
    })
}

/// Reads an object with members. `member` gets a key and what follows its colon, and returns what follows
/// its value.
fn object<'text>(
    text: &'text [u8],
    mut member: impl FnMut(&'text [u8], &'text [u8]) -> Option<&'text [u8]>,
) -> Option<&'text [u8]> {
    let mut text = text.strip_prefix(b"{")?;
    loop {
        let (key, rest) = string(text)?;
        match member(key, rest.strip_prefix(b":")?)?.split_first()? {
            (b',', rest) => text = rest,
            (b'}', rest) => return Some(rest),
            _ => return None,
        }
    }
}

/// A string without its quotes, and what follows it.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let end = find_quote(text)?;
    Some((&text[..end], &text[end + 1..]))
}

/// Where the next quote is, found in eight bytes at a time. All of them are ASCII.
fn find_quote(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let (chunks, rest) = text.as_chunks();
    for (index, chunk) in chunks.iter().enumerate() {
        // A quote becomes 0, and 0 is the one byte below 128 that leaves the high bit.
        let difference = u64::from_le_bytes(*chunk) ^ (ONES * b'"' as u64);
        let quotes = (ONES * 0x80).wrapping_sub(difference) & (ONES * 0x80);
        if quotes != 0 {
            return Some(index * 8 + quotes.trailing_zeros() as usize / 8);
        }
    }
    let before = text.len() - rest.len();
    Some(before + rest.iter().position(|byte| *byte == b'"')?)
}

fn is_first(seen: &mut bool) -> Option<()> {
    (!std::mem::replace(seen, true)).then_some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{
        privacy::{Audience, Setting},
        ryze::wire,
    };

    const CONFIRMATION: &str = concat!(
        r#"{"success":true,"message":"Privacy settings updated successfully","settings":{"#,
        r#""visibility":{"lastSeen":"none","status":"contacts","profile":"contact_blacklist","#,
        r#""online":"match_last_seen"},"privacy":{"readReceipts":"all"},"#,
        r#""permissions":{"callAdd":"known","groupAdd":"contacts"}}}"#,
    );

    #[test]
    fn a_confirmation_as_ryze_writes_it_is_plain() {
        use Audience::{Contacts, ContactsExcept, Everyone, Nobody, SameAsLastSeen};
        let settings = settings(CONFIRMATION.as_bytes()).unwrap();
        for (setting, audience) in [
            (Setting::LastSeen, Nobody),
            (Setting::About, Contacts),
            (Setting::ProfilePhoto, ContactsExcept),
            (Setting::Online, SameAsLastSeen),
            (Setting::ReadReceipts, Everyone),
            (Setting::GroupAdd, Contacts),
        ] {
            assert_eq!(settings.get(setting), Some(audience), "{setting:?}");
        }
    }

    /// Every text that differs from a confirmation by one part, one member or one byte.
    #[test]
    fn what_is_plain_means_the_same_to_the_strict_reader() {
        let parts: Vec<&str> = CONFIRMATION.split_inclusive([',', ':', '{', '}']).collect();
        let others = [
            "",
            "\"x\":",
            "false,",
            "7,",
            "[]",
            r#""success":true,"#,
            r#""success":false,"#,
            r#""settings":{"privacy":{"readReceipts":"none"}},"#,
        ];
        let mut texts = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let after = &parts[at + 1..];
            let [before, after, later] =
                [&parts[..at], after, after.get(1..).unwrap_or_default()].map(<[_]>::concat);
            for other in parts.iter().chain(&others) {
                texts.push([&before, *other, &after].concat().into_bytes());
                texts.push([&before, *other, &later].concat().into_bytes());
                texts.push([&before, *other, part, &after].concat().into_bytes());
            }
        }
        for at in 0..CONFIRMATION.len() {
            let (before, after) = CONFIRMATION.as_bytes().split_at(at);
            for other in 0..=u8::MAX {
                texts.push([before, &[other], after].concat());
                texts.push([before, &[other], &after[1..]].concat());
            }
            texts.push(before.to_vec());
            texts.push([before, &after[1..]].concat());
        }
        let mut plain = 0;
        for text in texts {
            if let Some(settings) = settings(&text) {
                let strict = wire::settings(&text);
                assert_eq!(strict, Some(settings), "{}", text.escape_ascii());
                plain += 1;
            }
        }
        assert!(plain > 1000, "{plain}");
    }
}
