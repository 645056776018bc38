//! Calls that are carried out: every row of the mapping, and what Ryze sees of it. The forms in which
//! real clients send them are in `shapes.rs`, calls that never reach Ryze in `refusals/`.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::harness::{Message, Reply, Setup, Upstream, confirms, photo, post};

/// Settings with one field changed from a value that no test asks for.
fn settings(section: &str, field: &str, value: &str) -> String {
    format!("{{\"{section}\":{{\"{field}\":\"{value}\"}}}}")
}

/// Sends a call to a gateway whose Ryze confirms the value, and returns what Ryze saw.
async fn submit(call: &str, section: &str, field: &str, value: &str) -> (Reply, Vec<Message>) {
    let settings = settings(section, field, value);
    let upstream = Upstream::start(confirms(&settings)).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    (gateway.send(call).await, upstream.seen())
}

#[tokio::test]
async fn every_value_of_every_call_becomes_exactly_its_field() {
    let who = [
        ("ALL", "all"),
        ("NONE", "none"),
        ("CONTACTS", "contacts"),
        ("CONTACT_BLACKLIST", "contact_blacklist"),
    ];
    let online = [("ALL", "all"), ("SAME_LAST_SEEN", "match_last_seen")];
    let group = [who[0], who[2], who[3]];
    let switch = [("enable", "all"), ("disable", "none")];
    let rows: [(&str, &str, &str, &str, &[_]); 6] = [
        ("photo", "visualizationType", "visibility", "profile", &who),
        (
            "last-seen",
            "visualizationType",
            "visibility",
            "lastSeen",
            &who,
        ),
        (
            "description",
            "visualizationType",
            "visibility",
            "status",
            &who,
        ),
        (
            "online",
            "visualizationType",
            "visibility",
            "online",
            &online,
        ),
        ("group-add", "type", "permissions", "groupAdd", &group),
        ("read-receipts", "", "privacy", "readReceipts", &switch),
    ];
    for (name, key, section, field, values) in rows {
        for (value, word) in values {
            let path = format!("/instances/I1/token/T1/privacy/{name}");
            let call = if key.is_empty() {
                post(&format!("{path}?value={value}"), "")
            } else {
                post(&path, &format!("{{\"{key}\":\"{value}\"}}"))
            };
            let (reply, seen) = submit(&call, section, field, word).await;
            assert!(reply.is_success(), "{name} {value}: {}", reply.message.body);
            assert_eq!(reply.header("content-type"), Some("application/json"));
            assert_eq!(seen.len(), 1, "{name} {value}");
            assert_eq!(
                seen[0].first_line(),
                "POST /api/profile/privacy/main HTTP/1.1"
            );
            assert_eq!(seen[0].body, settings(section, field, word));
            assert_eq!(seen[0].header("token"), Some("ryze-secret"));
        }
    }
}

#[tokio::test]
async fn nothing_of_the_callers_headers_goes_to_ryze() {
    let call = photo("ALL").replace(
        "Host: gateway\r\n",
        "Host: gateway\r\nClient-Token: c\r\nAuthorization: a\r\nCookie: b\r\ntoken: forged\r\n\
         X-Forwarded-For: 192.0.2.1\r\nUser-Agent: legacy\r\n",
    );
    let (reply, seen) = submit(&call, "visibility", "profile", "all").await;
    assert!(reply.is_success());
    assert_eq!(
        seen[0].header_names(),
        [
            "accept-encoding",
            "content-length",
            "content-type",
            "host",
            "token",
            "user-agent",
            "x-request-id"
        ]
    );
    assert_eq!(seen[0].header("token"), Some("ryze-secret"));
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert!(
        seen[0]
            .header("user-agent")
            .unwrap()
            .starts_with("zapi-to-ryze/")
    );
}

#[tokio::test]
async fn a_body_is_taken_in_every_form() {
    let json = r#"{"visualizationType":"ALL"}"#;
    let cases = [
        (
            "unknown keys",
            post(
                "/instances/I1/token/T1/privacy/photo",
                r#"{"x":{"visualizationType":"NONE"},"visualizationType":"ALL","phone":[1,2]}"#,
            ),
        ),
        (
            "a doubled key that means nothing",
            post(
                "/instances/I1/token/T1/privacy/photo",
                r#"{"type":1,"visualizationType":"ALL","type":2}"#,
            ),
        ),
        (
            "escapes in the value",
            post(
                "/instances/I1/token/T1/privacy/photo",
                r#" {"visualization\u0054ype" : "\u0041LL"} "#,
            ),
        ),
        (
            "a byte order mark",
            post(
                "/instances/I1/token/T1/privacy/photo",
                "\u{feff}{\"visualizationType\":\"ALL\"}",
            ),
        ),
        (
            "encodings that encode nothing",
            photo("ALL").replace(
                "Host: gateway\r\n",
                "Host: gateway\r\nContent-Encoding: Identity, UTF-8\r\nContent-Encoding:\r\n",
            ),
        ),
        (
            "a list that has no effect",
            post(
                "/instances/I1/token/T1/privacy/photo",
                r#"{"visualizationType":"ALL","contactsBlacklist":[{"action":"add","phone":"5544"}]}"#,
            ),
        ),
        (
            "a malformed list that has no effect",
            post(
                "/instances/I1/token/T1/privacy/photo",
                r#"{"visualizationType":"ALL","contactsBlacklist":7}"#,
            ),
        ),
        (
            "chunked",
            format!(
                "POST /instances/I1/token/T1/privacy/photo HTTP/1.1\r\nHost: g\r\n\
             Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\n{}\r\n16\r\n{}\r\n0\r\n\r\n",
                &json[..5],
                &json[5..],
            ),
        ),
        (
            "HTTP/1.0 without a host",
            format!(
                "POST /instances/I1/token/T1/privacy/photo HTTP/1.0\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
                json.len(),
            ),
        ),
    ];
    for (name, call) in cases {
        let (reply, seen) = submit(&call, "visibility", "profile", "all").await;
        assert!(reply.is_success(), "{name}: {}", reply.message.body);
        assert_eq!(seen.len(), 1, "{name}");
        assert_eq!(
            seen[0].body, r#"{"visibility":{"profile":"all"}}"#,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_bare_contact_blacklist_switches_the_mode_and_the_policy_drops_a_list() {
    let list = r#","contactsBlacklist":[{"action":"remove","phone":"+5544"},{"action":"add","phone":"12@lid"},{"action":"add","phone":5511999999999}]"#;
    let cases = [
        ("", ""),
        (r#","contactsBlacklist":null"#, ""),
        (r#","contactsBlacklist":[]"#, ""),
        (list, "contacts_blacklist = \"mode_only\""),
    ];
    for (more, policy) in cases {
        let settings = settings("visibility", "profile", "contact_blacklist");
        let upstream = Upstream::start(confirms(&settings)).await;
        let setup = Setup {
            policy,
            ..Setup::default()
        };
        let gateway = setup.start(&upstream.base_url).await;
        let body = format!("{{\"visualizationType\":\"CONTACT_BLACKLIST\"{more}}}");
        let reply = gateway
            .send(post("/instances/I1/token/T1/privacy/photo", &body))
            .await;
        assert!(reply.is_success(), "{more}: {}", reply.message.body);
        assert_eq!(upstream.seen()[0].body, settings, "{more}");
    }
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let upstream = Upstream::start(confirms(&settings("visibility", "profile", "all"))).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    let mut caller = TcpStream::connect(gateway.address).await.unwrap();
    for _ in 0..3 {
        caller.write_all(photo("ALL").as_bytes()).await.unwrap();
        assert!(Reply::read(&mut caller).await.is_success());
    }
    let both = photo("ALL").repeat(2);
    caller.write_all(both.as_bytes()).await.unwrap();
    assert!(Reply::read(&mut caller).await.is_success(), "pipelined");
    assert!(Reply::read(&mut caller).await.is_success(), "pipelined");
    assert_eq!(upstream.seen().len(), 5);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn the_client_token_is_asked_for_where_it_is_configured() {
    let upstream = Upstream::start(confirms(&settings("visibility", "profile", "all"))).await;
    let setup = Setup {
        instance: "client_token = \"C1\"",
        ..Setup::default()
    };
    let gateway = setup.start(&upstream.base_url).await;
    for name in ["Client-Token", "client-token", "CLIENT-TOKEN"] {
        let header = format!("Host: g\r\n{name}: C1\r\n");
        let reply = gateway
            .send(photo("ALL").replace("Host: gateway\r\n", &header))
            .await;
        assert!(reply.is_success(), "{name}");
    }
}

#[tokio::test]
async fn an_instance_name_is_percent_encoded_and_a_prefix_is_kept() {
    let upstream = Upstream::start(confirms(&settings("visibility", "profile", "all"))).await;
    let setup = Setup {
        instance: "[[instances]]\nzapi_instance = \"I2\"\nzapi_token = \"T2\"\n\
                   ryze_instance = \"a b/ç?\"\nryze_token = \"t2\"",
        ..Setup::default()
    };
    let gateway = setup.start(&format!("{}/prefix", upstream.base_url)).await;
    let reply = gateway
        .send(photo("ALL").replace("/I1/token/T1/", "/I2/token/T2/"))
        .await;
    assert!(reply.is_success());
    let seen = &upstream.seen()[0];
    assert_eq!(
        seen.first_line(),
        "POST /prefix/api/profile/privacy/a%20b%2F%C3%A7%3F HTTP/1.1"
    );
    assert_eq!(seen.header("token"), Some("t2"));
}
