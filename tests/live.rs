//! `check --live`: what it says of Redis, the fallback and each instance, and that it only reads. Checks
//! of the file alone are in `config` and `command`.

use tokio::net::TcpListener;
use zapi_to_ryze::sandbox::{Options, Sandbox};

use crate::{
    harness::{Upstream, answers, confirms, refuses, refusing},
    process::{Ended, Process, file, program},
    tls::{Authority, certificate, terminate_tls},
};

/// A file with one instance for each name and token at Ryze.
fn configuration(base_url: &str, instances: &[(&str, &str)]) -> String {
    let mut text = format!("[ryze]\nbase_url = \"{base_url}\"\nconnect_timeout = \"1s\"\n");
    for (number, (name, token)) in instances.iter().enumerate() {
        text += &format!(
            "[[instances]]\nzapi_instance = \"I{number}\"\nzapi_token = \"zapi-hunter2\"\n\
             ryze_instance = \"{name}\"\nryze_token = \"{token}\"\nshared = true\n"
        );
    }
    text
}

async fn check(text: &str) -> Ended {
    let file = file(text);
    let mut command = program(["check", "--live", "--config"]);
    command.arg(file.path());
    let mut ended = Process::start(&mut command).ended().await;
    let path = file.path().to_str().unwrap();
    ended.stdout = ended.stdout.replace(path, "FILE");
    ended
}

/// The lines about what is not in the file, and the summary.
async fn live(text: &str) -> (Option<i32>, Vec<String>) {
    let ended = check(text).await;
    let list = ended.stdout.split_once(" with a warning\n").unwrap().1;
    (ended.code, list.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn a_connection_to_the_fallback_is_opened_and_nothing_is_sent() {
    let authority = Authority::new();
    let (_file, trusted) = authority.trusted();
    let ryze = Upstream::start(confirms("{\"privacy\":{\"readReceipts\":\"all\"}}")).await;
    let zapi = Upstream::start(answers(200, "{}")).await;
    let port = terminate_tls(authority.certify(&certificate(&["localhost"])), &zapi).await;
    let (_socket, refused) = refusing();
    let with = |fallback: &str| {
        let instances = configuration(&ryze.base_url, &[("main", "t")]);
        format!("fallback = {{ {fallback} }}\n{instances}")
    };
    let instance = "✓ I0 → main: fine".to_owned();
    let url = format!("https://localhost:{port}");
    for (fallback, line) in [
        (
            format!("base_url = \"{url}\", {trusted}"),
            format!("✓ fallback {url} with TLS: fine"),
        ),
        (
            format!("base_url = \"{}/\"", zapi.base_url),
            format!("✓ fallback {} without TLS: fine", zapi.base_url),
        ),
    ] {
        let found = live(&with(&fallback)).await;
        let lines = vec![line, instance.clone(), "2 fine".to_owned()];
        assert_eq!(found, (Some(0), lines));
    }
    for (fallback, line) in [
        (
            format!("base_url = \"{url}\""),
            format!(
                "FILE: ✗ fallback {url} with TLS: check fallback.ca_file, or the clock: its \
                 certificate is not valid or not trusted"
            ),
        ),
        (
            format!("base_url = \"{refused}\""),
            format!(
                "FILE: ✗ fallback {refused} without TLS: check fallback.base_url and the network: \
                 connection refused"
            ),
        ),
    ] {
        let found = live(&with(&fallback)).await;
        let lines = vec![line, instance.clone(), "1 fine, 1 not".to_owned()];
        assert_eq!(found, (Some(1), lines));
    }
    assert!(zapi.seen().is_empty());
}

#[tokio::test]
async fn a_fine_file_is_not_called_a_fine_configuration() {
    let (_socket, refused) = refusing();
    let ryze = Upstream::start(confirms("{\"privacy\":{\"readReceipts\":\"all\"}}")).await;
    let text = format!(
        "fallback = {{ base_url = \"{refused}\" }}\n{}client_token = \"c-hunter2\"\n",
        configuration(&ryze.base_url, &[("main", "t")])
    );
    let ended = check(&text).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("the file is fine\n"), "{ended:?}");
    assert!(!ended.stdout.contains("the configuration is fine"));
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_told_at_once() {
    let (_socket, refused) = refusing();
    let redis = refused.replace("http://", "redis://:hunter2@");
    let text = format!(
        "budget = {{ replicas = 2, redis = \"{redis}\" }}\n{}",
        configuration(&refused, &[("main", "t")])
    );
    let file = file(&text);
    let mut command = program(["check", "--live", "--config"]);
    let mut check = Process::start(command.arg(file.path()));
    // The reads wait for a minute, as the calls of a gateway do.
    let line = check.stdout.line("budget.redis: start").await;
    let cure = "✗ budget.redis: start Redis or correct the URL: it does not answer (";
    assert!(line.contains(cure), "{line}");
    assert!(!line.contains("hunter2"), "{line}");
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
    let lines = "6 fine, 2 with a warning\n✓ I0 → right: fine\n✓ I1 → other: fine\n2 fine\n";
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.ends_with(lines), "{ended:?}");
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
    let (_, list) = ended.stdout.split_once(" with a warning\n").unwrap();
    let lines: Vec<_> = list.lines().collect();
    let expected = [
        "FILE:4: ✗ I0 → right: Ryze refuses it (Invalid token); check ryze_instance and ryze_token",
        "FILE:10: ✗ I1 → right: Ryze refuses it (Instance token does not ma",
        "FILE:16: ✗ I2 → misspelt: Ryze refuses it (Instance",
        "FILE:22: ✗ I3 → offline: not connected to WhatsApp; connect it at Ryze",
        "✓ I4 → right: fine",
        "1 fine, 4 not",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert!(!ended.stdout.contains("configuration is fine"));
    assert!(!ended.stdout.contains("token\"") && !ended.stdout.contains("hunter2"));
}

#[tokio::test]
async fn a_ryze_that_is_not_there_or_is_none_is_told() {
    let (_socket, base_url) = refusing();
    let ended = check(&configuration(&base_url, &[("main", "t")])).await;
    assert_eq!(ended.code, Some(1));
    let refused =
        "I0 → main: not known: Ryze could not be reached: connection refused\n0 fine, 1 not\n";
    assert!(ended.stdout.ends_with(refused), "{ended:?}");

    let other = Upstream::start(answers(200, "{\"hello\":\"world\"}")).await;
    let ended = check(&configuration(&other.base_url, &[("main", "t")])).await;
    assert_eq!(ended.code, Some(1));
    let unconfirmed = "its answer shows no settings\n0 fine, 1 not\n";
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
