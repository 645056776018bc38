//! `check --live`: what it says of each instance, and that it only reads. What a file alone shows
//! belongs in `config` and `command`.

use tokio::net::TcpListener;
use zapi_to_ryze::sandbox::{Options, Sandbox};

use crate::{
    harness::{Upstream, answers, confirms, refuses, refusing},
    process::{Ended, Process, file, program},
};

/// A file with one instance for each name and token at Ryze.
fn configuration(base_url: &str, instances: &[(&str, &str)]) -> String {
    let mut text = format!("[ryze]\nbase_url = \"{base_url}\"\nconnect_timeout = \"1s\"\n");
    for (number, (name, token)) in instances.iter().enumerate() {
        text += &format!(
            "[[instances]]\nzapi_instance = \"I{number}\"\nzapi_token = \"zapi-hunter2\"\n\
             ryze_instance = \"{name}\"\nryze_token = \"{token}\"\n"
        );
    }
    text
}

async fn check(text: &str) -> Ended {
    let file = file(text);
    let mut command = program(["check", "--live", "--config"]);
    command.arg(file.path());
    Process::start(&mut command).ended().await
}

#[tokio::test]
async fn each_instance_has_a_line_and_one_fault_is_a_failure() {
    let ryze = Sandbox::new(Options::default());
    for name in ["right", "other", "offline"] {
        ryze.add_instance(name, &format!("{name}-token"));
    }
    ryze.set_connected("offline", false);
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", socket.local_addr().unwrap());
    tokio::spawn(ryze.clone().serve(socket));

    let right = configuration(
        &base_url,
        &[("right", "right-token"), ("other", "other-token")],
    );
    let ended = check(&right).await;
    let lines = "the configuration is fine\nI0 → right: fine\nI1 → other: fine\n";
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), lines),
        "{ended:?}"
    );
    assert!(
        ryze.arrivals()
            .iter()
            .all(|arrival| arrival.method == "GET")
    );
    assert_eq!(ryze.arrivals().len(), 2);

    let wrong = configuration(
        &base_url,
        &[
            ("right", "unheard-of-token"),
            ("right", "other-token"),
            ("misspelt", "right-token"),
            ("offline", "offline-token"),
            ("right", "right-token"),
        ],
    );
    let ended = check(&wrong).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().skip(1).collect();
    let expected = [
        "I0 → right: Ryze refuses it (Invalid token); check ryze_instance and ryze_token",
        "I1 → right: Ryze refuses it (Instance token does not ma",
        "I2 → misspelt: Ryze refuses it (Instance",
        "I3 → offline: not connected to WhatsApp; connect it at Ryze",
        "I4 → right: fine",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert!(!ended.stdout.contains("token\"") && !ended.stdout.contains("hunter2"));
}

#[tokio::test]
async fn a_ryze_that_is_not_there_or_is_none_is_told() {
    let (_socket, base_url) = refusing();
    let ended = check(&configuration(&base_url, &[("main", "t")])).await;
    assert_eq!(ended.code, Some(1));
    let refused = "I0 → main: not known: Ryze could not be reached: connection refused\n";
    assert!(ended.stdout.ends_with(refused), "{ended:?}");

    let other = Upstream::start(answers(200, "{\"hello\":\"world\"}")).await;
    let ended = check(&configuration(&other.base_url, &[("main", "t")])).await;
    assert_eq!(ended.code, Some(1));
    let unconfirmed = "its answer shows no settings\n";
    assert!(ended.stdout.ends_with(unconfirmed), "{ended:?}");
    let bare = Upstream::start(confirms("{}")).await;
    let ended = check(&configuration(&bare.base_url, &[("main", "t")])).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("shows no setting"), "{ended:?}");
    assert_eq!(
        other.seen()[0].first_line(),
        "GET /api/profile/getPrivacy/main HTTP/1.1"
    );
}

#[tokio::test]
async fn a_faulty_file_sends_nothing() {
    let upstream = Upstream::start(answers(200, "{}")).await;
    let text = configuration(&upstream.base_url, &[("main", "t")]) + "unheard_of = 1\n";
    let ended = check(&text).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(64), ""));
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn another_instances_token_is_not_shown() {
    let ryze = Upstream::start(refuses(400, "not the token TbrNeMuYiOpl")).await;
    let tokens = [("one", "own-token"), ("other", "TbrNeMuYiOpl")];
    let ended = check(&configuration(&ryze.base_url, &tokens)).await;
    assert!(ended.stdout.contains("status 400"), "{ended:?}");
    assert!(!ended.stdout.contains("not the token"), "{ended:?}");
}
