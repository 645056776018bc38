//! Generated from the command definitions: completions as a shell uses them, and the manual page.

use std::{path::Path, process::Command};

use crate::process::{Process, file, program, without_environment};

const COMMANDS: [&str; 9] = [
    "init",
    "serve",
    "sandbox",
    "check",
    "explain",
    "healthcheck",
    "report",
    "completions",
    "man",
];

async fn printed(arguments: &[&str]) -> String {
    let ended = Process::start(&mut program(arguments)).ended().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout
}

/// What bash offers after these words, of which the last is being typed.
async fn offered(completions: &Path, words: &[&str]) -> Vec<String> {
    const SCRIPT: &str = r#"
        source "$0"
        function=$(complete -p zapi-to-ryze | grep -o -- '-F [^ ]*' | cut -c 4-)
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        "$function" zapi-to-ryze "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["-c", SCRIPT]).arg(completions);
    without_environment(bash.arg("zapi-to-ryze").args(words));
    let ended = Process::start(&mut bash).ended().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_commands_and_options() {
    let completions = file(&printed(&["completions", "bash"]).await);
    let path = completions.path();
    let commands = offered(path, &[""]).await;
    for command in COMMANDS {
        assert!(commands.iter().any(|word| word == command), "{commands:?}");
    }
    assert_eq!(offered(path, &["heal"]).await, ["healthcheck"]);
    assert_eq!(offered(path, &["healthcheck", "--l"]).await, ["--live"]);
    assert_eq!(offered(path, &["completions", "z"]).await, ["zsh"]);
}

#[tokio::test]
async fn every_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let completions = printed(&["completions", shell]).await;
        for command in COMMANDS {
            assert!(completions.contains(command), "{shell}: {command}");
        }
        assert!(completions.contains("requests-per-minute"), "{shell}");
    }
    let other = Process::start(&mut program(["completions", "tcsh"]));
    assert_eq!(other.ended().await.code, Some(64));
}

#[tokio::test]
async fn the_manual_page_has_every_command_and_option() {
    let page = printed(&["man"]).await;
    let count = |line: &str| page.lines().filter(|other| *other == line).count();
    assert_eq!(page.matches("\n.TH zapi-to-ryze 1").count(), 1);
    for section in ["NAME", "SYNOPSIS", "COMMANDS", "EXIT STATUS", "SIGNALS"] {
        assert_eq!(count(&format!(".SH {section}")), 1, "{section}");
    }
    assert!(page.contains("\\fBserve \\-\\-sandbox\\fR has no configuration file and exits"));
    for command in COMMANDS {
        let head = format!("\n.SS {command}\n");
        let (_, rest) = page.split_once(&head).expect(command);
        let told = rest.split("\n.S").next().unwrap().split("\n.TP\n").skip(1);
        let told: Vec<_> = told.filter_map(|option| option.lines().next()).collect();
        let help = printed(&[command, "--help"]).await;
        let words = help.split_whitespace();
        for option in words.filter(|word| word.starts_with("--")) {
            let option = format!("\\fB{}\\fR", option.replace('-', "\\-"));
            let is_told = told.iter().any(|line| line.contains(&option));
            assert!(is_told, "{command}: {option} in {told:?}");
        }
    }
}
