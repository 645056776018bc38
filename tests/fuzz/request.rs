//! The bytes of a request, through the whole gateway: what it forwards and responds is one of few
//! allowed forms, and a valid request in any spelling is translated as written.

use std::{collections::HashMap, sync::Arc};

use http::StatusCode;
use proptest::prelude::*;
use tokio::task::JoinSet;
use zapi_to_ryze::{
    config,
    explain::{Explanation, explain},
};

use super::{Edit, apply, edits};
use crate::harness::Setup;

const FIELDS: [(&str, &str, &str, &str); 6] = [
    ("photo", "visualizationType", "visibility", "profile"),
    ("last-seen", "visualizationType", "visibility", "lastSeen"),
    ("description", "visualizationType", "visibility", "status"),
    ("online", "visualizationType", "visibility", "online"),
    ("group-add", "type", "permissions", "groupAdd"),
    ("read-receipts", "value", "privacy", "readReceipts"),
];
const WORDS: [(&str, &str); 7] = [
    ("ALL", "all"),
    ("NONE", "none"),
    ("CONTACTS", "contacts"),
    ("CONTACT_BLACKLIST", "contact_blacklist"),
    ("SAME_LAST_SEEN", "match_last_seen"),
    ("enable", "all"),
    ("disable", "none"),
];

/// A good request, and the update that it is to become.
type Good = (Vec<u8>, String);

/// The words of a call, by its place among the fields.
fn words(call: usize) -> &'static [(&'static str, &'static str)] {
    match FIELDS[call].0 {
        "online" => &[WORDS[0], WORDS[4]],
        "group-add" => &[WORDS[0], WORDS[2], WORDS[3]],
        "read-receipts" => &WORDS[5..],
        _ => &WORDS[..4],
    }
}

/// The results of many requests. Incomplete ones take a second, all at the same time.
fn told(requests: Vec<Vec<u8>>, with_fallback: bool) -> Vec<(Vec<u8>, Explanation)> {
    let setup = Setup {
        instance: "client_token = \"C1\"",
        fallback: match with_fallback {
            true => "base_url = \"http://old.test\"".into(),
            false => String::new(),
        },
        ..Setup::default()
    };
    let loaded = config::parse(&setup.toml("http://ryze.test"), &|_| None).unwrap();
    let config = Arc::new(loaded.config);
    let tell = |bytes: Vec<u8>| {
        let config = Arc::clone(&config);
        async move {
            let explanation = explain(&config, &bytes).await.unwrap();
            (bytes, explanation)
        }
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    runtime.block_on(async {
        let tasks: JoinSet<_> = requests.into_iter().map(tell).collect();
        tasks.join_all().await
    })
}

fn check_all(requests: Vec<Vec<u8>>) -> Result<(), TestCaseError> {
    for (bytes, explanation) in told(requests, false) {
        check(&bytes, explanation)
            .map_err(|error| TestCaseError::fail(format!("{error}: {}", bytes.escape_ascii())))?;
    }
    Ok(())
}

fn mutated(requests: Vec<(Good, Vec<Edit>)>) -> Vec<Vec<u8>> {
    let mutate = |((mut request, _), edits): (Good, Vec<Edit>)| {
        apply(&edits, &mut request);
        request
    };
    requests.into_iter().map(mutate).collect()
}

/// Whatever was sent: Ryze gets one of the bodies that there are, and the caller what the README says.
fn check(bytes: &[u8], explanation: Explanation) -> Result<(), TestCaseError> {
    let answer = match explanation {
        Explanation::Ryze {
            request, answer, ..
        } => {
            let body = String::from_utf8(request.body().to_vec()).unwrap();
            let reads = request.method() == "GET" && body.is_empty();
            let updates = (0..FIELDS.len()).any(|call| {
                let (_, _, section, field) = FIELDS[call];
                words(call).iter().any(|(_, value)| {
                    body == format!("{{\"{section}\":{{\"{field}\":\"{value}\"}}}}")
                })
            });
            prop_assert!(reads || updates, "{}", body);
            let path = request.uri().path();
            prop_assert!(
                path.starts_with("/api/profile/") && path.ends_with("/main"),
                "{}",
                path
            );
            // Nothing of the caller's goes to Ryze but what was asked for.
            prop_assert_eq!(request.headers().len(), if reads { 5 } else { 7 });
            answer
        }
        Explanation::Fallback { .. } => panic!("there is none"),
        Explanation::Refused { answer } => {
            let status = answer.as_ref().map(http::Response::status);
            prop_assert!(!status.is_some_and(|it| it.is_success()), "{:?}", status);
            answer
        }
    };
    let Some(answer) = answer else {
        return Ok(());
    };
    if answer.body().is_empty() {
        let own = [StatusCode::BAD_REQUEST, StatusCode::URI_TOO_LONG];
        let of_http = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let is_head = bytes.starts_with(b"HEAD ");
        let status = answer.status();
        prop_assert!(
            is_head || own.contains(&status) || status == of_http,
            "{}",
            status
        );
        return Ok(());
    }
    let body: serde_json::Value = serde_json::from_slice(answer.body()).expect("JSON");
    if answer.status() == StatusCode::OK {
        prop_assert!(
            body["success"] == true || body["photo"].is_string(),
            "{}",
            body
        );
    } else {
        prop_assert!(
            body["success"] == false && body["error"].is_string(),
            "{}",
            body
        );
    }
    Ok(())
}

/// A good call, in one of many ways of writing it.
fn good() -> impl Strategy<Value = Good> {
    let call = 0..FIELDS.len();
    let style = (any::<bool>(), any::<bool>(), 0..4_usize, 0..3_usize);
    (call, any::<proptest::sample::Index>(), style).prop_map(|(call, word, style)| {
        let (doubled, chunked, space, content_type) = style;
        let (name, key, section, field) = FIELDS[call];
        let (word, value) = words(call)[word.index(words(call).len())];
        let slash = if doubled { "//" } else { "/" };
        let in_query = name == "read-receipts";
        let query = if in_query {
            format!("?x&{key}={word}&y=1")
        } else {
            String::new()
        };
        let blank = ["", " ", "\r\n", "\t"][space];
        let body = match in_query {
            true => String::new(),
            false => format!("{{{blank}\"x\":[{{}}],{blank}\"{key}\":{blank}\"{word}\"{blank}}}"),
        };
        let content_type = [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
        ][content_type];
        let framed = if chunked && !in_query {
            format!(
                "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            )
        } else {
            format!("Content-Length: {}\r\n\r\n{body}", body.len())
        };
        let request = format!(
            "POST {slash}instances/I1/token/T1/privacy/{name}{query} HTTP/1.1\r\nHost: g\r\n\
             client-TOKEN: C1\r\nContent-Type: {content_type}\r\n{framed}"
        );
        let update = format!("{{\"{section}\":{{\"{field}\":\"{value}\"}}}}");
        (request.into_bytes(), update)
    })
}

#[test]
fn bytes_that_once_failed() {
    let refused = "GET /x HTTP/1.1\r\nHost: g\r\n\r\n";
    // Junk behind a request has an answer of its own, which is no part of the request's.
    let cases = [format!("{refused}\0"), format!("{refused}\0\r\n\r\n")];
    check_all(cases.map(String::into_bytes).into()).unwrap();
}

/// Requests in one test case.
const BATCH: usize = 200;

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(
        requests in proptest::collection::vec(any::<Vec<u8>>(), BATCH),
    ) {
        check_all(requests)?;
    }

    #[test]
    fn a_good_call_means_what_it_says(calls in proptest::collection::vec(good(), BATCH)) {
        let updates: HashMap<_, _> = calls.iter().cloned().collect();
        for (bytes, explanation) in told(calls.into_iter().map(|(call, _)| call).collect(), false) {
            let Explanation::Ryze { request, answer, .. } = explanation else {
                panic!("it is good: {}", bytes.escape_ascii());
            };
            prop_assert_eq!(request.body(), updates[&bytes].as_bytes());
            prop_assert_eq!(answer.unwrap().status(), StatusCode::OK);
        }
    }

    #[test]
    fn a_mutated_call_is_answered(
        calls in proptest::collection::vec((good(), edits()), BATCH),
    ) {
        check_all(mutated(calls))?;
    }

    /// What is not translated goes on or is refused, and never to Ryze.
    #[test]
    fn a_mutated_call_of_another_instance_stays_away_from_ryze(
        calls in proptest::collection::vec((good(), edits()), BATCH),
    ) {
        let of_another = |((request, update), edits): (Good, Vec<Edit>)| {
            let request = String::from_utf8(request).unwrap().replace("/I1/", "/J9/");
            ((request.into_bytes(), update), edits)
        };
        let calls = mutated(calls.into_iter().map(of_another).collect());
        for (bytes, explanation) in told(calls, true) {
            let is_kept_away = !matches!(explanation, Explanation::Ryze { .. });
            prop_assert!(is_kept_away, "{}", bytes.escape_ascii());
        }
    }
}
