//! The rule for every secret and id, wherever it is written: what a request cannot carry is an error,
//! and what is probably not the value itself is a warning. Neither quotes the value.

/// The part of a request that carries a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// A segment of a path, percent-encoded where needed.
    Segment,
    /// A header's value: visible ASCII without spaces.
    Header,
    /// None: a URL, which is parsed.
    Url,
}

/// Removes the line end that editors and `echo` write.
pub(super) fn strip_line_end(text: &mut String) {
    let line_end = ["\r\n", "\n"].into_iter().find(|end| text.ends_with(end));
    text.truncate(text.len() - line_end.map_or(0, str::len));
}

/// Why `carrier` cannot carry the text; completes "the value".
pub(super) fn defect(text: &str, carrier: Carrier) -> Option<&'static str> {
    let has = |is: fn(char) -> bool| text.contains(is);
    let at_start = match text.chars().next()? {
        '\u{feff}' => Some("starts with a byte order mark"),
        '\r' | '\n' => Some("starts with a line end"),
        first if first.is_whitespace() => Some("has a space at the start"),
        _ => None,
    };
    let at_end = match text.chars().next_back()? {
        '\r' => Some("ends with a carriage return"),
        '\n' => Some("ends with a line end"),
        last if last.is_whitespace() => Some("has a space at the end"),
        _ => None,
    };
    let within = || match () {
        () if has(|char| char == '\0') => Some("has a NUL"),
        () if has(|char| matches!(char, '\r' | '\n')) => Some("has several lines"),
        () if has(char::is_control) => Some("has a control character"),
        () if has(|char| char == '\u{fffd}') => Some("is not UTF-8"),
        () if has(is_invisible) => Some("has an invisible character"),
        () if carrier != Carrier::Header => None,
        () if !text.is_ascii() => Some("has a character that is not ASCII"),
        () if has_prefix(text, "Bearer ") => Some("starts with the word Bearer"),
        () if has(|char| char == ' ') => Some("has a space"),
        () => None,
    };
    at_start.or(at_end).or_else(within)
}

/// Zero-width characters, which come along when text is copied from a page.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// The beginnings of a text that says where a value is.
const PLACES: [&str; 7] = ["env:", "file:", "/run/", "/etc/", "/var/", "/home/", "./"];

/// What the text looks like, if it is probably not the value itself.
pub(in crate::config) fn suspicion(text: &str) -> Option<&'static str> {
    let within = |begin: char, end: char| {
        let inner = text.strip_prefix(begin)?.strip_suffix(end)?;
        (!inner.is_empty()).then_some(inner)
    };
    let is_variable = ["${", "$(", "{{"].iter().any(|open| text.contains(open))
        || text.strip_prefix('$').is_some_and(is_name)
        || within('%', '%').is_some_and(is_name);
    let assignment = text.strip_prefix("export ").unwrap_or(text).split_once('=');
    // Base64 ends with equals signs.
    let is_assignment = assignment.is_some_and(|(name, value)| {
        name.len() > 1 && is_name(name) && !value.trim_start_matches('=').is_empty()
    });
    if is_variable {
        Some("a variable that was not expanded")
    } else if PLACES.iter().any(|it| has_prefix(text, it)) {
        Some("the place of the value")
    } else if is_assignment {
        Some("a line of a file with variables")
    } else if within('{', '}').is_some() {
        Some("JSON, not the value in it")
    } else if within('"', '"').or_else(|| within('\'', '\'')).is_some() {
        Some("a text in quotation marks, which belong to the value here")
    } else if is_placeholder(text) || within('<', '>').is_some() {
        Some("a placeholder")
    } else {
        None
    }
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    let head = text.get(..prefix.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && !text.as_bytes()[0].is_ascii_digit() && text.bytes().all(is_inner)
}

fn is_placeholder(text: &str) -> bool {
    const WHOLE: [&str; 6] = ["changeme", "replaceme", "placeholder", "todo", "tbd", "xyz"];
    // In Portuguese too: Z-API's documentation has SUA_INSTANCIA and SEU_TOKEN.
    const YOUR: [&str; 3] = ["your", "seu", "sua"];
    const YOURS: [&str; 13] = [
        "token",
        "instance",
        "secret",
        "key",
        "password",
        "id",
        "here",
        "instancia",
        "instância",
        "segredo",
        "chave",
        "senha",
        "aqui",
    ];
    let letters = text.chars().filter(|char| char.is_alphanumeric());
    let letters: String = letters.flat_map(char::to_lowercase).collect();
    let is_yours = || {
        let is_your = YOUR.iter().any(|it| letters.starts_with(it));
        is_your && YOURS.iter().any(|it| letters.ends_with(it))
    };
    let is_drawn =
        |with: &[char]| text.chars().count() >= 3 && text.chars().all(|it| with.contains(&it));
    WHOLE.contains(&&*letters) || is_yours() || is_drawn(&['x', 'X']) || is_drawn(&['.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_removed() {
        for (text, expected) in [
            ("x", "x"),
            ("x\n", "x"),
            ("x\r\n", "x"),
            ("x\n\n", "x\n"),
            ("x\r\r\n", "x\r"),
            ("x\r", "x\r"),
            ("\n", ""),
        ] {
            let mut text = text.to_owned();
            strip_line_end(&mut text);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn what_no_request_carries_has_a_name() {
        for (text, expected) in [
            ("\u{feff}x", "starts with a byte order mark"),
            ("\nx", "starts with a line end"),
            (" x", "has a space at the start"),
            ("\u{a0}x", "has a space at the start"),
            ("x\r", "ends with a carriage return"),
            ("x\n", "ends with a line end"),
            ("x\t", "has a space at the end"),
            ("x\0", "has a NUL"),
            ("a\nb", "has several lines"),
            ("a\u{7f}b", "has a control character"),
            ("a\u{fffd}", "is not UTF-8"),
            ("a\u{200b}", "has an invisible character"),
        ] {
            for carrier in [Carrier::Segment, Carrier::Header, Carrier::Url] {
                assert_eq!(defect(text, carrier), Some(expected), "{text:?}");
            }
        }
        for (text, expected) in [
            ("ü", "has a character that is not ASCII"),
            ("a b", "has a space"),
            ("bearer a", "starts with the word Bearer"),
        ] {
            assert_eq!(defect(text, Carrier::Header), Some(expected));
            assert_eq!(defect(text, Carrier::Segment), None);
        }
        assert_eq!(defect("!\"~", Carrier::Header), None);
    }

    #[test]
    fn what_is_probably_not_the_value_is_named() {
        for (kind, texts) in [
            (
                "a variable that was not expanded",
                &[
                    "${A}",
                    "x${A}",
                    "$(cat x)",
                    "$RYZE_TOKEN",
                    "%TOKEN%",
                    "{{ a }}",
                ][..],
            ),
            (
                "the place of the value",
                &["env:A", "file:/x", "FILE:x", "/run/secrets/x", "./x"],
            ),
            ("JSON, not the value in it", &["{\"token\":\"x\"}"]),
            (
                "a line of a file with variables",
                &["RYZE_TOKEN=abc", "export A_B=c", "token==x"],
            ),
            (
                "a text in quotation marks, which belong to the value here",
                &["\"abc\"", "'abc'"],
            ),
            (
                "a placeholder",
                &[
                    "changeme",
                    "SEU_TOKEN",
                    "SUA_INSTANCIA",
                    "sua-instância",
                    "change-me",
                    "CHANGE_ME",
                    "<token>",
                    "xxx",
                    "XXXX",
                    "...",
                    "your-token",
                    "YOUR_INSTANCE_ID",
                    "your_token_here",
                    "TODO",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(suspicion(text), Some(kind), "{text}");
            }
        }
        for text in [
            "",
            "x",
            "xx",
            "main",
            "$",
            "$2y$10$abc",
            "/a/y+z==",
            "{}",
            "F4b0c1==",
            "A=b",
            "abc=",
            "my-company",
            "yours",
            "3C67AB641C8AA0412F6A2242B4E23AC7",
            "\"quoted\" ü",
            "********",
            "<>",
            "\"",
            "100%",
            "environment",
            "token",
        ] {
            assert_eq!(suspicion(text), None, "{text}");
        }
    }
}
