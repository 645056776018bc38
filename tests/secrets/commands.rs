//! Output of the other commands: of the configuration, of their arguments, and of Ryze's responses to
//! `check --live`.

use std::process::{Command, Stdio};

use super::{FORMATS, PHONE, Planted, assert_all_hushed, redis_url, secret};
use crate::{
    harness::{Upstream, confirms, refuses},
    process::Process,
};

/// The configuration with every table that may hold a secret.
fn planted(base_url: &str, redis: &str) -> Planted {
    let more = format!("[budget]\nredis = {redis}\n[fallback]\nbase_url = \"http://127.0.0.1:1\"");
    Planted::new(base_url, "json", &more)
}

#[tokio::test]
async fn nothing_surfaces_of_a_sound_file() {
    let password = redis_url("127.0.0.1:1").replace(&secret("user"), "user");
    for redis in [&format!("{password:?}"), "{ env = \"redis\" }"] {
        let planted = planted("http://127.0.0.1:1", redis);
        for command in [&["check"][..], &["check", "--print"]] {
            let mut ended = Process::start(planted.program(command).env("redis", &password))
                .ended()
                .await;
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            // The instances have one name at Ryze and several tokens.
            assert!(ended.stderr.contains(" ! "), "{}", ended.stderr);
            ended.stderr = ended
                .stderr
                .replace(&planted.0.path().display().to_string(), "");
            assert_all_hushed(&ended);
        }
    }
}

#[tokio::test]
async fn nothing_surfaces_of_a_check_at_ryze() {
    let secrets = ["ryze1", "ryze2", "ryze3"].map(secret).join(" ");
    let steps = [
        (
            confirms(&format!(
                "{{\"visibility\":{{\"profile\":{secrets:?},\"status\":\"all\"}}}}"
            )),
            0,
        ),
        (refuses(401, &secrets), 1),
        (refuses(404, &format!("no instance of {PHONE}")), 1),
        (refuses(503, &secrets), 1),
    ];
    for (step, code) in steps {
        let upstream = Upstream::start(step).await;
        let planted = Planted::new(&upstream.base_url, "json", "");
        let ended = planted.run(&["check", "--live", "--print"]).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_all_hushed(&ended);
    }
}

#[tokio::test]
async fn nothing_surfaces_of_an_explanation() {
    let planted = planted("http://127.0.0.1:1", "\"redis://127.0.0.1\"");
    let right = [
        "-H",
        "Client-Token: planted-client1",
        "-H",
        "Authorization: planted",
    ];
    let below = |below: &str| format!("/instances/1/token/planted-zapi1{below}");
    let body = r#"{"visualizationType":"ALL"}"#;
    for (target, body, code) in [
        (below("/privacy/photo"), body, 0),
        (below("/privacy/photo"), "planted", 1),
        // The body of a call to the fallback is shown as it was typed.
        (below("/send-text"), r#"{"message":"x"}"#, 0),
        (below("/privacy/messages-duration"), "", 0),
        (below("/pl anted"), "", 64),
        ("planted".to_owned(), "", 64),
    ] {
        let mut command = planted.program(&["explain", "POST", &target, body]);
        let ended = Process::start(command.args(right)).ended().await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_all_hushed(&ended);
    }
    for wrong in ["planted", "planted\u{1}: 1", "X: \u{1}planted"] {
        let mut command = planted.program(&["explain", "GET", "/", "-H", wrong]);
        let ended = Process::start(&mut command).ended().await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert_all_hushed(&ended);
    }
}

/// Neither the help nor a word about wrong usage has to do with the configuration.
#[tokio::test]
async fn nothing_surfaces_of_the_environment() {
    for format in FORMATS {
        let planted = Planted::new("http://127.0.0.1:1", format, "");
        for command in ["serve", "check", "explain", "sandbox"] {
            for argument in ["--help", "--version", "--unknown"] {
                assert_all_hushed(&planted.run(&[command, argument]).await);
            }
        }
    }
}

#[tokio::test]
async fn nothing_surfaces_of_a_gateway_that_cannot_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = \"{}\"", taken.local_addr().unwrap());
    let planted = Planted::new("http://127.0.0.1:1", "json", "");
    let path = planted.0.path().join("gateway.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("listen = \"127.0.0.1:0\"", &listen, 1)).unwrap();
    let mut command: Command = planted.program(&["serve"]);
    let ended = Process::start(command.stdin(Stdio::null())).ended().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_all_hushed(&ended);
}
