//! The value of a retry if a later call replaced an earlier one: once sent, the later value is retried for
//! both calls, even if one is cancelled. Before that each call has its own value.

use std::io;

use super::*;

const CONTACTS: &str = r#"{"visibility":{"profile":"contacts"}}"#;
const OVER_LIMIT: Ending = Ending::Answer(
    429,
    "Date: Sat, 21 Nov 2026 20:00:00 GMT\r\n\
    X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1795291203\r\n",
    r#"{"error":{"message":"Rate limit exceeded. Try again later."}}"#,
);

/// Two changes of which the second replaces the first.
fn replaced() -> [Change; 2] {
    [photo(Audience::Contacts), hide()]
}

#[tokio::test(start_paused = true)]
async fn the_sent_value_is_retried_after_its_call_is_cancelled() {
    for ending in [Ending::Close, FAILED, TIMED_OUT, SHOWN] {
        let script = [ending, SHOWN, Ending::Confirm];
        let (bench, _, calls) = coalesced(&script, &replaced()).await;
        // During the update, or the read-back.
        sleep(SECOND * 3 / 2).await;
        calls[1].abort();
        let first = calls.into_iter().next().unwrap();
        assert_eq!(first.await.unwrap().0, Ok(()));
        assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ, HIDE], "{ending:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_sent_value_is_read_back_after_its_call_is_cancelled() {
    let script = [Ending::Close, HIDDEN];
    let (bench, _, calls) = coalesced(&script, &replaced()).await;
    calls[1].abort();
    let first = calls.into_iter().next().unwrap();
    assert_eq!(first.await.unwrap().0, Ok(()));
    assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ]);
}

#[tokio::test(start_paused = true)]
async fn the_sent_value_is_retried_after_the_time_of_its_call() {
    let bench = bench(&[Ending::Confirm, Ending::Close, SHOWN, Ending::Confirm]);
    let one = target("one");
    let about = Change {
        setting: Setting::About,
        audience: Audience::Everyone,
    };
    let busy = bench.call(&one, about).await;
    let first = bench.call(&one, photo(Audience::Contacts)).await;
    // The call may be sent until 2.5 s; the retry is at 3 s.
    let second = bench.call_within(&one, hide(), SECOND * 10).await;
    assert_eq!(busy.await.unwrap(), (Ok(()), 1));
    assert_eq!(
        second.await.unwrap(),
        (Err(Failure::Unknown(NoAnswer::Closed)), 3)
    );
    assert_eq!(first.await.unwrap(), (Ok(()), 4));
    assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ, HIDE]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_could_not_be_sent_keeps_the_sent_value() {
    let script = [Ending::Close, SHOWN, OVER_LIMIT, Ending::Confirm];
    let (bench, _, calls) = coalesced(&script, &replaced()).await;
    // While the retry waits for Ryze's limit.
    sleep(SECOND * 7 / 2).await;
    calls[1].abort();
    let first = calls.into_iter().next().unwrap();
    assert_eq!(first.await.unwrap().0, Ok(()));
    assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ, HIDE, HIDE]);
}

/// Its client may have been promised that nothing was changed.
#[tokio::test(start_paused = true)]
async fn a_value_that_was_not_sent_is_dropped_with_its_call() {
    for is_rate_limited in [true, false] {
        let bench = match is_rate_limited {
            true => bench(&[Ending::ConfirmAndClose, OVER_LIMIT, Ending::Confirm]),
            false => bench(&[Ending::ConfirmAndClose, Ending::Confirm]),
        };
        let one = target("one");
        let busy = bench.call(&one, online()).await;
        let [first, second] = [
            bench.call(&one, photo(Audience::Contacts)).await,
            bench.call(&one, hide()).await,
        ];
        if !is_rate_limited {
            sleep(SECOND / 2).await;
            let refused = io::ErrorKind::ConnectionRefused;
            bench.pipes.refuse(Some(refused));
        }
        busy.await.unwrap().0.unwrap();
        sleep(SECOND * 2).await;
        second.abort();
        bench.pipes.refuse(None);
        assert_eq!(first.await.unwrap().0, Ok(()));
        let last = bench.pipes.bodies().pop().unwrap();
        assert_eq!(last, CONTACTS, "rate limited: {is_rate_limited}");
    }
}
