//! One instance from environment variables, and the other ways to name a configuration.

use std::{fs, process::Command};

use crate::{
    harness::{Upstream, confirms, photo},
    process::{Ended, Process, file, program, send},
};

const ANY: &str = "127.0.0.1:0";
const LISTEN: [&str; 3] = ["serve", "--listen", ANY];

fn with(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = program(arguments);
    command.envs(variables.iter().copied());
    command
}

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    Process::start(&mut with(arguments, variables))
        .ended()
        .await
}

/// The variables of an instance without its token at Ryze.
fn instance(ryze: &str) -> Vec<(&str, &str)> {
    vec![
        ("ZAPI_INSTANCE", "I1"),
        ("ZAPI_TOKEN", "T1"),
        ("RYZE_INSTANCE", "main"),
        ("RYZE_URL", ryze),
        ("ZAPI_URL", "none"),
    ]
}

#[tokio::test]
async fn variables_are_a_configuration() {
    let ryze = Upstream::start(confirms(r#"{"visibility":{"profile":"contacts"}}"#)).await;
    let token = file("ryze-hunter2\n");
    let path = token.path().to_str().unwrap();
    for secret in [("RYZE_TOKEN", "ryze-hunter2"), ("RYZE_TOKEN_FILE", path)] {
        let mut variables = instance(&ryze.base_url);
        variables.push(secret);
        let mut gateway = Process::start(&mut with(&LISTEN, &variables));
        let address = gateway.address().await;
        assert!(send(address, photo("CONTACTS")).await.is_success());
        let request = ryze.seen().pop().unwrap();
        assert_eq!(request.header("token"), Some("ryze-hunter2"));

        if secret.0 == "RYZE_TOKEN_FILE" {
            fs::write(path, "rotated").unwrap();
            gateway.signal("HUP");
            gateway.stderr.line("the configuration was reloaded").await;
            assert!(send(address, photo("CONTACTS")).await.is_success());
            let request = ryze.seen().pop().unwrap();
            assert_eq!(request.header("token"), Some("rotated"));
        }

        variables.push(("ZAPI_CLIENTTOKEN", "C1"));
        let misspelt = run(&["check"], &variables).await;
        let warning =
            "environment: ! set ZAPI_CLIENT_TOKEN in place of ZAPI_CLIENTTOKEN, which is not read";
        assert!(misspelt.stderr.contains(warning), "{misspelt:?}");
        variables.pop();

        let check = run(&["check"], &variables).await;
        assert_eq!((check.code, &*check.stderr), (Some(0), ""), "{check:?}");
        assert!(
            check
                .stdout
                .contains("environment: ! ZAPI_CLIENT_TOKEN: write "),
            "{check:?}"
        );
        let photo = "/instances/I1/token/T1/privacy/photo";
        let body = r#"{"visualizationType":"CONTACTS"}"#;
        let explain = run(&["explain", "POST", photo, body], &variables).await;
        assert_eq!(
            (explain.code, &*explain.stderr),
            (Some(0), ""),
            "{explain:?}"
        );
        let health = run(&["healthcheck"], &variables).await;
        assert!(!health.stderr.contains("asking"), "{health:?}");
    }
}

#[tokio::test]
async fn what_is_missing_of_an_instance_is_named() {
    for command in ["serve", "check"] {
        let ended = run(
            &[command],
            &[("ZAPI_INSTANCE", "I1"), ("RYZE_TOKEN", "hunter2")],
        )
        .await;
        assert_eq!((ended.code, &*ended.stdout), (Some(64), ""), "{ended:?}");
        for name in [
            "ZAPI_TOKEN: set it, or ZAPI_TOKEN_FILE ",
            "RYZE_INSTANCE: set it, or name a file with --config",
        ] {
            assert!(ended.stderr.contains(name), "{ended:?}");
        }
        assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    }
    let none = run(&["serve"], &[]).await;
    assert!(none.stderr.contains("zapi-to-ryze init"), "{none:?}");
    assert!(!none.stderr.contains("There is a file here"), "{none:?}");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gateway.toml"), "").unwrap();
    let here = Process::start(program(["serve"]).current_dir(&folder))
        .ended()
        .await;
    assert!(
        here.stderr
            .contains("There is a file here: --config gateway.toml"),
        "{here:?}"
    );
}

#[tokio::test]
async fn a_file_goes_before_variables() {
    let text = format!(
        "[server]\nlisten = \"{ANY}\"\n[admin]\nlisten = \"{ANY}\"\n[ryze]\ntoken = \"t\"\n\
         [[instances]]\nzapi_instance = \"F1\"\nzapi_token = {{ env = \"ZAPI_TOKEN\" }}\nryze_instance = \"main\"\n"
    );
    let file = file(&text);
    let path = file.path().to_str().unwrap();
    let variables = [
        instance("http://127.0.0.1:9"),
        vec![("ZAPI_TO_RYZE_CONFIG", path)],
    ]
    .concat();
    let printed = run(&["check", "--print"], &variables).await;
    assert!(
        printed.stdout.contains("zapi_instance = \"F1\""),
        "{printed:?}"
    );
    let unused = "unset ZAPI_INSTANCE and RYZE_INSTANCE, which are not used";
    assert!(printed.stderr.contains(unused), "{printed:?}");
    // A secret of the file may be in a variable of the same name.
    let fine = run(&["check", path], &[("ZAPI_TOKEN", "T1")]).await;
    assert_eq!((fine.code, &*fine.stderr), (Some(0), ""), "{fine:?}");

    for arguments in [
        &["check", "-c", path][..],
        &["check", "--config", path],
        &["check", path],
    ] {
        let ended = run(arguments, &[("ZAPI_TOKEN", "T1")]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    for arguments in [
        &["check", path, "-c", path][..],
        &["serve", path, "--sandbox"],
    ] {
        assert_eq!(run(arguments, &[]).await.code, Some(64), "{arguments:?}");
    }
}

#[tokio::test]
async fn another_address_may_be_given_than_that_of_the_file() {
    let text = "[server]\nlisten = \"127.0.0.1:9\"\n[admin]\nlisten = \"127.0.0.1:19421\"\n\
                [fallback]\nbase_url = \"http://127.0.0.1:19420\"\n";
    let file = file(&text.replace(":19421", ":0"));
    let path = file.path().to_str().unwrap();
    let mut by_option = with(&["serve", path, "--listen", ANY], &[]);
    let mut by_variable = with(&["serve", path], &[("ZAPI_TO_RYZE_LISTEN", ANY)]);
    for command in [&mut by_option, &mut by_variable] {
        let mut gateway = Process::start(command);
        assert_ne!(gateway.address().await.port(), 9);
        let admin = gateway.admin_address().await;
        // And it says where its page is.
        let page = gateway.stdout.line("status page on ").await;
        assert_eq!(page, format!("status page on http://{admin}/"));
        // The same address after a reload.
        gateway.signal("HUP");
        gateway.stderr.line("the configuration was reloaded").await;
        assert!(!gateway.stderr.so_far().contains("waits for a restart"));
    }
    // As Compose sets it to nothing.
    let free = crate::process::file(&text.replace(":9\"", ":0\"").replace(":19421", ":0"));
    let arguments = ["serve", free.path().to_str().unwrap()];
    let mut is_empty = with(&arguments, &[("ZAPI_TO_RYZE_LISTEN", "")]);
    Process::start(&mut is_empty).address().await;
    // All rules apply to it.
    let file = crate::process::file(text);
    let path = file.path().to_str().unwrap();
    for (address, key) in [
        ("127.0.0.1:19421", "admin.listen: is server.listen too"),
        (
            "127.0.0.1:19420",
            "fallback.base_url: is server.listen, so it leads back here",
        ),
    ] {
        let ended = run(&["serve", path, "--listen", address], &[]).await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.stderr.contains(key), "{ended:?}");
    }
    let wrong = run(&["serve", path, "--listen", "8420"], &[]).await;
    assert_eq!(wrong.code, Some(64), "{wrong:?}");
    assert!(
        wrong.stderr.contains("write \"127.0.0.1:8420\""),
        "{wrong:?}"
    );
}
