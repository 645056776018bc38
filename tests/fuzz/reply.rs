//! The bytes of Ryze's response. A change counts as confirmed only if a plain reader finds the
//! confirmation in the same bytes.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use zapi_to_ryze::{
    net::{Connect, Opening},
    privacy::{Audience, Change, Setting},
    ryze::{Client, wire},
};

use super::{apply, edits};
use crate::{harness::answer, pipes::target};

/// A Ryze that answers with these bytes and closes the connection.
struct Once(Vec<u8>);

impl Connect for Once {
    fn connect(&self) -> Opening<'_> {
        let (near, mut far) = duplex(64 * 1024);
        let bytes = self.0.clone();
        tokio::spawn(async move {
            // All of the request is there at once.
            let mut request = [0; 4096];
            let _ = far.read(&mut request).await;
            let _ = far.write_all(&bytes).await;
        });
        Box::pin(async { Ok(Box::new(near) as _) })
    }
}

/// Whether the answer confirms that the photo is for contacts.
fn is_confirmed(bytes: &[u8]) -> bool {
    let change = Change {
        setting: Setting::ProfilePhoto,
        audience: Audience::Contacts,
    };
    let update = [change].into_iter().collect();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let reply = runtime.block_on(async {
        let client = Client::new(Once(bytes.to_vec()), Duration::from_secs(60));
        client.update(&target("one"), &update, None).await
    });
    let settings = reply.result.unwrap_or_default();
    settings.get(Setting::ProfilePhoto) == Some(Audience::Contacts)
}

/// What must be true of bytes that are taken for a confirmation: they say 200, and somewhere behind an
/// empty line there is a JSON object that confirms it.
fn may_be_confirmed(bytes: &[u8]) -> bool {
    let says_200 = bytes
        .windows(5)
        .any(|bytes| bytes == b" 200 " || bytes == b" 200\r");
    let confirms = |start: usize| {
        let mut values = serde_json::Deserializer::from_slice(&bytes[start..]).into_iter();
        values
            .next()
            .and_then(Result::ok)
            .is_some_and(|body| body_confirms(&body))
    };
    let ends = |at: &usize| bytes[..*at].ends_with(b"\n");
    says_200 && (1..bytes.len()).filter(ends).any(confirms)
}

fn body_confirms(body: &Value) -> bool {
    body["success"] == true && body["settings"]["visibility"]["profile"] == "contacts"
}

/// Bodies that confirm it, and others that nearly do.
fn bodies() -> impl Strategy<Value = String> {
    let success = proptest::sample::select(vec!["true", "false", "\"true\"", "1", "null", "{}"]);
    let profile = proptest::sample::select(vec![
        "\"contacts\"",
        "\"conta\\u0063ts\"",
        "\"all\"",
        "\"CONTACTS\"",
        "\"\"",
        "null",
        "[\"contacts\"]",
    ]);
    let extra = proptest::sample::select(vec![
        "",
        "\"x\":1,",
        "\"success\":true,",
        "\"settings\":{\"visibility\":{\"profile\":\"contacts\"}},",
        "\"profile\":\"contacts\",",
        "\"x\":{\"success\":true},",
    ]);
    let section = proptest::sample::select(vec!["visibility", "visibility", "privacy", "x"]);
    let parts = (
        success,
        profile,
        extra.clone(),
        extra,
        section,
        any::<bool>(),
    );
    parts.prop_map(
        |(success, profile, first, inner, section, settings_first)| {
            let settings =
                format!("\"settings\":{{\"{section}\":{{{inner}\"profile\":{profile}}}}}");
            let success = format!("\"success\":{success}");
            match settings_first {
                true => format!("{{{first}{settings},{success}}}"),
                false => format!("{{{first}{success},{settings}}}"),
            }
        },
    )
}

/// A whole answer with a body.
fn framed(body: &str, chunked: bool) -> Vec<u8> {
    if chunked {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        return format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into();
    }
    answer(200, "X-RateLimit-Remaining: 9\r\n", body).into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes_are_no_confirmation(bytes: Vec<u8>) {
        prop_assert!(!is_confirmed(&bytes));
    }

    #[test]
    fn a_body_confirms_only_what_is_in_it(body in bodies(), chunked: bool) {
        // With a key twice, two readers may differ: then it is none.
        let is_confirmed = is_confirmed(&framed(&body, chunked));
        let plain: Value = serde_json::from_str(&body).unwrap();
        prop_assert!(!is_confirmed || body_confirms(&plain), "{}", body);
        let keys = ["\"success\"", "\"settings\"", "\"profile\""];
        let is_plain = keys.iter().all(|key| body.matches(key).count() == 1);
        prop_assert!(!is_plain || is_confirmed == body_confirms(&plain), "{}", body);
    }

    #[test]
    fn a_mutated_answer_is_no_false_confirmation(
        body in bodies(),
        chunked: bool,
        edits in edits(),
    ) {
        let mut bytes = framed(&body, chunked);
        apply(&edits, &mut bytes);
        prop_assert!(!is_confirmed(&bytes) || may_be_confirmed(&bytes), "{:?}", bytes.escape_ascii());
    }

    #[test]
    fn a_mutated_body_is_no_false_confirmation(body in bodies(), edits in edits()) {
        let mut body = body.into_bytes();
        apply(&edits, &mut body);
        let settings = wire::settings(&body).unwrap_or_default();
        if settings.get(Setting::ProfilePhoto) == Some(Audience::Contacts) {
            let plain: Value = serde_json::from_slice(&body).expect("JSON");
            prop_assert!(body_confirms(&plain), "{:?}", body.escape_ascii());
        }
    }
}
