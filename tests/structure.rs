//! The invariants of ARCHITECTURE.md that the text of the code can show. What the code does belongs
//! in the other modules.

use std::{fs, path::Path};

/// The source files at or below `src/PLACE`, without their unit tests.
fn sources(place: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(place);
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            files.extend(sources(&Path::new(place).join(name).display().to_string()));
        }
    } else {
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code = code.split("#[cfg(all(test").next().unwrap();
        files.push((place.to_owned(), code.to_owned()));
    }
    files
}

/// The lines of code at `place` that have one of the words.
fn lines_with(place: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (file, code) in sources(place) {
        for line in code.lines().map(str::trim_start) {
            let is_code = !line.starts_with("//");
            if is_code && words.iter().any(|word| line.contains(word)) {
                found.push(format!("{file}: {line}"));
            }
        }
    }
    found
}

#[test]
fn what_a_module_must_not_know() {
    let rules: [(&str, &[&str]); 13] = [
        (
            "privacy.rs",
            &["http", "json", "Instant", "tokio", "crate::", "async"],
        ),
        (
            "zapi",
            &["ryze::", "budget::", "lane::", "hyper_util", "TcpStream"],
        ),
        ("ryze", &["zapi::", "budget::", "lane::", "server::"]),
        (
            "fallback",
            &["ryze::", "budget::", "lane::", "privacy::", "server::"],
        ),
        ("net", &["crate::", "ryze", "zapi"]),
        (
            "budget",
            &[
                "config::",
                "lane::",
                "ryze::",
                "zapi::",
                "privacy::",
                "http",
            ],
        ),
        ("server", &["ryze::", "budget::", "lane::", "gateway::"]),
        (
            "sandbox",
            &[
                "crate::config",
                "crate::privacy",
                "crate::ryze",
                "crate::zapi",
            ],
        ),
        ("gateway", &["budget::", "sandbox::"]),
        ("trace", &["crate::", "ryze::", "zapi::"]),
        (
            "metrics",
            &["zapi::", "ryze::", "lane::", "budget::", "gateway::"],
        ),
        (
            "admin",
            &["zapi::", "ryze::", "lane::", "budget::", "gateway::"],
        ),
        (
            "config",
            &["zapi::", "ryze::", "lane::", "budget::", "server::"],
        ),
    ];
    for (place, words) in rules {
        assert_eq!(lines_with(place, words), [""; 0], "{place}");
    }
}

#[test]
fn vendors_words_stay_in_their_vendors_folder() {
    let zapi = [
        "client-token",
        "\"Client-Token",
        "\"visualizationType\"",
        "CONTACT_BLACKLIST",
        "SAME_LAST_SEEN",
        "contactsBlacklist",
    ];
    let ryze = [
        "\"permissions\"",
        "match_last_seen",
        "contact_blacklist\"",
        "getPrivacy",
    ];
    for (file, _) in sources("") {
        let of_ryze = file.starts_with("ryze/") || file.starts_with("sandbox/");
        if !file.starts_with("zapi/") && !file.starts_with("cli/") {
            assert_eq!(lines_with(&file, &zapi), [""; 0]);
        }
        if !of_ryze {
            assert_eq!(lines_with(&file, &ryze), [""; 0]);
        }
    }
}

#[test]
fn no_clock_but_tokios() {
    let clocks = [
        "std::time::Instant",
        "SystemTime::now",
        "time::Instant::now",
    ];
    for (file, _) in sources("") {
        // The sandbox shows people the time of day.
        if !file.starts_with("sandbox/") {
            assert_eq!(lines_with(&file, &clocks), [""; 0]);
        }
    }
}

/// A look-up by another module would wait in tokio's blocking pool, before a reload's files.
#[test]
fn names_are_resolved_in_one_place() {
    let words = [
        "lookup_host",
        "o_socket_addrs",
        "ToSocketAddrs",
        "connect((",
    ];
    for (file, _) in sources("") {
        // The health check is a process of its own, and connects to an address.
        if file != "net/resolver.rs" {
            assert_eq!(lines_with(&file, &words), [""; 0]);
        }
    }
}

/// How long these take must tell nothing of a secret, which no other test sees.
#[test]
fn secrets_are_compared_in_constant_time() {
    assert_eq!(
        lines_with(
            "config/secret.rs",
            &["==", "!=", ".eq(", "starts_with", "memcmp", "_eq("]
        ),
        ["config/secret.rs: self.0.as_bytes().ct_eq(other).into()"]
    );
    assert_eq!(lines_with("zapi", &[".expose()", ".as_ref() =="]), [""; 0]);
    // An unknown id is compared as well, before it is refused.
    assert_eq!(
        lines_with("zapi/accounts.rs", &["decoy,", ".matches("]),
        [
            "zapi/accounts.rs: let expected = account.map_or(&self.decoy, |account| &account.token);",
            "zapi/accounts.rs: let (true, Some(account)) = (expected.matches(&token), account) else {",
            "zapi/accounts.rs: Some(sent) if expected.matches(sent.as_bytes()) => (),",
        ]
    );
}
