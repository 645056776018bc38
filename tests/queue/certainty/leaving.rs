//! Calls that are cancelled, late or refused by the budget during a read-back or a retry: nothing is sent
//! for a cancelled call, and each gets the failure that is known by then.

use tokio_util::sync::CancellationToken;
use zapi_to_ryze::{queue::Queues, ryze::Client};

use crate::pipes::MAX_WAITING;

use super::*;

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_for_a_cancelled_call() {
    let script = [Ending::Close, SHOWN, Ending::Confirm];
    for (leaves_after, requests) in [(500, 1), (1500, 2)] {
        let bench = bench(&script);
        let call = bench.call(&target("one"), hide()).await;
        sleep(Duration::from_millis(leaves_after)).await;
        call.abort();
        bench.queues.idle().await;
        assert_eq!(bench.pipes.bodies().len(), requests, "{leaves_after} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_cancelled_while_the_read_back_waits_for_the_budget_uses_no_permit() {
    let pipes = in_turn(SECOND, &[Ending::Close, HIDDEN]);
    let bench = Bench::with_budget(pipes, budget(10, 1, Duration::from_secs(10)));
    let one = target("one");
    let call = bench.call(&one, hide()).await;
    // The pacer grants one permit every 6 s.
    sleep(SECOND * 3).await;
    call.abort();
    let next = bench.call(&one, online()).await;
    sleep(SECOND * 4).await;
    assert_eq!(bench.pipes.bodies(), [HIDE, ONLINE]);
    next.abort();
}

#[tokio::test(start_paused = true)]
async fn a_call_cancelled_while_the_retry_waits_for_the_budget_uses_no_permit() {
    let pipes = in_turn(SECOND, &[Ending::Close, SHOWN, Ending::Confirm]);
    let bench = Bench::with_budget(pipes, budget(10, 1, Duration::from_secs(10)));
    let call = bench.call(&target("one"), hide()).await;
    // The read-back is at 6 s, and the retry would be at 12 s.
    sleep(SECOND * 9).await;
    call.abort();
    bench.queues.idle().await;
    assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_refused_by_the_budget_keeps_the_first_failure() {
    for (ending, failure) in open() {
        let pipes = in_turn(SECOND, &[ending, SHOWN]);
        let bench = Bench::with_budget(pipes, budget(2, 2, Duration::from_secs(10)));
        let (outcome, _) = bench.call(&target("one"), hide()).await.await.unwrap();
        assert_eq!(outcome, failure, "{ending:?}");
        bench.queues.idle().await;
        assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_back_refused_by_the_budget_keeps_the_failure() {
    for (ending, failure) in open() {
        let pipes = in_turn(SECOND, &[ending]);
        let bench = Bench::with_budget(pipes, budget(1, 1, Duration::from_secs(10)));
        let call = bench.call(&target("one"), hide()).await;
        assert_eq!(call.await.unwrap(), (failure, 1), "{ending:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn late_in_its_time_a_call_is_read_back_and_not_retried() {
    for (read_back, outcome) in [(HIDDEN, Ok(())), (SHOWN, failed())] {
        // Past the 22.5 s in which a call may be sent.
        let bench = Bench::new(in_turn(SECOND * 12, &[FAILED, read_back]));
        let call = bench.call(&target("one"), hide()).await;
        assert_eq!(call.await.unwrap(), (outcome, 24));
        bench.queues.idle().await;
        assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_during_the_read_back_leaves_the_call_unknown() {
    let bench = Bench::new(in_turn(SECOND * 20, &[FAILED, HIDDEN]));
    let call = bench.call(&target("one"), hide()).await;
    assert_eq!(
        call.await.unwrap(),
        (Err(Failure::Unknown(NoAnswer::TimedOut)), 30)
    );
    bench.queues.idle().await;
    assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
}

#[tokio::test(start_paused = true)]
async fn a_read_back_without_a_response_blocks_the_queue_for_one_deadline() {
    let bench = bench(&[FAILED, Ending::Hang, Ending::Confirm]);
    let one = target("one");
    let call = bench.call(&one, hide()).await;
    sleep(SECOND * 20).await;
    let next = bench.call(&one, online()).await;
    assert_eq!(
        call.await.unwrap(),
        (Err(Failure::Unknown(NoAnswer::TimedOut)), 30)
    );
    // The read-back starts at 1 s and may take one deadline.
    assert_eq!(next.await.unwrap(), (Ok(()), 12));
    assert_eq!(bench.pipes.bodies(), [HIDE, READ, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_times_out_is_read_back() {
    let pipes = in_turn(SECOND, &[Ending::Hang, HIDDEN]);
    let mut bench = Bench::new(pipes.clone());
    let client = Client::new(pipes, SECOND * 5);
    bench.queues = Queues::new(
        bench.budget.clone(),
        client,
        DEADLINE,
        MAX_WAITING,
        Arc::default(),
        CancellationToken::new(),
    );
    let call = bench.call(&target("one"), hide()).await;
    assert_eq!(call.await.unwrap(), (Ok(()), 6));
    assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
}

#[tokio::test(start_paused = true)]
async fn an_abort_completes_calls_with_what_is_known() {
    // One more request of the script is in flight each second.
    let script = [FAILED, SHOWN, Ending::Confirm];
    for (after, outcome) in [
        (500, Failure::Unknown(NoAnswer::TimedOut)),
        (1500, Failure::Unknown(NoAnswer::TimedOut)),
        (2500, Failure::Unknown(NoAnswer::TimedOut)),
    ] {
        let bench = bench(&script);
        let call = bench.call(&target("one"), hide()).await;
        sleep(Duration::from_millis(after)).await;
        bench.abort.cancel();
        assert_eq!(call.await.unwrap().0, Err(outcome), "{after} ms");
        bench.queues.idle().await;
    }
    // Between its attempts the call is queued, and the failure of the first is known.
    for (ending, failure) in open() {
        let pipes = in_turn(SECOND, &[ending, SHOWN]);
        let bench = Bench::with_budget(pipes, budget(10, 1, DEADLINE));
        let call = bench.call(&target("one"), hide()).await;
        sleep(SECOND * 9).await;
        bench.abort.cancel();
        assert_eq!(call.await.unwrap(), (failure, 9));
        bench.queues.idle().await;
        assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
    }
}

/// The read-back is for all calls of the update, so it may wait as long as the latest of them.
#[tokio::test(start_paused = true)]
async fn a_read_back_waits_for_the_budget_as_long_as_the_latest_deadline_permits() {
    let pipes = in_turn(SECOND, &[Ending::Confirm, Ending::Close, HIDDEN]);
    // The pacer sends one request every 12 s.
    let bench = Bench::with_budget(pipes, budget(5, 1, SECOND * 60));
    let one = target("one");
    let first = bench.call(&one, online()).await;
    let short = bench.call_within(&one, hide(), SECOND * 22).await;
    let long = bench.call_within(&one, hide(), SECOND * 40).await;
    assert_eq!(first.await.unwrap(), (Ok(()), 1));
    assert_eq!(
        short.await.unwrap(),
        (Err(Failure::Unknown(NoAnswer::TimedOut)), 22)
    );
    assert_eq!(long.await.unwrap(), (Ok(()), 25));
    assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ]);
}
