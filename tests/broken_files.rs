//! Configurations with a mistake on or near the line of a secret: the problem is reported, the secret is
//! not. `secrets/` is about a running gateway.

use std::collections::HashSet;

use zapi_to_ryze::config;

use crate::process::{Process, file, program};

/// A sound file, but for the lines that follow.
const BEGINNING: &str = "\
[log]
format = \"text\"
[[instances]]
zapi_instance = \"I1\"
zapi_token = \"T1\"
ryze_instance = \"main\"
";

#[tokio::test]
async fn a_mistake_is_told_by_its_line_alone() {
    let lines = [
        // Not TOML.
        "ryze_token = \"planted",
        "ryze_token = \"\"\"planted",
        "ryze_token = planted",
        "ryze_token = planted-1",
        "ryze_token = \"planted\" planted",
        "ryze_token = \"planted\\q\"",
        "ryze_token = \"planted\u{1}\"",
        "ryze_token \"planted\"",
        "ryze_token planted",
        "planted",
        "ryze_token = { env = \"planted\"",
        "ryze_token = \"x\", client_token = \"planted\"",
        "ryze_token = [\"planted\", planted]",
        "ryze_token = { env = \"\"\"A\", file = \"planted\" }",
        // Of the wrong type.
        "ryze_token = [\"planted\"]",
        "ryze_token = { secret = \"planted\" }",
        "ryze_token = { env = \"A\", file = \"planted\" }",
        "ryze_token = { env = [\"planted\"] }",
        "zapi_instance.planted = \"planted\"",
        // Under a key that there is not.
        "ryze_tokn = \"planted\"",
        "password = \"planted\"",
        // Not what can be in a header.
        "ryze_token = \"planted token\"",
        "ryze_token = \"planted\u{e7}\"",
        "ryze_token = \"planted\\n\"",
        "ryze_token = { env = \"UNSENDABLE\" }",
        // In the wrong place.
        "[budget]\nburst = \"planted\"",
        "[server]\nlisten = \"planted\"",
        "[server]\ndeadline = \"planted\"",
        "[admin]\nallow_remote = \"planted\"",
        "[policy]\ncontacts_blacklist = \"planted\"",
        "[ryze]\nbase_url = \"https://planted:planted@ryze.example\"",
        "[ryze]\nbase_url = \"https://ryze.example/?token=planted\"",
        "[ryze]\ntoken = \"x\"\ntoken = \"planted\"",
    ];
    for line in lines {
        let text = format!("{BEGINNING}{line}\n");
        let broken = file(&text);
        let number = text.lines().count();
        let mut check = program(["check", "--print", "--config"]);
        check.arg(broken.path()).env("UNSENDABLE", "planted token");
        let ended = Process::start(&mut check).ended().await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(64), ""),
            "{line}"
        );
        assert!(
            ended.stderr.contains(&format!(":{number}: ✗ ")),
            "{line}: {}",
            ended.stderr
        );
        assert!(
            !ended.stderr.contains("planted"),
            "{line}: {}",
            ended.stderr
        );
    }
}

/// Every mistake of one character, at every place of the file.
#[test]
fn a_slip_of_the_finger_tells_nothing() {
    let slips = ["\"", "'", "=", "#", "\\", "[", "{", "\n", " ", ".", "\u{1}"];
    for quote in ["\"", "'", "\"\"\""] {
        let text = format!(
            "{BEGINNING}ryze_token = {quote}plantedleft-plantedright{quote}\n\
             [zapi]\nclient_token = {quote}plantedleft-plantedright{quote}\n"
        );
        let mut told = HashSet::new();
        for place in 0..text.len() {
            let mut without = text.clone();
            without.remove(place);
            let with = slips.map(|slip| {
                let mut with = text.clone();
                with.insert_str(place, slip);
                with
            });
            for text in with.iter().chain([&without]) {
                let problems = config::parse(text, &|_| None).err().unwrap_or_default();
                for problem in problems.iter().map(ToString::to_string) {
                    let leaks = ["left", "right"].iter().any(|half| problem.contains(half));
                    assert!(!leaks, "{problem}\n{text}");
                    told.insert(problem);
                }
            }
        }
        assert!(told.len() > 20, "{told:?}");
    }
}
