//! An upstream's message in a form that clients and the log may see: without secrets and phone numbers.

use crate::redact::{SecretIndex, contains_fragment};

/// Characters of a reason.
const MAX_REASON: usize = 200;
/// Characters of Ryze's message that are read.
const MAX_MESSAGE: usize = 1000;
/// Digits in a run that may be a phone number.
const PHONE_DIGITS: usize = 7;
/// Bytes of a word that may be a fragment of a token in hexadecimal.
const CODE_BYTES: usize = 12;
const REMOVED: &str = "[removed]";

/// Shortens an upstream's message to one line and removes everything that may be a phone number or an
/// encoded token. If the message contains the token of the request or a secret of one of the indexes, or
/// nothing is left, there is none.
pub(crate) fn sanitize(message: &str, token: &[u8], secrets: &[&SecretIndex]) -> Option<String> {
    let printed = message.chars().take(MAX_MESSAGE);
    let printed: String = printed.filter(|char| !char.is_control()).collect();
    let words: Vec<_> = printed.split_whitespace().collect();
    let mut reason = without_codes(&without_numbers(&words.join(" ")));
    let end = reason.char_indices().nth(MAX_REASON);
    reason.truncate(end.map_or(reason.len(), |(end, _)| end));
    let has_secret =
        contains_fragment(&printed, token) || secrets.iter().any(|it| it.is_in(&printed));
    (!reason.is_empty() && !has_secret).then_some(reason)
}

/// Removes each run without letters that has as many digits as a phone number.
fn without_numbers(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let run_ends = rest.find(char::is_alphabetic).unwrap_or(rest.len());
        let (run, after) = rest.split_at(run_ends.max(first.len_utf8()));
        if run.chars().filter(|char| char.is_numeric()).count() < PHONE_DIGITS {
            shown.push_str(run);
        } else {
            shown.push_str(&format!(" {REMOVED} "));
        }
        rest = after;
    }
    shown.trim().to_owned()
}

/// Removes long words with a digit, which may be a token or a number in some encoding.
fn without_codes(text: &str) -> String {
    let shown = text.split(' ').map(|word| {
        let is_code = word.len() >= CODE_BYTES && word.contains(char::is_numeric);
        if is_code { REMOVED } else { word }
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_seven_digits_and_words_of_twelve_bytes_with_a_digit_are_removed() {
        assert_eq!(without_numbers("at 123456 end"), "at 123456 end");
        assert_eq!(without_numbers("at 1234567 end"), "at [removed] end");
        assert_eq!(without_codes("at abcdefghij1 end"), "at abcdefghij1 end");
        assert_eq!(without_codes("at abcdefghijk1 end"), "at [removed] end");
    }
}
