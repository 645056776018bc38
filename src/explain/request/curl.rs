//! A request from a curl command line: the words that a shell makes of it, or the line itself as it is
//! pasted from documentation, a browser or a chat. Options that do not change the request are skipped.

use std::{
    fs::{self, File},
    io::Read as _,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::words::Typed;

/// Bytes of a file that an option names.
const MAX_FILE: u64 = 1024 * 1024;
/// As curl encodes the values of `--data-urlencode`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Short options with a value, of which [`Curl::set`] knows some.
const SHORT_WITH_VALUE: &str = "XHdAebuFomwxTEcDrYyzCtQPUK";
/// Long options with a value that do not change the request.
const SKIPPED_WITH_VALUE: [&str; 30] = [
    "user",
    "output",
    "write-out",
    "max-time",
    "connect-timeout",
    "retry",
    "retry-delay",
    "retry-max-time",
    "proxy",
    "proxy-user",
    "cacert",
    "capath",
    "cert",
    "cert-type",
    "key",
    "key-type",
    "pass",
    "resolve",
    "connect-to",
    "interface",
    "limit-rate",
    "cookie-jar",
    "dump-header",
    "max-redirs",
    "ciphers",
    "tls-max",
    "unix-socket",
    "stderr",
    "trace",
    "trace-ascii",
];
/// Long options without a value that do not change the request.
const SKIPPED: [&str; 31] = [
    "silent",
    "show-error",
    "verbose",
    "insecure",
    "location",
    "location-trusted",
    "include",
    "fail",
    "fail-with-body",
    "fail-early",
    "compressed",
    "http1.0",
    "http1.1",
    "http2",
    "http3",
    "ipv4",
    "ipv6",
    "globoff",
    "no-buffer",
    "progress-bar",
    "no-progress-meter",
    "tlsv1.2",
    "tlsv1.3",
    "ssl-reqd",
    "basic",
    "anyauth",
    "path-as-is",
    "remote-name",
    "create-dirs",
    "no-keepalive",
    "tcp-nodelay",
];

const UNKNOWN: &str = "the curl line has an option that is not understood here; leave it out";
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
    let mut curl = Curl::default();
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

/// The request that the options describe.
#[derive(Default)]
struct Curl {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<String>,
    data: Vec<String>,
    /// The content type if no header gives one.
    content_type: Option<&'static str>,
    is_get: bool,
    is_head: bool,
}

impl Curl {
    /// Whether it is a known option without a value.
    fn flag(&mut self, name: &str) -> bool {
        match name {
            "get" => self.is_get = true,
            "head" => self.is_head = true,
            name => return SKIPPED.contains(&name),
        }
        true
    }

    fn short_flag(&mut self, letter: char) -> Result<(), &'static str> {
        match letter {
            'G' => self.is_get = true,
            'I' => self.is_head = true,
            letter if "sSvkLifgN#01234OJqRj".contains(letter) => (),
            _ => return Err(UNKNOWN),
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), &'static str> {
        const FORM: &str = "application/x-www-form-urlencoded";
        let mut data = |value, content_type| {
            self.data.push(value);
            self.content_type.get_or_insert(content_type);
        };
        match name {
            "request" => self.method = Some(value),
            "url" if self.url.is_some() => {
                return Err("the curl line has two URLs; quote what belongs to an option");
            }
            "url" => self.url = Some(value),
            "header" => self.headers.push(header(value)?),
            "user-agent" => self.headers.push(format!("user-agent: {value}")),
            "referer" => self.headers.push(format!("referer: {value}")),
            // Without an equals sign it names a file of cookies.
            "cookie" if value.contains('=') => self.headers.push(format!("cookie: {value}")),
            "cookie" => (),
            "oauth2-bearer" => self.headers.push(format!("authorization: Bearer {value}")),
            "data" | "data-ascii" => {
                let is_file = value.starts_with('@');
                let mut value = with_file(value)?;
                value.retain(|char| !is_file || !matches!(char, '\r' | '\n' | '\0'));
                data(value, FORM);
            }
            "data-binary" => data(with_file(value)?, FORM),
            "data-raw" => data(value, FORM),
            "data-urlencode" => data(encoded(&value)?, FORM),
            "json" => data(with_file(value)?, "application/json"),
            "form" | "form-string" => data(String::new(), "multipart/form-data"),
            name if SKIPPED_WITH_VALUE.contains(&name) => (),
            _ => return Err(UNKNOWN),
        }
        Ok(())
    }

    fn request(self) -> Result<Typed, &'static str> {
        let url = self.url.ok_or("the curl line has no URL")?;
        let mut target = match url.starts_with('/') || url.contains("://") {
            true => url,
            false => format!("http://{url}"),
        };
        let is_json = self.content_type == Some("application/json");
        let data = self.data.join(if is_json { "" } else { "&" });
        let mut body = self.content_type.map(|_| data);
        if self.is_get
            && let Some(data) = body.take()
        {
            target += if target.contains('?') { "&" } else { "?" };
            target += &data;
        }
        let method = match (&body, self.is_head) {
            (_, true) => "HEAD",
            (Some(_), false) => "POST",
            (None, false) => "GET",
        };
        let mut headers = self.headers;
        let is_type = |header: &String| {
            let name = header.split(':').next().unwrap_or_default();
            name.eq_ignore_ascii_case("content-type")
        };
        if let (Some(content_type), Some(_)) = (self.content_type, &body)
            && !headers.iter().any(is_type)
        {
            headers.push(format!("content-type: {content_type}"));
        }
        Ok(Typed {
            method: self.method.unwrap_or_else(|| method.to_owned()),
            target,
            headers,
            body,
        })
    }
}

/// A header; `Name;` sends an empty one.
fn header(value: String) -> Result<String, &'static str> {
    match value.strip_suffix(';').filter(|_| !value.contains(':')) {
        _ if value.starts_with('@') => Err("the curl line has a file of headers; write them out"),
        Some(name) => Ok(format!("{name}:")),
        None => Ok(value),
    }
}

/// The value, or the content of the file that it names.
fn with_file(value: String) -> Result<String, &'static str> {
    const UNREADABLE: &str = "the file of the curl line cannot be read as text of up to 1 MiB";
    let Some(path) = value.strip_prefix('@') else {
        return Ok(value);
    };
    let mut text = String::new();
    // Another kind of file may have no end.
    let file = fs::metadata(path)
        .is_ok_and(|it| it.is_file())
        .then(|| File::open(path));
    let file = file.ok_or(UNREADABLE)?.map_err(|_| UNREADABLE)?;
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
    match read {
        Ok(length) if length as u64 <= MAX_FILE => Ok(text),
        _ => Err(UNREADABLE),
    }
}

/// `content`, `=content` or `name=content`, encoded.
fn encoded(value: &str) -> Result<String, &'static str> {
    let encode = |content| utf8_percent_encode(content, ENCODED);
    match value.split_once('=') {
        Some(("", content)) => Ok(encode(content).to_string()),
        Some((name, content)) => Ok(format!("{name}={}", encode(content))),
        None if value.contains('@') => Err(UNKNOWN),
        None => Ok(encode(value).to_string()),
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
