//! Faults, injected through the library.

use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep_until, timeout};
use zapi_to_ryze::sandbox::{Answer, Call, Fault, Options};

use super::client::{ACCOUNT, HIDE_PHOTO, READ, TOKEN_AND_JSON, UPDATE, settings, start_in_memory};

const SECOND: Duration = Duration::from_secs(1);

fn status(status: StatusCode) -> Answer {
    Answer::Status {
        status,
        message: "down".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_field_that_fails_leaves_the_earlier_ones_applied() {
    let (sandbox, caller) = start_in_memory(Options::default());
    let failure = Answer::field_failure("profile", "info query timed out");
    sandbox.push_fault(Fault::new(failure));
    let other = r#"{"visibility":{"online":"match_last_seen"}}"#;
    assert_eq!(
        caller.update(other).await.status,
        200,
        "it does not touch the field"
    );
    let body = r#"{"visibility":{"profile":"none","lastSeen":"none","online":"all"}}"#;
    let words = "failed to update profile privacy: info query timed out";
    assert_eq!(caller.update(body).await.refusal(), (500, words.to_owned()));
    let mut expected = settings("all");
    expected["visibility"]["lastSeen"] = "none".into();
    expected["visibility"]["online"] = "match_last_seen".into();
    assert_eq!(caller.read().await.json()["settings"], expected);
    assert_eq!(
        caller.update(body).await.status,
        200,
        "it was asked for once"
    );
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_one_thing_and_the_update_another() {
    let down = status(StatusCode::SERVICE_UNAVAILABLE);
    let raw = Answer::Raw {
        status: StatusCode::OK,
        body: "<html>".to_owned(),
    };
    let down_body = r#"{"error":{"message":"down"},"success":false}"#;
    let cases = [
        (
            Answer::Normal,
            false,
            Some((200, r#""profile":"all""#)),
            "all",
        ),
        (
            Answer::Normal,
            true,
            Some((200, r#""profile":"none""#)),
            "none",
        ),
        (
            Answer::Stale,
            true,
            Some((200, r#""profile":"all""#)),
            "none",
        ),
        (down.clone(), false, Some((503, down_body)), "all"),
        (down, true, Some((503, down_body)), "none"),
        (raw.clone(), false, Some((200, "<html>")), "all"),
        (raw, true, Some((200, "<html>")), "none"),
        (Answer::Close, false, None, "all"),
        (Answer::Close, true, None, "none"),
    ];
    for (answer, apply, expected, profile) in cases {
        let case = format!("{answer:?} {apply}");
        let (sandbox, caller) = start_in_memory(Options::default());
        sandbox.push_fault(Fault {
            apply,
            ..Fault::new(answer)
        });
        let got = caller.call(UPDATE, TOKEN_AND_JSON, HIDE_PHOTO).await;
        let arrived = sandbox.arrivals()[0].status.map(|status| status.as_u16());
        assert_eq!(arrived, expected.map(|(status, _)| status), "{case}");
        match (got, expected) {
            (Some(got), Some((status, body))) => {
                assert_eq!((got.status, got.remaining()), (status, 99), "{case}");
                assert!(got.body.contains(body), "{case}: {}", got.body);
            }
            (got, expected) => assert!(got.is_none() && expected.is_none(), "{case}"),
        }
        assert_eq!(
            caller.read().await.json()["settings"],
            settings(profile),
            "{case}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_shows_what_was_before_the_last_update() {
    let (sandbox, caller) = start_in_memory(Options::default());
    caller.update(HIDE_PHOTO).await;
    for _ in 0..2 {
        sandbox.push_fault(Fault::new(Answer::Stale));
    }
    let body = r#"{"visibility":{"profile":"contacts","online":"match_last_seen"}}"#;
    for got in [caller.update(body).await, caller.read().await] {
        assert_eq!(got.json()["settings"], settings("none"));
    }
    let mut expected = settings("contacts");
    expected["visibility"]["online"] = "match_last_seen".into();
    assert_eq!(caller.read().await.json()["settings"], expected);
}

#[tokio::test(start_paused = true)]
async fn faults_are_met_in_their_order_by_those_they_are_for() {
    let (sandbox, caller) = start_in_memory(Options::default());
    sandbox.add_instance("other", "other-token");
    sandbox.push_fault(Fault {
        instance: Some("other".to_owned()),
        times: 2,
        ..Fault::new(status(StatusCode::NOT_IMPLEMENTED))
    });
    sandbox.push_fault(Fault {
        call: Some(Call::Update),
        ..Fault::new(status(StatusCode::BAD_GATEWAY))
    });
    sandbox.push_fault(Fault {
        times: 2,
        ..Fault::new(status(StatusCode::SERVICE_UNAVAILABLE))
    });
    assert_eq!(caller.call(READ, "", "").await.unwrap().status, 401);
    assert_eq!(
        caller.update("{}").await.status,
        400,
        "a refused request meets none"
    );
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let other = caller
            .call("GET /api/profile/privacy/other", ACCOUNT, "")
            .await;
        let update = caller.update(HIDE_PHOTO).await;
        statuses.push([
            caller.read().await.status,
            update.status,
            other.unwrap().status,
        ]);
    }
    assert_eq!(
        statuses,
        [[503, 502, 501], [200, 503, 501], [200, 200, 200]]
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_update_lands_though_its_caller_has_left() {
    for answer in [Answer::Normal, Answer::Close, Answer::Never] {
        let (sandbox, caller) = start_in_memory(Options::default());
        let start = Instant::now();
        let fault = Fault::new(answer);
        sandbox.push_fault(Fault {
            apply: true,
            apply_after: 20 * SECOND,
            ..fault
        });
        let call = caller.call(UPDATE, TOKEN_AND_JSON, HIDE_PHOTO);
        let got = timeout(5 * SECOND, call).await;
        assert!(!matches!(got, Ok(Some(_))));
        sleep_until(start + 19 * SECOND).await;
        assert_eq!(sandbox.settings("main").unwrap(), settings("all"));
        sleep_until(start + 21 * SECOND).await;
        assert_eq!(sandbox.settings("main").unwrap(), settings("none"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_late_or_never_come() {
    let (sandbox, caller) = start_in_memory(Options::default());
    for answer in [Answer::Normal, status(StatusCode::BAD_GATEWAY)] {
        sandbox.push_fault(Fault {
            answer_after: 30 * SECOND,
            ..Fault::new(answer)
        });
        let start = Instant::now();
        caller.read().await;
        assert_eq!(start.elapsed().as_secs(), 30);
    }
    sandbox.push_fault(Fault::new(Answer::Never));
    assert!(
        timeout(24 * 3600 * SECOND, caller.update(HIDE_PHOTO))
            .await
            .is_err()
    );
    assert_eq!(sandbox.settings("main").unwrap(), settings("all"));
}
