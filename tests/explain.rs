//! `explain`: its text, that it is what a gateway does, and that it contains no credentials. Every
//! documented call is in `compatibility.rs`.

use std::{
    fs::File,
    io::{ErrorKind, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{
    harness::{Message, Upstream, confirms, photo, post},
    process::{Ended, Process, file, program, send},
};

const PRIVACY: &str = "/instances/I1/token/planted-zapi/privacy";
const PHOTO: &str = "/instances/I1/token/planted-zapi/privacy/photo";
const ALL: &str = r#"{"visualizationType":"ALL"}"#;
const CLIENT_TOKEN: [&str; 2] = ["-H", "Client-Token: planted-client"];

/// A configuration with a fallback, whose secrets all have `planted` in them and whose limits would
/// let hardly anything through.
fn configuration(ryze: &str, fallback: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndeadline = \"1s\"\nbody_timeout = \"100ms\"\n\
         header_timeout = \"100ms\"\nidle_timeout = \"100ms\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n\
         [ryze]\nbase_url = \"{ryze}\"\nrequest_timeout = \"1s\"\n\
         [budget]\nrequests_per_minute = 7\nmax_wait = \"0s\"\n\
         [fallback]\nbase_url = \"{fallback}\"\nidle_timeout = \"100ms\"\n\
         [[instances]]\nzapi_instance = \"I1\"\nzapi_token = \"planted-zapi\"\n\
         client_token = \"planted-client\"\nryze_instance = \"a b\"\nryze_token = \"planted-ryze\"\n"
    )
}

fn example() -> NamedTempFile {
    file(&configuration(
        "https://ryze.test/base",
        "https://zapi.test/old",
    ))
}

/// Explains with these arguments, and with `stdin` where there is any.
fn run(command: &mut Command, stdin: &[u8]) -> Ended {
    let mut typed = NamedTempFile::new().unwrap();
    typed.write_all(stdin).unwrap();
    let stdin = Stdio::from(File::open(typed.path()).unwrap());
    let output = command.stdin(stdin).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn command(config: &Path, arguments: &[&str]) -> Command {
    let mut command = program(["explain", "--config"]);
    command.arg(config).args(arguments);
    command
}

/// Explains with the example's configuration.
fn explain(arguments: &[&str], stdin: &[u8]) -> Ended {
    let ended = run(&mut command(example().path(), arguments), stdin);
    let leaks = [&ended.stdout, &ended.stderr].map(|text| text.contains("planted"));
    assert_eq!(leaks, [false; 2], "{arguments:?}: {ended:?}");
    ended
}

fn told(code: i32, arguments: &[&str], stdin: &[u8]) -> String {
    let ended = explain(arguments, stdin);
    assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
    assert_eq!(ended.stderr, "", "{arguments:?}");
    ended.stdout
}

/// The explanation of a call that would be carried out or passed on.
fn explained(arguments: &[&str], stdin: &[u8]) -> String {
    told(0, arguments, stdin)
}

/// The explanation of a call that would be refused.
fn refused(arguments: &[&str], stdin: &[u8]) -> String {
    told(1, arguments, stdin)
}

fn with_client_token<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &CLIENT_TOKEN].concat()
}

#[test]
fn a_call_of_an_observed_instance_goes_to_the_fallback_and_is_judged() {
    let config = configuration("https://ryze.test/base", "https://zapi.test/old");
    let config = file(&(config + "mode = \"observe\"\n"));
    let told = |arguments: &[&str]| {
        let ended = run(&mut command(config.path(), arguments), b"");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.stdout.contains("planted"), "{ended:?}");
        ended.stdout
    };
    let sound = told(&with_client_token(&["POST", PHOTO, ALL]));
    let begin = "The fallback answers it. It gets this request:\n\n  POST https://zapi.test/old/";
    assert!(sound.starts_with(begin), "{sound}");
    let (_, translated) = sound
        .split_once("\nIts instance has mode = \"observe\". With \"translate\":\n\n")
        .expect(&sound);
    let alone = explained(&with_client_token(&["POST", PHOTO, ALL]), b"");
    let (alone, _) = alone.split_once("\nWhy: ").unwrap();
    let why = "Why: the instance \"a b\" has mode = \"observe\"; with \"translate\" it would be ";
    assert_eq!(translated, format!("{alone}\n{why}translated.\n"));
    let refused = told(&["POST", PHOTO, ALL]);
    assert!(refused.starts_with(begin), "{refused}");
    assert!(
        refused.ends_with(&format!("\n{why}refused.\n")),
        "{refused}"
    );
    assert!(
        refused.contains("With \"translate\":\n\nThe gateway refuses it."),
        "{refused}"
    );
    let other = told(&["POST", "/instances/I1/token/planted-zapi/send-text", "{}"]);
    assert!(!other.contains("observe"), "{other}");
}

#[test]
fn a_change_becomes_a_request_to_ryze() {
    let told = explained(&with_client_token(&["POST", PHOTO, ALL]), b"");
    assert_eq!(
        told,
        format!(
            "Ryze answers it. It gets this request:\n\n  \
             POST https://ryze.test/base/api/profile/privacy/a%20b\n  \
             host: ryze.test\n  \
             token: ********\n  \
             content-type: application/json\n  \
             accept-encoding: identity\n  \
             user-agent: zapi-to-ryze/{}\n  \
             x-request-id: (a new one)\n  \
             content-length: 32\n\n  \
             {{\"visibility\":{{\"profile\":\"all\"}}}}\n\n\
             Cost: 1 of 7 requests a minute; changes of one instance that wait are coalesced into one.\n\n\
             Once Ryze has confirmed it, the caller gets:\n\n  \
             200 OK\n  \
             content-type: application/json\n  \
             x-request-id: (a new one)\n\n  \
             {{\"success\":true}}\n\n\
             Why: it is a privacy call of the instance \"a b\", which is in [[instances]].\n",
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn a_list_of_contacts_that_is_dropped_is_told_of() {
    const DROPPED: &str = "Its list of contacts is dropped";
    let list = r#","contactsBlacklist":[{"action":"add","phone":"5544"}]}"#;
    let text = configuration("https://ryze.test", "https://zapi.test");
    let mode_only = file(&format!(
        "policy.contacts_blacklist = \"mode_only\"\n{text}"
    ));
    for (value, more, is_dropped) in [
        ("CONTACT_BLACKLIST", list, true),
        ("CONTACT_BLACKLIST", "}", false),
        ("ALL", list, false),
    ] {
        let body = format!("{{\"visualizationType\":\"{value}\"{more}");
        let mut arguments = vec!["POST", PHOTO, &body];
        arguments.extend(CLIENT_TOKEN);
        let ended = run(&mut command(mode_only.path(), &arguments), b"");
        assert!(ended.stdout.starts_with("Ryze answers it"), "{ended:?}");
        assert_eq!(ended.stdout.contains(DROPPED), is_dropped, "{ended:?}");
    }
}

#[test]
fn a_list_of_contacts_for_the_fallback_is_told_of_with_its_order() {
    let text = configuration("https://ryze.test", "https://zapi.test");
    let fallback = file(&format!("policy.contacts_blacklist = \"fallback\"\n{text}"));
    let body = r#"{"visualizationType":"CONTACT_BLACKLIST","contactsBlacklist":[{"action":"add","phone":"5544"}]}"#;
    let mut arguments = vec!["POST", PHOTO, body];
    arguments.extend(CLIENT_TOKEN);
    let ended = run(&mut command(fallback.path(), &arguments), b"");
    let told = ended.stdout;
    assert!(!told.contains("planted"), "{told}");
    for part in [
        "The fallback answers it. It gets this request:\n\n  \
         POST https://zapi.test/instances/I1/token/********/privacy/photo\n",
        "\n  client-token: ********\n",
        "\n  accept-encoding: identity\n",
        body,
        "those that wait before it are over before it is sent",
        "Cost: none of Ryze's budget",
        "becomes a 502 that says what came",
        "\nWhy: it has a list of contacts, and policy.contacts_blacklist is \"fallback\".\n",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    let other = ["GET", "/instances/I1/token/planted-zapi/status"];
    let told = run(&mut command(fallback.path(), &other), b"").stdout;
    assert!(told.starts_with("The fallback answers it"), "{told}");
    assert!(
        !told.contains("takes its place") && !told.contains("becomes a 502"),
        "{told}"
    );
}

#[test]
fn a_read_shows_an_example() {
    let told = explained(&with_client_token(&["GET", PRIVACY]), b"");
    for part in [
        "\n  GET https://ryze.test/base/api/profile/getPrivacy/a%20b\n",
        "\nCost: 1 of 7 requests a minute; reads ",
        "an example",
        "\n  200 OK\n",
        "\n  {\"photo\":\"ALL\",\"lastSeen\":\"ALL\",",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
}

#[test]
fn what_is_refused_has_its_status_headers_and_body() {
    let cases: [(&[&str], &str); 5] = [
        (
            &["PUT", PHOTO],
            "405 Method Not Allowed\n  content-type: application/json\n  allow: POST\n  \
             x-request-id: (a new one)\n\n  \
             {\"success\":false,\"error\":\"METHOD_NOT_ALLOWED\",",
        ),
        (
            &["HEAD", PHOTO],
            "405 Method Not Allowed\n  content-type: application/json\n  allow: POST\n  \
             x-request-id: (a new one)\n\nCost",
        ),
        (
            &["POST", "/instances/I1/token/planted-other/privacy/photo"],
            "400 Bad Request\n  content-type: application/json\n  \
             x-request-id: (a new one)\n\n  \
             {\"success\":false,\"error\":\"Instance not found\"}\n",
        ),
        (
            &["POST", PHOTO, ALL, "-H", "Client-Token: planted-other"],
            "403 Forbidden\n  content-type: application/json\n  \
             x-request-id: (a new one)\n\n  \
             {\"success\":false,\"error\":\"Client-Token not allowed\"}\n",
        ),
        (&["TRACE", "/planted"], "405 Method Not Allowed\n"),
    ];
    for (arguments, answer) in cases {
        let told = refused(arguments, b"");
        let begin = format!("The gateway refuses it. The caller gets:\n\n  {answer}");
        assert!(told.starts_with(&begin), "{arguments:?}: {told}");
        assert!(told.contains("\nCost: none.\n\nWhy: "), "{told}");
    }
}

#[test]
fn the_fallback_gets_the_request_and_credentials_are_masked() {
    let path = "/instances/I1/token/planted%2Dzapi/send-text?a=%20b&nome=João";
    let body = r#"{"phone":"55","n":"\n"}"#;
    let headers = [
        "Client-Token: planted",
        "Authorization: Bearer planted",
        "Cookie: a=planted",
        "X-Other: kept",
    ];
    let mut arguments = vec!["POST", path, body];
    headers.iter().for_each(|it| arguments.extend(["-H", it]));
    let told = explained(&arguments, b"");
    assert_eq!(
        told,
        format!(
            "The fallback answers it. It gets this request:\n\n  \
             POST https://zapi.test/old/instances/I1/token/********/send-text?a=%20b&nome=João\n  \
             host: zapi.test\n  \
             content-type: application/json\n  \
             content-length: {}\n  \
             client-token: ********\n  \
             authorization: ********\n  \
             cookie: ********\n  \
             x-other: kept\n  \
             via: 1.1 zapi-to-ryze\n\n  \
             {{\"phone\":\"55\",\"n\":\"\\n\"}}\n\n\
             Cost: none of Ryze's budget.\n\n\
             Its answer comes back as it is, with its status, headers and body.\n\n\
             Why: it is not a privacy call.\n",
            body.len()
        )
    );
}

#[test]
fn a_head_of_many_fields_is_explained() {
    let fields = "X-Header: 0123456789abcdef\r\n".repeat(250);
    let raw = format!("GET /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let told = explained(&[], raw.as_bytes());
    assert!(told.starts_with("The fallback answers it."), "{told}");
    assert_eq!(told.matches("x-header: ").count(), 250);
}

#[test]
fn tokens_of_others_are_hidden_however_the_path_is_written() {
    for path in [
        "/instances/X/token/planted",
        "//instances//X//token//planted//send-text",
        "/instances/X/TOKEN/planted/send-text",
        "/instances/X/t%6Fken/plante%64/send-text",
        "/instances/X%2Ftoken%2Fplanted%2Fsend-text",
        "/instances/X/token/1%2Fplanted/send-text",
    ] {
        let told = explained(&["GET", path], b"");
        assert!(told.starts_with("The fallback answers it."), "{told}");
        assert!(told.contains("********"), "{told}");
    }
}

/// What is shown of a request as an upstream saw it.
fn shown(base: &str, request: &Message) -> String {
    let mut lines = request.head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, path) = (first.next().unwrap(), first.next().unwrap());
    let mut shown = format!("\n\n  {method} {base}{path}\n");
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let is_secret = ["token", "client-token"].contains(&name);
        let value = match name {
            _ if is_secret => "********",
            "x-request-id" => "(a new one)",
            _ => value,
        };
        shown += &format!("  {name}: {value}\n");
    }
    if !request.body.is_empty() {
        shown += &format!("\n  {}\n", request.body);
    }
    shown.replace("planted-zapi", "********") + "\nCost: "
}

#[tokio::test]
async fn what_is_shown_is_what_a_gateway_sends() {
    let client_token = "Host: gateway\r\nclient-token: planted-client\r\n";
    let ours = |call: String| {
        call.replace("/T1/", "/planted-zapi/")
            .replace("Host: gateway\r\n", client_token)
    };
    let path = |path: &str| format!("/instances/I1/token/T1/{path}");
    let calls = [
        ours(photo("CONTACTS")),
        ours(post(&path("privacy/read-receipts?value=disable"), "")),
        ours(post(&path("privacy"), "").replace("POST", "GET")),
        ours(post(&path("send-text?x=%2f"), r#"{"a":"b"}"#)),
        ours(post(&path("privacy/disallowed-contacts?type=photo"), "").replace("POST", "GET")),
        "DELETE /other HTTP/1.1\r\nhost: a\r\nX-One: 1\r\nx-one: 2\r\n\r\n".to_owned(),
    ];
    for call in calls {
        let settings = r#"{"visibility":{"profile":"contacts"},"privacy":{"readReceipts":"none"}}"#;
        let upstream = Upstream::start(confirms(settings)).await;
        let base = &upstream.base_url;
        let text = configuration(&format!("{base}/ryze"), &format!("{base}/old"))
            .replace("100ms", "10s")
            .replace("\"1s\"", "\"10s\"");
        let (_gateway, address) = Process::serve(&text).await;
        assert!(send(address, &call).await.status == 200, "{call}");
        let told = run(&mut command(file(&text).path(), &[]), call.as_bytes());
        let [request] = &upstream.seen()[..] else {
            panic!("{call}: {:?}", upstream.seen());
        };
        let request = shown(base, request);
        assert!(told.stdout.contains(&request), "{request}: {told:?}");
    }
}

#[test]
fn a_raw_request_is_read_from_stdin() {
    let told = explained(&with_client_token(&["POST", PHOTO, ALL]), b"");
    let raw = post(PHOTO, ALL).replace(
        "Host: gateway\r\n",
        "Host: a\r\nclient-token: planted-client\r\n",
    );
    let long = raw.replace("Host:", &format!("X: {}\r\nHost:", "x".repeat(20_000)));
    let chunked = format!("\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n{ALL}\r\n0\r\n\r\n");
    let chunked = raw.replace(&format!("\r\nContent-Length: 27\r\n\r\n{ALL}"), &chunked);
    let absolute = raw.replace("POST /", "POST https://api.z-api.io/");
    for raw in [
        raw.clone(),
        raw.replace("\r\n", "\n"),
        format!("\n{raw}\n"),
        raw.replace("Host: a", "Host: a\r\nExpect: 100-continue"),
        raw.repeat(2),
        long,
        chunked,
        absolute,
    ] {
        assert_eq!(explained(&[], raw.as_bytes()), told, "{raw}");
    }
    let read = explained(&with_client_token(&["GET", PRIVACY]), b"");
    let raw = format!("GET {PRIVACY} HTTP/1.1\nHost: a\nClient-Token: planted-client");
    assert_eq!(explained(&[], raw.as_bytes()), read);
}

#[test]
fn a_raw_request_that_is_not_whole() {
    let raw = post(PHOTO, ALL).replace(
        "Host: gateway\r\n",
        "Host: a\r\nclient-token: planted-client\r\n",
    );
    let cut = refused(&[], &raw.as_bytes()[..raw.len() - 1]);
    assert!(
        cut.contains("400 Bad Request") && cut.contains("the body ended"),
        "{cut}"
    );
    let cut = refused(&[], post("/other", ALL).trim_end_matches('}').as_bytes());
    assert!(
        cut.contains("400 Bad Request") && cut.contains("the body ended"),
        "{cut}"
    );
    let unannounced = raw.replace("Content-Length: 27\r\n", "");
    let ended = explain(&[], unannounced.as_bytes());
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("warning: ") && ended.stderr.contains("Content-Length"));
    assert!(ended.stdout.contains("400 Bad Request"), "{}", ended.stdout);
}

#[test]
fn a_head_that_is_none_is_explained_as_such() {
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
        "planted".repeat(8000)
    );
    for (raw, status) in [
        ("planted\r\n\r\n", "400 Bad Request"),
        ("GET /planted HTTP/2\r\nHost: a\r\n\r\n", "400 Bad Request"),
        (
            "GET / HTTP/1.1\r\nHo st: planted\r\n\r\n",
            "400 Bad Request",
        ),
        (long.as_str(), "431 Request Header Fields Too Large"),
    ] {
        let told = refused(&[], raw.as_bytes());
        let answer = format!(
            "The gateway refuses it. The caller gets:\n\n  {status}\n\n\
             The head is not one of HTTP/1.1, or it is too long.\n\nCost: none.\n\n\
             Why: the head is not valid.\n"
        );
        assert_eq!(told, answer);
    }
}

#[test]
fn a_target_is_a_path_or_a_url() {
    let told = explained(&with_client_token(&["POST", PHOTO, ALL]), b"");
    let url = format!("https://api.z-api.io/{PHOTO}#planted");
    assert_eq!(
        explained(&with_client_token(&["POST", &url, ALL]), b""),
        told
    );
    let no_host = refused(&["GET", "http://:80/planted"], b"");
    assert!(no_host.contains("host is malformed"), "{no_host}");
    let form = ["-H", "content-type: application/x-www-form-urlencoded"];
    let told = refused(
        &[&with_client_token(&["POST", PHOTO, ALL])[..], &form].concat(),
        b"",
    );
    assert!(told.contains("415 Unsupported Media Type\n"), "{told}");
    assert!(told.contains("accept-post: application/json\n"), "{told}");
}

#[test]
fn wrong_usage_is_told_without_what_was_typed() {
    let large = vec![b'p'; 1024 * 1024 + 1];
    let cases: [(&[&str], &[u8]); 9] = [
        (&["POST"], b""),
        (&["POST", PHOTO, ALL, "Client-Token: planted"], b""),
        (&["POST", "planted"], b""),
        (&["POST", "/planted planted"], b""),
        (&["POST", "/planted\nplanted"], b""),
        (&["POST", PHOTO, "-H", "planted"], b""),
        (&["POST", PHOTO, "-H", "a: planted\r\nplanted"], b""),
        (&[], b"\r\n"),
        (&[], &large),
    ];
    for (arguments, stdin) in cases {
        let ended = explain(arguments, stdin);
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    }
}

/// Explains with a configuration of the example's instance, and perhaps its fallback.
fn why(fallback: bool, arguments: &[&str]) -> (Option<i32>, String) {
    let text = configuration("https://ryze.test", "https://zapi.test");
    let table = "[fallback]\nbase_url = \"https://zapi.test\"\nidle_timeout = \"100ms\"\n";
    assert!(text.contains(table));
    let text = if fallback {
        text
    } else {
        text.replace(table, "")
    };
    let ended = run(&mut command(file(&text).path(), arguments), b"");
    let why = ended
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("Why: "));
    assert!(!ended.stdout.contains("planted"), "{ended:?}");
    (ended.code, why.unwrap_or_default().to_owned())
}

#[test]
fn the_reason_is_the_rule_that_decides() {
    let at = |path: &str| path.replace("I1", "X");
    let swapped = "/instances/planted-zapi/token/I1/privacy/photo";
    let other = "/instances/I1/token/planted-other/privacy/photo";
    let no_privacy = "/instances/I1/token/planted-zapi/privacy/planted";
    let message = "/instances/I1/token/planted-zapi/send-text";
    let untranslatable = format!("{PRIVACY}/messages-duration?value=hours24");
    let never = "; a privacy call of an instance in [[instances]] is never passed on.";
    let unknown = "no entry of [[instances]] has its id (zapi_instance)";
    let photo = at(PHOTO);
    let same: [(&[&str], i32, String); 6] = [
        (
            &with_client_token(&["POST", PHOTO, ALL]),
            0,
            "it is a privacy call of the instance \"a b\", which is in [[instances]].".into(),
        ),
        (
            &["POST", PHOTO, ALL],
            1,
            "the instance \"a b\" has a client_token, and the call has no such header.".into(),
        ),
        (
            &["POST", PHOTO, ALL, "-H", "Client-Token: planted-other"],
            1,
            "the header of the call is not the client_token of the instance \"a b\".".into(),
        ),
        (
            &with_client_token(&["POST", PHOTO, r#"{"visualizationType":"planted"}"#]),
            1,
            "visualizationType must be one of ALL, NONE, CONTACTS, CONTACT_BLACKLIST.".into(),
        ),
        (
            &[
                "POST",
                PHOTO,
                ALL,
                "-H",
                "Host: planted",
                "-H",
                "Host: planted",
            ],
            1,
            "the header host stands twice.".into(),
        ),
        (
            &with_client_token(&["POST", PHOTO, ALL, "-H", "Content-Type: text/planted"]),
            1,
            "send a JSON body with the header Content-Type: application/json.".into(),
        ),
    ];
    for (arguments, code, expected) in same {
        for fallback in [true, false] {
            assert_eq!(
                why(fallback, arguments),
                (Some(code), expected.clone()),
                "{arguments:?}"
            );
        }
    }
    // With a fallback and without: the exit code and the reason.
    type Told = [(i32, String); 2];
    let other_case = PHOTO.replace("I1", "i1");
    let cases: [(&[&str], Told); 8] = [
        (
            &["POST", &other_case, ALL],
            [
                (
                    1,
                    format!(
                        "its path has the id of an instance in another place or another letter case{never}"
                    ),
                ),
                (1, format!("{unknown}, and there is no [fallback].")),
            ],
        ),
        (
            &["POST", message, ALL],
            [
                (0, "it is not a privacy call.".into()),
                (
                    1,
                    "it is not a privacy call, and there is no [fallback].".into(),
                ),
            ],
        ),
        (
            &["POST", &photo, ALL],
            [
                (0, format!("{unknown}.")),
                (1, format!("{unknown}, and there is no [fallback].")),
            ],
        ),
        (
            &["POST", swapped, ALL],
            [
                (
                    1,
                    format!("{unknown}; one has its token as id, so they look swapped{never}"),
                ),
                (
                    1,
                    format!(
                        "{unknown}; one has its token as id, so they look swapped, and there is no [fallback]."
                    ),
                ),
            ],
        ),
        (
            &["POST", other, ALL],
            [
                (
                    1,
                    format!(
                        "its id is that of the instance \"a b\", but its token is not zapi_token{never}"
                    ),
                ),
                (
                    1,
                    "its id is that of the instance \"a b\", but its token is not zapi_token."
                        .into(),
                ),
            ],
        ),
        (
            &["POST", no_privacy],
            [
                (1, format!("Z-API has no privacy call with its path{never}")),
                (
                    1,
                    "it is not a privacy call, and there is no [fallback].".into(),
                ),
            ],
        ),
        (
            &["GET", PHOTO],
            [
                (1, format!("the call takes POST{never}")),
                (1, "the call takes POST.".into()),
            ],
        ),
        (
            &with_client_token(&["POST", &untranslatable]),
            [
                (0, "Ryze has no call to set how long messages last.".into()),
                (
                    1,
                    "Ryze has no call to set how long messages last, and there is no [fallback]."
                        .into(),
                ),
            ],
        ),
    ];
    for (arguments, [with, without]) in cases {
        for (fallback, (code, expected)) in [(true, with), (false, without)] {
            assert_eq!(
                why(fallback, arguments),
                (Some(code), expected),
                "{fallback}: {arguments:?}"
            );
        }
    }
}

#[test]
fn json_has_the_same() {
    let arguments = with_client_token(&["--json", "POST", PHOTO, ALL]);
    let mut translated: Value = serde_json::from_str(&explained(&arguments, b"")).unwrap();
    let request = translated["request"].take();
    assert_eq!(
        request["url"],
        "https://ryze.test/base/api/profile/privacy/a%20b"
    );
    assert_eq!(request["headers"]["token"], "********");
    assert_eq!(request["body"], r#"{"visibility":{"profile":"all"}}"#);
    let expected = json!({
        "verdict": "translated",
        "why": "it is a privacy call of the instance \"a b\", which is in [[instances]]",
        "route": "/instances/{id}/token/{token}/privacy/photo",
        "instance": "a b",
        "request": null,
        "response": {
            "status": 200,
            "headers": { "content-type": "application/json", "x-request-id": "(a new one)" },
            "body": "{\"success\":true}",
        },
        "contacts_list": null,
        "if_translated": null,
        "cost": 1,
    });
    assert_eq!(translated, expected);
    let told = explained(
        &["--json", "POST", "/instances/X/token/planted/send-text"],
        b"",
    );
    let passed_on: Value = serde_json::from_str(&told).unwrap();
    let fields = ["verdict", "route", "instance", "response", "cost"].map(|key| &passed_on[key]);
    let route = "/instances/{id}/token/{token}/send-text";
    assert_eq!(json!(fields), json!(["passed_on", route, null, null, 0]));
    let told = refused(&["--json", "PUT", PHOTO], b"");
    let refused: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(refused["verdict"], "refused");
    assert_eq!(refused["response"]["status"], 405);
}

#[test]
fn a_curl_line_may_be_pasted() {
    let told = explained(&with_client_token(&["POST", PHOTO, ALL]), b"");
    let url = format!("https://api.z-api.io{PHOTO}");
    let json = "Content-Type: application/json";
    let words = [
        &["curl", "-X", "POST", &url, "-H", json, "-d", ALL][..],
        &CLIENT_TOKEN,
    ];
    assert_eq!(explained(&words.concat(), b""), told);
    let line = format!(
        "curl --location '{url}' \\\n--header '{json}' \\\n--header 'Client-Token: planted-client' \\\n\
         --data '{ALL}'\n"
    );
    assert_eq!(explained(&[], line.as_bytes()), told);
    assert_eq!(explained(&[&line], b""), told);
    let ended = explain(&["curl", "--planted", &url], b"");
    assert_eq!(ended.code, Some(64));
}

#[test]
fn the_configuration_is_that_of_serve() {
    let broken = file("[budget]\nburts = 3\n");
    let ended = run(&mut command(broken.path(), &["GET", "/"]), b"");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(64), ""));
    assert!(
        ended.stderr.contains("error: line 2: budget.burts: "),
        "{}",
        ended.stderr
    );
    let none = run(&mut program(["explain", "GET", "/"]), b"");
    assert_eq!((none.code, none.stdout.as_str()), (Some(64), ""));
    let example = example();
    let mut by_variable = program(["explain", "GET", "/"]);
    let ended = run(by_variable.env("ZAPI_TO_RYZE_CONFIG", example.path()), b"");
    assert!(ended.stdout.contains("zapi.test"), "{ended:?}");
    let path = "/instances/SANDBOX/token/sandbox/privacy/photo";
    let ended = run(
        &mut program(["explain", "--sandbox", "POST", path, ALL]),
        b"",
    );
    assert!(ended.stdout.starts_with("Ryze answers it."), "{ended:?}");
    let path = "/instances/SANDBOX/token/sandbox/send-text";
    let message = r#"{"phone":"5511999999999","message":"hello"}"#;
    let ended = run(
        &mut program(["explain", "--sandbox", "POST", path, message]),
        b"",
    );
    assert_eq!(ended.code, Some(0));
    let first = "The fallback answers it. It gets this request:\n\n  POST https://api.z-api.io/";
    assert!(ended.stdout.starts_with(first), "{ended:?}");
}

#[test]
fn it_needs_no_network() {
    let sockets = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let [ryze, old] = sockets
        .each_ref()
        .map(|socket| format!("http://{}", socket.local_addr().unwrap()));
    let file = file(&configuration(&ryze, &old));
    for path in [PRIVACY, "/other"] {
        let arguments = with_client_token(&["GET", path]);
        let ended = run(&mut command(file.path(), &arguments), b"");
        assert!(ended.stdout.contains("It gets this request"), "{ended:?}");
    }
    for socket in sockets {
        socket.set_nonblocking(true).unwrap();
        assert_eq!(socket.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}
