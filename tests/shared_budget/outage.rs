//! Redis is lost, returns, is emptied, or answers nonsense. `slots` is about an available Redis.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::{Instant, sleep},
};
use zapi_to_ryze::budget::{
    Purpose,
    redis::{Decision, Mode, SharedQuota},
};

use super::{
    RELEASE_DELAY, is_about, lease, process, redis::Redis, sharing, silence, slots, until, wait,
};
use crate::harness::soon;

#[tokio::test]
#[ignore = "needs redis-server"]
async fn without_redis_it_is_silent_then_keeps_to_its_share_and_comes_back() {
    let mut redis = Redis::start().await;
    let quota = SharedQuota {
        static_share: 2,
        ..slots(10)
    };
    let [one] = sharing(&redis, quota).await;
    let in_flight = lease(one.acquire(Purpose::Call).await);
    redis.stop();
    // It is noticed without a request.
    until(&one, Mode::Silent).await;
    assert!(is_about(
        silence(one.acquire(Purpose::Call).await),
        RELEASE_DELAY
    ));
    until(&one, Mode::StaticShare).await;
    // What was in flight counts.
    let local = lease(one.acquire(Purpose::Call).await);
    assert!(is_about(
        wait(one.acquire(Purpose::Call).await),
        RELEASE_DELAY
    ));
    one.release_later(in_flight);
    assert!(is_about(
        wait(one.acquire(Purpose::Call).await),
        RELEASE_DELAY
    ));
    sleep(RELEASE_DELAY).await;
    let second = lease(one.acquire(Purpose::Call).await);
    one.release(second);
    let _ = lease(one.acquire(Purpose::Call).await);

    redis.start_again().await;
    let back = Instant::now();
    soon(async { while taken_in(&redis).await != 2 {} }).await;
    assert_eq!(one.mode(), Mode::StaticShare, "others may be late");
    one.release_later(local);
    until(&one, Mode::Shared).await;
    assert!(back.elapsed() >= RELEASE_DELAY + quota.margin);
    for _ in 0..3 {
        let _ = lease(one.acquire(Purpose::Call).await);
    }
}

/// The slots that are not free.
async fn taken_in(redis: &Redis) -> u32 {
    let count = redis.tell("ZCOUNT zapi-to-ryze:test 0 +inf").await;
    count.trim_start_matches(':').parse().unwrap()
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_paused_is_lost_in_a_second_and_shared_again_at_once() {
    let redis = Redis::start().await;
    let quota = SharedQuota {
        release_delay: Duration::from_secs(4),
        ..slots(4)
    };
    let [one] = sharing(&redis, quota).await;
    let _ = lease(one.acquire(Purpose::Call).await);
    redis.signal("STOP");
    let asked = Instant::now();
    assert!(is_about(
        silence(one.acquire(Purpose::Call).await),
        quota.release_delay
    ));
    assert!(asked.elapsed() < Duration::from_millis(2_300), "{asked:?}");
    redis.signal("CONT");
    until(&one, Mode::Shared).await;
    assert!(asked.elapsed() < quota.release_delay - quota.margin);
    let _ = lease(one.acquire(Purpose::Call).await);
    assert!(taken_in(&redis).await >= 2, "the state is the same one");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_connection_that_was_cut_costs_nothing() {
    let redis = Redis::start().await;
    let [one] = sharing(&redis, slots(9)).await;
    for _ in 0..5 {
        let taken = lease(one.acquire(Purpose::Call).await);
        redis.tell("CLIENT KILL TYPE normal").await;
        one.release_later(taken);
        redis.tell("CLIENT KILL TYPE normal").await;
        assert_eq!(one.mode(), Mode::Shared);
    }
    assert_eq!(taken_in(&redis).await, 5);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_restarted_empty_is_closed_to_those_who_do_not_know() {
    let mut redis = Redis::start().await;
    let [one] = sharing(&redis, slots(4)).await;
    let in_flight = lease(one.acquire(Purpose::Call).await);
    let other = lease(one.acquire(Purpose::Call).await);
    one.release_later(other);
    redis.stop();
    redis.start_again().await;
    let started = SharedQuota {
        grace: Duration::from_secs(2),
        ..slots(4)
    };
    let fresh = process(&redis.url(), started);
    // Processes that knew the former state have time to contest the new one.
    assert!(wait(fresh.acquire(Purpose::Call).await) > Duration::from_millis(1_500));
    soon(async { while taken_in(&redis).await != 2 {} }).await;
    let other = process(&redis.url(), slots(4));
    assert!(is_about(
        silence(other.acquire(Purpose::Call).await),
        RELEASE_DELAY
    ));
    until(&one, Mode::Shared).await;
    one.release_later(in_flight);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_restarted_with_an_old_state_is_not_trusted() {
    let mut redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let [one] = sharing(&redis, slots(9)).await;
    let _ = lease(one.acquire(Purpose::Call).await);
    redis.stop();
    redis.start_again().await;
    assert_eq!(taken_in(&redis).await, 1, "the state was kept");
    until(&one, Mode::Silent).await;
    until(&one, Mode::Shared).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn without_slots_a_lost_state_costs_only_the_static_share() {
    let mut redis = Redis::start().await;
    let [one] = sharing(&redis, slots(4)).await;
    redis.stop();
    redis.start_again().await;
    soon(async { while taken_in(&redis).await != 0 {} }).await;
    until(&one, Mode::StaticShare).await;
    let _ = lease(one.acquire(Purpose::Call).await);
    let _ = wait(one.acquire(Purpose::Call).await);
    until(&one, Mode::Shared).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_state_that_is_gone_is_noticed_by_all_at_once() {
    let redis = Redis::start().await;
    let [taking, idle] = sharing(&redis, slots(4)).await;
    let _ = lease(taking.acquire(Purpose::Call).await);
    redis.tell("FLUSHALL").await;
    until(&taking, Mode::Silent).await;
    // It has no slots, and may not take what the other one used.
    assert!(is_about(
        silence(idle.acquire(Purpose::Call).await),
        RELEASE_DELAY
    ));
    assert!(is_about(
        silence(taking.acquire(Purpose::Call).await),
        RELEASE_DELAY
    ));
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_takes_nothing_is_lost() {
    for (off, on) in [
        (
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
        ),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ] {
        let redis = Redis::start().await;
        let [one] = sharing(&redis, slots(9)).await;
        let _ = lease(one.acquire(Purpose::Call).await);
        assert_eq!(redis.tell(off).await, "+OK");
        assert!(
            is_about(silence(one.acquire(Purpose::Call).await), RELEASE_DELAY),
            "{off}"
        );
        until(&one, Mode::StaticShare).await;
        assert_eq!(redis.tell(on).await, "+OK");
        until(&one, Mode::Shared).await;
    }
}

/// A server that reads and answers every connection in the same way.
async fn answering(bytes: &'static str, step: Duration) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4_096]).await;
                for byte in bytes.bytes() {
                    sleep(step).await;
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                }
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn nonsense_is_no_slot() {
    let fast = Duration::ZERO;
    for (bytes, step) in [
        ("", fast),
        ("hello\r\n", fast),
        ("+OK\r\n", fast),
        ("$-1\r\n", fast),
        ("*0\r\n", fast),
        ("*6\r\n+kept\r\n+1\r\n+soon\r\n:0\r\n:0\r\n:0\r\n", fast),
        ("*6\r\n+kept\r\n+1\r\n:-1\r\n:0\r\n:0\r\n:0\r\n", fast),
        ("*6\r\n+wait\r\n+1\r\n:1\r\n:-1\r\n:0\r\n:0\r\n", fast),
        ("*6\r\n+kept\r\n+xyz\r\n:1\r\n:0\r\n:0\r\n:0\r\n", fast),
        ("*6\r\n+fine\r\n+1\r\n:1\r\n:0\r\n:0\r\n:0\r\n", fast),
        ("*6\r\n+kept\r\n", fast),
        ("*99999999999999\r\n", fast),
        ("$9999999999\r\nx", fast),
        ("-LOADING Redis is loading the dataset in memory\r\n", fast),
        (
            "*6\r\n+kept\r\n+1\r\n:1700000000000000\r\n:0\r\n:0\r\n:0\r\n",
            Duration::from_millis(100),
        ),
    ] {
        let address = answering(bytes, step).await;
        let one = process(&format!("redis://{address}"), slots(1));
        let asked = Instant::now();
        assert!(
            is_about(silence(one.acquire(Purpose::Call).await), RELEASE_DELAY),
            "{bytes:?}"
        );
        assert!(asked.elapsed() < Duration::from_millis(1_500), "{bytes:?}");
    }
}

/// Four processes send all the time, and everything happens to them and to Redis. A request arrives
/// at some time between its start and its end.
#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_limit_holds_whatever_happens() {
    const LIMIT: u32 = 8;
    let mut redis = Redis::start().await;
    let quota = SharedQuota {
        static_share: LIMIT / 4,
        grace: Duration::from_secs(3),
        ..slots(LIMIT)
    };
    let (arrivals, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let begin = |url: String| {
        let arrivals = arrivals.clone();
        let shared = process(&url, quota);
        tokio::spawn(async move {
            for request in 0_u64.. {
                let asked = Instant::now();
                match shared.acquire(Purpose::Call).await {
                    Decision::Granted(lease) => {
                        sleep(Duration::from_millis(request * 37 % 60)).await;
                        arrivals.send(Instant::now()).unwrap();
                        sleep(Duration::from_millis(request * 61 % 300)).await;
                        shared.release_later(lease);
                    }
                    Decision::NotBefore(_) | Decision::Unavailable { .. } => {
                        sleep(Duration::from_millis(20)).await;
                    }
                }
                assert!(asked.elapsed() < Duration::from_secs(2));
            }
        })
    };
    let url = redis.url();
    let mut processes = [(); 4].map(|()| begin(url.clone()));
    let seconds = |seconds: f64| sleep(Duration::from_secs_f64(seconds));
    seconds(4.3).await;
    processes[0].abort();
    processes[0] = begin(url.clone());
    seconds(1.0).await;
    redis.signal("STOP");
    seconds(1.7).await;
    redis.signal("CONT");
    seconds(5.0).await;
    redis.stop();
    processes[1].abort();
    redis.start_again().await;
    processes[1] = begin(url.clone());
    seconds(6.0).await;
    redis.stop();
    seconds(6.0).await;
    redis.start_again().await;
    processes[2].abort();
    processes[2] = begin(url);
    seconds(6.0).await;
    for process in processes {
        assert!(!process.is_finished());
        process.abort();
    }
    let mut times = Vec::new();
    while let Ok(time) = arrived.try_recv() {
        times.push(time);
    }
    let most = times
        .iter()
        .enumerate()
        .map(|(index, first)| {
            let window = *first + RELEASE_DELAY;
            times[index..].iter().filter(|time| **time < window).count()
        })
        .max();
    assert!(most <= Some(LIMIT as usize), "{most:?}");
    assert!(times.len() > 40, "{}", times.len());
}
