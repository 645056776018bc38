//! Turns among processes at different distances from Redis.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use zapi_to_ryze::budget::{
    Purpose,
    redis::{Decision, SharedLimiter, SharedQuota},
};

use super::server::{Link, Server};

/// How many turns a process that always wants one gets in ten minutes.
async fn turns(shared: &SharedLimiter, latency: Duration) -> u32 {
    let mut turns = 0;
    let _ = timeout(Duration::from_secs(600), async {
        loop {
            match shared.acquire(Purpose::Call).await {
                Decision::Granted(lease) => {
                    turns += 1;
                    let shared = shared.clone();
                    tokio::spawn(async move {
                        sleep(latency).await;
                        shared.release_later(lease);
                    });
                }
                Decision::NotBefore(time) => sleep_until(time).await,
                Decision::Unavailable { until } => panic!("until {until:?}"),
            }
        }
    })
    .await;
    turns
}

async fn compete(limit: u32, burst: u32, far: Duration) -> (u32, u32) {
    let server = Server::new();
    let quota = SharedQuota::new(limit, burst, limit / 2, Duration::from_secs(15));
    let process = |distance| {
        SharedLimiter::with_store(Link::new(&server, distance, Duration::ZERO), "test", quota)
    };
    let (near, far) = (process(Duration::ZERO), process(far));
    let latency = Duration::from_millis(500);
    tokio::join!(turns(&near, latency), turns(&far, latency))
}

#[tokio::test(start_paused = true)]
async fn a_process_further_away_gets_its_part() {
    for (limit, burst) in [(100, 20), (100, 1), (12, 12), (3, 1)] {
        for (far, least) in [(1, 40), (40, 40), (200, 25)] {
            let start = Instant::now();
            let (near, far_turns) = compete(limit, burst, Duration::from_millis(far)).await;
            assert_eq!(start.elapsed(), Duration::from_secs(600));
            let all = near + far_turns;
            let what = format!("{near} : {far_turns}, {limit}/{burst}, {far} ms");
            println!("{what}");
            assert!(
                far_turns * 100 >= all * least && near * 100 >= all * 40,
                "{what}"
            );
            // Reserved turns are used: little of the limit is lost.
            let reserved = if limit < 10 { 0 } else { 2 };
            let most = (limit - reserved) * 10;
            assert!(all * 100 >= most * 85, "{what}");
        }
    }
}
