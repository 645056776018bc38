//! The options of curl that make a request. Those that do not change it are skipped.

use std::{
    fs::{self, File},
    io::Read as _,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::explain::request::words::Typed;

/// Bytes of a file that an option names.
const MAX_FILE: u64 = 1024 * 1024;
/// As curl encodes the values of `--data-urlencode`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Long options with a value that do not change the request.
const SKIPPED_WITH_VALUE: &str = "user output write-out max-time connect-timeout retry retry-delay retry-max-time proxy \
    proxy-user cacert capath cert cert-type key key-type pass resolve connect-to interface \
    limit-rate cookie-jar dump-header max-redirs ciphers tls-max unix-socket stderr trace \
    trace-ascii";
/// Long options without a value that do not change the request.
const SKIPPED: &str = "silent show-error verbose insecure location location-trusted include fail fail-with-body \
    fail-early compressed http1.0 http1.1 http2 http3 ipv4 ipv6 globoff no-buffer progress-bar \
    no-progress-meter tlsv1.2 tlsv1.3 ssl-reqd basic anyauth path-as-is remote-name \
    create-dirs no-keepalive tcp-nodelay";

const UNKNOWN: &str = "the curl line has an option that is not understood here; leave it out";
/// The request that the options describe.
#[derive(Default)]
pub(super) struct Options {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<String>,
    data: Vec<String>,
    /// The content type if no header gives one.
    content_type: Option<&'static str>,
    is_get: bool,
    is_head: bool,
}

impl Options {
    /// Whether it is a known option without a value.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        match name {
            "get" => self.is_get = true,
            "head" => self.is_head = true,
            name => return has(SKIPPED, name),
        }
        true
    }

    pub(super) fn short_flag(&mut self, letter: char) -> Result<(), &'static str> {
        match letter {
            'G' => self.is_get = true,
            'I' => self.is_head = true,
            letter if "sSvkLifgN#01234OJqRj".contains(letter) => (),
            _ => return Err(UNKNOWN),
        }
        Ok(())
    }

    pub(super) fn set(&mut self, name: &str, value: String) -> Result<(), &'static str> {
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
            name if has(SKIPPED_WITH_VALUE, name) => (),
            _ => return Err(UNKNOWN),
        }
        Ok(())
    }

    pub(super) fn request(self) -> Result<Typed, &'static str> {
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

fn has(names: &str, name: &str) -> bool {
    names.split(' ').any(|it| it == name)
}
