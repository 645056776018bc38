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
    assert_eq!(page.matches("\n.TH zapi-to-ryze 1").count(), 1);
    let sections = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "COMMANDS",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "SIGNALS",
        "EXAMPLES",
        "SEE ALSO",
    ];
    let found = page.lines().filter_map(|line| line.strip_prefix(".SH "));
    assert_eq!(found.collect::<Vec<_>>(), sections);
    assert!(page.contains("\\fBserve \\-\\-sandbox\\fR has no configuration file and exits"));
    for variable in ["ZAPI_INSTANCE", "RYZE_TOKEN", "NO_COLOR"] {
        assert!(page.contains(&format!("\n.TP\n{variable}\n")), "{variable}");
    }
    let is_long = |line: &&str| line.len() > 80 || line.ends_with(' ');
    let long: Vec<_> = page.lines().filter(is_long).collect();
    assert!(long.is_empty(), "{long:?}");
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

/// Of a command line of the man page, the words after the program.
fn example(line: &str) -> Option<Vec<String>> {
    let line = line.replace("\\-", "-").replace("\\(aq", "'");
    let words = shlex::split(line.strip_prefix("zapi-to-ryze ")?);
    Some(words.unwrap())
}

#[tokio::test]
async fn the_examples_of_the_manual_page_are_valid() {
    let page = printed(&["man"]).await.replace("\\\n", "");
    let (_, examples) = page.split_once(".SH EXAMPLES\n").unwrap();
    let examples: Vec<_> = examples.lines().filter_map(example).collect();
    assert!(examples.len() >= 5, "{examples:?}");
    for words in &examples {
        let help = printed(&[&words[0], "--help"]).await;
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag.as_str()), "{flag} of {words:?}");
        }
    }
    // The one that needs no file does what it says.
    let words = examples.iter().find(|words| words[0] == "explain").unwrap();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let explained = printed(&words).await;
    assert!(explained.contains("contacts"), "{explained}");
}
