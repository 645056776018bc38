//! Files with mistakes: each is found at its line and key, told in words that help, and no secret
//! is shown. Mistakes within one value belong in `values`.
//!
//! A line that has a mistake says so itself: `#! key: part of the message`.

use std::time::{Duration, Instant};

use super::{INSTANCE, parse};

/// Expects the problems that the lines of `text` announce, and no others.
#[track_caller]
pub fn check(text: &str) {
    let announced = text.lines().zip(1..).flat_map(|(line, number)| {
        let problems = line.split(" #! ").skip(1);
        problems.map(move |problem| (Some(number), problem.split_once(": ").unwrap()))
    });
    let announced: Vec<_> = announced.collect();
    let problems = parse(text).err().unwrap_or_default();
    assert_eq!(problems.len(), announced.len(), "{problems:#?}\n{text}");
    for (problem, (line, (key, part))) in problems.iter().zip(announced) {
        assert_eq!(
            (problem.line, &*problem.key),
            (line, key),
            "{problem}\n{text}"
        );
        assert!(problem.message.contains(part), "{problem}\n{text}");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }
}

/// Checks each of the files between lines of `---`, with a sound instance at its end.
#[track_caller]
pub fn check_each(files: &str) {
    for file in files.split("---\n") {
        check(&format!("{file}{INSTANCE}"));
    }
}

#[test]
fn rules_between_keys() {
    check_each(
        r#"
[budget]
burst = 5
requests_per_minute = 10
replicas = 11 #! budget.replicas: leaves each replica no request a minute; write at most 10
---
[policy]
contacts_blacklist = "fallback" #! policy.contacts_blacklist: add [fallback] with the URL of Z-API
---
[policy]
contacts_blacklist = "fallback"
[fallback]
base_url = 1 #! fallback.base_url: must be
---
[budget]
burst = 50 #! budget.burst: 50 is above the share of 20; write at most 20
replicas = 5
---
[budget]
burst = 200
requests_per_minute = "500" #! budget.requests_per_minute: a whole number
---
[budget]
burst = "200" #! budget.burst: a whole number
replicas = 50
---
[admin]
listen = "0.0.0.0:8421" #! admin.listen: write a loopback address, or allow_remote = true
---
[admin]
listen = "0.0.0.0:8421" #! admin.listen: can be reached from other machines
allow_remote = false
---
[admin]
listen = "0.0.0.0:8421"
allow_remote = 1 #! admin.allow_remote: true or false
---
server.listen = "127.0.0.1:99"
admin.listen = "127.0.0.1:99" #! admin.listen: is server.listen too; write another port
---
server.listen = "127.0.0.1:8421"
[admin] #! admin.listen: is server.listen too
---
[fallback] #! fallback.base_url: missing; write it
---
[fallback] #! fallback.base_url: missing; write it
idle_timeout = 60 #! fallback.idle_timeout: a time
base = "http://host" #! fallback.base: unknown key; remove it, or write one of base_url
---
[[instances]]
zapi_instance = "B"
zapi_token = "b"
ryze_instance = "b"
ryze_token = "b"
mode = "observe" #! instances[0].mode: leaves all calls to the fallback, and there is none; write `[fallback]`
---
[fallback]
base_url = "https://api.z-api.io"
[[instances]]
zapi_instance = "B"
zapi_token = "b"
ryze_instance = "b"
ryze_token = "b"
mode = "watch" #! instances[0].mode: must be "translate" or "observe"
---
fallback = "https://api.z-api.io" #! fallback: must be a table
---
[fallback]
base_url = "api.z-api.io" #! fallback.base_url: must be a URL
ca_file = "/nowhere/ca.pem" #! fallback.ca_file: cannot be read
---
[fallback]
base_url = "http://127.0.0.1:8420" #! fallback.base_url: is server.listen, so it leads back here
---
server.listen = "0.0.0.0:99"
[fallback]
base_url = "http://localhost:99/x" #! fallback.base_url: is server.listen
---
server.listen = "[2001:db8::1]:99"
[fallback]
base_url = "https://[2001:db8::1]:99" #! fallback.base_url: is server.listen
---
server.listen = "127.0.0.1:443"
[fallback]
base_url = "https://localhost" #! fallback.base_url: is server.listen
---
server.socket_mode = "0600" #! server.socket_mode: is for a Unix socket
---
server.listen = "127.0.0.1:99"
server.socket_mode = "0600" #! server.socket_mode: is for a Unix socket
---
server.listen = "unix:x" #! server.listen: or the path of a Unix socket
server.socket_mode = "0600"
admin.listen = "127.0.0.1:8420"
"#,
    );
}

#[test]
fn instances() {
    check(
        "instances = [] #! instances: there is none; write `[[instances]]` and its keys, or `[fallback]` to pass every call on",
    );
    check("[instances] #! instances: must be an array of tables; write `[[instances]]`");
    check("instances = [1] #! instances[0]: must be a table; write `[[instances]]`");
    check(
        r#"
[[instances]]
zapi_instance = "" #! instances[0].zapi_instance: at least one character
zapi_token = "hunter2"
ryze_instance = "" #! instances[0].ryze_instance: at least one character
ryze_token = "hunter2"
[[instances]]
zapi_instance = "A/B" #! instances[1].zapi_instance: write the id alone
zapi_token = "hunter2"
ryze_instance = "main\u007f" #! instances[1].ryze_instance: no control character
ryze_token = "hunter2"
[[instances]]
zapi_instance = "A"
zapi_token = "hunter2"
ryze_instance = "main"
ryze_token = "hunter2"
[[instances]]
zapi_instance = "A" #! instances[3].zapi_instance: is instances[2].zapi_instance too
zapi_token = "hunter2"
ryze_instance = "other"
ryze_token = "hunter2"
"#,
    );
}

#[test]
fn one_ryze_instance_for_two_of_z_api() {
    let table = |id: &str, more: &str| {
        format!(
            "[[instances]]\nzapi_instance = \"{id}\"\nzapi_token = \"hunter2\"\n\
             ryze_token = \"hunter2\"\n{more}\n"
        )
    };
    let (own, shared) = (
        "ryze_instance = \"main\"",
        "ryze_instance = \"main\"\nshared = true",
    );
    let problem = |text: &str| {
        text.replacen(
            '\n',
            " #! instances[1].ryze_instance: write `shared = true` in both tables if it is meant: \
             instances[0].ryze_instance is the same\n",
            1,
        )
    };
    let wrong = |text: &str| problem(&format!("{text}\n"));
    for (first, second) in [(own, own), (own, shared), (shared, own)] {
        check(&(table("A", first) + &table("B", &wrong(second))));
    }
    for text in [
        table("A", shared) + &table("B", shared),
        table("A", own) + &table("B", &own.replace("main", "other")),
    ] {
        check(&text);
    }
    let third = wrong(own).replace("instances[1]", "instances[2]");
    check(&(table("A", shared) + &table("B", shared) + &table("C", &third)));
    check(&table(
        "A",
        "ryze_instance = \"main\"\nshared = 1 #! instances[0].shared: true or false",
    ));
}

#[test]
fn missing_keys() {
    let problems = parse("").unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].line, &*problems[0].key), (None, "instances"));

    let problems = parse("\n[[instances]]").unwrap_err();
    assert!(
        problems.iter().all(|problem| problem.line == Some(2)),
        "{problems:#?}"
    );
    let keys: Vec<_> = problems.iter().map(|problem| &*problem.key).collect();
    let required = ["zapi_instance", "zapi_token", "ryze_instance", "ryze_token"];
    assert_eq!(keys, required.map(|key| format!("instances[0].{key}")));
    assert!(problems[0].message.contains("write it"), "{problems:#?}");
    assert!(
        problems[3].message.contains("or `token` in `[ryze]`"),
        "{problems:#?}"
    );

    let without_token = INSTANCE.replace("ryze_token = \"ryze-hunter2\"", "");
    check(&format!(
        "ryze.token = 1 #! ryze.token: must be a secret{without_token}"
    ));
}

#[test]
fn unknown_keys() {
    check_each(
        r#"
[server]
dedline = "10s" #! server.dedline: did you mean `deadline`?
max-body = 1 #! server.max-body: did you mean `max_body`?
[server.drian] #! server.drian: did you mean `drain`?
limit = 1
[servers] #! servers: did you mean `server`?
limit = 1
[admin]
port = 1 #! admin.port: remove it, or write one of listen, allow_remote
"\u001b" = 1 #! admin."\u{1b}": unknown key
"" = 1 #! admin."": unknown key
[[instances]]
zapi_instance = "B"
zapi_token = "hunter2"
ryze_instance = "other"
ryze_token = "hunter2"
ryze_tokens = "hunter2" #! instances[0].ryze_tokens: did you mean `ryze_token`?
"#,
    );
}

#[test]
fn what_is_not_toml() {
    check_each(
        r#"
zapi_token = hunter2 #! : not TOML: string values must be quoted
---
zapi_token = "hunter2 #! : not TOML: invalid basic string
---
zapi_token = "hunter2 #! : not TOML: invalid basic string
hunter2" #! : not TOML: key with no value
---
zapi_token = "\hunter2" #! : not TOML: missing escaped value
---
zapi_token = #! : not TOML: string values must be quoted
"hunter2" #! : not TOML: key with no value
---
zapi_token "hunter2" #! : not TOML: key with no value
---
[server #! : not TOML: unclosed table
deadline = 10
---
[admin]
allow_remote = true
allow_remote = true #! : not TOML: duplicate key
[log]
level = 1
[log] #! : not TOML: duplicate key
---
# zapi-to-ryze
fallback: #! : not TOML, the file looks like YAML: key with no value
---
{"log": {}} #! : not TOML, the file looks like JSON: invalid key-value pair
"#,
    );
    check("[[instances] #! : not TOML: unclosed array table\nzapi_instance = \"A\"");
}

#[test]
fn a_file_of_another_format_has_twenty_errors_at_most_and_at_once() {
    let json: String = (0..12_000)
        .map(|n| format!("\"k{n}\": {{\n\"x\": [1,\n2]}},\n"))
        .collect();
    let yaml: String = (0..12_000)
        .map(|n| format!("k{n}:\n  - x: [1, 2]\n"))
        .collect();
    let array = format!("a = [{}", "1 2\n".repeat(80_000));
    let doubled = "a = 1\n".repeat(60_000);
    let deep = "a = [\n".repeat(60_000);
    for text in [format!("{{{json}}}"), yaml, array, doubled, deep] {
        let start = Instant::now();
        let problems = parse(&text).unwrap_err();
        // Milliseconds in a release build. Parsing line by line took 7 to 30 s even there.
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
        assert!(problems.len() <= 21, "{}", problems.len());
        let lines: Vec<_> = problems
            .iter()
            .take(20)
            .map(|it| it.line.unwrap())
            .collect();
        assert!(lines.is_sorted_by(|a, b| a < b), "{lines:?}");
        if let Some(last) = problems.get(20) {
            assert!(last.message.starts_with("and "), "{last}");
            assert!(
                last.message.ends_with(" more lines that are not TOML"),
                "{last}"
            );
        }
    }
}

#[test]
fn ten_mistakes_are_ten_problems() {
    let text = r#"
[server]
deadline = 30 #! server.deadline: write "10s"
max_conections = 5 #! server.max_conections: did you mean `max_connections`?
idle_timeout = 60 #! server.idle_timeout: write "10s"
[admin]
listen = "0.0.0.0:8421" #! admin.listen: allow_remote
[ryze]
base_url = "ryzeapi.cloud" #! ryze.base_url: must be a URL
token = { env = "UNSET" } #! ryze.token: "UNSET" is not set
[budget]
burst = 101 #! budget.burst: 101 is above the share of 100
scope = "both" #! budget.scope: must be
[[instances]]
zapi_instance = "A"
zapi_token = "" #! instances[0].zapi_token: is empty
ryze_instance = "main"
[[instances]]
zapi_instance = "A" #! instances[1].zapi_instance: is instances[0].zapi_instance too
zapi_token = "hunter2"
ryze_instance = "other"
"#;
    check(text);
    assert_eq!(parse(text).unwrap_err().len(), 10);
}

#[test]
fn a_problem_is_shown_with_its_line_and_key() {
    let problems = parse(&format!("[budget]\nburst = 50\nreplicas = 5{INSTANCE}")).unwrap_err();
    let shown = "line 2: budget.burst: 50 is above the share of 20; write at most 20";
    assert_eq!(problems[0].to_string(), shown);
}
