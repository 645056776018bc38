//! The value that a repeat has where a later call replaced an earlier one: once sent, the later value
//! is repeated for both calls, whichever of them are left. Before that each call has its own value.

use std::io;

use super::*;

const CONTACTS: &str = r#"{"visibility":{"profile":"contacts"}}"#;
const OVER_LIMIT: Ending = Ending::Answer(
    429,
    "Date: Sat, 21 Nov 2026 20:00:00 GMT\r\n\
    X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1795291203\r\n",
    r#"{"error":{"message":"Rate limit exceeded. Try again later."}}"#,
);

/// Calls of which the second one replaces the first one.
fn replaced() -> [Change; 2] {
    [photo(Audience::Contacts), hide()]
}

#[tokio::test(start_paused = true)]
async fn the_sent_value_is_repeated_after_its_caller_has_left() {
    for ending in [Ending::Close, FAILED, TIMED_OUT, SHOWN] {
        let script = [ending, SHOWN, Ending::Confirm];
        let (bench, _, calls) = folded(&script, &replaced()).await;
        // During the update, or the read-back.
        sleep(SECOND * 3 / 2).await;
        calls[1].abort();
        let first = calls.into_iter().next().unwrap();
        assert_eq!(first.await.unwrap().0, Ok(()));
        assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ, HIDE], "{ending:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_sent_value_is_looked_for_after_its_caller_has_left() {
    let script = [Ending::Close, HIDDEN];
    let (bench, _, calls) = folded(&script, &replaced()).await;
    calls[1].abort();
    let first = calls.into_iter().next().unwrap();
    assert_eq!(first.await.unwrap().0, Ok(()));
    assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ]);
}

#[tokio::test(start_paused = true)]
async fn the_sent_value_is_repeated_after_the_time_of_its_caller() {
    let bench = bench(&[Ending::Confirm, Ending::Close, SHOWN, Ending::Confirm]);
    let one = target("one");
    let about = Change {
        setting: Setting::About,
        audience: Audience::Everyone,
    };
    let busy = bench.call(&one, about).await;
    let first = bench.call(&one, photo(Audience::Contacts)).await;
    // It may be sent until 2.5 s; the repeat is at 3 s.
    let second = bench.call_within(&one, hide(), SECOND * 10).await;
    assert_eq!(busy.await.unwrap(), (Ok(()), 1));
    assert_eq!(second.await.unwrap(), (Err(Failure::Unknown), 3));
    assert_eq!(first.await.unwrap(), (Ok(()), 4));
    assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ, HIDE]);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_could_not_be_sent_keeps_the_sent_value() {
    let script = [Ending::Close, SHOWN, OVER_LIMIT, Ending::Confirm];
    let (bench, _, calls) = folded(&script, &replaced()).await;
    // While the repeat waits for Ryze's limit.
    sleep(SECOND * 7 / 2).await;
    calls[1].abort();
    let first = calls.into_iter().next().unwrap();
    assert_eq!(first.await.unwrap().0, Ok(()));
    assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ, HIDE, HIDE]);
}

/// Its caller may have heard that nothing was changed.
#[tokio::test(start_paused = true)]
async fn a_value_that_was_not_sent_leaves_with_its_caller() {
    for is_sent_away in [true, false] {
        let bench = match is_sent_away {
            true => bench(&[Ending::ConfirmAndClose, OVER_LIMIT, Ending::Confirm]),
            false => bench(&[Ending::ConfirmAndClose, Ending::Confirm]),
        };
        let one = target("one");
        let busy = bench.call(&one, online()).await;
        let [first, second] = [
            bench.call(&one, photo(Audience::Contacts)).await,
            bench.call(&one, hide()).await,
        ];
        if !is_sent_away {
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
        assert_eq!(last, CONTACTS, "sent away: {is_sent_away}");
    }
}
