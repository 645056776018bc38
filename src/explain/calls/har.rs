//! The requests of a HAR file (HTTP Archive 1.2), as browsers and proxies export them.

use serde::Deserialize;

use super::{Recorded, Typed};

#[derive(Deserialize)]
pub(super) struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(rename = "postData")]
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    text: Option<String>,
}

/// Of the recorded connection and not of the call; the length is that of the recorded body.
const OF_CONNECTION: [&str; 6] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "transfer-encoding",
];

pub(super) fn read(har: Har) -> impl Iterator<Item = Recorded> {
    har.log.entries.into_iter().map(|entry| {
        let Request {
            method,
            url,
            headers,
            post_data,
        } = entry.request;
        let is_of_call = |header: &Header| {
            let name = header.name.to_ascii_lowercase();
            // HTTP/2 has the method and the path as headers.
            !name.starts_with(':') && !OF_CONNECTION.contains(&name.as_str())
        };
        let headers = headers.into_iter().filter(is_of_call);
        Ok(Typed {
            method,
            target: url,
            headers: headers
                .map(|it| format!("{}: {}", it.name, it.value))
                .collect(),
            body: post_data.map(|data| data.text.unwrap_or_default()),
        })
    })
}
