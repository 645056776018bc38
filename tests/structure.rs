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
    let rules: [(&str, &[&str]); 15] = [
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
        ("network.rs", &["crate::", "ryze", "zapi"]),
        ("budget", &["crate::", "http"]),
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
        (
            "telemetry",
            &[
                "zapi::",
                "ryze::",
                "lane::",
                "budget::",
                "gateway::",
                "server::",
                "admin::",
            ],
        ),
        ("telemetry/request_id.rs", &["crate::"]),
        ("sync.rs", &["crate::", "async"]),
        ("admin", &["zapi::", "ryze::"]),
        ("admin/mod.rs", &["lane::", "budget::", "gateway::"]),
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
fn only_what_assembles_the_gateway_knows_admin() {
    let high = ["admin/", "lifecycle/"];
    for (file, _) in sources("") {
        if !high.iter().any(|folder| file.starts_with(folder)) {
            let words = ["crate::admin", "use crate::{admin", "    admin::"];
            assert_eq!(lines_with(&file, &words), [""; 0]);
        }
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
