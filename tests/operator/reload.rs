//! SIGHUP: what is applied, what is rejected, and what needs a restart.

use std::fs;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use zapi_to_ryze::config::{self, reload};

use super::Operated;
use crate::harness::{
    Message, Reply, Setup, Step, Upstream, answers, confirmation, confirms, photo, refuses, soon,
};
use crate::process::request_lines;

const CONFIRMED: &str = r#"{"visibility":{"profile":"all"}}"#;

fn other_instance() -> String {
    photo("ALL").replace("/I1/token/T1/", "/I2/token/T2/")
}

#[tokio::test]
async fn instances_and_credentials_are_taken_over() {
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let before = Setup::default().toml(&upstream.base_url);
    let operated = Operated::start(&before).await;
    assert!(operated.send(photo("ALL")).await.is_success());
    operated
        .send(other_instance())
        .await
        .assert_failure(400, "Instance not found");
    let after = before
        .replace("\"T1\"", "\"T9\"")
        .replace("ryze-secret", "another-secret")
        + "[[instances]]\nzapi_instance = \"I2\"\nzapi_token = \"T2\"\nclient_token = \"C2\"\n\
           ryze_instance = \"other\"\nryze_token = \"t2\"\n";
    operated.reload(&after).await;
    operated
        .send(photo("ALL"))
        .await
        .assert_failure(400, "Instance not found");
    assert!(
        operated
            .send(photo("ALL").replace("/T1/", "/T9/"))
            .await
            .is_success()
    );
    let other = other_instance();
    operated
        .send(&other)
        .await
        .assert_failure(403, "Client-Token null not allowed");
    let other = other.replace("Host", "Client-Token: C2\r\nHost");
    assert!(operated.send(&other).await.is_success());
    let seen = upstream.seen();
    let tokens: Vec<_> = seen.iter().map(|it| it.header("token").unwrap()).collect();
    assert_eq!(tokens, ["ryze-secret", "another-secret", "t2"]);
    assert_eq!(upstream.connections(), 1, "the connection is used again");
    operated.reload(&before).await;
    operated
        .send(&other)
        .await
        .assert_failure(400, "Instance not found");
    assert!(operated.send(photo("ALL")).await.is_success());
}

#[tokio::test]
async fn included_files_are_read_again() {
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let folder = tempfile::tempdir().unwrap();
    let pattern = folder.path().join("*");
    let configuration = format!(
        "include = [{pattern:?}]\n{}",
        Setup::default().toml(&upstream.base_url)
    );
    let mut operated = Operated::start(&configuration).await;
    let not_found = operated.send(other_instance()).await;
    not_found.assert_failure(400, "Instance not found");
    let csv = folder.path().join("other.csv");
    let header = "zapi_instance,zapi_token,ryze_instance,ryze_token\n";
    fs::write(&csv, format!("{header}I2,T2,other,t2\n")).unwrap();
    operated.reload(&configuration).await;
    assert!(operated.send(other_instance()).await.is_success());
    fs::write(&csv, format!("{header}I2,T3,other,\n")).unwrap();
    operated.reload(&configuration).await;
    let line = operated.gateway.stderr.line("other.csv: line 2: ").await;
    assert!(line.contains("instances[1].ryze_token"), "{line}");
    assert!(operated.send(other_instance()).await.is_success());
    fs::remove_file(&csv).unwrap();
    operated.reload(&configuration).await;
    let not_found = operated.send(other_instance()).await;
    not_found.assert_failure(400, "Instance not found");
}

#[tokio::test]
async fn what_else_is_taken_over() {
    let upstream = Upstream::start(confirms(
        r#"{"visibility":{"profile":"contact_blacklist"}}"#,
    ))
    .await;
    let old_vendor = Upstream::start(answers(299, "{}")).await;
    let setup = Setup::default();
    let operated = Operated::start(&setup.toml(&upstream.base_url)).await;
    let list = "{\"visualizationType\":\"CONTACT_BLACKLIST\",\
                \"contactsBlacklist\":[{\"action\":\"add\",\"phone\":\"5544\"}]}";
    let with_list = crate::harness::post("/instances/I1/token/T1/privacy/photo", list);
    let elsewhere = "GET /instances/I1/token/T1/chats HTTP/1.1\r\nHost: g\r\n\r\n";
    let statuses = async || {
        [
            operated.send(&with_list).await.status,
            operated.send(elsewhere).await.status,
        ]
    };
    assert_eq!(statuses().await, [422, 404]);
    let mode_only = Setup {
        policy: "contacts_blacklist = \"mode_only\"",
        ..setup.clone()
    };
    operated.reload(&mode_only.toml(&upstream.base_url)).await;
    assert_eq!(statuses().await, [200, 404]);
    let fallback = Setup {
        fallback: format!("base_url = \"{}\"", old_vendor.base_url),
        ..setup.clone()
    };
    operated.reload(&fallback.toml(&upstream.base_url)).await;
    assert_eq!(statuses().await, [422, 299]);
    operated.reload(&fallback.toml(&upstream.base_url)).await;
    assert_eq!(statuses().await, [422, 299]);
    assert_eq!(old_vendor.connections(), 1, "the connection is used again");
    let small = Setup {
        server: "max_body = 30\n[log]\nlevel = \"warn\"",
        ..setup
    };
    operated.reload(&small.toml(&upstream.base_url)).await;
    assert_eq!(statuses().await, [413, 404]);
    let pending = operated.status().await["configuration"]["restart_pending"].clone();
    assert_eq!(pending, serde_json::json!([]));
    operated.gateway.signal("TERM");
    let ended = operated.gateway.ended().await;
    let lines = request_lines(&ended.stderr);
    assert_eq!(lines.len(), 8, "none since the level is warn");
}

#[tokio::test]
async fn a_broken_file_is_refused_with_every_reason() {
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let before = Setup::default().toml(&upstream.base_url);
    let mut operated = Operated::start(&before).await;
    let config = operated.get("/config").await.message.body;
    let broken = before.replace("\"T1\"", "{ env = \"PLANTED\" }")
        + "unheard = \"planted\"\n[log]\nlevel = 1\n";
    operated.reload(&broken).await;
    for reason in [
        "instances[0].zapi_token",
        "instances[0].unheard",
        "log.level",
    ] {
        let line = operated.gateway.stderr.line(reason).await;
        assert!(line.contains("ERROR") && line.contains("line "), "{line}");
    }
    assert!(!operated.gateway.stderr.so_far().contains("planted"));
    assert!(operated.send(photo("ALL")).await.is_success());
    assert_eq!(operated.get("/config").await.message.body, config);
    assert_eq!(
        operated.status().await["configuration"]["last_reload_applied"],
        false
    );
    let refused = "zapi_to_ryze_reloads_total{result=\"refused\"}";
    assert_eq!(operated.sample(refused).await, Some(1.0));
    assert_eq!(
        operated.sample("zapi_to_ryze_last_reload_applied").await,
        Some(0.0)
    );
    operated.reload(&before).await;
    assert_eq!(
        operated.sample("zapi_to_ryze_last_reload_applied").await,
        Some(1.0)
    );
    assert_eq!(operated.sample(refused).await, Some(1.0));
}

#[tokio::test]
async fn what_needs_a_restart_stays_and_is_said() {
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let setup = Setup {
        budget: "requests_per_minute = 2\nburst = 2",
        ..Setup::default()
    };
    let before = setup.toml(&upstream.base_url);
    let mut operated = Operated::start(&before).await;
    assert!(operated.send(photo("ALL")).await.is_success());
    let after = before
        .replace("requests_per_minute = 2", "requests_per_minute = 90")
        .replace("[server]\n", "[server]\ndeadline = \"1s\"\n")
        .replace(&upstream.base_url, "http://127.0.0.1:1")
        .replace("\"T1\"", "\"T9\"");
    operated.reload(&after).await;
    let pending = [
        "server.deadline",
        "ryze.base_url",
        "budget.requests_per_minute",
    ];
    for key in pending {
        operated
            .gateway
            .stderr
            .line(&format!("\"key\":\"{key}\""))
            .await;
    }
    let status = operated.status().await;
    let told = &status["configuration"]["restart_pending"];
    assert_eq!(told, &serde_json::json!(pending));
    assert_eq!(
        operated.sample("zapi_to_ryze_restart_pending").await,
        Some(1.0)
    );
    let config = operated.get("/config").await.message.body;
    assert!(config.contains("requests_per_minute = 2") && config.contains("deadline = \"30s\""));
    assert!(config.contains(&upstream.base_url), "{config}");
    // The budget knows what was sent before.
    let call = photo("ALL").replace("/T1/", "/T9/");
    assert!(operated.send(&call).await.is_success());
    operated
        .send(&call)
        .await
        .assert_failure(429, "TOO_MANY_REQUESTS");
    operated.reload(&before).await;
    assert_eq!(
        operated.sample("zapi_to_ryze_restart_pending").await,
        Some(0.0)
    );
}

#[tokio::test]
async fn a_call_that_is_under_way_ends_as_it_began() {
    let ryze = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let before = Setup::default().toml(&format!("http://{}", ryze.local_addr().unwrap()));
    let operated = Operated::start(&before).await;
    let mut caller = TcpStream::connect(operated.address).await.unwrap();
    caller.write_all(photo("ALL").as_bytes()).await.unwrap();
    let (mut ryze, _) = soon(ryze.accept()).await.unwrap();
    soon(Message::read(&mut ryze)).await.unwrap();
    operated.reload(&before.replace("\"I1\"", "\"I9\"")).await;
    ryze.write_all(confirmation(CONFIRMED).as_bytes())
        .await
        .unwrap();
    assert!(Reply::read(&mut caller).await.is_success());
    caller.write_all(photo("ALL").as_bytes()).await.unwrap();
    let reply = Reply::read(&mut caller).await;
    reply.assert_failure(400, "Instance not found");
    operated.gateway.signal("TERM");
    assert!(matches!(soon(caller.read(&mut [0])).await, Ok(0)));
}

#[tokio::test]
async fn a_denied_instance_is_asked_again_at_once() {
    let denied = refuses(401, "no such token");
    let upstream = Upstream::script(vec![denied, confirms(CONFIRMED)]).await;
    let configuration = Setup::default().toml(&upstream.base_url);
    let operated = Operated::start(&configuration).await;
    for _ in 0..2 {
        let reply = operated.send(photo("ALL")).await;
        reply.assert_failure(424, "FAILED_DEPENDENCY");
    }
    let held = "zapi_to_ryze_instances_held{cause=\"denied\"}";
    assert_eq!(operated.sample(held).await, Some(1.0));
    operated.reload(&configuration).await;
    assert_eq!(operated.sample(held).await, Some(0.0));
    assert!(operated.send(photo("ALL")).await.is_success());
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn what_is_known_of_an_instance_stays_where_it_stays() {
    let upstream = Upstream::script(vec![confirms(CONFIRMED), Step::Hang]).await;
    let configuration = Setup::default().toml(&upstream.base_url);
    let operated = Operated::start(&configuration).await;
    assert!(operated.send(photo("ALL")).await.is_success());
    let outcome = async || operated.status().await["instances"][0]["outcome"].clone();
    operated.reload(&configuration).await;
    assert_eq!(outcome().await, "confirmed");
    operated
        .reload(&configuration.replace("ryze-secret", "another"))
        .await;
    assert_eq!(outcome().await, "confirmed", "it is the same instance");
    operated
        .reload(&configuration.replace("\"main\"", "\"another\""))
        .await;
    assert_eq!(outcome().await, serde_json::Value::Null);
}

/// A gateway in front of a Ryze that answers when it is told to, on one connection.
struct Rotated {
    operated: Operated,
    ryze: TcpListener,
    before: String,
}

impl Rotated {
    async fn start() -> Self {
        let ryze = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let before = Setup::default().toml(&format!("http://{}", ryze.local_addr().unwrap()));
        Self {
            operated: Operated::start(&before).await,
            ryze,
            before,
        }
    }

    async fn call(&self, id: &str, value: &str) -> TcpStream {
        let mut caller = TcpStream::connect(self.operated.address).await.unwrap();
        let call = photo(value).replace("/I1/", &format!("/{id}/"));
        caller.write_all(call.as_bytes()).await.unwrap();
        caller
    }

    async fn waiting(&self, number: u64) {
        let waiting = async || self.operated.status().await["instances"][0]["waiting"].clone();
        soon(async { while waiting().await != number {} }).await;
    }
}

async fn confirm(ryze: &mut TcpStream, value: &str) {
    let settings = format!("{{\"visibility\":{{\"profile\":\"{value}\"}}}}");
    let answer = confirmation(&settings);
    ryze.write_all(answer.as_bytes()).await.unwrap();
}

/// The token is rotated, alone or with the id, or the instance is taken out and put back by a second
/// reload: it stays one instance.
#[tokio::test]
async fn no_reload_lets_an_older_value_overtake_a_newer_one() {
    let rotate = |before: &str| before.replace("ryze-secret", "rotated");
    let rename = |before: &str| before.replace("\"I1\"", "\"I9\"");
    let take_out = |before: &str| before.replace("\"main\"", "\"spare\"");
    type Reload<'r> = &'r dyn Fn(&str) -> String;
    let schedules: [(&str, &[Reload<'_>]); 3] = [
        ("I1", &[&rotate]),
        ("I9", &[&|before| rename(&rotate(before))]),
        ("I9", &[&take_out, &|before| rename(&rotate(before))]),
    ];
    for (id, reloads) in schedules {
        let rotated = Rotated::start().await;
        let mut in_flight = rotated.call("I1", "CONTACTS").await;
        let (mut ryze, _) = soon(rotated.ryze.accept()).await.unwrap();
        let first = soon(Message::read(&mut ryze)).await.unwrap();
        let mut older = rotated.call("I1", "ALL").await;
        rotated.waiting(1).await;
        for reload in reloads {
            rotated.operated.reload(&reload(&rotated.before)).await;
        }
        let mut newer = rotated.call(id, "NONE").await;
        rotated.waiting(2).await;
        confirm(&mut ryze, "contacts").await;
        assert!(Reply::read(&mut in_flight).await.is_success());
        let second = soon(Message::read(&mut ryze)).await.unwrap();
        confirm(&mut ryze, "none").await;
        for caller in [&mut older, &mut newer] {
            assert!(Reply::read(caller).await.is_success());
        }
        assert_eq!(
            second.body, r#"{"visibility":{"profile":"none"}}"#,
            "one request for both"
        );
        let tokens = [&first, &second].map(|request| request.header("token"));
        assert_eq!(tokens, [Some("ryze-secret"), Some("rotated")]);
    }
}

#[tokio::test]
async fn what_ryze_says_of_a_replaced_token_does_not_hold_for_the_new_one() {
    let rotated = Rotated::start().await;
    let mut refused = rotated.call("I1", "NONE").await;
    let (mut ryze, _) = soon(rotated.ryze.accept()).await.unwrap();
    let first = soon(Message::read(&mut ryze)).await.unwrap();
    let mut waits = rotated.call("I1", "NONE").await;
    rotated.waiting(1).await;
    let operated = &rotated.operated;
    operated
        .reload(&rotated.before.replace("ryze-secret", "rotated"))
        .await;
    let Step::Send(denied) = refuses(401, "Invalid token") else {
        unreachable!();
    };
    ryze.write_all(denied.as_bytes()).await.unwrap();
    let second = soon(Message::read(&mut ryze)).await.unwrap();
    let tokens = [&first, &second].map(|request| request.header("token"));
    assert_eq!(tokens, [Some("ryze-secret"), Some("rotated")]);
    let held = "zapi_to_ryze_instances_held{cause=\"denied\"}";
    assert_eq!(operated.sample(held).await, Some(0.0));
    confirm(&mut ryze, "none").await;
    for caller in [&mut refused, &mut waits] {
        assert!(Reply::read(caller).await.is_success());
    }
    operated.gateway.signal("TERM");
    let ended = rotated.operated.gateway.ended().await;
    assert!(
        !ended.stderr.contains("instance suspended"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_change_that_can_be_read_in_two_ways_is_told() {
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let before = Setup::default().toml(&upstream.base_url);
    let mut operated = Operated::start(&before).await;
    let other_account = before
        .replace("\"I1\"", "\"I9\"")
        .replace("ryze-secret", "another-secret");
    operated.reload(&other_account).await;
    let line = operated
        .gateway
        .stderr
        .line("instances[0].ryze_token")
        .await;
    assert!(
        line.contains("WARN") && line.contains("same instance"),
        "{line}"
    );
    assert!(
        !line.contains("another-secret") && !line.contains("I9"),
        "{line}"
    );
    operated
        .reload(&other_account.replace("\"main\"", "\"renamed\""))
        .await;
    let line = operated
        .gateway
        .stderr
        .line("instances[0].ryze_instance")
        .await;
    assert!(
        line.contains("WARN") && line.contains("another instance"),
        "{line}"
    );
    // Where one of the two stays, there is only one reading.
    let config = |text: &str| config::parse(text, &|_| None).unwrap().config;
    for after in [
        before.clone(),
        before.replace("\"I1\"", "\"I9\""),
        before.replace("ryze-secret", "rotated"),
        before
            .replace("\"I1\"", "\"I9\"")
            .replace("\"main\"", "\"new\""),
    ] {
        assert!(reload::ambiguities(&config(&before), &config(&after)).is_empty());
    }
}

#[test]
fn a_fallback_that_leads_back_until_a_restart_is_refused() {
    let config = |listen: &str, more: &str| {
        let text = format!("[server]\nlisten = \"127.0.0.1:{listen}\"\n{more}");
        let setup = Setup::default().toml("http://127.0.0.1:1");
        let rest = setup.split_once("[admin]").unwrap().1;
        config::parse(&format!("{text}[admin]{rest}"), &|_| None)
            .unwrap()
            .config
    };
    let old = config("1111", "");
    let new = config("2222", "[fallback]\nbase_url = \"http://localhost:1111\"\n");
    let problem = reload::take_over(&old, &new).unwrap_err();
    assert_eq!(problem.key, "fallback.base_url");
    assert!(problem.message.contains("until a restart"), "{problem}");
    let elsewhere = config("2222", "[fallback]\nbase_url = \"http://localhost:3333\"\n");
    let taken_over = reload::take_over(&old, &elsewhere).unwrap();
    assert_eq!(taken_over.fallback, elsewhere.fallback);
    assert_eq!(taken_over.server.listen, old.server.listen);
}
