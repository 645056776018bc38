//! Coalesced calls whose request failed: which share a retry, in which order, and that each gets the
//! outcome of its own setting.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_setting_that_ryze_names_fails_and_the_others_are_read_back() {
    // Ryze applies the photo before the others, so the online setting was not attempted.
    let script = [FORBIDDEN, SHOWN, Ending::Confirm];
    let (bench, _, calls) = coalesced(&script, &[hide(), online()]).await;
    let outcomes = outcomes(calls).await;
    assert!(matches!(outcomes[0], Err(Failure::Refused { .. })));
    assert_eq!(outcomes[1], Ok(()));
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn other_settings_that_the_read_back_shows_are_a_success() {
    let applied = Ending::Answer(
        200,
        "",
        r#"{"success":true,"settings":{"visibility":{"online":"match_last_seen"}}}"#,
    );
    let (bench, _, calls) = coalesced(&[FORBIDDEN, applied], &[online(), hide()]).await;
    let outcomes = outcomes(calls).await;
    assert_eq!(outcomes[0], Ok(()));
    assert!(matches!(outcomes[1], Err(Failure::Refused { .. })));
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ]);
}

#[tokio::test(start_paused = true)]
async fn a_setting_skipped_for_the_failure_of_another_gets_its_own_refusal() {
    let own = Ending::Answer(
        500,
        "",
        r#"{"error":{"message":"failed to update online privacy: info query returned status 400: bad-request"}}"#,
    );
    let (bench, _, calls) = coalesced(&[FORBIDDEN, SHOWN, own], &[hide(), online()]).await;
    for outcome in outcomes(calls).await {
        assert!(
            matches!(outcome, Err(Failure::Refused { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn a_named_setting_of_unknown_outcome_is_read_back_and_not_retried() {
    for (read_back, outcome) in [
        (HIDDEN, Ok(())),
        (SHOWN, Err(Failure::Unknown(NoAnswer::WhatsAppTimedOut))),
    ] {
        let script = [TIMED_OUT, read_back, Ending::Confirm];
        let (bench, _, calls) = coalesced(&script, &[hide(), online()]).await;
        assert_eq!(outcomes(calls).await, [outcome, Ok(())]);
        assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, ONLINE]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_name_each_setting_is_retried_in_isolation() {
    let script = [FAILED, SHOWN, Ending::Answer(400, "", ""), Ending::Confirm];
    let (bench, _, calls) = coalesced(&script, &[hide(), online(), hide()]).await;
    let outcomes = outcomes(calls).await;
    assert_eq!(outcomes[0], failed());
    assert_eq!(outcomes[1], Ok(()));
    assert_eq!(outcomes[2], failed());
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, HIDE, ONLINE]);
}

/// A requeued call waits for its next permit as long as it has time, even if an isolated retry of another
/// setting is sent first.
#[tokio::test(start_paused = true)]
async fn isolated_retries_wait_for_the_budget_one_after_the_other() {
    let script = [Ending::Confirm, FAILED, SHOWN, Ending::Confirm];
    // After the first three requests the pacer grants one permit every 6 s, and no new call may wait.
    let bench = Bench::with_budget(in_turn(SECOND, &script), budget(10, 3, Duration::ZERO));
    let one = target("one");
    let about = Change {
        setting: Setting::About,
        audience: Audience::Everyone,
    };
    let first = bench.call(&one, about).await;
    let calls = [
        bench.call(&one, hide()).await,
        bench.call(&one, online()).await,
    ];
    first.await.unwrap().0.unwrap();
    assert_eq!(outcomes(calls.into()).await, [Ok(()), Ok(())]);
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, HIDE, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_a_response_lacks_does_not_fail_the_others() {
    let script = [HIDDEN, HIDDEN, Ending::Confirm];
    let (bench, _, calls) = coalesced(&script, &[hide(), online()]).await;
    assert_eq!(outcomes(calls).await, [Ok(()), Ok(())]);
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_connection_the_retry_is_coalesced() {
    let script = [Ending::Close, SHOWN, Ending::Confirm];
    let (bench, _, calls) = coalesced(&script, &[hide(), online()]).await;
    assert_eq!(outcomes(calls).await, [Ok(()), Ok(())]);
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, BOTH]);
}

#[tokio::test(start_paused = true)]
async fn only_settings_that_the_read_back_does_not_show_are_retried() {
    let script = [Ending::Close, HIDDEN, Ending::Confirm];
    let (bench, _, calls) = coalesced(&script, &[hide(), online()]).await;
    assert_eq!(outcomes(calls).await, [Ok(()), Ok(())]);
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn new_calls_wait_for_a_retry_and_keep_their_order() {
    for (ending, again) in [(Ending::Close, vec![BOTH]), (FAILED, vec![HIDE, ONLINE])] {
        let mut script = vec![ending, SHOWN];
        script.extend(again.iter().map(|_| Ending::Confirm));
        script.push(Ending::Confirm);
        let (bench, one, mut calls) = coalesced(&script, &[hide(), online()]).await;
        // During the read-back, and during the retry.
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
async fn the_latest_value_of_a_setting_is_read_back_and_retried() {
    let script = [Ending::Close, SHOWN, Ending::Confirm];
    let (bench, _, calls) = coalesced(&script, &[photo(Audience::Contacts), hide()]).await;
    assert_eq!(outcomes(calls).await, [Ok(()), Ok(())]);
    assert_eq!(bench.pipes.bodies()[1..], [HIDE, READ, HIDE]);
}

#[tokio::test(start_paused = true)]
async fn a_setting_whose_calls_were_cancelled_is_not_retried() {
    let script = [Ending::Close, SHOWN, Ending::Confirm];
    let (bench, _, calls) = coalesced(&script, &[hide(), online()]).await;
    sleep(SECOND * 3 / 2).await;
    calls[1].abort();
    bench.queues.idle().await;
    assert_eq!(bench.pipes.bodies()[1..], [BOTH, READ, HIDE]);
}

#[tokio::test(start_paused = true)]
async fn reads_and_changes_are_retried_apart_and_in_order() {
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
    assert_eq!(read.await.unwrap(), (failed(), 3));
    assert_eq!(change.await.unwrap(), (Ok(()), 6));
    assert_eq!(bench.pipes.bodies()[1..], [READ, READ, HIDE, READ, HIDE]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_in_flight_beside_a_read_back_or_a_retry() {
    let script = [FAILED, SHOWN, FAILED, SHOWN, Ending::Confirm];
    let (bench, one, calls) = coalesced(&script, &[hide(), online()]).await;
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
