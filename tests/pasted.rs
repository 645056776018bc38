//! Printed curl lines, carried out: by a shell where there is curl, and over sockets, which needs none.
//! What they are to do belongs in the tests.

use std::process::Command;

use crate::harness::Reply;
use crate::process::{Ended, Process, send, without_environment};

/// The lines of a text that are calls, without those in comments.
pub fn curl_lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let calls = lines.filter(|line| line.starts_with("curl "));
    calls.map(str::to_owned).collect()
}

/// The end of the line in a shell. `None` where there is no curl.
pub async fn by_shell(line: &str) -> Option<Ended> {
    Command::new("curl").arg("--version").output().ok()?;
    let mut shell = Command::new("sh");
    without_environment(shell.args(["-c", line]));
    Some(Process::start(&mut shell).ended().await)
}

/// The answers to the requests of the line, one after the other.
pub async fn by_socket(line: &str) -> Vec<Reply> {
    let words = words(line);
    let mut replies = Vec::new();
    for request in words[1..].split(|word| word == "--next") {
        let (authority, request) = request_of(request);
        replies.push(send(authority.parse().unwrap(), request).await);
    }
    replies
}

/// The words of a line for a shell that quotes nothing but whole words, and with single quotes.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(part, text)| match part % 2 {
        0 => text.split_whitespace().map(str::to_owned).collect(),
        _ => vec![text.to_owned()],
    });
    words.collect()
}

/// The host that curl connects to with these arguments, and what it sends.
fn request_of(arguments: &[String]) -> (&str, String) {
    let (mut method, mut body, mut url) = (None, None, None);
    let mut headers = String::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match &**argument {
            "-i" | "-s" => (),
            "-o" => drop(arguments.next()),
            "-X" => method = arguments.next(),
            "-d" => body = arguments.next(),
            "-H" => headers += &format!("{}\r\n", arguments.next().unwrap()),
            address => url = Some(address.strip_prefix("http://").unwrap()),
        }
    }
    let default = if body.is_some() { "POST" } else { "GET" };
    let method = method.map_or(default, |method| method);
    let (authority, path) = url.unwrap().split_once('/').unwrap();
    if body.is_some() && !headers.to_lowercase().contains("content-type:") {
        headers += "Content-Type: application/x-www-form-urlencoded\r\n";
    }
    let body = body.map_or("", |body| body);
    let length = body.len();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    (authority, request)
}
