//! Mistakes within one value. Mistakes between keys and in the file as a whole belong in `broken`.

use std::fs;

use super::{INSTANCE, broken::check};

/// Each line is one key of a file, and what its problem says.
const VALUES: &str = r#"
server.listen = "localhost:80"                  => write "127.0.0.1:8420"
server.listen = 8420                            => an IP address
server.listen = "unix:"                         => or "unix:/run/gateway.sock"
server.listen = "unix:gateway.sock"             => or "unix:/run/gateway.sock"
server.listen = "unix:/run/"                    => or "unix:/run/gateway.sock"
server.listen = "unix:/run/a\u0000"             => or "unix:/run/gateway.sock"
server.socket_mode = 432                        => write "0660"
server.socket_mode = 0o660                      => write "0660"
server.socket_mode = ""                         => write "0660"
server.socket_mode = "+660"                     => write "0660"
server.socket_mode = "0680"                     => write "0660"
server.socket_mode = "01777"                    => write "0660"
server.socket_mode = "rw-rw----"                => write "0660"
server.tls = "/etc/tls"                         => write `[server.tls]`
admin.listen = "unix:/run/admin.sock"           => write "127.0.0.1:8420"
admin.listen = "127.0.0.1"                      => and a port
server.deadline = 10                            => write "10s"
server.deadline = "10"                          => write "10s"
server.deadline = "s"                           => write "10s"
server.deadline = "10 s"                        => write "10s"
server.deadline = "1.5s"                        => write "10s"
server.deadline = "-1s"                         => write "10s"
server.deadline = "1d"                          => with one unit (ms, s, m or h) in quotes; write "10s"
server.deadline = "86401s"                      => to 24h
server.deadline = "99999999999999999999h"       => to 24h
server.deadline = "18446744073709551615h"       => to 24h
server.deadline = "0s"                          => from 1ms
server.header_timeout = "0s"                    => from 1ms
server.body_timeout = "0s"                      => from 1ms
server.idle_timeout = "0ms"                     => from 1ms
server.drain.limit = "0s"                       => from 1ms
server.drain.delay = "0"                        => from 0s
server.max_connections = 0                      => from 1 to 1000000
server.max_connections = 1000001                => from 1 to 1000000
server.max_connections = "512"                  => without quotes
server.max_body = 0                             => from 1 to 16777216
server.max_body = -1                            => from 1 to 16777216
server.max_body = 16777217                      => from 1 to 16777216
server.max_body = 99999999999999999999          => from 1 to 16777216
server.max_body = 1.0                           => a whole number
admin.allow_remote = "true"                     => true or false; write it without quotes
ryze.base_url = 1                               => write "https://host"
ryze.base_url = ""                              => write "https://host"
ryze.base_url = "/"                             => write "https://host"
ryze.base_url = "http://"                       => write "https://host"
ryze.base_url = "https:///path"                 => write "https://host"
ryze.base_url = "https://:8080"                 => write "https://host"
ryze.base_url = "ryzeapi.cloud"                 => write "https://host"
ryze.base_url = "ryzeapi.cloud:443"             => write "https://host"
ryze.base_url = "ftp://ryzeapi.cloud"           => write "https://host"
ryze.base_url = "https://user:hunter2@ryze"     => write "https://host"
ryze.base_url = "https://hunter2@ryze"          => write "https://host"
ryze.base_url = "https://hunter2@ryze:80"       => write "https://host"
ryze.base_url = "https://ryze?token=hunter2"    => write "https://host"
ryze.base_url = "https://ryze/?"                => write "https://host"
ryze.base_url = "https://ryze/#hunter2"         => write "https://host"
ryze.base_url = "https://ryze:"                 => write "https://host"
ryze.base_url = "https://ryze:https"            => write "https://host"
ryze.base_url = "https://ryze:65536"            => write "https://host"
ryze.base_url = "https://ryze api.cloud"        => write "https://host"
ryze.base_url = "https://[::1"                  => write "https://host"
ryze.connect_timeout = "0h"                     => from 1ms
ryze.request_timeout = "0m"                     => from 1ms
budget.redis = 1                                => a secret
budget.redis = ""                               => the secret is empty
budget.redis = "localhost:6379"                 => write "redis://host:6379/0"
budget.redis = "http://localhost"               => write "redis://host:6379/0"
budget.redis = "unix:///hunter2"                => write "redis://host:6379/0"
budget.redis = "redis+unix:///hunter2"          => write "redis://host:6379/0"
budget.redis = "valkey://localhost"             => write "redis://host:6379/0"
budget.redis = "redis://"                       => write "redis://host:6379/0"
budget.redis = "redis:///0"                     => write "redis://host:6379/0"
budget.redis = "redis://hun ter2"               => write "redis://host:6379/0"
budget.redis = "redis://0.0.0.0"                => write "redis://host:6379/0"
budget.redis = "redis://host:65536"             => write "redis://host:6379/0"
budget.redis = "redis://host/hunter2"           => write "redis://host:6379/0"
budget.redis = "redis://:hun/ter2@host"         => write "redis://host:6379/0"
budget.redis = "redis://:%ffhunter2@host"       => write "redis://host:6379/0"
budget.redis = "redis://host?password=hunter2"  => write "redis://host:6379/0"
budget.redis = "rediss://host/#insecure"        => write "redis://host:6379/0"
budget.redis = "redis://hünter2.example"        => write "redis://host:6379/0"
budget.redis = { env = "UNSET" }                => is not set
ryze.ca_file = 1                                => text
ryze.ca_file = ""                               => at least one character
ryze.ca_file = "/nowhere/ca.pem"                => cannot be read
budget.requests_per_minute = 0                  => must be a whole number from 1 to 1000000, without quotes
budget.requests_per_minute = 1000001            => from 1 to 1000000
budget.burst = 0                                => from 1 to 1000000
budget.replicas = 0                             => from 1 to 1000000
budget.max_wait = 0                             => from 0s
budget.scope = "tokens"                         => must be "gateway" or "token"
policy.contacts_blacklist = "drop"              => must be "refuse" or "mode_only" or "fallback"
log.format = "xml"                              => must be "json" or "text"
log.level = "verbose"                           => "info" or "debug"
server = 1                                      => write `[server]`
log = [{}]                                      => write `[log]`
"#;

/// Each line is a secret as it may be written, and what its problem says.
const SECRETS: &str = r#"
4711                                        => write "literal", { env = "NAME" } or { file = "/path" }
{}                                          => must be a secret
{ evn = "hunter2" }                         => must be a secret
{ env = "ZAPI_TOKEN", file = "hunter2" }    => must be a secret
{ env = 1 }                                 => must be a secret
""                                          => is empty
{ env = "EMPTY" }                           => is empty
{ env = "UNSET" }                           => the environment variable "UNSET" is not set
{ file = "/nowhere/x" }                     => the file "/nowhere/x" cannot be read (No such file or directory (os error 2)); check the path
"#;

const UNSENDABLE: &str = r#"
"hunter2 hunter2"       => visible ASCII
"hunter2\n"             => ends with a line end; a header carries visible ASCII
"\ufeffhunter2"         => the value starts with a byte order mark
" hunter2"              => has a space at the start
"hunter2\u0000"         => has a NUL
{ env = "CARRIAGE" }    => write the secret alone: the value of the environment variable "CARRIAGE" ends with a carriage return
"hünter2-hunter2"       => visible ASCII
{ env = "SPACED" }      => visible ASCII
"#;

/// The two columns of a table.
fn rows(table: &str) -> impl Iterator<Item = (&str, &str)> {
    let rows = table.lines().filter_map(|line| line.split_once("=> "));
    rows.map(|(left, right)| (left.trim_end(), right))
}

/// Expects one problem with `key` in a file that begins with `text`, which ends in its value.
#[track_caller]
fn check_value(text: &str, key: &str, part: &str) {
    check(&format!("{text} #! {key}: {part}{INSTANCE}"));
}

/// Expects one problem wherever `written` is a secret that is sent in a header.
#[track_caller]
fn check_header_secret(written: &str, part: &str) {
    for key in ["zapi.client_token", "ryze.token"] {
        check_value(&format!("{key} = {written}"), key, part);
    }
    for key in ["client_token", "ryze_token"] {
        check_instance_secret(key, written, part);
    }
}

#[track_caller]
fn check_instance_secret(key: &str, written: &str, part: &str) {
    let keys = ["zapi_instance", "ryze_instance", "zapi_token", "ryze_token"];
    let others = keys.into_iter().filter(|it| *it != key);
    let others: String = others.map(|key| format!("{key} = \"x\"\n")).collect();
    let text = format!("[[instances]]\n{others}{key} = {written}");
    check_value(&text, &format!("instances[0].{key}"), part);
}

/// Expects one problem wherever `written` is a secret.
#[track_caller]
fn check_secret(written: &str, part: &str) {
    check_header_secret(written, part);
    check_instance_secret("zapi_token", written, part);
}

#[test]
fn values() {
    for (written, part) in rows(VALUES) {
        let (key, _) = written.split_once(" = ").unwrap();
        check_value(written, key, part);
    }
}

#[test]
fn secrets() {
    rows(SECRETS).for_each(|(written, part)| check_secret(written, part));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let written = format!("{{ file = {path:?} }}");
    for held in ["", "\n", "\r\n"] {
        fs::write(&path, held).unwrap();
        check_secret(&written, "is empty");
    }
    fs::write(&path, b"hunter2\xff").unwrap();
    check_secret(
        &written,
        &format!("the file {path:?} cannot be read (it is not UTF-8); save it as UTF-8"),
    );
    for (held, part) in [
        ("hunter2\n\n", "ends with a line end"),
        ("hunter2\r\r\n", "ends with a carriage return"),
        ("\u{feff}hunter2\n", "starts with a byte order mark"),
        ("hunter2 \n", "has a space at the end"),
        ("hunter2\0\n", "has a NUL"),
        ("hunter2\nhunter2\n", "has several lines"),
    ] {
        fs::write(&path, held).unwrap();
        check_secret(&written, &format!("the value in the file {path:?} {part}"));
    }
}

#[test]
fn ids() {
    for (written, part) in [
        ("\" I1\"", "the id has a space at the start; must be text"),
        ("\"I1 \"", "the id has a space at the end"),
        ("\"I1\\r\"", "the id ends with a carriage return"),
        ("\"\\ufeffI1\"", "the id starts with a byte order mark"),
        ("\"I\\u200b1\"", "the id has an invisible character"),
        ("\"..\"", "means another path"),
    ] {
        for key in ["zapi_instance", "ryze_instance"] {
            check_instance_secret(key, written, part);
        }
    }
    let url = "\"https://api.z-api.io/instances/I1\"";
    check_instance_secret("zapi_instance", url, "write the id alone");
}

#[test]
fn secrets_that_no_header_can_carry() {
    rows(UNSENDABLE).for_each(|(written, part)| check_header_secret(written, part));
}

#[test]
fn certificates() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let key = "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n";
    let torn = "-----BEGIN CERTIFICATE-----\nhunter2!\n-----END CERTIFICATE-----\n";
    let none = "holds no certificate";
    for (held, part) in [
        ("", none),
        ("hunter2", none),
        (key, none),
        (torn, "cannot be read"),
    ] {
        fs::write(&path, held).unwrap();
        check_value(&format!("ryze.ca_file = {path:?}"), "ryze.ca_file", part);
    }
}
