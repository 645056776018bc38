//! Secrets and phone numbers are planted in every input, and searched for in every output: responses,
//! the log and the commands.
//!
//! `callers` is about requests of clients, `upstreams` about responses of Ryze, Redis and the fallback,
//! `others` about another instance's secrets, `commands` about the other commands, `memory` about
//! memory, and `panics` about a panic. Mistakes in a configuration are in `broken_files.rs`, `explain`
//! in `explain.rs`.

mod callers;
mod commands;
mod memory;
mod others;
mod panics;
mod upstreams;

use std::{fs, net::SocketAddr, process::Command};

use tempfile::TempDir;

use crate::process::{Ended, Process, program};

/// No other text has this in it.
const PLANTED: &str = "planted";
const PHONE: &str = "5544990001111";
const INSTANCES: [&str; 3] = ["1", "2", "3"];
const FORMATS: [&str; 2] = ["json", "text"];

/// Ways in which a program may write a text down.
const ENCODINGS: [fn(&str) -> String; 7] = [
    str::to_owned,
    str::to_uppercase,
    |text| each_byte(text, |byte| format!("{byte:02x}")),
    |text| each_byte(text, |byte| format!("%{byte:02x}")),
    |text| each_byte(text, |byte| format!("\\u{byte:04x}")),
    |text| each_byte(text, |byte| format!("&#{byte};")),
    base64,
];

fn each_byte(text: &str, write: impl Fn(u8) -> String) -> String {
    text.bytes().map(write).collect()
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = text.as_bytes().chunks(3).map(|group| {
        let bits = (0..3).fold(0, |bits, at| {
            bits << 8 | usize::from(*group.get(at).unwrap_or(&0))
        });
        let digits = [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]));
        digits[..=group.len()].iter().collect::<String>()
    });
    groups.collect()
}

/// What must not be in a text, however it is written, and whichever bytes are before it.
fn assert_hushed(place: &str, text: &str) {
    let lower = text.to_lowercase();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let mut leaks = lower.contains(PLANTED) || digits.contains(PHONE);
    for planted in [PLANTED, PHONE] {
        for encode in &ENCODINGS[2..6] {
            leaks |= lower.contains(&encode(planted));
        }
        for before in ["", "x", "xx"] {
            // The digits that are made of these bytes alone.
            let encoded = base64(&format!("{before}{planted}"));
            let whole = &encoded[[0, 2, 3][before.len()]..encoded.len() - 2];
            leaks |= text.contains(whole);
        }
    }
    assert!(!leaks, "{place}: {text}");
}

fn assert_all_hushed(ended: &Ended) {
    assert_hushed("stdout", &ended.stdout);
    assert_hushed("stderr", &ended.stderr);
}

#[test]
fn what_is_planted_is_found_however_it_is_written() {
    for planted in [PLANTED, PHONE] {
        for encode in ENCODINGS {
            for before in ["", "x", "xx", "xxx"] {
                let text = format!("{{{}}}", encode(&format!("{before}{planted}-1")));
                let found = std::panic::catch_unwind(|| assert_hushed("here", &text));
                assert!(found.is_err(), "{text}");
            }
        }
    }
    assert_hushed("here", "nothing 55 of 44 the kind 99");
}

/// The secret of that name.
fn secret(name: &str) -> String {
    format!("{PLANTED}-{name}")
}

/// A configuration in which each secret of an instance is written in each form.
struct Planted(TempDir);

impl Planted {
    /// With a Ryze, a format of the log, and more lines at the end of the table `ryze`.
    fn new(base_url: &str, format: &str, more: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let mut text = format!(
            "# {PLANTED}\n[server]\nlisten = \"127.0.0.1:0\"\ndeadline = \"4s\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [zapi]\nclient_token = \"{PLANTED}\"\n[log]\nlevel = \"trace\"\n\
             format = \"{format}\"\n[ryze]\nbase_url = \"{base_url}\"\ntoken = \"{PLANTED}\"\n{more}\n"
        );
        let form = |number: usize, name: String| match number % 3 {
            0 => format!("{:?}", secret(&name)),
            1 => format!("{{ env = {name:?} }}"),
            _ => {
                let path = directory.path().join(&name);
                fs::write(&path, secret(&name) + "\n").unwrap();
                format!("{{ file = {path:?} }}")
            }
        };
        for (index, name) in INSTANCES.iter().enumerate() {
            text += &format!(
                "[[instances]]\nzapi_instance = \"{name}\"\nzapi_token = {}\nclient_token = {}\n\
                 ryze_instance = \"main\"\nshared = true\nryze_token = {}\n",
                form(index, format!("zapi{name}")),
                form(index + 1, format!("client{name}")),
                form(index + 2, format!("ryze{name}"))
            );
        }
        fs::write(directory.path().join("gateway.toml"), text).unwrap();
        Self(directory)
    }

    /// A command on this configuration, and on this environment.
    fn program(&self, command: &[&str]) -> Command {
        let mut program = program(command);
        program
            .arg("--config")
            .arg(self.0.path().join("gateway.toml"))
            .env("redis", redis_url("127.0.0.1:1"));
        for name in ["zapi", "client", "ryze"] {
            for instance in INSTANCES {
                let name = format!("{name}{instance}");
                program.env(&name, secret(&name));
            }
        }
        program
    }

    async fn run(&self, command: &[&str]) -> Ended {
        Process::start(&mut self.program(command)).ended().await
    }

    async fn serve(&self) -> (Process, SocketAddr) {
        let mut gateway = Process::start(&mut self.program(&["serve"]));
        let address = gateway.address().await;
        (gateway, address)
    }
}

fn redis_url(address: &str) -> String {
    format!("redis://{}:{}@{address}/0", secret("user"), secret("redis"))
}

/// Stops a gateway, which must end well and have kept what it was told to itself.
async fn stop(gateway: Process) -> Ended {
    gateway.signal("TERM");
    let ended = gateway.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_all_hushed(&ended);
    ended
}

/// The bytes of a request with the credentials of an instance, and with planted ones of other kinds.
fn request(instance: &str, method: &str, below: &str, body: &str) -> String {
    format!(
        "{method} /instances/{instance}/token/planted-zapi{instance}{below} HTTP/1.1\r\n\
         Host: g\r\nClient-Token: planted-client{instance}\r\nAuthorization: Bearer planted\r\n\
         Cookie: session=planted\r\nToken: planted\r\nUser-Agent: planted\r\nX-Phone: {PHONE}\r\n\
         X-planted-name: 1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request that is right.
fn photo(instance: &str) -> String {
    let body = r#"{"visualizationType":"ALL"}"#;
    request(instance, "POST", "/privacy/photo", body)
}
