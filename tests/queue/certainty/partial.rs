//! Updates of several fields that Ryze applied in part before WhatsApp refused or throttled one: each
//! field is read back, whatever the status, and no failure promises that nothing was changed unless that
//! is known. Only a response from before Ryze asks WhatsApp is a verdict on all fields.

use zapi_to_ryze::privacy::Limiter;

use super::*;

const GROUPS: &str = r#"{"permissions":{"groupAdd":"contacts"}}"#;
const ALL: &str =
    r#"{"visibility":{"lastSeen":"none","profile":"none"},"permissions":{"groupAdd":"contacts"}}"#;

/// The read-back: the first field was applied.
const PART: Ending = Ending::Answer(
    200,
    "",
    r#"{"success":true,"settings":{"visibility":{"lastSeen":"none","profile":"all"},"permissions":{"groupAdd":"all"}}}"#,
);

const NAMED_FORBIDDEN: &str = r#"{"error":{"message":"failed to update profile privacy: info query returned status 403: forbidden"}}"#;
const NAMED_THROTTLED: &str = r#"{"error":{"message":"failed to update profile privacy: info query returned status 429: rate-overlimit"}}"#;
const THROTTLED: &str = r#"{"error":{"message":"rate-overlimit"}}"#;
const GET_THROTTLED: &str = r#"{"error":{"message":"failed to get privacy settings: info query returned status 429: rate-overlimit"}}"#;
const UNNAMED_FORBIDDEN: &str =
    r#"{"error":{"message":"info query returned status 403: forbidden"}}"#;
const UNKNOWN_FIELD: &str = r#"{"error":{"message":"failed to update privacy settings: info query returned status 403: forbidden"}}"#;

/// In the order in which Ryze applies their fields.
fn changes() -> [Change; 3] {
    let change = |setting, audience| Change { setting, audience };
    [
        change(Setting::LastSeen, Audience::Nobody),
        hide(),
        change(Setting::GroupAdd, Audience::Contacts),
    ]
}

/// The outcomes of [`changes`], and the bodies of the requests.
async fn outcomes_of(endings: &[Ending]) -> (Vec<Result<(), Failure>>, Vec<String>) {
    let (bench, _, calls) = coalesced(endings, &changes()).await;
    let outcomes = outcomes(calls).await;
    bench.queues.idle().await;
    (outcomes, bench.pipes.bodies().split_off(1))
}

fn is_throttled(outcome: &Result<(), Failure>) -> bool {
    let by = Limiter::WhatsApp;
    matches!(outcome, Err(Failure::Throttled { by: it, .. }) if *it == by)
}

fn is_refused(outcome: &Result<(), Failure>) -> bool {
    matches!(outcome, Err(Failure::Refused { .. }))
}

fn stays_open(outcome: &Result<(), Failure>) -> bool {
    outcome.as_ref().is_err_and(Failure::leaves_open)
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_its_field_whatever_the_status() {
    for status in [400, 401, 403, 404, 409, 429, 500, 501, 503] {
        let refused = Ending::Answer(status, "", NAMED_FORBIDDEN);
        let (outcomes, bodies) = outcomes_of(&[refused, PART, Ending::Confirm]).await;
        assert_eq!((&outcomes[0], &outcomes[2]), (&Ok(()), &Ok(())), "{status}");
        assert!(is_refused(&outcomes[1]), "{status}: {outcomes:?}");
        assert_eq!(bodies, [ALL, READ, GROUPS], "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_update_is_read_back_once_and_its_instance_suspended() {
    for message in [NAMED_THROTTLED, THROTTLED, GET_THROTTLED] {
        for status in [400, 403, 429, 500, 501, 503] {
            let throttled = Ending::Answer(status, "", message);
            let (bench, one, calls) = coalesced(&[throttled, PART], &changes()).await;
            let waits = bench.call(&one, online()).await;
            let outcomes = outcomes(calls).await;
            assert_eq!(outcomes[0], Ok(()), "{status} {message}");
            assert!(is_throttled(&outcomes[1]), "{status} {message}");
            assert!(is_throttled(&outcomes[2]), "{status} {message}");
            assert!(is_throttled(&waits.await.unwrap().0), "it was not sent");
            assert!(is_throttled(
                &bench.call(&one, online()).await.await.unwrap().0
            ));
            let bodies = bench.pipes.bodies();
            assert_eq!(bodies[1..], [ALL, READ], "{status} {message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_that_names_no_field_each_retry_is_isolated() {
    for (status, message) in [
        (400, r#"{"error":{"message":"it did not work"}}"#),
        (401, UNNAMED_FORBIDDEN),
        (403, UNNAMED_FORBIDDEN),
        (429, UNNAMED_FORBIDDEN),
        (400, UNKNOWN_FIELD),
        (403, UNKNOWN_FIELD),
        (500, UNKNOWN_FIELD),
        (501, r#"{"error":{"message":"not supported"}}"#),
    ] {
        let failed = Ending::Answer(status, "", message);
        let refused = Ending::Answer(500, "", NAMED_FORBIDDEN);
        let (outcomes, bodies) = outcomes_of(&[failed, PART, refused, Ending::Confirm]).await;
        assert_eq!(
            (&outcomes[0], &outcomes[2]),
            (&Ok(()), &Ok(())),
            "{message}"
        );
        assert!(outcomes[1].is_err(), "{status} {message}");
        assert_eq!(bodies, [ALL, READ, HIDE, GROUPS], "{status} {message}");
    }
}

/// Ryze ended the update with a refusal, and the read-back did not show the field, so the refusal of its
/// retry is as certain as that of a first attempt.
#[tokio::test(start_paused = true)]
async fn after_a_refusal_that_names_no_field_each_call_gets_its_own_failure() {
    let failed = Ending::Answer(400, "", r#"{"error":{"message":"it did not work"}}"#);
    let refused = Ending::Answer(500, "", NAMED_FORBIDDEN);
    let (outcomes, _) = outcomes_of(&[failed, PART, refused, Ending::Confirm]).await;
    assert!(is_refused(&outcomes[1]), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_read_back_no_failure_promises_that_nothing_was_changed() {
    let bodies = [
        (429, NAMED_THROTTLED, true),
        (403, NAMED_FORBIDDEN, true),
        (429, THROTTLED, false),
        (500, GET_THROTTLED, false),
        (403, UNNAMED_FORBIDDEN, false),
        (400, "", false),
        (501, "", false),
    ];
    for (status, body, is_named) in bodies {
        let read_back_fails = [
            Ending::Close,
            FAILED,
            DENIED,
            Ending::Answer(500, "", GET_THROTTLED),
        ];
        for read_back in read_back_fails {
            let failed = Ending::Answer(status, "", body);
            let (outcomes, bodies) = outcomes_of(&[failed, read_back]).await;
            let expected = [true, !is_named, true];
            let open: Vec<_> = outcomes.iter().map(stays_open).collect();
            assert_eq!(
                open, expected,
                "{status} {body} {read_back:?}: {outcomes:?}"
            );
            assert_eq!(bodies, [ALL, READ], "{status} {body} {read_back:?}");
        }
    }
}

/// It may have any value. Only the fields after the one that failed were certainly not attempted.
#[tokio::test(start_paused = true)]
async fn a_field_that_the_read_back_lacks_is_not_reported_as_unchanged() {
    const NOTHING: Ending = Ending::Answer(200, "", r#"{"success":true,"settings":{}}"#);
    for (body, open) in [
        (NAMED_THROTTLED, [true, false, false]),
        (THROTTLED, [true, true, true]),
        (GET_THROTTLED, [true, true, true]),
    ] {
        let (outcomes, bodies) = outcomes_of(&[Ending::Answer(429, "", body), NOTHING]).await;
        let stay_open: Vec<_> = outcomes.iter().map(stays_open).collect();
        assert_eq!(stay_open, open, "{body}: {outcomes:?}");
        assert_eq!(bodies, [ALL, READ], "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_from_before_ryze_asks_whatsapp_is_a_verdict_on_all_fields() {
    const INVALID: &str =
        r#"{"error":{"message":"Invalid profile value: x. Valid values: all, contacts"}}"#;
    const EMPTY: &str = r#"{"error":{"message":"At least one privacy setting must be provided"}}"#;
    const OFFLINE: &str = r#"{"error":{"message":"Instance is not connected to WhatsApp"}}"#;
    const LIMIT: &str = r#"{"error":{"message":"Rate limit exceeded. Try again later."}}"#;
    for (status, body) in [
        (400, INVALID),
        (400, EMPTY),
        (400, OFFLINE),
        (503, OFFLINE),
        (401, r#"{"error":{"message":"Invalid token"}}"#),
        (
            403,
            r#"{"error":{"message":"Instance token does not match"}}"#,
        ),
        (404, r#"{"error":{"message":"Instance not found"}}"#),
        (405, ""),
        (413, ""),
        (415, ""),
        (429, LIMIT),
    ] {
        let (outcomes, bodies) = outcomes_of(&[Ending::Answer(status, "", body), PART]).await;
        for outcome in outcomes {
            let failure = outcome.unwrap_err();
            assert!(!failure.leaves_open(), "{status} {body}: {failure:?}");
        }
        assert_eq!(bodies, [ALL], "{status} {body}");
    }
}

/// The last step of an update reads the settings. If WhatsApp throttles that step, all fields were applied.
#[tokio::test(start_paused = true)]
async fn a_throttled_step_after_the_update_leaves_one_field_open_too() {
    for status in [429, 500] {
        let throttled = Ending::Answer(status, "", GET_THROTTLED);
        let (outcome, _, bodies) = hidden_through(&[throttled, HIDDEN]).await;
        assert_eq!(outcome, Ok(()), "{status}");
        assert_eq!(bodies, [HIDE, READ], "{status}");

        let (outcome, _, bodies) = hidden_through(&[throttled, SHOWN]).await;
        assert!(is_throttled(&outcome), "{status}: {outcome:?}");
        assert_eq!(bodies, [HIDE, READ], "{status}");

        let (outcome, _, bodies) = hidden_through(&[throttled]).await;
        assert!(stays_open(&outcome), "{status}: {outcome:?}");
        assert_eq!(bodies, [HIDE, READ], "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttle_that_names_no_field_fails_no_later_call() {
    for (body, change_requests) in [(GET_THROTTLED, 2), (NAMED_THROTTLED, 1)] {
        for (operation, requests) in [
            (Operation::Read, 1),
            (Operation::Change(hide()), change_requests),
        ] {
            let bench = bench(&[Ending::Answer(500, "", body)]);
            let one = target("one");
            bench
                .begin(&one, operation)
                .await
                .await
                .unwrap()
                .0
                .unwrap_err();
            for _ in 0..2 {
                let (outcome, _) = bench.begin(&one, operation).await.await.unwrap();
                assert!(is_throttled(&outcome), "{outcome:?}");
            }
            assert_eq!(bench.pipes.bodies().len(), requests, "{operation:?} {body}");
        }
    }
}
