//! The limit on requests and its headers.

use std::time::{Duration, UNIX_EPOCH};

use tokio::time::advance;
use zapi_to_ryze::sandbox::{Options, Window};

use super::client::{ACCOUNT, Got, READ, TOKEN, UPDATE, start, start_in_memory};

fn date(got: &Got) -> u64 {
    let date = httpdate::parse_http_date(got.headers["date"].to_str().unwrap()).unwrap();
    date.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_fixed_window_starts_with_its_first_request() {
    let options = Options {
        requests_per_minute: 3,
        ..Options::default()
    };
    let (_, caller) = start_in_memory(options);
    advance(Duration::from_secs(50)).await;
    let first = caller.read().await;
    assert_eq!(
        (first.number("x-ratelimit-limit"), first.remaining()),
        (3, 2)
    );
    advance(Duration::from_secs(30)).await;
    assert_eq!(
        caller.update("{}").await.remaining(),
        1,
        "a refused update counts"
    );
    assert_eq!(caller.read().await.remaining(), 0);
    advance(Duration::from_millis(29_999)).await;
    for _ in 0..2 {
        let over = caller.read().await;
        let words = "Rate limit exceeded. Try again later.".to_owned();
        assert_eq!((over.refusal(), over.remaining()), ((429, words), 0));
        assert_eq!(over.reset(), first.reset());
    }
    advance(Duration::from_millis(1)).await;
    let next = caller.read().await;
    assert_eq!((next.status, next.remaining()), (200, 2));
    assert_eq!(next.reset(), first.reset() + 60);
}

#[tokio::test(start_paused = true)]
async fn a_sliding_window_frees_one_request_after_the_other() {
    let options = Options {
        requests_per_minute: 2,
        window: Window::Sliding,
        ..Options::default()
    };
    let (_, caller) = start_in_memory(options);
    let first = caller.read().await;
    advance(Duration::from_secs(20)).await;
    assert_eq!(caller.read().await.reset(), first.reset());
    advance(Duration::from_millis(39_999)).await;
    assert_eq!(caller.read().await.status, 429);
    advance(Duration::from_millis(1)).await;
    let third = caller.read().await;
    assert_eq!((third.status, third.remaining()), (200, 0));
    assert_eq!(third.reset(), first.reset() + 20);
    assert_eq!(caller.read().await.status, 429);
    advance(Duration::from_secs(20)).await;
    assert_eq!(caller.read().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_a_minute_are_admitted_by_default() {
    let (_, caller) = start_in_memory(Options::default());
    for remaining in (0..100).rev() {
        let got = caller.read().await;
        assert_eq!((got.status, got.remaining()), (200, remaining));
    }
    assert_eq!(caller.read().await.status, 429);
    assert_eq!(
        caller.call(READ, ACCOUNT, "").await.unwrap().remaining(),
        99
    );
}

#[tokio::test(start_paused = true)]
async fn the_date_and_the_reset_keep_to_the_same_clock() {
    let (_, caller) = start_in_memory(Options::default());
    let first = caller.read().await;
    advance(Duration::from_secs(3600)).await;
    let second = caller.read().await;
    assert_eq!(date(&second) - date(&first), 3600);
    // The one is rounded up, the other down, and no start is at a full second.
    assert_eq!(first.reset() - date(&first), 61);
    advance(Duration::from_secs(59)).await;
    assert!(date(&caller.read().await) < second.reset());
}

#[tokio::test]
async fn the_limit_is_told_where_the_token_is_known() {
    let (sandbox, caller) = start().await;
    sandbox.add_instance("other", "other-token");
    let forbidden = "GET /api/profile/getPrivacy/other";
    let none = "GET /api/profile/getPrivacy/none";
    for (counted, line) in [READ, forbidden, none, UPDATE].into_iter().enumerate() {
        let got = caller.call(line, TOKEN, "").await.unwrap();
        assert_eq!(got.remaining(), 99 - counted as u64, "{line}");
    }
    let uncounted = [
        (READ, "token: wrong"),
        ("GET /", TOKEN),
        ("GET /health", TOKEN),
    ];
    for (line, headers) in uncounted {
        let got = caller.call(line, headers, "").await.unwrap();
        assert!(!got.headers.contains_key("x-ratelimit-limit"), "{line}");
    }
    let health = caller.call("GET /health", "", "").await.unwrap();
    assert_eq!((health.status, &*health.body), (200, r#"{"status":"ok"}"#));
    assert_eq!(caller.read().await.remaining(), 95);
}
