//! The command line: results on stdout, problems on stderr, exit codes. The shutdown is in `stop.rs`,
//! the contents of a configuration in `config`,
//! the sandbox in `serve_sandbox`.

use std::{
    fs::{File, Permissions},
    io::{self, ErrorKind, Read as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    thread,
};

use tokio::sync::Mutex;

use crate::process::{Ended, Process, fifo, file, program};

pub const ANY: &str = "127.0.0.1:0";

/// Held by each test of what listens on the ports that the program has by default.
pub static DEFAULT_PORTS: Mutex<()> = Mutex::const_new(());

pub async fn run(arguments: &[&str]) -> Ended {
    Process::start(&mut program(arguments)).ended().await
}

/// Runs a command on a file that holds this text.
async fn run_on(text: &str, command: &[&str]) -> Ended {
    let file = file(text);
    let mut program = program(command);
    program.arg("--config").arg(file.path());
    Process::start(&mut program).ended().await
}

/// A configuration without a fault.
pub fn sound(server: &str, admin: &str, ryze: &str) -> String {
    format!(
        "[server]\nlisten = \"{server}\"\n[admin]\nlisten = \"{admin}\"\n\
         [ryze]\nbase_url = \"http://{ryze}\"\ntoken = \"t\"\n\
         [[instances]]\nzapi_instance = \"I1\"\nzapi_token = \"T1\"\nryze_instance = \"main\"\n"
    )
}

/// A socket that another process listens on, and its address.
pub fn taken() -> (TcpListener, String) {
    let socket = TcpListener::bind(ANY).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

#[tokio::test]
async fn wrong_usage_is_told_on_stderr() {
    let cases: [&[&str]; 8] = [
        &[],
        &["server"],
        &["serve", "--verbose"],
        &["serve"],
        &["serve", "--config"],
        &["serve", "--config", "x.toml", "--sandbox"],
        &["sandbox", "--listen", "here"],
        &["check"],
    ];
    for arguments in cases {
        let ended = run(arguments).await;
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert_ne!(ended.stderr, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn what_a_wrong_command_line_probably_means() {
    let file = "A command comes first, then its file: serve --config FILE";
    let address = "write an IP address and a port, as in 127.0.0.1:9100";
    let cases: [(&[&str], _); 18] = [
        (&["server"], "Did you mean `serve`?"),
        (&["chek"], "Did you mean `check`?"),
        (&["gateway.toml"], file),
        (&["-c", "gateway.toml"], file),
        (&["--config", "gateway.toml"], file),
        (&["help"], "Did you mean `--help`?"),
        (&["-v"], "Did you mean `-V`?"),
        (&["--vresion"], "Did you mean `--version`?"),
        (&["--sandbox"], "--sandbox is an option of: serve, explain"),
        (&["start"], "The commands are init, serve, "),
        (&["check", "--pritn"], "Did you mean `--print`?"),
        (&["serve", "--lsten=x"], "Did you mean `--listen`?"),
        (&["serve", "--print"], "--print is an option of: check"),
        (&["init", "--mode", "observed"], "Did you mean `observe`?"),
        (&["completions", "bsh"], "Did you mean `bash`?"),
        (&["init", "--ryze-token"], "write --ryze-token-file FILE"),
        (&["sandbox", "--listen", "9100"], address),
        (&["sandbox", "--listen", "localhost:9100"], address),
    ];
    for (arguments, hint) in cases {
        let ended = run(arguments).await;
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(hint), "{arguments:?}: {ended:?}");
        // As if an unknown option could be a file.
        assert!(!ended.stderr.contains("'-- --"), "{arguments:?}: {ended:?}");
    }
    // They are close to `man` and `report`, and what follows is right but twice.
    let twice = ["--mode=observe", "--mode=observe"];
    for arguments in [
        &["run"][..],
        &["serve", "--port", "9"],
        &["serve", "--sandbox", "x.toml"],
        &["init", twice[0], twice[1]],
    ] {
        let ended = run(arguments).await;
        assert!(!ended.stderr.contains("Did you mean"), "{ended:?}");
    }
}

#[tokio::test]
async fn the_log_says_at_the_start_which_upstream_answers_which_calls() {
    let (mut gateway, _) = Process::serve(&sound(ANY, ANY, "ryze.internal:1")).await;
    let line = gateway.stderr.line("1 instance").await;
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        event["message"],
        "1 instance → http://ryze.internal:1; everything else is refused with 404: no [fallback]"
    );
}

#[tokio::test]
async fn help_and_version_are_answers() {
    let version = concat!("zapi-to-ryze ", env!("CARGO_PKG_VERSION"));
    let cases: [(&[&str], &str); 8] = [
        (&["-V"], &format!("{version}\n")),
        (&["--help"], "check"),
        (&["--help"], "http://127.0.0.1:8421/runbook"),
        (&["serve", "--help"], "  zapi-to-ryze serve gateway.toml"),
        (&["serve", "--help"], "  RYZE_INSTANCE "),
        (&["serve", "-h"], "--listen <ADDR>"),
        (&["serve", "--help"], "ZAPI_TO_RYZE_CONFIG"),
        (&["check", "--help"], "--print"),
    ];
    for (arguments, part) in cases {
        let ended = run(arguments).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains(part), "{}", ended.stdout);
    }
    let long = run(&["--version"]).await.stdout;
    let build = long
        .strip_prefix(version)
        .and_then(|rest| rest.strip_prefix(" (")?.strip_suffix(")\n"))
        .unwrap_or_else(|| panic!("{long}"));
    // Sources without git have no commit.
    let (commit, target) = build
        .rsplit_once(", ")
        .unwrap_or(("commit 0000000000", build));
    let commit = commit.strip_prefix("commit ").expect(build);
    let digits = commit.trim_end_matches("-dirty");
    assert_eq!(digits.len(), 10, "{build}");
    assert!(digits.bytes().all(|it| it.is_ascii_hexdigit()), "{build}");
    assert!(target.contains(std::env::consts::ARCH), "{build}");
}

#[tokio::test]
async fn every_problem_is_told_with_its_line_and_key() {
    let broken = file(
        "[server]\nlisten = 8420\ndeadline = \"soon\"\n\n[budget]\nburts = 3\n\
         [[instances]]\nzapi_instance = \"I1\"\nzapi_token = \"\"\nryze_instance = \"main\"\n",
    );
    let path = broken.path().to_str().unwrap();
    let problems = [
        (2, "server.listen: "),
        (3, "server.deadline: "),
        (6, "budget.burts: "),
        (7, "instances[0].ryze_token: "),
        (9, "instances[0].zapi_token: "),
    ];
    let check = run(&["check", "--config", path]).await;
    let serve = run(&["serve", "--config", path]).await;
    for ended in [&check, &serve] {
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(64), ""));
    }
    let in_list = |(line, problem): &(_, &str)| format!("{path}:{line}: ✗ {problem}");
    let in_log = |(line, problem): &(_, &str)| format!("{path}: error: line {line}: {problem}");
    let check: Vec<_> = check.stderr.lines().collect();
    let serve: Vec<_> = serve.stderr.lines().collect();
    assert_eq!((check.len(), check[5], serve.len()), (6, "5 errors", 5));
    for ((problem, listed), logged) in problems.iter().zip(check).zip(serve) {
        assert!(listed.starts_with(&in_list(problem)), "{listed}");
        assert!(logged.starts_with(&in_log(problem)), "{logged}");
    }
    for (command, mark) in [("check", "✗"), ("serve", "error:")] {
        let missing = run(&[command, "--config", "/nowhere/gateway.toml"]).await;
        assert_eq!((missing.code, missing.stdout.as_str()), (Some(64), ""));
        let start = format!("/nowhere/gateway.toml: {mark} ");
        assert!(missing.stderr.starts_with(&start), "{}", missing.stderr);
    }
}

/// A configuration of which there is nothing to say.
fn complete() -> String {
    format!(
        "[zapi]\nclient_token = \"C1\"\n[fallback]\nbase_url = \"https://api.z-api.io\"\n{}",
        sound(ANY, ANY, ANY)
    )
}

#[tokio::test]
async fn check_lists_what_is_fine_and_what_is_not() {
    let ended = run_on(&complete(), &["check"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let fine = "✓ server: listens on 127.0.0.1:0\n✓ admin: listens on 127.0.0.1:0\n\
                ✓ ryze: http://127.0.0.1:0\n✓ budget: 100 requests a minute\n\
                ✓ fallback: https://api.z-api.io\n✓ instances: 1\nthe configuration is fine\n";
    assert_eq!(ended.stdout, fine);

    let text = "[budget]\nrequests_per_minute = 101\n".to_owned()
        + &sound(ANY, ANY, ANY).replace("\"T1\"", "\"changeme\"");
    let file = file(&text);
    let path = file.path().to_str().unwrap();
    let ended = run(&["check", "--config", path]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let warned = format!("{path}:12: ! instances[0].zapi_token: write the secret itself, ");
    assert!(ended.stderr.starts_with(&warned), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().collect();
    let expected = [
        "✓ server: listens on 127.0.0.1:0",
        "✓ admin: listens on 127.0.0.1:0",
        "✓ ryze: http://127.0.0.1:0",
        &format!("{path}: ! fallback: write [fallback] with base_url = \"https://api.z-api.io\": "),
        &format!("{path}: ! zapi.client_token: write the Client-Token of your account: "),
        &format!("{path}:2: ! budget.requests_per_minute: write at most 100, unless "),
        "3 fine, 4 with a warning",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
}

#[tokio::test]
async fn a_configuration_with_secrets_that_others_may_read_is_warned_of() {
    let warning = ": ! chmod 640 the file: it has secrets in it";
    let by_variable = complete()
        .replace("\"C1\"", "{ env = \"A\" }")
        .replace("\"t\"", "{ env = \"A\" }")
        .replace("\"T1\"", "{ env = \"A\" }");
    let with_redis =
        |url: &str| format!("budget = {{ replicas = 2, redis = \"{url}\" }}\n{by_variable}");
    for (text, mode, is_warned_of) in [
        (complete(), 0o600, false),
        (complete(), 0o640, false),
        (complete(), 0o644, true),
        (complete(), 0o660, true),
        (by_variable.clone(), 0o644, false),
        (with_redis("redis://r"), 0o644, false),
        (with_redis("redis://:planted@r"), 0o644, true),
    ] {
        let file = file(&text);
        std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        let mut check = program(["check", "--config"]);
        let ended = Process::start(check.arg(file.path()).env("A", "secret"))
            .ended()
            .await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(
            ended.stderr.contains(warning),
            is_warned_of,
            "{mode:o} {ended:?}"
        );
        assert_eq!(ended.stdout.contains("is fine"), !is_warned_of, "{ended:?}");
    }
}

#[tokio::test]
async fn what_check_prints_is_a_configuration() {
    let fine = run_on(&sound(ANY, ANY, ANY), &["check"]).await;
    assert_eq!((fine.code, fine.stderr.as_str()), (Some(0), ""));
    assert!(fine.stdout.contains("fine"));
    let printed = run_on(&sound(ANY, ANY, ANY), &["check", "--print"]).await;
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    assert!(printed.stdout.contains("zapi_instance = \"I1\""));
    // Masked secrets are secrets too.
    let again = run_on(&printed.stdout, &["check", "--print"]).await;
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), ""));
    assert_eq!(again.stdout, printed.stdout);
}

#[tokio::test]
async fn a_proxy_that_is_not_used_is_warned_of() {
    let sound = file(&sound(ANY, ANY, ANY));
    for (name, value, is_warned_of) in [
        ("HTTPS_PROXY", "http://user:planted@proxy:3128", true),
        ("https_proxy", "http://proxy:3128", true),
        ("ALL_PROXY", "socks5://proxy", true),
        ("all_proxy", "socks5://proxy", true),
        ("HTTPS_PROXY", "", false),
        ("NO_PROXY", "*", false),
    ] {
        let mut check = program(["check", "--config"]);
        let ended = Process::start(check.arg(sound.path()).env(name, value))
            .ended()
            .await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let warning = format!("{name} is set, and the gateway uses no proxy");
        assert_eq!(ended.stderr.contains(&warning), is_warned_of, "{ended:?}");
        assert!(!ended.stderr.contains("planted"), "{ended:?}");
    }
}

#[tokio::test]
async fn the_variable_names_the_file_where_no_flag_does() {
    const VARIABLE: &str = "ZAPI_TO_RYZE_CONFIG";
    let sound = file(&sound(ANY, ANY, ANY));
    let nowhere = "/nowhere/gateway.toml";
    let by_flag = ["check", "--config", sound.path().to_str().unwrap()];
    let cases: [(&[&str], &Path, i32); 3] = [
        (&["check"], sound.path(), 0),
        (&["check"], nowhere.as_ref(), 64),
        (&by_flag, nowhere.as_ref(), 0),
    ];
    for (arguments, variable, code) in cases {
        let check = Process::start(program(arguments).env(VARIABLE, variable));
        let ended = check.ended().await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
    }
    // As Compose sets it to nothing.
    let check = Process::start(program(["check"]).env(VARIABLE, ""));
    let ended = check.ended().await;
    assert!(ended.stderr.contains("no configuration"), "{ended:?}");
    let _default_ports = DEFAULT_PORTS.lock().await;
    let mut sandbox = program(["serve", "--sandbox"]);
    let mut sandbox = Process::start(sandbox.env(VARIABLE, nowhere));
    sandbox.address().await;
}

#[tokio::test]
async fn check_opens_no_port_and_sends_nothing() {
    let (server, server_address) = taken();
    let (admin, admin_address) = taken();
    let (ryze, ryze_address) = taken();
    let text = sound(&server_address, &admin_address, &ryze_address);
    assert_eq!(run_on(&text, &["check"]).await.code, Some(0));
    for socket in [server, admin, ryze] {
        socket.set_nonblocking(true).unwrap();
        assert_eq!(socket.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn an_address_that_is_taken() {
    let (_taken, address) = taken();
    for (key, text) in [
        ("server.listen", sound(&address, ANY, ANY)),
        ("admin.listen", sound(ANY, &address, ANY)),
    ] {
        let ended = run_on(&text, &["serve"]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
        assert!(ended.stderr.contains(&address), "{}", ended.stderr);
        let cure = format!("write another address in {key}");
        assert!(ended.stderr.contains(&cure), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn the_default_admin_address_may_be_taken() {
    let _default_ports = DEFAULT_PORTS.lock().await;
    // If this fails, another process has taken it, which will do as well.
    let _taken = TcpListener::bind("127.0.0.1:8421");
    let text = sound(ANY, ANY, ANY).replace(&format!("[admin]\nlisten = \"{ANY}\"\n"), "");
    let (mut gateway, _) = Process::serve(&text).await;
    let warning = gateway.stderr.line("127.0.0.1:8421").await;
    assert!(warning.contains("WARN"), "{warning}");
}

#[tokio::test]
async fn a_reload_may_be_asked_for_while_the_configuration_is_read() {
    let mut text = sound(ANY, ANY, ANY) + "shared = true\n";
    for number in 0..2_000 {
        text += &format!(
            "[[instances]]\nzapi_instance = \"more{number}\"\nzapi_token = \"T\"\n\
             ryze_instance = \"main\"\nryze_token = \"t{number}\"\nshared = true\n"
        );
    }
    let configuration = file(&text);
    let directory = tempfile::tempdir().unwrap();
    let told = fifo(&directory);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec "$1" serve --config "$2" 2>"$0""#]);
    shell.arg(&told).arg(program([""]).get_program());
    let mut gateway = Process::start(shell.arg(configuration.path()));
    let mut told = File::open(told).unwrap();
    // It warns of each instance, more than the FIFO holds, and waits for a reader.
    told.read_exact(&mut [0]).unwrap();
    gateway.signal("HUP");
    thread::spawn(move || io::copy(&mut told, &mut io::sink()));
    gateway.address().await;
}
