//! Several callers of one instance whose request failed: who is sent again with whom, in which order,
//! and that each hears of its own setting.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_setting_that_ryze_names_fails_and_the_others_are_looked_for() {
    // Ryze applies the photo before the others, so what is online was not tried.
    let script = [FORBIDDEN, SHOWN, Ending::Confirm];
    let (bench, _, calls) = folded(&script, &[hide(), online()]).await;
    let outcomes = outcomes(calls).await;
    assert!(matches!(outcomes[0], Err(Failure::Refused { .. })));
    assert_eq!(outcomes[1], Ok(()));
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn the_others_that_are_there_are_a_success() {
    let applied = Ending::Answer(
        200,
        "",
        r#"{"success":true,"settings":{"visibility":{"online":"match_last_seen"}}}"#,
    );
    let (bench, _, calls) = folded(&[FORBIDDEN, applied], &[online(), hide()]).await;
    let outcomes = outcomes(calls).await;
    assert_eq!(outcomes[0], Ok(()));
    assert!(matches!(outcomes[1], Err(Failure::Refused { .. })));
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ]);
}

#[tokio::test(start_paused = true)]
async fn who_was_not_tried_for_the_fault_of_another_hears_its_own_refusal() {
    let own = Ending::Answer(
        500,
        "",
        r#"{"error":{"message":"failed to update online privacy: info query returned status 400: bad-request"}}"#,
    );
    let (bench, _, calls) = folded(&[FORBIDDEN, SHOWN, own], &[hide(), online()]).await;
    for outcome in outcomes(calls).await {
        assert!(
            matches!(outcome, Err(Failure::Refused { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn a_named_setting_of_unknown_outcome_is_looked_for_and_not_sent_again() {
    for (look, outcome) in [(HIDDEN, Ok(())), (SHOWN, Err(Failure::Unknown))] {
        let script = [TIMED_OUT, look, Ending::Confirm];
        let (bench, _, calls) = folded(&script, &[hide(), online()]).await;
        assert_eq!(outcomes(calls).await, [outcome, Ok(())]);
        assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, ONLINE]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_name_each_setting_is_tried_alone() {
    let script = [FAILED, SHOWN, Ending::Answer(400, "", ""), Ending::Confirm];
    let (bench, _, calls) = folded(&script, &[hide(), online(), hide()]).await;
    let outcomes = outcomes(calls).await;
    assert_eq!(outcomes[0], upstream("out of order"));
    assert_eq!(outcomes[1], Ok(()));
    assert_eq!(outcomes[2], upstream("out of order"));
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, HIDE, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_an_answer_does_not_show_does_not_fail_the_others() {
    let script = [HIDDEN, HIDDEN, Ending::Confirm];
    let (bench, _, calls) = folded(&script, &[hide(), online()]).await;
    assert_eq!(outcomes(calls).await, [Ok(()), Ok(())]);
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn after_a_broken_connection_they_go_together_again() {
    let script = [Ending::Close, SHOWN, Ending::Confirm];
    let (bench, _, calls) = folded(&script, &[hide(), online()]).await;
    assert_eq!(outcomes(calls).await, [Ok(()), Ok(())]);
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, BOTH]);
}

#[tokio::test(start_paused = true)]
async fn only_who_is_not_there_is_sent_again() {
    let script = [Ending::Close, HIDDEN, Ending::Confirm];
    let (bench, _, calls) = folded(&script, &[hide(), online()]).await;
    assert_eq!(outcomes(calls).await, [Ok(()), Ok(())]);
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn newcomers_wait_for_what_is_sent_again_and_are_not_overtaken() {
    for (ending, again) in [(Ending::Close, vec![BOTH]), (FAILED, vec![HIDE, ONLINE])] {
        let mut script = vec![ending, SHOWN];
        script.extend(again.iter().map(|_| Ending::Confirm));
        script.push(Ending::Confirm);
        let (bench, one, mut calls) = folded(&script, &[hide(), online()]).await;
        // While it is read back, and while it is sent again.
        for _ in 0..2 {
            sleep(SECOND * 11 / 10).await;
            calls.push(bench.call(&one, photo(Audience::Everyone)).await);
        }
        for outcome in outcomes(calls).await {
            assert_eq!(outcome, Ok(()));
        }
        let expected = [vec![BOTH, READ], again, vec![SHOW]].concat();
        assert_eq!(bench.pipes.bodies()[1..], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn of_one_setting_the_latest_value_is_looked_for_and_sent_again() {
    let script = [Ending::Close, SHOWN, Ending::Confirm];
    let (bench, _, calls) = folded(&script, &[photo(Audience::Contacts), hide()]).await;
    assert_eq!(outcomes(calls).await, [Ok(()), Ok(())]);
    assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ, HIDE]);
}

#[tokio::test(start_paused = true)]
async fn a_setting_whose_callers_left_is_not_sent_again() {
    let script = [Ending::Close, SHOWN, Ending::Confirm];
    let (bench, _, calls) = folded(&script, &[hide(), online()]).await;
    sleep(SECOND * 3 / 2).await;
    calls[1].abort();
    bench.queues.idle().await;
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, HIDE]);
}

#[tokio::test(start_paused = true)]
async fn reads_and_changes_go_their_own_ways_in_order() {
    let script = [
        Ending::Confirm,
        FAILED,
        FAILED,
        FAILED,
        SHOWN,
        Ending::Confirm,
    ];
    let bench = bench(&script);
    let one = target("one");
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    let read = bench.begin(&one, Operation::Read).await;
    let change = bench.call(&one, hide()).await;
    first.await.unwrap().0.unwrap();
    assert_eq!(read.await.unwrap(), (upstream("out of order"), 3));
    assert_eq!(change.await.unwrap(), (Ok(()), 6));
    assert_eq!(bench.pipes.bodies()[1..], [READ, READ, HIDE, READ, HIDE]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_in_flight_beside_a_look_or_a_repeat() {
    let script = [FAILED, SHOWN, FAILED, SHOWN, Ending::Confirm];
    let (bench, one, calls) = folded(&script, &[hide(), online()]).await;
    for _ in 0..40 {
        drop(bench.call(&one, photo(Audience::Contacts)).await);
        sleep(SECOND / 10).await;
    }
    drop(calls);
    bench.queues.idle().await;
    let arrivals = bench.pipes.arrivals();
    for pair in arrivals.windows(2) {
        assert!(pair[1] - pair[0] >= SECOND, "{pair:?}");
    }
    assert!(arrivals.len() >= 5, "{}", arrivals.len());
}
