//! A request from a curl command line: the words that a shell makes of it, or the line itself as it is
//! pasted from documentation, a browser or a chat.

mod options;

use self::options::Options;
use super::words::Typed;

/// Short options with a value, of which [`Options::set`] knows some.
const SHORT_WITH_VALUE: &str = "XHdAebuFomwxTEcDrYyzCtQPUK";
const NO_VALUE: &str = "the curl line ends with an option that needs a value";

/// Whether the text begins with a curl command.
pub(super) fn is_line(text: &str) -> bool {
    let first = without_prompt(text).split_ascii_whitespace().next();
    first.is_some_and(|word| matches!(word, "curl" | "curl.exe"))
}

/// The request of a pasted line.
pub(super) fn from_line(line: &str) -> Result<Vec<u8>, &'static str> {
    parse_line(line)?.bytes()
}

/// The request of the words behind `curl`.
pub(super) fn from_words(words: impl IntoIterator<Item = String>) -> Result<Vec<u8>, &'static str> {
    parse(words)?.bytes()
}

fn parse_line(line: &str) -> Result<Typed, &'static str> {
    let line = one_line(without_prompt(line));
    let words = shlex::split(&line).ok_or("the curl line ends within quotes")?;
    if words.iter().any(|word| word.starts_with('$')) {
        return Err(
            "the curl line has a word that a shell would expand ($…); write it behind \
                    explain instead, so that the shell does",
        );
    }
    let is_command_end = |word: &String| matches!(word.as_str(), "|" | "||" | "&&" | ";" | ">");
    parse(
        words
            .into_iter()
            .skip(1)
            .take_while(|word| !is_command_end(word)),
    )
}

fn without_prompt(text: &str) -> &str {
    let text = text.trim_start();
    text.strip_prefix("$ ").unwrap_or(text)
}

/// Joins lines that a shell, cmd.exe or PowerShell continues, and resolves the escapes of cmd.exe.
fn one_line(text: &str) -> String {
    let text = text
        .replace("\r\n", "\n")
        .replace("\\\n", "")
        .replace("`\n", " ");
    if !text.contains("^\n") && !text.contains("^\"") {
        return text;
    }
    let text = text.replace("^\n", " ");
    let mut chars = text.chars();
    let mut line = String::with_capacity(text.len());
    while let Some(char) = chars.next() {
        line.extend(if char == '^' {
            chars.next()
        } else {
            Some(char)
        });
    }
    line
}

fn parse(words: impl IntoIterator<Item = String>) -> Result<Typed, &'static str> {
    let mut words = words.into_iter();
    let mut curl = Options::default();
    let mut are_options = true;
    while let Some(word) = words.next() {
        let long = word.strip_prefix("--").filter(|_| are_options);
        let short = word
            .strip_prefix('-')
            .filter(|it| are_options && !it.is_empty());
        match (long, short) {
            (Some(""), _) => are_options = false,
            (Some(name), _) => {
                if !curl.flag(name) {
                    let name = name.to_owned();
                    curl.set(&name, words.next().ok_or(NO_VALUE)?)?;
                }
            }
            (None, Some(letters)) => {
                for (at, letter) in letters.char_indices() {
                    if !SHORT_WITH_VALUE.contains(letter) {
                        curl.short_flag(letter)?;
                        continue;
                    }
                    let rest = &letters[at + letter.len_utf8()..];
                    let value = match rest {
                        "" => words.next().ok_or(NO_VALUE)?,
                        rest => rest.to_owned(),
                    };
                    curl.set(long_name(letter), value)?;
                    break;
                }
            }
            (None, None) => curl.set("url", word)?,
        }
    }
    curl.request()
}

fn long_name(letter: char) -> &'static str {
    match letter {
        'X' => "request",
        'H' => "header",
        'd' => "data",
        'A' => "user-agent",
        'e' => "referer",
        'b' => "cookie",
        'F' => "form",
        'T' | 'K' | 'Q' => "not understood",
        _ => "output",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const URL: &str = "https://api.z-api.io/instances/I/token/T/privacy/photo";
    const BODY: &str = r#"{"visualizationType":"ALL"}"#;

    fn typed(method: &str, headers: &[&str], body: Option<&str>) -> Typed {
        Typed {
            method: method.into(),
            target: URL.into(),
            headers: headers.iter().map(|it| (*it).to_owned()).collect(),
            body: body.map(Into::into),
        }
    }

    #[test]
    fn a_line_is_read_as_people_paste_it() {
        let json = "Content-Type: application/json";
        let form = "content-type: application/x-www-form-urlencoded";
        let post = typed("POST", &[json], Some(BODY));
        let of_json = typed("POST", &["content-type: application/json"], Some(BODY));
        let cases = [
            (
                format!("curl -X POST '{URL}' \\\n  -H '{json}' \\\n  -d '{BODY}'\n"),
                &post,
            ),
            (
                format!(
                    "$ curl --request POST --url {URL} --header '{json}' --data-raw '{BODY}' | jq ."
                ),
                &post,
            ),
            (
                format!(
                    "curl -sSkL -o /dev/null -u a:b -XPOST -H'{json}' -d'{BODY}' --compressed {URL}"
                ),
                &post,
            ),
            (
                format!(
                    "curl.exe ^\"{URL}^\" ^\r\n  -H ^\"{json}^\" ^\r\n  \
                     --data-raw ^\"^{{^\\^\"visualizationType^\\^\":^\\^\"ALL^\\^\"^}}^\""
                ),
                &post,
            ),
            (
                format!("curl \"{URL}\" `\r\n  -H '{json}' `\r\n -d '{BODY}'"),
                &post,
            ),
            (format!("curl --json '{BODY}' {URL}"), &of_json),
            (format!("curl {URL}"), &typed("GET", &[], None)),
            (format!("curl -I {URL}"), &typed("HEAD", &[], None)),
            (
                format!("curl {URL} -d a=b -d c=d -b e=f -b jar -A g -H 'X-Empty;'"),
                &typed(
                    "POST",
                    &["cookie: e=f", "user-agent: g", "X-Empty:", form],
                    Some("a=b&c=d"),
                ),
            ),
        ];
        for (line, expected) in cases {
            assert!(is_line(&line), "{line}");
            assert_eq!(parse_line(&line).as_ref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn data_may_go_into_the_query() {
        let typed =
            parse_line("curl -G a.test/b --data-urlencode 'c=d e' --data-urlencode =f").unwrap();
        assert_eq!(typed.target, "http://a.test/b?c=d%20e&f");
        assert_eq!((typed.method.as_str(), typed.body), ("GET", None));
    }

    #[test]
    fn data_may_be_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display();
        std::fs::write(file.path(), "{\n}\n").unwrap();
        let body = |option| {
            parse_line(&format!("curl {URL} {option} @{path}"))
                .unwrap()
                .body
        };
        assert_eq!(body("-d").as_deref(), Some("{}"));
        assert_eq!(body("--data-binary").as_deref(), Some("{\n}\n"));
        assert_eq!(body("--data-raw"), Some(format!("@{path}")));
        std::fs::write(file.path(), vec![b'a'; 1024 * 1024 + 1]).unwrap();
        assert!(parse_line(&format!("curl {URL} -d @{path}")).is_err());
    }

    #[test]
    fn what_is_not_understood_is_said_without_quoting_it() {
        for line in [
            "curl",
            "curl -X",
            "curl 'planted",
            "curl --planted a.test",
            "curl -T planted a.test",
            "curl -W a.test",
            "curl a.test b.test",
            "curl a.test -d $'planted'",
            "curl a.test -H @planted",
            "curl a.test -d @/nowhere/planted",
            "curl a.test -d @/dev/zero",
        ] {
            let error = parse_line(line).unwrap_err();
            assert!(!error.contains("planted"), "{line}: {error}");
        }
        assert!(!is_line("curling POST") && !is_line("GET / HTTP/1.1"));
    }
}
