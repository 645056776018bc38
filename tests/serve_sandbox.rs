//! `serve --sandbox` and `sandbox`: what they print does what it says.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    command::{ANY, DEFAULT_PORTS, run, sound, taken},
    harness::{Reply, post},
    pasted::{by_shell, by_socket, curl_lines},
    process::{Process, program, send},
};

/// A running sandbox and what it has printed.
struct Sandbox {
    gateway: Process,
    address: SocketAddr,
    printed: String,
}

impl Sandbox {
    async fn start() -> Self {
        Self::start_with(&["serve", "--sandbox", "--listen", ANY]).await
    }

    async fn start_with(arguments: &[&str]) -> Self {
        let mut gateway = Process::start(&mut program(arguments));
        let address = gateway.address().await;
        gateway.stdout.line(r#"{"connected":true}"#).await;
        let printed = gateway.stdout.so_far();
        Self {
            gateway,
            address,
            printed,
        }
    }

    /// The address in the line that begins with this word.
    fn printed_address(&self, word: &str) -> SocketAddr {
        let word = format!("#   {word} ");
        let mut lines = self.printed.lines();
        let line = lines.find(|line| line.starts_with(&word)).unwrap();
        let (_, address) = line.split_once("http://").unwrap();
        let end = address.find([' ', '/']).unwrap_or(address.len());
        address[..end].parse().unwrap()
    }

    /// The call that ends the fault.
    fn cure(&self) -> &str {
        let mut lines = self.printed.lines();
        lines
            .find_map(|line| line.strip_prefix("#    curl").map(|_| &line[5..]))
            .unwrap()
    }
}

async fn get(address: SocketAddr, path: &str) -> Reply {
    send(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"),
    )
    .await
}

/// Each printed call, its answer's status, and a part of the answer.
const ANSWERS: [(u16, &str); 4] = [
    (200, r#"{"success":true}"#),
    (200, r#""zaapId":"#),
    (422, "Nothing was changed."),
    (400, r#""error":"You are not connected.""#),
];

#[tokio::test]
async fn the_printed_lines_do_what_they_say() {
    let first = Sandbox::start().await;
    // The first still runs.
    let second = Sandbox::start().await;
    assert_ne!(first.address, second.address);
    for sandbox in [&first, &second] {
        let lines = curl_lines(&sandbox.printed);
        assert_eq!(lines.len(), ANSWERS.len(), "{}", sandbox.printed);
        for (line, (status, part)) in lines.iter().zip(ANSWERS) {
            let answer = by_socket(line).await.pop().unwrap();
            let body = &answer.message.body;
            assert_eq!(answer.status, status, "{line}: {body}");
            assert!(body.contains(part), "{line}: {body}");
        }
        assert!(by_socket(sandbox.cure()).await[0].is_success());

        for (line, (status, part)) in lines.iter().zip(ANSWERS) {
            let Some(ended) = by_shell(line).await else {
                break;
            };
            let start = format!("HTTP/1.1 {status} ");
            assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
            assert!(ended.stdout.starts_with(&start), "{line}: {ended:?}");
            assert!(ended.stdout.contains(part), "{line}: {ended:?}");
        }
        let _ = by_shell(sandbox.cure()).await;
        let again = by_socket(&lines[0]).await;
        assert!(again[0].is_success(), "the account is connected again");
    }
}

#[tokio::test]
async fn the_page_shows_the_sandbox_also_if_the_usual_ports_are_in_use() {
    let _default_ports = DEFAULT_PORTS.lock().await;
    // If it fails, another process has them, which will do as well.
    let _in_use = [8420, 8421].map(|port| TcpListener::bind(("127.0.0.1", port)));
    let mut sandbox = Sandbox::start_with(&["serve", "--sandbox"]).await;
    for port in ["8420", "8421"] {
        let warning = format!("cannot listen on 127.0.0.1:{port}");
        let warning = sandbox.gateway.stderr.line(&warning).await;
        assert!(warning.contains("the sandbox listens on a free port instead"));
    }
    assert_eq!(sandbox.printed_address("Gateway"), sandbox.address);
    let page = sandbox.printed_address("Page");
    let html = get(page, "/").await;
    assert_eq!(html.status, 200);
    assert!(
        html.message.body.starts_with("<!doctype html>"),
        "{}",
        html.message.body
    );

    let observed = post(
        "/instances/OBSERVED/token/observed/privacy/photo",
        r#"{"visualizationType":"NONE"}"#,
    );
    assert!(send(sandbox.address, observed).await.is_success());
    let status = get(page, "/status").await.message.body;
    let status: Value = serde_json::from_str(&status).unwrap();
    let instances = status["instances"].as_array().unwrap();
    let modes: Vec<_> = instances
        .iter()
        .map(|it| (it["zapi_instance"].as_str(), it["mode"].as_str()))
        .collect();
    let expected = [("SANDBOX", "translate"), ("OBSERVED", "observe")];
    assert_eq!(
        modes,
        expected.map(|(id, mode)| (Some(id), Some(mode))),
        "{status}"
    );
    assert_eq!(instances[1]["observed"]["translated"], 1, "{status}");
    let requests = get(sandbox.printed_address("Ryze"), "/sandbox/requests").await;
    assert_eq!(
        requests.message.body, r#"{"requests":[]}"#,
        "it is only observed"
    );
}

/// With the default policy the gateway refuses a list of its own instance. It passes one of an instance that it
/// does not list to the in-memory Z-API, which keeps it.
#[tokio::test]
async fn the_sandbox_has_a_fallback() {
    let sandbox = Sandbox::start().await;
    let (address, zapi) = (sandbox.address, sandbox.printed_address("Z-API"));

    let list = r#"{"visualizationType":"CONTACT_BLACKLIST",
        "contactsBlacklist":[{"action":"add","phone":"5544999999999"}]}"#;
    let photo = |instance| post(&format!("/instances/{instance}/privacy/photo"), list);
    let listed = "SANDBOX/token/sandbox";
    let passed_on = ["OBSERVED/token/observed", "UNLISTED/token/unlisted"];
    assert_eq!(send(address, photo(listed)).await.status, 422);
    for instance in passed_on {
        assert!(send(address, photo(instance)).await.is_success());
    }

    let read = async |instance| {
        let path = format!("/instances/{instance}/privacy/disallowed-contacts?type=photo");
        let contacts: Value = serde_json::from_str(&get(zapi, &path).await.message.body).unwrap();
        contacts["disallowedContacts"].clone()
    };
    assert_eq!(read(listed).await, json!([]));
    for instance in passed_on {
        assert_eq!(read(instance).await, json!(["5544999999999"]));
    }

    // Ryze is not asked.
    let (_gateway, address) = Process::serve(&format!(
        "{}[fallback]\nbase_url = \"http://{zapi}\"\n[policy]\ncontacts_blacklist = \"fallback\"\n",
        sound(ANY, ANY, "127.0.0.1:9")
            .replace("\"I1\"", "\"SANDBOX\"")
            .replace("\"T1\"", "\"sandbox\"")
    ))
    .await;
    assert!(send(address, photo(listed)).await.is_success());
    assert_eq!(read(listed).await, json!(["5544999999999"]));
}

#[tokio::test]
async fn an_address_that_is_chosen_is_kept() {
    let (_taken, address) = taken();
    let file = "unix:/tmp/zapi-to-ryze.sock";
    for (listen, code, part) in [
        (&*address, 1, &*address),
        (
            file,
            64,
            "write an IP address and a port in --listen, as in 127.0.0.1:8420",
        ),
    ] {
        let ended = run(&["serve", "--sandbox", "--listen", listen]).await;
        assert_eq!((ended.code, &*ended.stdout), (Some(code), ""), "{ended:?}");
        assert!(ended.stderr.contains(part), "{ended:?}");
    }
}

#[tokio::test]
async fn only_the_sandbox() {
    let mut sandbox = Process::start(&mut program(["sandbox", "--listen", ANY]));
    let address = sandbox.address().await;
    let health = get(address, "/health").await;
    assert_eq!((health.status, health.text("status").as_str()), (200, "ok"));
    sandbox.signal("TERM");
    assert_eq!(sandbox.ended().await.code, Some(0));
    let (_taken, address) = taken();
    let ended = run(&["sandbox", "--listen", &address]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let cure = "choose another address, as in --listen 127.0.0.1:0 for a free port";
    for part in [&address, cure] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

/// The keys are those that the control API names itself if it gets another one.
#[tokio::test]
async fn help_and_documentation_name_each_control() {
    let help = run(&["sandbox", "--help"]).await.stdout;
    assert!(help.contains("[default: 127.0.0.1:8430]"), "{help}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sandbox.md");
    let page = fs::read_to_string(page).unwrap();
    let mut sandbox = Process::start(&mut program(["sandbox", "--listen", ANY]));
    let address = sandbox.address().await;
    let mut names: Vec<_> = ["/sandbox/faults", "/sandbox/requests", "/sandbox/instances"]
        .map(str::to_owned)
        .into();
    for (call, body) in [
        ("POST /sandbox/faults", r#"{"x":1}"#),
        ("POST /sandbox/faults", r#"{"answer":"x"}"#),
        ("PUT /sandbox/instances/x", r#"{"x":1}"#),
    ] {
        let length = body.len();
        let request =
            format!("{call} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
        let message = send(address, request).await.message.body;
        let (_, expected) = message.split_once("expected ").unwrap();
        names.extend(expected.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(help.contains(&name), "--help lacks {name}");
        assert!(page.contains(&name), "docs/sandbox.md lacks {name}");
    }
}
