//! Secrets and phone numbers are planted wherever there is a place for them, and looked for in all
//! that leaves the program: its answers, its log and what its commands say.

use std::{fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    harness::{Step, Upstream, answer, answers, confirms, refuses},
    process::{Process, program, send},
};

/// No other text has this in it.
const PLANTED: &str = "planted";
const PHONE: &str = "5544990001111";
const INSTANCES: [&str; 3] = ["1", "2", "3"];

fn assert_hushed(place: &str, text: &str) {
    let leaks = text.contains(PLANTED) || text.contains(PHONE);
    assert!(!leaks, "{place}: {text}");
}

/// A configuration in which each secret is written in each form.
struct Planted(TempDir);

impl Planted {
    fn new(base_url: &str, format: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let literal = |name: String| format!("{:?}", secret(&name));
        let variable = |name: String| format!("{{ env = {name:?} }}");
        let file = |name: String| {
            let path = directory.path().join(&name);
            fs::write(&path, secret(&name) + "\n").unwrap();
            format!("{{ file = {path:?} }}")
        };
        let forms: [&dyn Fn(String) -> String; 3] = [&literal, &variable, &file];
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [zapi]\nclient_token = \"planted\"\n[log]\nlevel = \"trace\"\nformat = \"{format}\"\n\
             [ryze]\nbase_url = \"{base_url}\"\ntoken = \"planted\"\n"
        );
        for (index, name) in INSTANCES.iter().enumerate() {
            let [zapi, client, ryze] = [0, 1, 2].map(|shift| forms[(index + shift) % 3]);
            text += &format!(
                "[[instances]]\nzapi_instance = \"{name}\"\nzapi_token = {}\nclient_token = {}\n\
                 ryze_instance = \"main\"\nryze_token = {}\n",
                zapi(format!("zapi{name}")),
                client(format!("client{name}")),
                ryze(format!("ryze{name}"))
            );
        }
        fs::write(directory.path().join("gateway.toml"), text).unwrap();
        Self(directory)
    }

    fn program(&self, command: &[&str]) -> Command {
        let mut program = program(command);
        program
            .arg("--config")
            .arg(self.0.path().join("gateway.toml"));
        for name in ["zapi", "client", "ryze"] {
            for instance in INSTANCES {
                let name = format!("{name}{instance}");
                program.env(&name, secret(&name));
            }
        }
        program
    }
}

fn secret(name: &str) -> String {
    format!("{PLANTED}-{name}")
}

/// A request, and what the log tells of it: route, instance, status, and who ended it.
type Call = (String, (&'static str, &'static str, u16, &'static str));

/// What the callers of an instance send; `status` is for the one that goes to Ryze.
fn calls(instance: &str, status: u16) -> Vec<Call> {
    const PHOTO: &str = "/instances/{id}/token/{token}/privacy/photo";
    const RECEIPTS: &str = "/instances/{id}/token/{token}/privacy/read-receipts";
    let request = |method: &str, rest: &str, body: &str| {
        format!(
            "{method} /instances/{instance}/token/planted-zapi{instance}{rest} HTTP/1.1\r\n\
             Host: g\r\nClient-Token: planted-client{instance}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let photo = |body: &str| request("POST", "/privacy/photo", body);
    let sound = photo(r#"{"visualizationType":"ALL"}"#);
    let list = |contacts: &str| {
        photo(&format!(
            "{{\"visualizationType\":\"CONTACT_BLACKLIST\",\"contactsBlacklist\":{contacts}}}"
        ))
    };
    let contact = |phone: &str| list(&format!("[{{\"action\":\"add\",\"phone\":{phone}}}]"));
    let receipts = format!("/privacy/read-receipts?value={PHONE}");
    let with_query = format!("/privacy/photo?phone={PHONE}");
    let unknown = format!("/send-text/{PHONE}");
    let caller = |route, instance, status| (route, instance, status, "caller");
    let bad = caller(PHOTO, "main", 400);
    vec![
        (sound.clone(), (PHOTO, "main", status, "ryze")),
        (sound.replace("-zapi", "-bad"), caller(PHOTO, "", 400)),
        (sound.replace("-client", "-bad"), caller(PHOTO, "", 403)),
        (sound.replace(" g", " planted/"), caller("unknown", "", 400)),
        (
            sound.replace("/json", "/planted"),
            caller(PHOTO, "main", 415),
        ),
        (contact(&format!("{PHONE:?}")), caller(PHOTO, "main", 422)),
        (contact(PHONE), bad),
        (list(PHONE), bad),
        (photo(&format!("{{\"visualizationType\":{PHONE:?}}}")), bad),
        (photo(&format!("{PHONE:?}")), bad),
        (photo(&format!("planted {PHONE}")), bad),
        (
            request("POST", &receipts, ""),
            caller(RECEIPTS, "main", 400),
        ),
        (request("GET", &with_query, ""), caller(PHOTO, "", 405)),
        (request("POST", &unknown, ""), caller("unknown", "", 404)),
    ]
}

/// What Ryze says, and the status of the answer that the caller gets of it.
fn ryze() -> Vec<(Step, u16)> {
    let tokens = INSTANCES.map(|name| secret(&format!("ryze{name}")));
    let all = format!("{} {PHONE}", tokens.join(" "));
    let forbidden = format!(
        "failed to update profile privacy: {PHONE}@s.whatsapp.net: info query returned status \
         403: forbidden"
    );
    vec![
        (confirms(r#"{"visibility":{"profile":"all"}}"#), 200),
        (refuses(401, &format!("Invalid token {all}")), 424),
        (
            refuses(400, &all.replace("ted-ryze", "ted-\\u0000ryze")),
            424,
        ),
        (refuses(500, &forbidden), 424),
        (refuses(503, &format!("+{PHONE} is away")), 502),
        (refuses(429, &all), 429),
        (
            Step::Send(answer(200, &format!("X-Echo: {all}\r\n"), &all)),
            502,
        ),
        (
            answers(200, &format!("{{\"success\":true,\"settings\":{all:?}}}")),
            502,
        ),
    ]
}

/// Whether a line of the log tells exactly of this call.
fn tells(format: &str, line: &str, call: &Call) -> bool {
    let (route, instance, status, ended_by) = call.1;
    if format == "text" {
        let fields = format!(
            "request route={route:?} instance={instance:?} status={status} ended_by={ended_by:?} \
             milliseconds="
        );
        return line.contains(&fields);
    }
    let event: Value = serde_json::from_str(line).unwrap();
    event["route"] == route
        && event["instance"] == instance
        && event["status"] == status
        && event["ended_by"] == ended_by
        && event["milliseconds"].is_u64()
}

async fn check_gateway(format: &str, step: Step, status: u16) {
    let upstream = Upstream::start(step).await;
    let planted = Planted::new(&upstream.base_url, format);
    let mut gateway = Process::start(&mut planted.program(&["serve"]));
    let calls: Vec<_> = INSTANCES
        .iter()
        .flat_map(|name| calls(name, status))
        .collect();
    let address = gateway.address().await;
    for (request, (_, _, status, _)) in &calls {
        let reply = send(address, request).await;
        assert_eq!(reply.status, *status, "{request}: {:?}", reply.message);
        assert_hushed("answer", &format!("{:?}", reply.message));
    }
    for (name, request) in INSTANCES.iter().zip(upstream.seen()) {
        assert_eq!(
            request.header("token"),
            Some(secret(&format!("ryze{name}")).as_str())
        );
    }
    // Not HTTP: the library answers it, and there is no request to tell of.
    let reply = send(address, format!("planted {PHONE}\r\n\r\n")).await;
    assert_hushed("answer", &format!("{:?}", reply.message));
    gateway.signal("TERM");
    let ended = gateway.ended().await;
    assert_eq!(ended.code, Some(0));
    assert_hushed("stdout", &ended.stdout);
    assert_hushed("stderr", &ended.stderr);
    let told: Vec<_> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("milliseconds"))
        .collect();
    assert_eq!(told.len(), calls.len(), "{}", ended.stderr);
    for (line, call) in told.iter().zip(&calls) {
        assert!(
            tells(format, line, call),
            "{line} does not tell of {call:?}"
        );
    }
    let paths = ended.stderr.replace("/instances/{id}/", "");
    assert!(!paths.contains("/instances"), "{}", ended.stderr);
}

#[tokio::test]
async fn nothing_surfaces_in_an_answer_or_the_log() {
    for (step, status) in ryze() {
        check_gateway("json", step.clone(), status).await;
        check_gateway("text", step, status).await;
    }
}

#[tokio::test]
async fn nothing_surfaces_when_a_sound_file_is_checked() {
    let planted = Planted::new("http://127.0.0.1:1", "json");
    for command in [&["check"][..], &["check", "--print"]] {
        let ended = Process::start(&mut planted.program(command)).ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_hushed("stdout", &ended.stdout);
        assert_hushed("stderr", &ended.stderr);
        // The instances have one name at Ryze and several tokens.
        assert!(ended.stderr.contains("warning"), "{}", ended.stderr);
    }
}
