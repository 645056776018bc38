//! The invariants of ARCHITECTURE.md that the text of the code can show.

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
    let pure = ["http", "json", "Instant", "tokio", "async"];
    let rules: [(&str, &[&str]); 18] = [
        ("privacy.rs", &pure),
        ("privacy", &pure),
        ("privacy.rs", &["crate::"]),
        (
            "zapi",
            &["ryze::", "budget::", "queue::", "hyper_util", "TcpStream"],
        ),
        ("ryze", &["zapi::", "budget::", "queue::", "server::"]),
        (
            "proxy",
            &[
                "ryze::",
                "budget::",
                "queue::",
                "privacy::",
                "server::",
                "zapi::",
            ],
        ),
        ("queue", &["proxy::", "zapi::", "gateway::", "server::"]),
        ("net", &["crate::", "ryze", "zapi"]),
        (
            "budget",
            &[
                "config::",
                "queue::",
                "ryze::",
                "zapi::",
                "privacy::",
                "http",
            ],
        ),
        (
            "server",
            &["ryze::", "zapi::", "budget::", "queue::", "gateway::"],
        ),
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
                "queue::",
                "budget::",
                "gateway::",
                "server::",
                "admin::",
            ],
        ),
        ("telemetry/request_id.rs", &["crate::"]),
        ("sync.rs", &["crate::", "async"]),
        ("admin", &["zapi::", "ryze::"]),
        ("admin/mod.rs", &["queue::", "budget::", "gateway::"]),
        (
            "config",
            &["zapi::", "ryze::", "queue::", "budget::", "server::"],
        ),
    ];
    for (place, words) in rules {
        assert_eq!(lines_with(place, words), [""; 0], "{place}");
    }
    assert_eq!(
        lines_with("privacy", &["crate::"]),
        ["privacy/failure.rs: use crate::net::ConnectFault;"]
    );
}

#[test]
fn only_what_assembles_the_gateway_knows_admin() {
    let high = ["admin/", "app/"];
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
        let of_zapi = file.starts_with("zapi/") || file.starts_with("sandbox/zapi/");
        let of_ryze = file.starts_with("ryze/") || file.starts_with("sandbox/");
        // The log's vocabulary names the fields.
        let names_fields = file == "telemetry/reason.rs";
        if !of_zapi && !file.starts_with("cli/") && !names_fields {
            assert_eq!(lines_with(&file, &zapi), [""; 0]);
        }
        if !of_ryze {
            assert_eq!(lines_with(&file, &ryze), [""; 0]);
        }
    }
}

/// Rust's Debug format in a message tells an operator of types instead of causes.
#[test]
fn no_message_has_the_debug_format() {
    let mut formatted = lines_with("", &[":?}", ":#?}"]);
    formatted.sort_unstable();
    // Fields, as `tracing` hands over what is no text or number.
    assert_eq!(
        formatted,
        [
            "telemetry/json_line.rs: self.text(field, &format!(\"{value:?}\"));",
            "telemetry/text_line.rs: let _ = write!(text, \"{value:?}\");",
        ]
    );
    // `?value` in a macro of tracing, and no bound.
    let mut logged = lines_with("", &[" ?", "(?"]);
    logged.retain(|line| !line.starts_with("admin/page/") && !line.contains("?Sized"));
    assert_eq!(logged, [""; 0]);
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

/// Whether a file has `use super::NAME` or `super::NAME::`.
fn imports(code: &str, name: &str) -> bool {
    let statements = code.split("use super::").skip(1);
    let used = statements.filter_map(|rest| rest.split(';').next());
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    code.contains(&format!("super::{name}::"))
        || used
            .flat_map(|statement| statement.split(|char| !is_word(char)))
            .any(|word| word == name)
}

#[test]
fn no_two_files_of_a_folder_import_each_other() {
    let files = sources("");
    let mut pairs = 0;
    for (file, code) in &files {
        for (other, other_code) in &files {
            let (Some((folder, name)), Some((other_folder, other_name))) =
                (file.rsplit_once('/'), other.rsplit_once('/'))
            else {
                continue;
            };
            if folder == other_folder && name < other_name {
                let is_cycle = imports(code, other_name.trim_end_matches(".rs"))
                    && imports(other_code, name.trim_end_matches(".rs"));
                assert!(!is_cycle, "{file} and {other}");
                pairs += 1;
            }
        }
    }
    assert!(pairs > 100, "{pairs}");
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_maps_name_every_module_and_only_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = read("ARCHITECTURE.md");
    for entry in fs::read_dir(root.join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            quoted(&map).any(|it| it.trim_start_matches("src/").trim_end_matches('/') == name),
            "src/{name}"
        );
    }
    // Not `redis/`, which is below the folder of its row, and not `/status`.
    let is_path = |it: &&str| it.trim_matches('/').contains('/') && !it.contains([' ', ':']);
    for path in quoted(&map).filter(is_path) {
        let exists = [root.join(path), root.join("src").join(path)];
        assert!(
            exists
                .iter()
                .any(|it| it.exists() || it.with_extension("rs").exists()),
            "{path}"
        );
    }
    let tests = read("tests/tests.rs");
    let (map, modules) = tests.split_once("#![allow").unwrap();
    let modules: Vec<_> = modules
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    for module in &modules {
        assert!(quoted(map).any(|it| it == *module), "{module}");
    }
    let table = map
        .lines()
        .filter(|line| line.starts_with("//! | "))
        .skip(1);
    for named in table.flat_map(quoted) {
        assert!(modules.contains(&named), "{named}");
    }
}

/// `cargo test` needs only Rust and a C compiler.
#[test]
fn tests_that_need_another_program_are_ignored() {
    // What starts one, and the only file where it does.
    let starts = [
        ("Redis::start", ""),
        ("Setup::start", "zapi_client.rs"),
        ("run_node(", "https.rs"),
        ("Shown::start", "page.rs"),
        ("python3", "soak.rs"),
    ];
    let mut files = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")];
    let mut ignored = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".rs") || name == "structure.rs" {
            continue;
        }
        let text = fs::read_to_string(&path)
            .unwrap()
            .replace("#[tokio::test", "#[test");
        for test in text.split("\n#[test").skip(1) {
            let body = test.split("\n}").next().unwrap();
            if starts
                .iter()
                .any(|(start, file)| name.ends_with(file) && body.contains(start))
            {
                assert!(body.contains("#[ignore = \"needs "), "{name}: {body}");
                ignored += 1;
            }
        }
    }
    assert!(ignored >= 20, "{ignored}");
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
        lines_with("zapi/auth.rs", &["decoy,", ".matches("]),
        [
            "zapi/auth.rs: let expected = account.map_or(&self.decoy, |account| &account.token);",
            "zapi/auth.rs: let (true, Some(account)) = (expected.matches(&token), account) else {",
            "zapi/auth.rs: Some(sent) if expected.matches(sent.as_bytes()) => (),",
        ]
    );
}
