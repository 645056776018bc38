//! What the budget carries: requests used and time needed, on a paused clock, so the figures are
//! exact and the same on every machine. What the work costs in processor time is in `pure.rs`.
//!
//! `cargo bench --bench budget` prints a Markdown table.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{future::Future, sync::Arc, time::Duration};

use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::{
    io::duplex,
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use zapi_to_ryze::{
    budget::{Budget, Quota},
    config::Secret,
    net::{Connect, Opening},
    privacy::{Audience, Change, Operation, Outcome, Setting},
    queue::Queues,
    ryze::{Client, Target},
    sandbox::{Answer, Fault, Options, Sandbox, Window},
};

const SHARE: u32 = 100;
const BURST: u32 = 20;
const LATENCY: Duration = Duration::from_millis(500);
/// The time from the end of a request to the release of its slot.
const RELEASE_DELAY: Duration = Duration::from_secs(61);
/// A wait that no call of the benchmark reaches.
const LONG: Duration = Duration::from_secs(3600);
const TOKEN: &str = "token";

/// An in-memory Ryze that takes [`LATENCY`] for an answer.
#[derive(Clone)]
struct Ryze(Sandbox);

impl Connect for Ryze {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async move {
            let (near, far) = duplex(16 * 1024);
            let sandbox = self.0.clone();
            tokio::spawn(async move { sandbox.serve_connection(TokioIo::new(far)).await });
            Ok(Box::new(near) as _)
        })
    }
}

/// A gateway in front of it.
struct Gateway {
    ryze: Sandbox,
    queues: Arc<Queues>,
    targets: Vec<Arc<Target>>,
    callers: JoinSet<Outcome>,
    start: Instant,
}

impl Gateway {
    fn new(instances: usize, window: Window, max_wait: Duration) -> Self {
        let names: Vec<_> = (0..instances).map(|number| number.to_string()).collect();
        let ryze = Sandbox::new(Options {
            requests_per_minute: SHARE,
            window,
            instances: names
                .iter()
                .map(|name| (name.clone(), TOKEN.into()))
                .collect(),
            ..Options::default()
        });
        ryze.push_fault(Fault {
            times: u32::MAX,
            answer_after: LATENCY,
            ..Fault::new(Answer::Normal)
        });
        let base_url = "http://ryze.test".parse().unwrap();
        let target =
            |name: &String| Target::new(&base_url, &**name, &**name, &Secret::new(TOKEN)).unwrap();
        let client = Client::new(Ryze(ryze.clone()), LONG);
        Self {
            queues: Queues::new(
                Budget::new(quota(max_wait)),
                client,
                LONG,
                10_000,
                Arc::default(),
                CancellationToken::new(),
            ),
            targets: names.iter().map(|name| Arc::new(target(name))).collect(),
            ryze,
            callers: JoinSet::new(),
            start: Instant::now(),
        }
    }

    fn call(&mut self, instance: usize, setting: Setting) {
        let (queues, target) = (
            Arc::clone(&self.queues),
            Arc::clone(&self.targets[instance]),
        );
        self.callers.spawn(async move {
            let change = Change {
                setting,
                audience: Audience::Everyone,
            };
            let deadline = Instant::now() + LONG;
            queues
                .submit(
                    &target,
                    Operation::Change(change),
                    deadline,
                    &Arc::default(),
                )
                .await
        });
    }

    /// Waits until everybody is confirmed; tells how many requests it took, and how long.
    async fn all_confirmed(mut self) -> (usize, Duration) {
        while let Some(outcome) = self.callers.join_next().await {
            outcome.unwrap().expect("a confirmation");
        }
        (self.ryze.arrivals().len(), self.start.elapsed())
    }
}

fn quota(max_wait: Duration) -> Quota {
    Quota {
        share: SHARE,
        burst: BURST,
        max_wait,
    }
}

/// The time that so many requests need with one permit each.
async fn one_request_a_call(calls: usize) -> Duration {
    let start = Instant::now();
    let budget = Budget::new(quota(LONG));
    let mut requests = JoinSet::new();
    for _ in 0..calls {
        let budget = budget.clone();
        requests.spawn(async move {
            let mut permit = budget.acquire([0; 32]).await.unwrap();
            permit.mark_sent();
            sleep(LATENCY).await;
        });
    }
    requests.join_all().await;
    start.elapsed()
}

async fn six_settings_of_a_hundred_instances() -> (usize, Duration) {
    let mut gateway = Gateway::new(100, Window::Fixed, LONG);
    for instance in 0..100 {
        for setting in Setting::ALL {
            gateway.call(instance, setting);
        }
    }
    gateway.all_confirmed().await
}

/// A thousand callers of one instance, `pause` apart.
async fn a_thousand_callers(pause: Duration) -> (usize, Duration) {
    let mut gateway = Gateway::new(1, Window::Fixed, LONG);
    for caller in 0..1000 {
        gateway.call(0, Setting::ALL[caller % Setting::ALL.len()]);
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
    gateway.all_confirmed().await
}

/// Twice as many calls as the budget can carry, each for another instance. Tells the mean number of
/// requests a minute over ten of the budget's cycles, about ten minutes, after a first one, and the
/// number of Ryze's 429.
async fn overload(window: Window) -> (f64, usize) {
    let cycle = RELEASE_DELAY + LATENCY;
    let (from, to) = (cycle, cycle * 11);
    let pause = Duration::from_secs(60) / (2 * SHARE);
    let calls = to.div_duration_f64(pause) as usize;
    let mut gateway = Gateway::new(calls, window, Duration::from_secs(10));
    let (mut requests, mut refused) = (0, 0);
    for instance in 0..calls {
        gateway.call(instance, Setting::Online);
        sleep_until(gateway.start + pause * u32::try_from(instance + 1).unwrap()).await;
        if instance % 200 == 0 || instance == calls - 1 {
            // Only the last 1000 are kept.
            for arrival in gateway.ryze.arrivals() {
                requests += usize::from((from..to).contains(&(arrival.at - gateway.start)));
                refused += usize::from(arrival.status == Some(StatusCode::TOO_MANY_REQUESTS));
            }
            gateway.ryze.clear_arrivals();
        }
    }
    (
        requests as f64 / (to - from).div_duration_f64(Duration::from_secs(60)),
        refused,
    )
}

fn on_paused_clock<F: Future>(measured: F) -> F::Output {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(measured)
}

fn main() {
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    println!("| What | Gateway | Beside it |\n|---|---|---|");

    let (requests, time) = on_paused_clock(six_settings_of_a_hundred_instances());
    let naive = seconds(on_paused_clock(one_request_a_call(600)));
    let time = seconds(time);
    println!(
        "| six settings of 100 instances at once | {requests} requests, {time} \
         | one request a call: 600 requests, {naive} |"
    );

    let naive = seconds(on_paused_clock(one_request_a_call(1000)));
    for (pause, how) in [(0, "at once"), (1, "1 ms apart")] {
        let thousand = a_thousand_callers(Duration::from_millis(pause));
        let (requests, time) = on_paused_clock(thousand);
        let time = seconds(time);
        println!(
            "| 1,000 callers of one instance, {how} | {requests} requests, {time} \
             | one request a call: 1000 requests, {naive} |"
        );
    }

    let allowed = f64::from(SHARE) * 60.0 / (RELEASE_DELAY + LATENCY).as_secs_f64();
    for window in [Window::Fixed, Window::Sliding] {
        let (mean, refused) = on_paused_clock(overload(window));
        println!(
            "| ten minutes of overload, {window:?} window | {mean:.1} a minute, {:.1} %, \
             {refused} × 429 | allowed: {allowed:.1} a minute |",
            100.0 * mean / allowed
        );
    }
}
