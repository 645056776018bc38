//! Ryze is unreachable: how often and how long calls are retried, and their failure. Nothing is sent, so
//! no budget is used.

use std::io;

use tokio::time::Instant;

use super::*;

const REFUSED: Option<io::ErrorKind> = Some(io::ErrorKind::ConnectionRefused);
const UNREACHABLE: Fault = Fault::Unreachable(ConnectFault::Refused);

#[tokio::test(start_paused = true)]
async fn a_short_outage_fails_no_call() {
    let bench = bench(&[Ending::Confirm]);
    bench.pipes.refuse(REFUSED);
    let call = bench.call(&target("one"), hide()).await;
    sleep(SECOND).await;
    bench.pipes.refuse(None);
    let (outcome, seconds) = call.await.unwrap();
    assert_eq!(outcome, Ok(()));
    assert!((2..=4).contains(&seconds), "{seconds}");
    assert_eq!(bench.pipes.bodies(), [HIDE]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_retried_for_ten_seconds_with_growing_pauses() {
    let bench = bench(&[]);
    bench.pipes.refuse(REFUSED);
    let start = Instant::now();
    let call = bench.call(&target("one"), hide()).await;
    let (outcome, seconds) = call.await.unwrap();
    assert_eq!(outcome, upstream(UNREACHABLE));
    assert!((8..=10).contains(&seconds), "{seconds}");
    bench.queues.idle().await;
    let connects = bench.pipes.connects();
    assert!(connects.iter().all(|at| *at - start <= SECOND * 10));
    for (failures, pair) in connects.windows(2).enumerate() {
        let whole = Duration::from_millis(100 << failures.min(5)).min(SECOND * 2);
        let pause = pair[1] - pair[0];
        let little = Duration::from_millis(2);
        assert!(
            whole / 2 <= pause && pause <= whole + little,
            "{failures}: {pause:?}"
        );
    }
    let pauses = connects.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(pauses.max().unwrap() > SECOND, "they grow");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_retried_beyond_the_time_of_the_call() {
    let bench = Bench::new(in_turn(SECOND * 20, &[Ending::ConfirmAndClose]));
    let one = target("one");
    let first = bench.call(&one, hide()).await;
    let second = bench.call(&one, online()).await;
    sleep(SECOND).await;
    bench.pipes.refuse(REFUSED);
    assert_eq!(first.await.unwrap(), (Ok(()), 20));
    // The call may be sent until 22.5 s, and an attempt is the last if the next may be later.
    let (outcome, seconds) = second.await.unwrap();
    assert_eq!(outcome, upstream(UNREACHABLE));
    assert!((20..=22).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_arrives_during_an_outage_has_its_own_time() {
    let bench = bench(&[Ending::Confirm]);
    bench.pipes.refuse(REFUSED);
    let one = target("one");
    let first = bench.call(&one, hide()).await;
    sleep(SECOND * 8).await;
    let second = bench.call(&one, online()).await;
    assert_eq!(first.await.unwrap().0, upstream(UNREACHABLE));
    sleep(SECOND * 3).await;
    bench.pipes.refuse(None);
    assert_eq!(second.await.unwrap().0, Ok(()));
    assert_eq!(bench.pipes.bodies(), [ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn no_connection_is_attempted_for_a_cancelled_call() {
    let bench = bench(&[]);
    bench.pipes.refuse(REFUSED);
    let call = bench.call(&target("one"), hide()).await;
    sleep(SECOND * 3).await;
    call.abort();
    let connects = bench.pipes.connects().len();
    bench.queues.idle().await;
    assert_eq!(bench.pipes.connects().len(), connects);
}

#[tokio::test(start_paused = true)]
async fn an_untrusted_server_is_not_retried() {
    let bench = bench(&[]);
    bench.pipes.refuse(Some(io::ErrorKind::InvalidData));
    let (outcome, seconds) = bench.call(&target("one"), hide()).await.await.unwrap();
    assert!(matches!(outcome, Err(Failure::Upstream(_))), "{outcome:?}");
    assert_eq!((seconds, bench.pipes.connects().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_certificate_releases_the_slot_at_once() {
    let pipes = in_turn(Duration::ZERO, &[Ending::Confirm]);
    let bench = Bench::with_budget(pipes, budget(1, 1, Duration::ZERO));
    let one = target("one");
    bench.pipes.refuse(Some(io::ErrorKind::InvalidData));
    bench.call(&one, hide()).await.await.unwrap().0.unwrap_err();
    bench.pipes.refuse(None);
    let (outcome, _) = bench.call(&one, hide()).await.await.unwrap();
    assert_eq!(outcome, Ok(()), "there is only one slot");
}

#[tokio::test(start_paused = true)]
async fn each_outage_has_its_own_ten_seconds() {
    const FOR_8_S: &str = "Connection: close\r\nDate: Sat, 21 Nov 2026 20:00:00 GMT\r\n\
        X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1795291208\r\n";
    let bench = bench(&[Ending::Answer(429, FOR_8_S, ""), Ending::Confirm]);
    bench.pipes.refuse(REFUSED);
    let call = bench.call(&target("one"), hide()).await;
    sleep(SECOND * 3).await;
    bench.pipes.refuse(None);
    // Ryze responds with its limit, and is unreachable at the reset after 12 s.
    sleep(SECOND * 6).await;
    assert_eq!(bench.pipes.bodies(), [HIDE]);
    bench.pipes.refuse(REFUSED);
    sleep(SECOND * 7).await;
    bench.pipes.refuse(None);
    let (outcome, seconds) = call.await.unwrap();
    assert_eq!(outcome, Ok(()));
    assert!((17..=20).contains(&seconds), "{seconds}");
    assert_eq!(bench.pipes.bodies(), [HIDE, HIDE]);
}

#[tokio::test(start_paused = true)]
async fn an_abort_during_an_outage_reports_that_ryze_was_not_reached() {
    let bench = bench(&[]);
    bench.pipes.refuse(REFUSED);
    let call = bench.call(&target("one"), hide()).await;
    sleep(SECOND * 3).await;
    bench.abort.cancel();
    assert_eq!(call.await.unwrap(), (upstream(UNREACHABLE), 3));
}

#[tokio::test(start_paused = true)]
async fn a_read_back_waits_for_the_end_of_an_outage() {
    let bench = bench(&[Ending::Close, HIDDEN]);
    let call = bench.call(&target("one"), hide()).await;
    sleep(SECOND / 2).await;
    bench.pipes.refuse(REFUSED);
    sleep(SECOND * 2).await;
    bench.pipes.refuse(None);
    let (outcome, seconds) = call.await.unwrap();
    assert_eq!(outcome, Ok(()));
    assert!((3..=5).contains(&seconds), "{seconds}");
    assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
}

#[tokio::test(start_paused = true)]
async fn a_read_back_does_not_wait_forever_and_not_for_a_cancelled_call() {
    for leaves in [false, true] {
        let bench = bench(&[Ending::Close]);
        let call = bench.call(&target("one"), hide()).await;
        sleep(SECOND / 2).await;
        bench.pipes.refuse(REFUSED);
        sleep(SECOND * 3).await;
        if leaves {
            call.abort();
            let connects = bench.pipes.connects().len();
            bench.queues.idle().await;
            assert_eq!(bench.pipes.connects().len(), connects);
        } else {
            let (outcome, seconds) = call.await.unwrap();
            assert_eq!(outcome, Err(Failure::Unknown(NoAnswer::Closed)));
            assert!((9..=11).contains(&seconds), "{seconds}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_ten_seconds_and_then_fails_with_its_first_failure() {
    for (ending, failure) in open() {
        let bench = bench(&[
            ending,
            Ending::Answer(200, "Connection: close\r\n", SETTINGS),
        ]);
        let call = bench.call(&target("one"), hide()).await;
        sleep(SECOND * 3 / 2).await;
        bench.pipes.refuse(REFUSED);
        let (outcome, seconds) = call.await.unwrap();
        assert_eq!(outcome, failure, "{ending:?}");
        assert!((10..=12).contains(&seconds), "{seconds}");
        assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
    }
}

const SETTINGS: &str = r#"{"success":true,"settings":{"visibility":{"profile":"all"}}}"#;

#[tokio::test(start_paused = true)]
async fn an_outage_uses_neither_slots_nor_ryzes_limit() {
    const THREE_LEFT: &str = "Connection: close\r\nDate: Sat, 21 Nov 2026 20:00:00 GMT\r\n\
        X-RateLimit-Remaining: 3\r\nX-RateLimit-Reset: 1795291260\r\n";
    let answer = Ending::Answer(200, THREE_LEFT, SETTINGS);
    let pipes = in_turn(Duration::ZERO, &[answer, Ending::Confirm]);
    let bench = Bench::with_budget(pipes, budget(4, 4, SECOND));
    let one = target("one");
    let show = photo(Audience::Everyone);
    bench.call(&one, show).await.await.unwrap().0.unwrap();
    bench.pipes.refuse(REFUSED);
    bench.call(&one, show).await.await.unwrap().0.unwrap_err();
    assert!(bench.pipes.connects().len() > 5);
    bench.pipes.refuse(None);
    for _ in 0..3 {
        bench.call(&one, show).await.await.unwrap().0.unwrap();
    }
    let (outcome, _) = bench.call(&one, show).await.await.unwrap();
    assert!(!outcome.unwrap_err().leaves_open(), "the fifth is too much");
}

#[tokio::test(start_paused = true)]
async fn a_read_with_a_wrong_certificate_is_not_retried() {
    let bench = bench(&[]);
    bench.pipes.refuse(Some(io::ErrorKind::InvalidData));
    let (outcome, seconds) = bench.read(&target("one")).await.await.unwrap();
    assert!(matches!(outcome, Err(Failure::Upstream(_))), "{outcome:?}");
    assert_eq!((seconds, bench.pipes.connects().len()), (0, 1));
}

/// A failure without a connection promises that nothing was changed, which the first attempt disproves.
#[tokio::test(start_paused = true)]
async fn an_untrusted_server_at_the_retry_leaves_the_first_failure() {
    const SHOWN_AND_CLOSED: Ending = Ending::Answer(
        200,
        "Connection: close\r\n",
        r#"{"success":true,"settings":{"visibility":{"profile":"all"}}}"#,
    );
    let bench = bench(&[FAILED, SHOWN_AND_CLOSED]);
    let call = bench.call(&target("one"), hide()).await;
    sleep(SECOND * 3 / 2).await;
    bench.pipes.refuse(Some(io::ErrorKind::InvalidData));
    assert_eq!(call.await.unwrap(), (failed(), 2));
    assert_eq!(bench.pipes.connects().len(), 2);
}
