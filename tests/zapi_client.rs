//! A client that was written for Z-API, the npm package `z-api-sdk`, against the gateway in front
//! of the sandbox: its only change is the base URL.
//!
//! What belongs here is what needs that client. Everything else about the answers is tested
//! without Node.js.
//!
//! With `--nocapture` each test prints a table of what the client saw.

mod vendor;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// How long a process may take to listen, and the sandbox to answer.
const PATIENCE: Duration = Duration::from_secs(20);

const CLIENT_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/zapi-client");

#[test]
#[ignore = "needs Node.js and the packages of tests/zapi-client"]
fn each_value_of_each_call_is_resolved_and_shows_at_ryze() {
    /// Values of Z-API and of Ryze. The last are what a new account has, so that the others have to
    /// be seen to change it.
    type Words = &'static [(&'static str, &'static str)];
    let who: Words = &[
        ("NONE", "none"),
        ("CONTACTS", "contacts"),
        ("CONTACT_BLACKLIST", "contact_blacklist"),
        ("ALL", "all"),
    ];
    let online: Words = &[("SAME_LAST_SEEN", "match_last_seen"), ("ALL", "all")];
    let switch: Words = &[("disable", "none"), ("enable", "all")];
    let (kind, group) = ("visualizationType", &who[1..]);
    let mut setup = Setup::start("", "client-token");
    let mut expected = setup.settings();
    for (method, key, section, field, words) in [
        ("setProfilePhoto", kind, "visibility", "profile", who),
        ("setLastSeen", kind, "visibility", "lastSeen", who),
        ("setDescription", kind, "visibility", "status", who),
        ("setOnline", kind, "visibility", "online", online),
        ("setGroupAdd", "type", "permissions", "groupAdd", group),
        ("setReadReceipts", "", "privacy", "readReceipts", switch),
    ] {
        for (value, word) in words {
            let argument = match key {
                "" => json!(value),
                _ => json!({key: value}),
            };
            let outcome = setup.call(method, &argument);
            assert_eq!(
                outcome,
                json!({"requests": 1, "resolved": {"success": true}})
            );
            expected[section][field] = json!(word);
            assert_eq!(setup.settings(), expected, "{method} {value}");
        }
    }
}

#[test]
#[ignore = "needs Node.js and the packages of tests/zapi-client"]
fn what_cannot_be_done_is_rejected_and_not_tried_again() {
    let mut setup = Setup::start("", "client-token");
    let before = setup.settings();
    let duration = "Ryze has no call to set how long messages last. Nothing was changed.";
    let contacts =
        "Ryze has no call to list the contacts that a setting leaves out. Nothing was changed.";
    let mut cases = Vec::new();
    for value in ["days90", "days7", "hours24", "disable", "off"] {
        cases.push(("setMessagesDuration", json!(value), duration));
    }
    for value in ["lastSeen", "photo", "description", "groupAdd"] {
        cases.push(("getDisallowedContacts", json!(value), contacts));
    }
    for (method, argument, message) in cases {
        let outcome = setup.call(method, &argument);
        let error = "UNPROCESSABLE_ENTITY";
        let body = json!({"success": false, "error": error, "message": message});
        let message = format!("422: {message}");
        let rejected = json!({"name": "UnprocessableEntityError", "status": 422, "body": body, "message": message});
        assert_eq!(outcome, json!({"requests": 1, "rejected": rejected}));
    }
    let list = json!([{"action": "add", "phone": "554411111111"}]);
    for (method, key) in [
        ("setProfilePhoto", "visualizationType"),
        ("setLastSeen", "visualizationType"),
        ("setDescription", "visualizationType"),
        ("setGroupAdd", "type"),
    ] {
        let argument = json!({key: "CONTACT_BLACKLIST", "contactsBlacklist": list});
        check_rejected(&setup.call(method, &argument), 422, "Nothing was changed");
    }
    let wrong = json!({"visualizationType": "ALL"});
    check_rejected(
        &setup.call("setGroupAdd", &wrong),
        400,
        "not visualizationType",
    );
    check_rejected(
        &setup.call("setReadReceipts", &json!("ALL")),
        400,
        "enable, disable",
    );
    setup.connect(false);
    let argument = json!({"visualizationType": "NONE"});
    check_rejected(
        &setup.call("setLastSeen", &argument),
        400,
        "You are not connected.",
    );
    setup.connect(true);
    assert_eq!(setup.settings(), before);
}

/// `docs/operations.md` shows this to the operator.
#[test]
#[ignore = "needs Node.js and the packages of tests/zapi-client"]
fn a_list_is_set_and_removed_and_read_back_at_z_api() {
    let policy = format!(
        "[policy]\ncontacts_blacklist = \"fallback\"\n[fallback]\nbase_url = \"{}\"\n",
        vendor::start()
    );
    let mut setup = Setup::start(&policy, "client-token");
    let before = setup.settings();
    for (method, key, list) in [
        ("setProfilePhoto", "visualizationType", "photo"),
        ("setLastSeen", "visualizationType", "lastSeen"),
        ("setDescription", "visualizationType", "description"),
        ("setGroupAdd", "type", "groupAdd"),
    ] {
        for (action, phone, held) in [
            ("add", "554411111111", json!(["554411111111"])),
            ("add", "5544", json!(["5544", "554411111111"])),
            ("remove", "554411111111", json!(["5544"])),
        ] {
            let contacts = json!([{"action": action, "phone": phone}]);
            let argument = json!({key: "CONTACT_BLACKLIST", "contactsBlacklist": contacts});
            let outcome = setup.call(method, &argument);
            assert_eq!(
                outcome,
                json!({"requests": 1, "resolved": {"success": true}})
            );
            let read = setup.call("getDisallowedContacts", &json!(list));
            assert_eq!(read["resolved"], json!({"disallowedContacts": held}));
        }
        // Without contacts the call stays at Ryze.
        let outcome = setup.call(method, &json!({key: "CONTACT_BLACKLIST"}));
        assert_eq!(outcome["resolved"], json!({"success": true}));
    }
    assert_ne!(setup.settings(), before);
    // An error that comes with 200 is one for the client, which tries a 502 again.
    let contacts = json!([{"action": "add", "phone": "0"}]);
    let argument = json!({"visualizationType": "CONTACT_BLACKLIST", "contactsBlacklist": contacts});
    let outcome = setup.call("setProfilePhoto", &argument);
    assert_eq!(outcome["rejected"]["status"], 502, "{outcome}");
    let message = outcome["rejected"]["message"].as_str().unwrap();
    assert!(message.contains("Invalid phone"), "{outcome}");
}

#[test]
#[ignore = "needs Node.js and the packages of tests/zapi-client"]
fn a_wrong_client_token_is_rejected_in_z_apis_words() {
    let mut setup = Setup::start("", "another-token");
    let before = setup.settings();
    let outcome = setup.call("setProfilePhoto", &json!({"visualizationType": "NONE"}));
    check_rejected(&outcome, 403, "Client-Token not allowed");
    assert_eq!(
        outcome["rejected"]["body"]["error"],
        "Client-Token not allowed"
    );
    assert_eq!(setup.settings(), before);
}

#[test]
#[ignore = "needs Node.js and the packages of tests/zapi-client"]
fn a_429_is_tried_again_until_the_budget_allows_it() {
    // One request every 3 s, and no call may wait for it: the client comes again after 1 s and 3 s.
    let budget = "requests_per_minute = 20\nburst = 1\nmax_wait = \"0s\"";
    let mut setup = Setup::start(budget, "client-token");
    let nobody = json!({"visualizationType": "NONE"});
    let success = json!({"success": true});
    let first = setup.call("setProfilePhoto", &nobody);
    assert_eq!(first, json!({"requests": 1, "resolved": success}));
    let second = setup.call("setLastSeen", &nobody);
    assert_eq!(second["resolved"], success);
    assert!(second["requests"].as_u64().unwrap() > 1, "{second}");
    assert_eq!(setup.settings()["visibility"]["lastSeen"], "none");
}

/// Checks that the client gave up at its first request, and what it shows to a person.
fn check_rejected(outcome: &Value, status: u16, message: &str) {
    assert_eq!(outcome["requests"], 1, "{outcome}");
    assert_eq!(outcome["rejected"]["status"], status, "{outcome}");
    let shown = outcome["rejected"]["message"].as_str().unwrap();
    assert!(
        shown.starts_with(&format!("{status}: ")) && shown.contains(message),
        "{outcome}"
    );
}

/// The sandbox, the gateway in front of it, and the client.
struct Setup {
    sandbox: Server,
    _gateway: Server,
    client: Child,
    calls: ChildStdin,
    outcomes: BufReader<ChildStdout>,
}

impl Setup {
    /// `more` are keys of the table `budget`, and other tables.
    fn start(more: &str, client_token: &str) -> Self {
        let sandbox = Server::start(&["sandbox", "--listen", "127.0.0.1:0"]);
        let mut configuration = tempfile::NamedTempFile::new().unwrap();
        write!(
            configuration,
            r#"
                [server]
                listen = "127.0.0.1:0"
                [admin]
                listen = "127.0.0.1:0"
                [ryze]
                base_url = "http://{}"
                [budget]
                {more}
                [[instances]]
                zapi_instance = "zapi-instance"
                zapi_token = "zapi-token"
                client_token = "client-token"
                ryze_instance = "main"
                ryze_token = "sandbox-token"
            "#,
            sandbox.address,
        )
        .unwrap();
        // The file is read before the gateway listens, so it may go after that.
        let gateway = Server::start(&["serve", "--config", configuration.path().to_str().unwrap()]);
        let package = Path::new(CLIENT_FOLDER).join("node_modules/z-api-sdk");
        assert!(
            package.exists(),
            "z-api-sdk is not installed: run the tests with tests/run"
        );
        let mut client = Command::new("node")
            .arg("client.mjs")
            .arg(format!("http://{}", gateway.address))
            .args(["zapi-instance", "zapi-token", client_token])
            .current_dir(CLIENT_FOLDER)
            // The client honours the proxy of the environment.
            .env("no_proxy", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node must start: tests/run says what is missing");
        Self {
            sandbox,
            _gateway: gateway,
            calls: client.stdin.take().unwrap(),
            outcomes: BufReader::new(client.stdout.take().unwrap()),
            client,
        }
    }

    /// What a call of the client came to: `resolved` or `rejected`, and with what.
    fn call(&mut self, method: &str, argument: &Value) -> Value {
        let call = json!({"method": method, "argument": argument});
        writeln!(self.calls, "{call}").unwrap();
        let mut line = String::new();
        self.outcomes.read_line(&mut line).unwrap();
        let outcome: Value = serde_json::from_str(&line).expect("a line of JSON");
        let (how, what) = match &outcome["rejected"] {
            Value::Null => ("resolved", &outcome["resolved"]),
            rejected => ("rejected", &rejected["message"]),
        };
        let requests = &outcome["requests"];
        println!("| `{method}({argument})` | {how} | `{what}` | {requests} |");
        outcome
    }

    /// The account's settings as the sandbox has them.
    fn settings(&self) -> Value {
        let request = "GET /api/profile/getPrivacy/main HTTP/1.1\r\ntoken: sandbox-token\r\n";
        self.ask(request, "")["settings"].clone()
    }

    /// Connects the account to WhatsApp or disconnects it.
    fn connect(&self, connected: bool) {
        let body = json!({"token": "sandbox-token", "connected": connected}).to_string();
        self.ask("PUT /sandbox/instances/main HTTP/1.1\r\n", &body);
    }

    /// Has the sandbox carry a request out.
    fn ask(&self, head: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(&self.sandbox.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let request = format!(
            "{head}Host: sandbox\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

/// A process of the gateway's binary, killed when it goes out of scope.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts a command and waits until it says where it listens.
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_zapi-to-ryze"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = process.stdout.take().unwrap();
        let mut server = Self {
            process,
            address: String::new(),
        };
        let (sender, receiver) = mpsc::channel();
        // Reads to the end, since a full pipe would stop the process.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("listening on http://") {
                    let _ = sender.send(address.to_owned());
                }
            }
        });
        let listening = receiver.recv_timeout(PATIENCE);
        server.address = listening.unwrap_or_else(|_| panic!("{arguments:?} does not listen"));
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
