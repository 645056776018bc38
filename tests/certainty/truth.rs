//! Responses to clients, compared with the settings that the in-memory Ryze has in the end.

use std::{net::SocketAddr, time::Duration};

use http::StatusCode;
use tokio::{net::TcpListener, time::sleep};
use zapi_to_ryze::sandbox::{Answer, Call, Fault, Options, Sandbox};

use super::GET;
use crate::{
    harness::{Gateway, Reply, Setup, photo, post, soon},
    process::send,
};

/// A gateway in front of the sandbox, which meets these faults after one slow update.
async fn before_sandbox(faults: Vec<Fault>) -> (Sandbox, Gateway) {
    let sandbox = Sandbox::new(Options {
        instances: vec![("main".into(), "ryze-secret".into())],
        ..Options::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(sandbox.clone().serve(listener));
    sandbox.push_fault(Fault {
        answer_after: Duration::from_secs(1),
        ..Fault::new(Answer::Normal)
    });
    for fault in faults {
        sandbox.push_fault(fault);
    }
    (sandbox, Setup::default().start(&base_url).await)
}

/// Changes that go in one update, in the order in which Ryze applies them, and their fields.
const FOLDED: [(&str, &str, &str); 3] = [
    (
        "last-seen",
        r#"{"visualizationType":"NONE"}"#,
        "/visibility/lastSeen",
    ),
    (
        "photo",
        r#"{"visualizationType":"NONE"}"#,
        "/visibility/profile",
    ),
    (
        "group-add",
        r#"{"type":"CONTACTS"}"#,
        "/permissions/groupAdd",
    ),
];

async fn change(address: SocketAddr, path: &str, body: &str) -> Reply {
    let path = format!("/instances/I1/token/T1/privacy/{path}");
    soon(send(address, post(&path, body))).await
}

/// What the callers of [`FOLDED`] get when the update meets the faults, whether each is made in the
/// end, and what arrived after it.
async fn folded(faults: Vec<Fault>) -> ([u16; 3], [bool; 3], Vec<String>) {
    let (sandbox, gateway) = before_sandbox(faults).await;
    let address = gateway.address;
    let first = tokio::spawn(change(
        address,
        "description",
        r#"{"visualizationType":"ALL"}"#,
    ));
    soon(async {
        while sandbox.arrivals().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let calls = FOLDED.map(|(path, body, _)| tokio::spawn(change(address, path, body)));
    assert!(first.await.unwrap().is_success());
    let mut statuses = [0; 3];
    for (status, call) in statuses.iter_mut().zip(calls) {
        *status = call.await.unwrap().status;
    }
    let settings = sandbox.settings("main").unwrap();
    let made = FOLDED.map(|(_, _, field)| settings.pointer(field).unwrap() != "all");
    let arrivals = sandbox.arrivals().into_iter().skip(1);
    let arrivals = arrivals.map(|it| {
        if it.body.is_empty() {
            GET.into()
        } else {
            it.body
        }
    });
    (statuses, made, arrivals.collect())
}

const ALL: &str =
    r#"{"visibility":{"lastSeen":"none","profile":"none"},"permissions":{"groupAdd":"contacts"}}"#;
const LAST: &str = r#"{"permissions":{"groupAdd":"contacts"}}"#;

#[tokio::test]
async fn a_folded_update_that_fails_half_way_tells_each_caller_its_own_truth() {
    let cases: [(&str, [u16; 3], &[&str]); 6] = [
        (
            "info query returned status 403: forbidden",
            [200, 424, 200],
            &[ALL, GET, LAST],
        ),
        (
            "info query returned status 500: internal-server-error",
            [200, 502, 200],
            &[ALL, GET, LAST],
        ),
        ("info query timed out", [200, 504, 200], &[ALL, GET, LAST]),
        (
            "websocket disconnected before info query returned response",
            [200, 504, 200],
            &[ALL, GET, LAST],
        ),
        (
            "websocket not connected",
            [200, 400, 200],
            &[ALL, GET, LAST],
        ),
        // The account is held, so the one that was not tried has to wait.
        (
            "info query returned status 429: rate-overlimit",
            [200, 429, 429],
            &[ALL, GET],
        ),
    ];
    let mut runs = Vec::new();
    for (reason, statuses, requests) in cases {
        runs.push(tokio::spawn(async move {
            let fault = Fault::new(Answer::field_failure("profile", reason));
            let (got, made, arrivals) = folded(vec![fault]).await;
            assert_eq!(got, statuses, "{reason}");
            assert_eq!(made, statuses.map(|status| status == 200), "{reason}");
            assert_eq!(arrivals, requests, "{reason}");
        }));
    }
    for run in runs {
        run.await.unwrap();
    }
}

/// Ryze answers with another status than 500, or with a message that names no field.
#[tokio::test]
async fn a_folded_update_that_is_refused_or_throttled_half_way_tells_each_caller_its_own_truth() {
    const FORBIDDEN: &str =
        "failed to update profile privacy: info query returned status 403: forbidden";
    const THROTTLED: &str =
        "failed to update profile privacy: info query returned status 429: rate-overlimit";
    const UNNAMED: &str = "info query returned status 403: forbidden";
    const PHOTO: &str = r#"{"visibility":{"profile":"none"}}"#;
    let refused: &[&str] = &[ALL, GET, LAST];
    let throttled: &[&str] = &[ALL, GET];
    let one_by_one: &[&str] = &[ALL, GET, PHOTO, LAST];
    let cases = [
        (429, FORBIDDEN, [200, 424, 200], refused),
        (403, FORBIDDEN, [200, 424, 200], refused),
        (400, FORBIDDEN, [200, 424, 200], refused),
        (429, THROTTLED, [200, 429, 429], throttled),
        (503, THROTTLED, [200, 429, 429], throttled),
        (429, "rate-overlimit", [200, 429, 429], throttled),
        (500, "rate-overlimit", [200, 429, 429], throttled),
        (403, UNNAMED, [200, 200, 200], one_by_one),
        (400, "it did not work", [200, 200, 200], one_by_one),
    ];
    let mut runs = Vec::new();
    for (status, message, statuses, requests) in cases {
        runs.push(tokio::spawn(async move {
            let fault = Fault::new(Answer::FieldFailure {
                field: "profile".into(),
                status: StatusCode::from_u16(status).unwrap(),
                message: message.into(),
            });
            let name = format!("{fault:?}");
            let (got, made, mut arrivals) = folded(vec![fault]).await;
            assert_eq!(got, statuses, "{name}");
            assert_eq!(made, statuses.map(|status| status == 200), "{name}");
            // Settings that go alone go in the order of their callers.
            let mut requests = requests.to_vec();
            arrivals.sort();
            requests.sort_unstable();
            assert_eq!(arrivals, requests, "{name}");
        }));
    }
    for run in runs {
        run.await.unwrap();
    }
}

#[tokio::test]
async fn a_folded_update_whose_outcome_is_open_is_made_in_the_end() {
    let failed = || Answer::Status {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: "out of order".into(),
    };
    let parts = [
        r#"{"visibility":{"lastSeen":"none"}}"#,
        r#"{"visibility":{"profile":"none"}}"#,
        LAST,
    ];
    let alone = [&[ALL, GET][..], &parts].concat();
    let together = vec![ALL, GET, ALL];
    let seen = vec![ALL, GET];
    let mut runs = Vec::new();
    for (answer, apply, apply_after, requests) in [
        (failed(), false, 0, alone.clone()),
        (failed(), true, 0, seen.clone()),
        (Answer::Close, false, 0, together.clone()),
        (Answer::Close, true, 0, seen),
        // It lands when it was sent once more.
        (Answer::Close, true, 300, together),
    ] {
        runs.push(tokio::spawn(async move {
            let fault = Fault {
                call: Some(Call::Update),
                apply,
                apply_after: Duration::from_millis(apply_after),
                // The update that is carried out is so before it is looked for.
                answer_after: Duration::from_millis(if apply_after == 0 { 50 } else { 0 }),
                ..Fault::new(answer)
            };
            let name = format!("{fault:?}");
            let (got, made, mut arrivals) = folded(vec![fault]).await;
            assert_eq!((got, made), ([200; 3], [true; 3]), "{name}");
            // Isolated retries are sent in the order of their calls.
            arrivals.sort();
            let mut requests = requests;
            requests.sort_unstable();
            assert_eq!(arrivals, requests, "{name}");
        }));
    }
    for run in runs {
        run.await.unwrap();
    }
}

#[tokio::test]
async fn a_change_that_lands_although_it_was_not_answered_is_found() {
    let (sandbox, gateway) = before_sandbox(Vec::new()).await;
    assert!(gateway.set_photo("ALL").await.is_success());
    sandbox.push_fault(Fault {
        apply: true,
        answer_after: Duration::from_millis(50),
        ..Fault::new(Answer::Close)
    });
    let reply = soon(send(gateway.address, photo("NONE"))).await;
    assert!(reply.is_success(), "{}", reply.message.body);
    assert_eq!(sandbox.arrivals().len(), 3);
    assert_eq!(
        sandbox.settings("main").unwrap()["visibility"]["profile"],
        "none"
    );
}
