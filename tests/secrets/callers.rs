//! Secrets that clients send, in every place of a request: in no response and in no line of the log,
//! which has a line for each call all the same.

use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{FORMATS, INSTANCES, PHONE, Planted, assert_hushed, photo, request, secret, stop};
use crate::{
    harness::{Upstream, confirms},
    process::{request_lines, send},
};

/// A request, and its fields in the log: route, instance, status, and the side that ended it.
type Call = (String, (&'static str, &'static str, u16, &'static str));

const PHOTO: &str = "/instances/{id}/token/{token}/privacy/photo";
const RECEIPTS: &str = "/instances/{id}/token/{token}/privacy/read-receipts";

/// What is sent to a path, with credentials or without, and whatever the body.
fn in_heads(instance: &str) -> Vec<Call> {
    let sound = photo(instance);
    let instead = |old: &str, new: &str| sound.replacen(old, new, 1);
    let unsound = |request| (request, ("unknown", "", 400, "caller"));
    let refused = |request, status| (request, (PHOTO, "", status, "caller"));
    let long = format!("Host: g\r\nX-Long: {}", "planted".repeat(500));
    vec![
        (sound.clone(), (PHOTO, "main", 200, "ryze")),
        (
            instead("planted-zapi", "%70l%61nted-zap%69"),
            (PHOTO, "main", 200, "ryze"),
        ),
        (instead("Host: g", &long), (PHOTO, "main", 200, "ryze")),
        refused(instead("-zapi", "-bad"), 400),
        refused(instead("planted-zapi", "%70lanted-%62ad"), 400),
        refused(instead("planted-zapi", "%00planted%ff"), 400),
        refused(
            instead(&format!("/{instance}/token"), "/planted-id/token"),
            400,
        ),
        refused(
            instead(&format!("/{instance}/token"), &format!("/{PHONE}/token")),
            400,
        ),
        refused(instead("-client", "-bad"), 403),
        refused(instead("Client-Token", "Token-planted"), 403),
        refused(instead("POST", "PLANTED"), 405),
        unsound(instead("Host: g", "Host: planted/")),
        unsound(instead("Host: g", "Host: planted\r\nHost: planted")),
        unsound(instead("Host: g", "Client-Token: planted\r\nHost: g")),
        unsound(instead("Host: g\r\n", "")),
        unsound(instead("planted-zapi", "planted\u{e9}-zapi")),
        unsound(instead(
            "Host: g",
            "Host: g\r\nTransfer-Encoding: gzip, chunked",
        )),
        // Read by its chunks, of which there are none.
        (
            instead("Host: g", "Host: g\r\nTransfer-Encoding: chunked"),
            (PHOTO, "main", 400, "caller"),
        ),
        (
            request(instance, "POST", &format!("/send-text/{PHONE}?planted"), ""),
            ("unknown", "", 404, "caller"),
        ),
    ]
}

/// What is sent in a query or a body, by a caller whose credentials are right.
fn in_bodies(instance: &str) -> Vec<Call> {
    let photo = |body: &str| request(instance, "POST", "/privacy/photo", body);
    let list = |contacts: &str| {
        photo(&format!(
            "{{\"visualizationType\":\"CONTACT_BLACKLIST\",\"contactsBlacklist\":{contacts}}}"
        ))
    };
    let contact = |phone: &str| list(&format!("[{{\"action\":\"add\",\"phone\":{phone}}}]"));
    let refused = |request, status| (request, (PHOTO, "main", status, "caller"));
    let receipts = |query: &str| {
        let below = format!("/privacy/read-receipts?{query}");
        let request = request(instance, "POST", &below, "");
        (request, (RECEIPTS, "main", 400, "caller"))
    };
    let with_unknown_keys =
        format!("{{\"planted\":{PHONE:?},\"{PHONE}\":\"planted\",\"visualizationType\":\"ALL\"}}");
    let mut calls = vec![
        (photo(&with_unknown_keys), (PHOTO, "main", 200, "ryze")),
        refused(contact(&format!("{PHONE:?}")), 422),
        (
            request(instance, "GET", &format!("/privacy/photo?p={PHONE}"), ""),
            (PHOTO, "", 405, "caller"),
        ),
        receipts(&format!("value={PHONE}")),
        receipts("value=planted&value=enable"),
        receipts(&format!("planted={PHONE}")),
        refused(photo(&with_unknown_keys).replace("/json", "/planted"), 415),
        refused(
            photo("{}").replace("Host", "Content-Encoding: planted\r\nHost"),
            415,
        ),
        refused(photo(&format!("{:?}", "planted".repeat(10_000))), 413),
        refused(contact(PHONE), 422),
        refused(contact(&format!("{PHONE}.5")), 400),
        refused(contact("{\"planted\":1}"), 400),
        refused(list(PHONE), 400),
        refused(list("[\"planted\"]"), 400),
        refused(list("[{\"action\":\"planted\",\"phone\":\"1\"}]"), 400),
    ];
    let malformed = [
        format!("{{\"visualizationType\":{PHONE:?}}}"),
        format!("{{\"visualizationType\":{PHONE}}}"),
        "{\"visualizationType\":{\"planted\":\"planted\"}}".to_owned(),
        "{\"visualizationType\":\"planted\",\"visualizationType\":\"planted\"}".to_owned(),
        format!("{{\"planted\":{PHONE:?},\"type\":\"planted\"}}"),
        format!("{{\"planted\":{PHONE:?}"),
        format!("{{\"planted\":{PHONE}x}}"),
        format!("{{\"planted\\q\":{PHONE}}}"),
        format!("{PHONE:?}"),
        format!("[{PHONE:?}]"),
        format!("planted {PHONE}"),
    ];
    calls.extend(malformed.map(|body| refused(photo(&body), 400)));
    calls
}

/// Whether a line of the log tells exactly of this call.
fn tells(format: &str, line: &str, call: &Call) -> bool {
    let (route, instance, status, ended_by) = call.1;
    if format == "text" {
        return line.contains(&format!(" route={route:?} instance={instance:?} "))
            && line.contains(&format!(" status={status} outcome="))
            && line.contains(&format!(" ended_by={ended_by:?} "));
    }
    let event: Value = serde_json::from_str(line).unwrap();
    event["route"] == route
        && event["instance"] == instance
        && event["status"] == status
        && event["ended_by"] == ended_by
        && event["total_ms"].is_u64()
}

#[tokio::test]
async fn nothing_surfaces_of_what_callers_send() {
    for format in FORMATS {
        let upstream = Upstream::start(confirms(r#"{"visibility":{"profile":"all"}}"#)).await;
        let planted = Planted::new(&upstream.base_url, format, "");
        let (gateway, address) = planted.serve().await;
        let of = |name| in_heads(name).into_iter().chain(in_bodies(name));
        let calls: Vec<_> = INSTANCES.into_iter().flat_map(of).collect();
        for (request, (_, _, status, _)) in &calls {
            let reply = send(address, request).await;
            assert_eq!(reply.status, *status, "{request}: {:?}", reply.message);
            assert_hushed("answer", &format!("{:?}", reply.message));
        }
        for name in INSTANCES {
            let token = secret(&format!("ryze{name}"));
            let seen = upstream.seen();
            let mut tokens = seen.iter().map(|request| request.header("token"));
            assert!(tokens.any(|it| it == Some(&token)), "{name}");
        }
        // Not HTTP, or too much of it: the library answers, and there is no request to log.
        let long = format!("GET / HTTP/1.1\r\nX: {}", "planted".repeat(80_000));
        for request in [format!("planted {PHONE}\r\n\r\n"), long] {
            let mut caller = TcpStream::connect(address).await.unwrap();
            // It may hang up before it has all of it.
            let _ = caller.write_all(request.as_bytes()).await;
        }
        let reply = send(address, format!("planted {PHONE}\r\n\r\n")).await;
        assert_hushed("answer", &format!("{:?}", reply.message));
        let log = stop(gateway).await.stderr;
        let told = request_lines(&log);
        assert_eq!(told.len(), calls.len(), "{log}");
        for (line, call) in told.iter().zip(&calls) {
            assert!(
                tells(format, line, call),
                "{line} does not tell of {call:?}"
            );
        }
        let paths = log.replace("/instances/{id}/", "");
        assert!(!paths.contains("/instances"), "{log}");
    }
}
