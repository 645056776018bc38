//! `init`: answers on a terminal and from options, and files that are there as a whole or not at all.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;
use zapi_to_ryze::config::{self, Mode};

use crate::{
    harness::{Upstream, confirms},
    process::{Ended, Process, program, without_environment},
    terminal::Terminal,
};

const ID: &str = "3C67AB641C8AA0412F6A2242B4E23AC7";
const TOKEN: &str = "0123456789ABCDEF01234567";
const CLIENT_TOKEN: &str = "F0123456789abcdef0123456789abcdef0S";
const RYZE_TOKEN: &str = "ryze-hunter2";
const SECRETS: [(&str, &str); 3] = [
    ("ZAPI_TOKEN", TOKEN),
    ("ZAPI_CLIENT_TOKEN", CLIENT_TOKEN),
    ("RYZE_TOKEN", RYZE_TOKEN),
];
const OPTIONS: [&str; 5] = ["init", "--zapi-instance", ID, "--ryze-instance", "main"];

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Each file below a folder, with its permissions and its text.
fn files(folder: &Path) -> BTreeMap<String, (u32, String)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (entry, path) = entry.map(|it| (it.file_name(), it.path())).unwrap();
        let name = entry.into_string().unwrap();
        if path.is_dir() {
            let inner = files(&path).into_iter();
            found.extend(inner.map(|(inner, it)| (format!("{name}/{inner}"), it)));
        } else {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            found.insert(name, (mode, fs::read_to_string(path).unwrap()));
        }
    }
    found
}

fn assert_empty(folder: &Path) {
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

/// Runs a command in a folder without a terminal.
async fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = program(arguments);
    command.current_dir(folder).envs(variables.iter().copied());
    Process::start(&mut command).ended().await
}

#[tokio::test]
async fn answers_become_a_configuration() {
    let folder = folder();
    let mut terminal = Terminal::start(folder.path(), &["init"], &[]);
    terminal.answer("Id of the instance, or the URL", ID).await;
    terminal.answer("Token of the instance", TOKEN).await;
    terminal.answer("Client-Token", CLIENT_TOKEN).await;
    terminal.answer("Name of the instance", "main").await;
    terminal.answer("Its token", RYZE_TOKEN).await;
    terminal.answer("URL of Z-API", "").await;
    terminal.shows("Mode [observe]").await;
    assert_empty(folder.path());
    terminal.press("\n");
    terminal.answer("Ask Ryze now", "n").await;
    let (code, screen) = terminal.ended().await;
    assert_eq!(code, Some(0), "{screen}");
    for secret in [TOKEN, CLIENT_TOKEN, RYZE_TOKEN] {
        assert!(!screen.contains(secret), "{screen}");
    }
    for part in [
        "the configuration is fine",
        "zapi-to-ryze serve gateway.toml",
        "https://api.z-api.io  →  http://127.0.0.1:8420",
        "http://127.0.0.1:8421/",
        "mode = \"translate\"",
    ] {
        assert!(screen.contains(part), "{part}: {screen}");
    }

    let files = files(folder.path());
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "gateway.toml",
            "secrets/client_token",
            "secrets/ryze_token",
            "secrets/zapi_token"
        ]
    );
    for (name, secret) in [
        ("secrets/client_token", CLIENT_TOKEN),
        ("secrets/ryze_token", RYZE_TOKEN),
        ("secrets/zapi_token", TOKEN),
    ] {
        assert_eq!(files[name], (0o600, format!("{secret}\n")));
    }
    assert!(!files["gateway.toml"].1.contains("hunter2"));
    let loaded = config::load(&folder.path().join("gateway.toml")).unwrap();
    assert_eq!((loaded.warnings, loaded.advice), (vec![], vec![]));
    let instance = &loaded.config.instances[0];
    assert_eq!(
        (&*instance.zapi_instance, &*instance.ryze_instance),
        (ID, "main")
    );
    assert_eq!(instance.zapi_token.expose(), TOKEN);
    assert_eq!(
        instance.client_token.as_ref().unwrap().expose(),
        CLIENT_TOKEN
    );
    assert_eq!(instance.ryze_token.expose(), RYZE_TOKEN);
    assert_eq!(instance.mode, Mode::Observe);

    let arguments = ["serve", "gateway.toml", "--listen", "127.0.0.1:0"];
    let mut gateway = Process::start(program(arguments).current_dir(&folder));
    gateway.address().await;
}

#[tokio::test]
async fn an_answer_that_is_wrong_is_asked_for_again() {
    let folder = folder();
    let mut terminal = Terminal::start(folder.path(), &["init", "--no-live"], &[]);
    let url = format!("https://api.z-api.io/instances/{ID}/token/{TOKEN}/send-text");
    for (prompt, answer, complaint) in [
        ("Id of", "", "it is empty"),
        ("Id of", "a/b", "write the id alone"),
        ("Id of", TOKEN, "this looks like the token of the instance"),
        (
            "Id of",
            &url,
            "Use the id 3C67AB641C8AA0412F6A2242B4E23AC7 and the token in it? [Y/n]",
        ),
        (": ", "perhaps", "write y or n"),
        ("[Y/n]", "", ""),
        ("Client-Token", "Bearer x", "starts with the word Bearer"),
        ("Client-Token", "a b", "has a space"),
        ("Client-Token", "\u{feff}a", "starts with a byte order mark"),
        (
            "Client-Token",
            TOKEN,
            "this is the token of the instance at Z-API again",
        ),
        ("Client-Token", "", ""),
        (
            "Name of",
            ID,
            "this is the id of the instance at Z-API again",
        ),
        ("Name of", "..", "this means another path"),
        ("Name of", "  main  ", ""),
        ("Its token", "", "it is empty"),
        // Ctrl-Z does not stop it, after which a shell would leave the echo on.
        ("Its token", "\u{1a}x", "has a control character"),
        (
            "Its token",
            "changeme",
            "this looks like a placeholder. If it is right, write it again",
        ),
        // It is right.
        ("Its token", "changeme", "8 characters"),
        ("URL of Z-API", "z-api", "must be a URL"),
        ("URL of Z-API", "none", ""),
    ] {
        terminal.answer(prompt, answer).await;
        terminal.shows(complaint).await;
    }
    let (code, screen) = terminal.ended().await;
    assert_eq!(code, Some(0), "{screen}");
    // Prompt and URL have two lines of 80 characters. They are cleared, since the URL has the token.
    let cleared = format!(
        "\x1b[2A\r\x1b[J  Id of the instance, or the URL of one of its calls: …/instances/{ID}/token/********\n"
    );
    assert!(screen.contains(&cleared), "{screen}");
    let loaded = config::load(&folder.path().join("gateway.toml")).unwrap();
    let instance = &loaded.config.instances[0];
    assert_eq!(
        (&*instance.zapi_instance, &*instance.ryze_instance),
        (ID, "main")
    );
    assert_eq!(instance.zapi_token.expose(), TOKEN);
    assert_eq!(instance.ryze_token.expose(), "changeme");
    assert!(instance.client_token.is_none() && loaded.config.fallback.is_none());
    // Without a fallback there is nothing to observe, and no question.
    assert_eq!(instance.mode, Mode::Translate);
}

#[tokio::test]
async fn a_question_that_is_interrupted_writes_nothing() {
    for (keys, prompts) in [
        // Ctrl-C and Ctrl-D.
        ("\x03", &["Id of"][..]),
        ("\x04", &["Id of"]),
        ("\x03", &["Id of", "Token of the"]),
        ("\x04", &["Id of", "Token of the"]),
        (
            "\x03",
            &[
                "Id of",
                "Token of the",
                "Client-Token",
                "Name of",
                "Its token",
            ],
        ),
    ] {
        let folder = folder();
        let mut terminal = Terminal::start(folder.path(), &["init"], &[]);
        let (last, answered) = prompts.split_last().unwrap();
        for (number, prompt) in answered.iter().enumerate() {
            terminal.answer(prompt, &format!("answer{number}")).await;
        }
        terminal.shows(last).await;
        terminal.shows(": ").await;
        assert_eq!(terminal.echoes(), !last.contains("oken"), "{last}");
        terminal.press(keys);
        terminal.shows("stopped: nothing was written").await;
        let (code, screen) = terminal.ended().await;
        assert_eq!(code, Some(1), "{screen}");
        assert!(terminal.echoes(), "{screen}");
        assert_empty(folder.path());
    }
}

#[tokio::test]
async fn options_and_variables_are_answers() {
    let folder = folder();
    let more = ["--mode", "translate", "--fallback", "http://z-api.internal"];
    let ended = run(folder.path(), &[&OPTIONS[..], &more].concat(), &SECRETS).await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    assert!(
        ended.stdout.contains("zapi-to-ryze serve gateway.toml"),
        "{ended:?}"
    );
    // A program without a terminal is asked nothing.
    assert!(!ended.stdout.contains("[Y/n]"), "{ended:?}");
    let config = config::load(&folder.path().join("gateway.toml"))
        .unwrap()
        .config;
    assert_eq!(config.fallback.unwrap().base_url, "http://z-api.internal/");
    assert_eq!(config.instances[0].mode, Mode::Translate);
    assert_eq!(config.instances[0].ryze_token.expose(), RYZE_TOKEN);

    // From a file, from stdin, and beside the path that is named.
    let file = folder.path().join("token.txt");
    fs::write(&file, format!("{TOKEN}\r\n")).unwrap();
    fs::create_dir(folder.path().join("other")).unwrap();
    let script = r#"printf 'ryze-hunter2\n' | "$0" "$@""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(program([""]).get_program());
    shell
        .args(OPTIONS)
        .args(["other/g.toml", "--no-client-token"]);
    shell.args(["--zapi-token-file", "token.txt", "--ryze-token-file", "-"]);
    without_environment(shell.current_dir(&folder));
    let ended = Process::start(&mut shell).ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let config = config::load(&folder.path().join("other/g.toml"))
        .unwrap()
        .config;
    let instance = &config.instances[0];
    assert_eq!(
        (instance.zapi_token.expose(), instance.ryze_token.expose()),
        (TOKEN, RYZE_TOKEN)
    );
    assert_eq!(instance.mode, Mode::Observe);
}

#[tokio::test]
async fn what_is_missing_or_wrong_without_a_terminal_is_named() {
    let folder = folder();
    let missing = run(folder.path(), &["init"], &[]).await;
    for option in [
        "--zapi-instance",
        "--zapi-token-file",
        "--ryze-instance",
        "--ryze-token-file",
    ] {
        let problem = format!("error: {option}: write it; there is no terminal to ask on\n");
        assert!(missing.stderr.contains(&problem), "{missing:?}");
    }
    let options = [
        "init",
        "--zapi-instance",
        "https://api.z-api.io/instances/x",
        "--mode",
        "observe",
    ];
    let variables = [("RYZE_TOKEN", "Bearer hunter2"), ("ZAPI_URL", "none")];
    let wrong = run(folder.path(), &options, &variables).await;
    for problem in [
        "error: --zapi-instance: write the id alone: ",
        "error: --ryze-token-file: write the secret alone: the value starts with the word Bearer",
        "error: --mode: write translate: ",
    ] {
        assert!(wrong.stderr.contains(problem), "{wrong:?}");
    }
    let twice = ["--zapi-token-file", "-", "--ryze-token-file", "-"];
    let twice = run(folder.path(), &[&OPTIONS[..], &twice].concat(), &[]).await;
    assert!(
        twice
            .stderr
            .contains("--ryze-token-file: name a file: stdin has another token"),
        "{twice:?}"
    );
    // It would be in the list of processes, and in the history of the shell.
    let visible = run(folder.path(), &["init", "--zapi-token=hunter2"], &[]).await;
    assert!(
        visible.stderr.contains("write --zapi-token-file FILE"),
        "{visible:?}"
    );
    for ended in [missing, wrong, twice, visible] {
        assert_eq!((ended.code, &*ended.stdout), (Some(64), ""), "{ended:?}");
        assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    }
    assert_empty(folder.path());
}

#[tokio::test]
async fn no_file_is_overwritten() {
    for existing in ["gateway.toml", "secrets/client_token", "secrets/ryze_token"] {
        let folder = folder();
        fs::create_dir(folder.path().join("secrets")).unwrap();
        fs::write(folder.path().join(existing), "mine").unwrap();
        let before = files(folder.path());
        let ended = run(folder.path(), &OPTIONS, &SECRETS).await;
        assert_eq!((ended.code, &*ended.stdout), (Some(64), ""), "{ended:?}");
        assert!(
            ended.stderr.contains(&format!("{existing} exists")),
            "{ended:?}"
        );
        // It says how to add an instance.
        assert_eq!(
            ended.stderr.contains("[[instances]]"),
            existing == "gateway.toml"
        );
        assert_eq!(files(folder.path()), before);
    }
    // A link that leads nowhere.
    let folder = folder();
    std::os::unix::fs::symlink("nowhere", folder.path().join("gateway.toml")).unwrap();
    let ended = run(folder.path(), &OPTIONS, &SECRETS).await;
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(!folder.path().join("nowhere").exists());
    for (file, problem) in [
        (".", "is a folder"),
        ("new/", "is a folder"),
        ("no/gateway.toml", "a folder that exists"),
    ] {
        let ended = run(folder.path(), &[&OPTIONS[..], &[file]].concat(), &SECRETS).await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.stderr.contains(problem), "{ended:?}");
    }
    assert!(!folder.path().join("secrets").exists());
    // What is wrong only as a whole.
    let own_address = [
        &OPTIONS[..],
        &["x.toml", "--fallback=http://127.0.0.1:8420"],
    ]
    .concat();
    let ended = run(folder.path(), &own_address, &SECRETS).await;
    let nothing = ended.stderr.ends_with("nothing was written\n");
    assert!(ended.code == Some(64) && nothing, "{ended:?}");
    assert!(!folder.path().join("x.toml").exists());
}

/// The limit on the size of a file is the disk that is full after so many blocks of 512 bytes.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_full_disk_leaves_nothing() {
    for blocks in [0, 1] {
        let folder = folder();
        let script = format!(r#"trap '' XFSZ; ulimit -f {blocks}; exec "$0" "$@""#);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).arg(program([""]).get_program());
        without_environment(shell.args(OPTIONS).current_dir(&folder));
        shell.envs(SECRETS).stdin(Stdio::null());
        let ended = Process::start(&mut shell).ended().await;
        assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{ended:?}");
        let file = ["secrets/zapi_token", "gateway.toml"][blocks];
        assert!(
            ended.stderr.starts_with(&format!("error: {file}: ")),
            "{ended:?}"
        );
        assert!(
            ended.stderr.ends_with("; nothing was written\n"),
            "{ended:?}"
        );
        assert_empty(folder.path());
    }
}

#[tokio::test]
async fn ryze_is_asked_if_one_wants_it() {
    let ryze = Upstream::start(confirms(r#"{"visibility":{"profile":"all"}}"#)).await;
    // Counted over all runs.
    for (more, asked) in [(&[][..], 0), (&["--no-live"], 0), (&["--live"], 1)] {
        let folder = folder();
        let options = ["--ryze-url", &ryze.base_url, "--no-fallback"];
        let arguments = [&OPTIONS[..], &options, more].concat();
        let ended = run(folder.path(), &arguments, &SECRETS).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ryze.seen().len(), asked, "{ended:?}");
    }
    // The files are written, and nothing of the secrets is.
    let folder = folder();
    let options = [
        "--ryze-url",
        "http://127.0.0.1:9",
        "--no-fallback",
        "--live",
    ];
    let ended = run(folder.path(), &[&OPTIONS[..], &options].concat(), &SECRETS).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("zapi-to-ryze check gateway.toml --live"),
        "{ended:?}"
    );
    assert_eq!(files(folder.path()).len(), 4);
}
