//! Invalid bodies and queries.

use super::{PHOTO, check};
use crate::harness::{Setup, post};

const VALUES: &str = "visualizationType must be one of ALL, NONE, CONTACTS, CONTACT_BLACKLIST";

/// Checks that each body of the call is a bad request.
async fn check_bodies(path: &str, cases: &[(&str, &str)]) {
    let cases: Vec<_> = cases
        .iter()
        .map(|(body, message)| (*body, post(path, body), *message))
        .collect();
    check(Setup::default(), 400, "BAD_REQUEST", &cases).await;
}

#[tokio::test]
async fn what_is_not_an_object() {
    let cases = [
        ("", "call: it is empty"),
        ("[\"ALL\"]", "object is expected"),
        ("\"ALL\"", "object is expected"),
        (
            "{\"visualizationType\":\"ALL\"",
            "not the JSON object of this call",
        ),
        (
            "{\"visualizationType\":\"ALL\"}{}",
            "not the JSON object of this call",
        ),
        (
            "{\"visualizationType\":\"ALL\",}",
            "not the JSON object of this call",
        ),
        (
            "{'visualizationType':'ALL'}",
            "not the JSON object of this call",
        ),
        ("visualizationType=ALL", "object is expected"),
    ];
    check_bodies(PHOTO, &cases).await;
    let mut latin = post(PHOTO, "{\"visualizationType\":\"ALL\",\"x\":\"?\"}").into_bytes();
    let place = latin.iter().rposition(|byte| *byte == b'?').unwrap();
    latin[place] = 0xf6;
    let upstream = crate::harness::Upstream::start(crate::harness::confirms("{}")).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    gateway.send(latin).await.assert_failure(400, "BAD_REQUEST");
    assert_eq!(upstream.seen(), []);
}

#[tokio::test]
async fn a_known_key_that_stands_twice() {
    let field = "visualizationType stands twice";
    let list = "contactsBlacklist stands twice";
    let cases = [
        (
            r#"{"visualizationType":"NONE","visualizationType":"ALL"}"#,
            field,
        ),
        (
            r#"{"visualizationType":"NONE","visualization\u0054ype":"ALL"}"#,
            field,
        ),
        (
            r#"{"visualizationType":"ALL","contactsBlacklist":[],"contactsBlacklist":[]}"#,
            list,
        ),
    ];
    check_bodies(PHOTO, &cases).await;
}

#[tokio::test]
async fn a_value_that_is_not_in_the_list() {
    let cases = [
        ("{}", VALUES),
        (r#"{"visualizationType":null}"#, VALUES),
        (r#"{"visualizationType":"all"}"#, VALUES),
        (r#"{"visualizationType":"ALL "}"#, VALUES),
        (r#"{"visualizationType":""}"#, VALUES),
        (r#"{"visualizationType":"contact_blacklist"}"#, VALUES),
        (r#"{"visualizationType":["ALL"]}"#, VALUES),
        (r#"{"visualizationType":true}"#, VALUES),
        (r#"{"VisualizationType":"ALL"}"#, VALUES),
        (r#"{"type":"ALL"}"#, VALUES),
    ];
    check_bodies(PHOTO, &cases).await;
    let group = "type must be one of ALL, CONTACTS, CONTACT_BLACKLIST";
    let mistaken = format!("{group}, not visualizationType");
    let cases = [
        (r#"{"visualizationType":"ALL"}"#, mistaken.as_str()),
        (r#"{"type":"NONE"}"#, group),
    ];
    check_bodies("/instances/I1/token/T1/privacy/group-add", &cases).await;
    let online = "visualizationType must be one of ALL, SAME_LAST_SEEN";
    let cases = [
        (r#"{"visualizationType":"NONE"}"#, online),
        (r#"{"visualizationType":"CONTACTS"}"#, online),
    ];
    check_bodies("/instances/I1/token/T1/privacy/online", &cases).await;
}

#[tokio::test]
async fn a_list_of_contacts_that_is_none_where_it_counts() {
    let lists = [
        "7",
        "{}",
        r#""5544""#,
        "[7]",
        "[[]]",
        "[{}]",
        r#"[{"action":"add"}]"#,
        r#"[{"phone":"5544"}]"#,
        r#"[{"action":"ADD","phone":"5544"}]"#,
        r#"[{"action":"add","phone":55.44}]"#,
        r#"[{"action":"add","phone":5e44}]"#,
        r#"[{"action":"add","phone":-5544}]"#,
        r#"[{"action":"add","phone":null}]"#,
        r#"[{"action":"add","phone":[5544]}]"#,
        r#"[{"action":7,"phone":5544}]"#,
        r#"[{"action":"add","phone":""}]"#,
        r#"[{"action":"add","phone":"+"}]"#,
        r#"[{"action":"add","phone":"x"}]"#,
        r#"[{"action":"add","phone":"1","phone":"2"}]"#,
        r#"[{"action":"add","phone":"1"},{"action":"add"}]"#,
    ];
    let bodies = lists.map(|list| {
        format!("{{\"visualizationType\":\"CONTACT_BLACKLIST\",\"contactsBlacklist\":{list}}}")
    });
    let cases: Vec<_> = bodies
        .iter()
        .map(|body| (body.as_str(), "contactsBlacklist must be a list"))
        .collect();
    check_bodies(PHOTO, &cases).await;
}

#[tokio::test]
async fn a_query_that_does_not_say_what_to_do() {
    let queries = [
        "",
        "?value",
        "?value=",
        "?value=ENABLE",
        "?value=enable&value=enable",
        "?value=enable&value=disable",
        "?Value=enable",
        "?value=enabled",
        "?value=%45nable",
        "?value=+enable",
        "?value=enable%20",
        "?value=enable%00",
        "?value=%ff",
        "?value=enable;x",
        "?value=enable&%76alue=disable",
        "?value[]=enable",
        "?+value=enable",
        "?type=enable",
    ];
    let paths = queries.map(|query| format!("/instances/I1/token/T1/privacy/read-receipts{query}"));
    let cases: Vec<_> = paths
        .iter()
        .map(|path| {
            (
                path.as_str(),
                post(path, ""),
                "value must be one of enable, disable",
            )
        })
        .collect();
    check(Setup::default(), 400, "BAD_REQUEST", &cases).await;
}
