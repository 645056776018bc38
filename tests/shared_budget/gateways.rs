//! Whole gateways, each a process of its own, in front of one Ryze. `slots` and `outage` have tests over
//! more than one window, with shorter windows.

use std::net::SocketAddr;

use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Duration, Instant, sleep},
};

use super::redis::Redis;
use crate::{
    harness::{Reply, Setup, Step, Upstream, confirms, photo, soon},
    process::{Process, file, program, send},
};

const LIMIT: usize = 20;
/// Two are kept for read-backs.
const FOR_CALLS: usize = LIMIT - 2;

/// Each gateway keeps to less than this while Redis is away.
const REPLICAS: usize = 4;

/// Several gateways that share a budget, and their Ryze.
struct Gateways {
    ryze: Upstream,
    configuration: String,
    running: Vec<(Process, SocketAddr)>,
}

impl Gateways {
    async fn start(redis_url: &str, step: Step) -> Self {
        let ryze = Upstream::start(step).await;
        let budget = format!(
            "requests_per_minute = {LIMIT}\nburst = {LIMIT}\nreplicas = {REPLICAS}\n\
             redis = \"{redis_url}\"\n"
        );
        let configuration = Setup::default()
            .toml(&ryze.base_url)
            .replace("[budget]\n", &format!("[budget]\n{budget}"));
        let mut gateways = Self {
            ryze,
            configuration,
            running: Vec::new(),
        };
        for _ in 0..REPLICAS {
            let gateway = Process::serve(&gateways.configuration).await;
            gateways.running.push(gateway);
        }
        gateways
    }

    /// Kills a gateway without a word and starts it again.
    async fn restart(&mut self, index: usize) {
        self.running[index].0.signal("KILL");
        self.running[index] = Process::serve(&self.configuration).await;
    }

    /// One call to each gateway after the other, so many rounds.
    async fn call(&self, rounds: usize) -> Vec<Reply> {
        let mut replies = Vec::new();
        for _ in 0..rounds {
            for (_, address) in &self.running {
                replies.push(soon(send(*address, photo("ALL"))).await);
            }
        }
        replies
    }
}

fn confirmed() -> Step {
    confirms(r#"{"visibility":{"profile":"all"}}"#)
}

/// How many calls succeeded; every other one was told when to come again.
#[track_caller]
fn succeeded(replies: &[Reply]) -> usize {
    let is_refused = |reply: &&Reply| !reply.is_success();
    for reply in replies.iter().filter(is_refused) {
        reply.assert_failure(429, "TOO_MANY_REQUESTS");
        let seconds: u32 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=70).contains(&seconds), "{seconds}");
    }
    replies.iter().filter(|reply| reply.is_success()).count()
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn four_gateways_have_one_budget() {
    let redis = Redis::start_with(&["--requirepass", "hunter2"]).await;
    let url = format!("redis://:hunter2@{}/1", redis.address);
    let gateways = Gateways::start(&url, confirmed()).await;
    let replies = gateways.call(20).await;
    assert_eq!(replies.len(), 80);
    assert_eq!(succeeded(&replies), FOR_CALLS);
    assert_eq!(gateways.ryze.seen().len(), FOR_CALLS);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_killed_gateway_does_not_have_its_slots_again() {
    let redis = Redis::start().await;
    let mut gateways = Gateways::start(&redis.url(), Step::Hang).await;
    let mut callers = Vec::new();
    for round in 0..FOR_CALLS {
        let (_, address) = gateways.running[round % REPLICAS];
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(photo("ALL").as_bytes()).await.unwrap();
        callers.push(caller);
        soon(async {
            while gateways.ryze.seen().len() <= round {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        gateways.restart(round % REPLICAS).await;
    }
    assert_eq!(succeeded(&gateways.call(2).await), 0);
    assert_eq!(gateways.ryze.seen().len(), FOR_CALLS);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_lease_of_a_gateway_is_its_longest_request_and_a_window() {
    let redis = Redis::start().await;
    let mut gateways = Gateways::start(&redis.url(), Step::Hang).await;
    gateways.configuration = gateways.configuration.replace(
        "[ryze]\n",
        "[ryze]\nconnect_timeout = \"7s\"\nrequest_timeout = \"40s\"\n",
    );
    gateways.restart(0).await;
    let (_, address) = gateways.running[0];
    let mut caller = TcpStream::connect(address).await.unwrap();
    caller.write_all(photo("ALL").as_bytes()).await.unwrap();
    soon(async {
        while gateways.ryze.seen().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let remaining = redis
        .tell(
            "EVAL \"local slot = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES') \
             local time = redis.call('TIME') \
             return slot[2] / 1000000 - time[1]\" 1 zapi-to-ryze:gateway",
        )
        .await;
    let remaining: u64 = remaining.trim_start_matches(':').parse().unwrap();
    // The name is looked up for 10 s, and the window is 61 s.
    let lease = 10 + 7 + 40 + 61;
    assert!((lease - 4..=lease + 1).contains(&remaining), "{remaining}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn without_redis_every_call_is_answered_and_nothing_is_sent() {
    let mut redis = Redis::start_with(&["--requirepass", "hunter2"]).await;
    let url = format!("redis://:hunter2@{}", redis.address);
    let mut gateways = Gateways::start(&url, confirmed()).await;
    assert_eq!(succeeded(&gateways.call(2).await), 8);
    redis.signal("STOP");
    let asked = Instant::now();
    assert_eq!(succeeded(&gateways.call(1).await), 0);
    assert!(asked.elapsed() < Duration::from_secs(6));
    let refused = gateways.call(2).await;
    assert_eq!(succeeded(&refused), 0);
    for reply in &refused {
        assert!(reply.message.body.contains("Redis"), "{:?}", reply.message);
    }
    redis.stop();
    assert_eq!(succeeded(&gateways.call(2).await), 0);
    assert_eq!(gateways.ryze.seen().len(), 8);
    redis.start_again().await;
    gateways.restart(0).await;
    for _ in 0..10 {
        let _ = succeeded(&gateways.call(1).await);
        sleep(Duration::from_millis(500)).await;
    }
    // They keep to their static shares, but only Redis knew what the restarted one had sent.
    assert!(gateways.ryze.seen().len() <= LIMIT + 2);
    let (gateway, _) = gateways.running.pop().unwrap();
    gateway.signal("TERM");
    let log = gateway.ended().await.stderr;
    let losses = log.matches("Redis is lost").count();
    assert!((1..=2).contains(&losses), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn check_asks_redis_at_once() {
    let redis = Redis::start().await;
    let ryze = Upstream::start(confirms("{\"privacy\":{\"readReceipts\":\"all\"}}")).await;
    let text = Setup::default().toml(&ryze.base_url).replace(
        "[budget]\n",
        &format!(
            "[budget]\nreplicas = 2\nredis = \"redis://{}\"\n",
            redis.address
        ),
    );
    let file = file(&text);
    let mut check = program(["check", "--live", "--config"]);
    let ended = Process::start(check.arg(file.path())).ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = "✓ budget.redis: fine\n✓ I1 → main: fine\n2 fine\n";
    assert!(ended.stdout.ends_with(lines), "{ended:?}");
}
