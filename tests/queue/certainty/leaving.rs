//! Callers who leave, whose time is over or for whom the budget has no place while it is found out what
//! became of their change: nothing is spent for nobody, and each hears what is known by then.

use zapi_to_ryze::{queue::Lanes, ryze::Client};

use crate::pipes::MAX_WAITING;

use super::*;

#[tokio::test(start_paused = true)]
async fn nothing_is_spent_for_who_has_left() {
    let script = [Ending::Close, SHOWN, Ending::Confirm];
    for (leaves_after, requests) in [(500, 1), (1500, 2)] {
        let bench = bench(&script);
        let call = bench.call(&target("one"), hide()).await;
        sleep(Duration::from_millis(leaves_after)).await;
        call.abort();
        bench.lanes.idle().await;
        assert_eq!(bench.pipes.bodies().len(), requests, "{leaves_after} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_the_look_waits_for_the_budget_leaves_it_unspent() {
    let pipes = in_turn(SECOND, &[Ending::Close, HIDDEN]);
    let bench = Bench::with_budget(pipes, budget(10, 1, Duration::from_secs(10)));
    let one = target("one");
    let call = bench.call(&one, hide()).await;
    // The pace lets one out every 6 s.
    sleep(SECOND * 3).await;
    call.abort();
    let next = bench.call(&one, online()).await;
    sleep(SECOND * 4).await;
    assert_eq!(bench.pipes.bodies(), [HIDE, ONLINE]);
    next.abort();
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_the_repeat_waits_for_the_budget_leaves_it_unspent() {
    let pipes = in_turn(SECOND, &[Ending::Close, SHOWN, Ending::Confirm]);
    let bench = Bench::with_budget(pipes, budget(10, 1, Duration::from_secs(10)));
    let call = bench.call(&target("one"), hide()).await;
    // The look is at 6 s, and the repeat would be at 12 s.
    sleep(SECOND * 9).await;
    call.abort();
    bench.lanes.idle().await;
    assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_the_budget_has_no_place_for_leaves_the_first_failure() {
    for (ending, failure) in open() {
        let pipes = in_turn(SECOND, &[ending, SHOWN]);
        let bench = Bench::with_budget(pipes, budget(2, 2, Duration::from_secs(10)));
        let (outcome, _) = bench.call(&target("one"), hide()).await.await.unwrap();
        assert_eq!(outcome, failure, "{ending:?}");
        bench.lanes.idle().await;
        assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_the_budget_has_no_place_for_leaves_the_failure() {
    for (ending, failure) in open() {
        let pipes = in_turn(SECOND, &[ending]);
        let bench = Bench::with_budget(pipes, budget(1, 1, Duration::from_secs(10)));
        let call = bench.call(&target("one"), hide()).await;
        assert_eq!(call.await.unwrap(), (failure, 1), "{ending:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn late_in_a_callers_time_it_is_read_back_and_not_sent_again() {
    for (look, outcome) in [(HIDDEN, Ok(())), (SHOWN, upstream("out of order"))] {
        // Past the 22.5 s in which a caller may be sent.
        let bench = Bench::new(in_turn(SECOND * 12, &[FAILED, look]));
        let call = bench.call(&target("one"), hide()).await;
        assert_eq!(call.await.unwrap(), (outcome, 24));
        bench.lanes.idle().await;
        assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_comes_during_the_look_leaves_it_unknown() {
    let bench = Bench::new(in_turn(SECOND * 20, &[FAILED, HIDDEN]));
    let call = bench.call(&target("one"), hide()).await;
    assert_eq!(call.await.unwrap(), (Err(Failure::Unknown), 30));
    bench.lanes.idle().await;
    assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_never_ends_does_not_hold_up_the_lane_for_long() {
    let bench = bench(&[FAILED, Ending::Hang, Ending::Confirm]);
    let one = target("one");
    let call = bench.call(&one, hide()).await;
    sleep(SECOND * 20).await;
    let next = bench.call(&one, online()).await;
    assert_eq!(call.await.unwrap(), (Err(Failure::Unknown), 30));
    // The look began at 1 s and may take as long as a caller has.
    assert_eq!(next.await.unwrap(), (Ok(()), 12));
    assert_eq!(bench.pipes.bodies(), [HIDE, READ, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_is_given_up_is_read_back() {
    let pipes = in_turn(SECOND, &[Ending::Hang, HIDDEN]);
    let mut bench = Bench::new(pipes.clone());
    let client = Client::new(pipes, SECOND * 5);
    bench.lanes = Lanes::new(bench.budget.clone(), client, DEADLINE, MAX_WAITING);
    let call = bench.call(&target("one"), hide()).await;
    assert_eq!(call.await.unwrap(), (Ok(()), 6));
    assert_eq!(bench.pipes.bodies(), [HIDE, READ]);
}

#[tokio::test(start_paused = true)]
async fn a_cut_tells_what_is_known_by_then() {
    // Each second one more request of the script is under way.
    let script = [FAILED, SHOWN, Ending::Confirm];
    for (after, outcome) in [
        (500, Failure::Unknown),
        (1500, Failure::Unknown),
        (2500, Failure::Unknown),
    ] {
        let bench = bench(&script);
        let call = bench.call(&target("one"), hide()).await;
        sleep(Duration::from_millis(after)).await;
        bench.lanes.cut();
        assert_eq!(call.await.unwrap().0, Err(outcome), "{after} ms");
        bench.lanes.idle().await;
    }
    // Between the tries it waits, and what was tried is known.
    for (ending, failure) in open() {
        let pipes = in_turn(SECOND, &[ending, SHOWN]);
        let bench = Bench::with_budget(pipes, budget(10, 1, DEADLINE));
        let call = bench.call(&target("one"), hide()).await;
        sleep(SECOND * 9).await;
        bench.lanes.cut();
        assert_eq!(call.await.unwrap(), (failure, 9));
        bench.lanes.idle().await;
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
    assert_eq!(short.await.unwrap(), (Err(Failure::Unknown), 22));
    assert_eq!(long.await.unwrap(), (Ok(()), 25));
    assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ]);
}
