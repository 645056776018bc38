//! Redis lost, back, emptied or answering nonsense. What is taken while it is there belongs in
//! `slots`.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::{Instant, sleep},
};
use zapi_to_ryze::budget::{
    Purpose,
    redis::{Shared, Standing, Taken, Terms},
};

use super::{HOLD, is_about, lease, process, redis::Redis, silence, slots, wait};
use crate::harness::soon;

async fn until(process: &Shared, standing: Standing) {
    let step = Duration::from_millis(5);
    soon(async {
        while process.standing() != standing {
            sleep(step).await
        }
    })
    .await;
}

#[tokio::test]
async fn without_redis_it_is_silent_then_keeps_to_its_share_and_comes_back() {
    let mut redis = Redis::start().await;
    let terms = Terms {
        static_share: 2,
        ..slots(10)
    };
    let one = process(&redis.url(), terms);
    let in_flight = lease(one.take(Purpose::Call).await);
    redis.stop();
    // It is noticed without a request.
    until(&one, Standing::Silent).await;
    assert!(is_about(silence(one.take(Purpose::Call).await), HOLD));
    until(&one, Standing::Alone).await;
    // What was in flight counts.
    let local = lease(one.take(Purpose::Call).await);
    assert!(is_about(wait(one.take(Purpose::Call).await), HOLD));
    one.hold(in_flight);
    assert!(is_about(wait(one.take(Purpose::Call).await), HOLD));
    sleep(HOLD).await;
    let second = lease(one.take(Purpose::Call).await);
    one.give_back(second);
    let _ = lease(one.take(Purpose::Call).await);

    redis.start_again().await;
    until(&one, Standing::Silent).await;
    let back = Instant::now();
    assert!(is_about(
        silence(one.take(Purpose::Call).await),
        HOLD + terms.margin
    ));
    until(&one, Standing::Shared).await;
    assert!(back.elapsed() >= HOLD);
    one.hold(local);
    assert_eq!(taken_in(&redis).await, 2);
    let _ = lease(one.take(Purpose::Call).await);
    assert_eq!(taken_in(&redis).await, 3);
}

/// The slots that are not free.
async fn taken_in(redis: &Redis) -> u32 {
    let count = redis.tell("ZCOUNT zapi-to-ryze:test 0 +inf").await;
    count.trim_start_matches(':').parse().unwrap()
}

#[tokio::test]
async fn a_paused_redis_is_lost_in_a_second_and_shared_again_after_the_silence() {
    let redis = Redis::start().await;
    let terms = Terms {
        hold: Duration::from_secs(4),
        ..slots(3)
    };
    let one = process(&redis.url(), terms);
    let _ = lease(one.take(Purpose::Call).await);
    redis.signal("STOP");
    let asked = Instant::now();
    assert!(is_about(silence(one.take(Purpose::Call).await), terms.hold));
    assert!(
        is_about(asked.elapsed(), Duration::from_millis(1_100)),
        "{:?}",
        asked.elapsed()
    );
    redis.signal("CONT");
    until(&one, Standing::Shared).await;
    assert!(asked.elapsed() < terms.hold + Duration::from_millis(1_500));
    // The request that was not answered in time took a slot after all.
    let _ = lease(one.take(Purpose::Call).await);
    let _ = wait(one.take(Purpose::Call).await);
}

#[tokio::test]
async fn a_redis_that_restarted_empty_is_closed_to_those_who_do_not_know() {
    let mut redis = Redis::start().await;
    let one = process(&redis.url(), slots(2));
    let in_flight = lease(one.take(Purpose::Call).await);
    let other = lease(one.take(Purpose::Call).await);
    one.hold(other);
    redis.stop();
    redis.start_again().await;
    let started = Terms {
        grace: Duration::from_secs(2),
        ..slots(4)
    };
    let fresh = process(&redis.url(), started);
    // Either it is too early, or the one who knows was there.
    assert!(wait(fresh.take(Purpose::Call).await) > Duration::from_millis(500));
    soon(async { while taken_in(&redis).await != 2 {} }).await;
    assert!(is_about(
        wait(process(&redis.url(), slots(4)).take(Purpose::Call).await),
        HOLD
    ));
    until(&one, Standing::Shared).await;
    one.hold(in_flight);
}

#[tokio::test]
async fn a_process_without_slots_has_nothing_to_lose() {
    let mut redis = Redis::start().await;
    let one = process(&redis.url(), slots(2));
    let taken = lease(one.take(Purpose::Call).await);
    one.give_back(taken);
    redis.stop();
    redis.start_again().await;
    let taken = lease(one.take(Purpose::Call).await);
    one.give_back(taken);
    // At its first error the connection is given up, and no more than that.
    redis.tell("REPLICAOF 127.0.0.1 1").await;
    assert_eq!(wait(one.take(Purpose::Call).await), Duration::ZERO);
    redis.tell("REPLICAOF NO ONE").await;
    let _ = lease(one.take(Purpose::Call).await);
}

#[tokio::test]
async fn what_is_gone_is_noticed() {
    let redis = Redis::start().await;
    let [taking, holding] = [(); 2].map(|()| process(&redis.url(), slots(4)));
    let [_kept, over] = [
        lease(taking.take(Purpose::Call).await),
        lease(holding.take(Purpose::Call).await),
    ];
    redis.tell("FLUSHALL").await;
    holding.hold(over);
    until(&holding, Standing::Silent).await;
    assert!(is_about(silence(taking.take(Purpose::Call).await), HOLD));
}

#[tokio::test]
async fn a_redis_that_takes_nothing_is_lost() {
    for (off, on) in [
        (
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
        ),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ] {
        let redis = Redis::start().await;
        let one = process(&redis.url(), slots(9));
        let _ = lease(one.take(Purpose::Call).await);
        assert_eq!(redis.tell(off).await, "+OK");
        assert!(
            is_about(silence(one.take(Purpose::Call).await), HOLD),
            "{off}"
        );
        until(&one, Standing::Alone).await;
        assert_eq!(redis.tell(on).await, "+OK");
        until(&one, Standing::Silent).await;
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
        ("*2\r\n+done\r\n+soon\r\n", fast),
        ("*2\r\n+wait\r\n:-1\r\n", fast),
        ("*2\r\n+lost\r\n:0\r\n", fast),
        ("*2\r\n+fine\r\n:1\r\n", fast),
        ("*2\r\n+done\r\n", fast),
        ("*99999999999999\r\n", fast),
        ("$9999999999\r\nx", fast),
        ("-LOADING Redis is loading the dataset in memory\r\n", fast),
        (
            "*2\r\n+done\r\n:1700000000000000\r\n",
            Duration::from_millis(100),
        ),
    ] {
        let address = answering(bytes, step).await;
        let one = process(&format!("redis://{address}"), slots(1));
        let asked = Instant::now();
        assert!(
            is_about(silence(one.take(Purpose::Call).await), HOLD),
            "{bytes:?}"
        );
        assert!(asked.elapsed() < Duration::from_millis(1_500), "{bytes:?}");
    }
}

#[tokio::test]
async fn an_absurd_wait_is_not_waited_for() {
    let absurd = "*2\r\n+wait\r\n:9223372036854775807\r\n";
    let address = answering(absurd, Duration::ZERO).await;
    let one = process(&format!("redis://{address}"), slots(1));
    assert!(wait(one.take(Purpose::Call).await) <= HOLD * 2);
}

/// Four processes send all the time, and everything happens to them and to Redis. A request arrives
/// at some time between its start and its end.
#[tokio::test]
async fn the_limit_holds_whatever_happens() {
    const LIMIT: u32 = 8;
    let mut redis = Redis::start().await;
    let terms = Terms {
        static_share: LIMIT / 4,
        grace: Duration::from_secs(3),
        ..slots(LIMIT)
    };
    let (arrivals, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let begin = |url: String| {
        let arrivals = arrivals.clone();
        let shared = process(&url, terms);
        tokio::spawn(async move {
            for request in 0_u64.. {
                let asked = Instant::now();
                match shared.take(Purpose::Call).await {
                    Taken::Lease(lease) => {
                        sleep(Duration::from_millis(request * 37 % 60)).await;
                        arrivals.send(Instant::now()).unwrap();
                        sleep(Duration::from_millis(request * 61 % 300)).await;
                        shared.hold(lease);
                    }
                    Taken::NotBefore(_) | Taken::Unavailable { .. } => {
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
            let window = *first + HOLD;
            times[index..].iter().filter(|time| **time < window).count()
        })
        .max();
    assert!(most <= Some(LIMIT as usize), "{most:?}");
    assert!(times.len() > 40, "{}", times.len());
}
