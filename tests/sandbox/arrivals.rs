//! The record of the requests that arrived.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{advance, sleep};
use zapi_to_ryze::sandbox::Options;

use super::client::{HIDE_PHOTO, READ, TOKEN, start_in_memory};

#[tokio::test(start_paused = true)]
async fn the_requests_that_arrived_are_listed_without_their_tokens() {
    let (sandbox, caller) = start_in_memory(Options::default());
    let list = async || caller.call("GET /sandbox/requests", "", "").await.unwrap();
    caller.update(HIDE_PHOTO).await;
    advance(Duration::from_millis(1500)).await;
    caller
        .call(&format!("{READ}?x=sandbox-token"), "token: wrong", "")
        .await
        .unwrap();
    caller.call("GET /health", TOKEN, "").await.unwrap();
    let listed = list().await;
    let path = "/api/profile/privacy/main";
    let read = "/api/profile/getPrivacy/main";
    let expected = json!({"requests": [
        {"at_ms": 0, "method": "POST", "path": path, "status": 200, "body": HIDE_PHOTO},
        {"at_ms": 1500, "method": "GET", "path": read, "status": 401, "body": ""},
    ]});
    assert_eq!(listed.json(), expected);

    caller
        .control("DELETE /sandbox/requests", &Value::Null)
        .await;
    assert_eq!(list().await.json(), json!({"requests": []}));
    for _ in 0..999 {
        caller.read().await;
    }
    caller.call("GET /last", "", "").await.unwrap();
    caller.update("{}").await;
    let arrivals = sandbox.arrivals();
    assert_eq!((arrivals.len(), &*arrivals[998].path), (1000, "/last"));
    assert_eq!(
        (&*arrivals[999].body, arrivals[999].status.unwrap().as_u16()),
        ("{}", 429)
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_not_taken_for_another_requests() {
    let latency = Duration::from_secs(10);
    let (sandbox, caller) = start_in_memory(Options {
        latency,
        ..Options::default()
    });
    let last = async || {
        caller.call("GET /last", "", "").await.unwrap();
        sandbox.arrivals().last().unwrap().status
    };
    for clear in [true, false] {
        let later = async {
            sleep(Duration::from_secs(1)).await;
            if clear {
                sandbox.clear_arrivals();
            }
            last().await
        };
        let (got, status) = tokio::join!(caller.read(), later);
        assert_eq!((got.status, status.unwrap().as_u16()), (200, 404));
        assert_eq!(sandbox.arrivals().last().unwrap().status, status);
        // The second time the oldest arrivals have to make room.
        for _ in 0..1000 {
            last().await;
        }
    }
}
