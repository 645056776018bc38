//! The files in `config/`: they pass, and say of every key what the code knows of it.

use std::collections::BTreeSet;

use zapi_to_ryze::config::print;

use super::{environment, parse, sound};

const GATEWAY: &str = include_str!("../../config/gateway.toml");
const MINIMAL: &str = include_str!("../../config/minimal.toml");

/// `gateway.toml` with every key that it shows.
fn uncommented() -> String {
    let lines = GATEWAY.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The full names of the tables and keys in a file of one line each.
fn keys(text: &str) -> BTreeSet<String> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
    {
        if line.starts_with('[') {
            let name = line.trim_matches(['[', ']']);
            keys.insert(name.to_owned());
            table = format!("{name}.");
        } else {
            keys.insert(format!("{table}{}", line.split_once(" = ").unwrap().0));
        }
    }
    keys
}

/// The keys that the code takes, as it tells them to someone who wrote another.
fn known() -> BTreeSet<String> {
    let tables = [
        "",
        "server",
        "server.drain",
        "server.tls",
        "admin",
        "zapi",
        "ryze",
        "budget",
        "policy",
        "fallback",
        "log",
    ];
    let mut text = String::from("unheard-of = 1\n");
    for table in &tables[1..] {
        text += &format!("[{table}]\nunheard-of = 1\n");
    }
    text += "[[instances]]\nunheard-of = 1\n";
    let problems = parse(&text).unwrap_err();
    let mut known = BTreeSet::new();
    for table in tables.into_iter().chain(["instances[0]"]) {
        let prefix = if table.is_empty() {
            String::new()
        } else {
            format!("{table}.")
        };
        let key = format!("{prefix}unheard-of");
        let problem = problems.iter().find(|problem| problem.key == key).unwrap();
        let (_, list) = problem.message.split_once("write one of ").unwrap();
        let prefix = prefix.replace("[0]", "");
        known.extend(list.split(", ").map(|name| format!("{prefix}{name}")));
    }
    known
}

#[test]
fn gateway_toml_passes() {
    let loaded = sound(GATEWAY);
    assert_eq!(loaded.warnings, []);
    let instance = &loaded.config.instances[0];
    assert!(
        instance
            .zapi_token
            .matches(environment("ZAPI_TOKEN").unwrap().as_bytes())
    );
    assert!(
        instance
            .ryze_token
            .matches(environment("RYZE_TOKEN").unwrap().as_bytes())
    );
}

#[test]
fn gateway_toml_shows_the_defaults() {
    let mut defaults = sound(MINIMAL).config;
    defaults.admin.is_optional = false;
    assert_eq!(
        format!("{:#?}", sound(GATEWAY).config),
        format!("{defaults:#?}")
    );
    let with_burst = GATEWAY.replace("#burst", "burst");
    assert_ne!(with_burst, GATEWAY);
    assert_eq!(print(&sound(&with_burst).config), print(&defaults));
}

#[test]
fn gateway_toml_has_every_key_that_the_code_knows() {
    let missing: Vec<_> = known().difference(&keys(&uncommented())).cloned().collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_code_knows_every_key_in_gateway_toml() {
    let unknown: Vec<_> = keys(&uncommented()).difference(&known()).cloned().collect();
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn only_what_has_no_default_is_commented_out() {
    let commented: Vec<_> = known().difference(&keys_as_shipped()).cloned().collect();
    let without_default = [
        "budget.burst",
        "budget.redis",
        "fallback.ca_file",
        "instances.client_token",
        "ryze.ca_file",
        "ryze.token",
        "server.socket_mode",
        "server.tls",
        "server.tls.cert_file",
        "server.tls.key_file",
        "zapi.client_token",
    ];
    assert_eq!(commented, without_default);
}

fn keys_as_shipped() -> BTreeSet<String> {
    let lines: Vec<_> = GATEWAY
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    keys(&lines.join("\n"))
}

#[test]
fn every_key_in_gateway_toml_has_a_line_of_comment() {
    let mut above = "";
    for line in GATEWAY.lines().filter(|line| !line.is_empty()) {
        let is_comment = line.starts_with("# ");
        assert!(is_comment || above.starts_with("# "), "{line}");
        above = line;
    }
}
