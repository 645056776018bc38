//! A client that was written for Z-API, the npm package `z-api-sdk`, against the gateway in front
//! of the sandbox: its only change is the base URL.
//!
//! What belongs here is what needs that client. Everything else about the answers is tested
//! without Node.js.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// How long a process may take to listen, and the sandbox to answer.
const PATIENCE: Duration = Duration::from_secs(20);

const CLIENT_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/zapi-client");

#[test]
fn each_photo_value_is_resolved_and_shows_at_ryze() {
    let setup = Setup::start();
    // The last one is what a new account has, so that the others have to be seen to change it.
    let values = [
        ("NONE", "none"),
        ("CONTACTS", "contacts"),
        ("CONTACT_BLACKLIST", "contact_blacklist"),
        ("ALL", "all"),
    ];
    for (asked, shown) in values {
        let outcome = setup.set_profile_photo("client-token", asked);
        assert_eq!(outcome, json!({"resolved": {"success": true}}), "{asked}");
        assert_eq!(setup.photo_at_ryze(), shown, "{asked}");
    }
}

#[test]
fn a_wrong_client_token_is_rejected_in_z_apis_words() {
    let setup = Setup::start();
    let before = setup.photo_at_ryze();
    let outcome = setup.set_profile_photo("another-token", "NONE");
    let rejected = &outcome["rejected"];
    assert_eq!(rejected["status"], 403);
    assert_eq!(rejected["body"]["error"], "Client-Token not allowed");
    // What the client shows to a person.
    assert_eq!(rejected["message"], "403: Client-Token not allowed");
    assert_eq!(setup.photo_at_ryze(), before);
}

/// The sandbox and the gateway in front of it.
struct Setup {
    sandbox: Server,
    gateway: Server,
}

impl Setup {
    fn start() -> Self {
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
        Self { sandbox, gateway }
    }

    /// What the client's `setProfilePhoto` came to: `resolved` or `rejected`, and with what.
    fn set_profile_photo(&self, client_token: &str, value: &str) -> Value {
        let package = Path::new(CLIENT_FOLDER).join("node_modules/z-api-sdk");
        assert!(
            package.exists(),
            "z-api-sdk is not installed: run the tests with tests/run"
        );
        let mut client = Command::new("node")
            .arg("client.mjs")
            .arg(format!("http://{}", self.gateway.address))
            .args(["zapi-instance", "zapi-token", client_token])
            .current_dir(CLIENT_FOLDER)
            // The client honours the proxy of the environment.
            .env("no_proxy", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node must start: tests/run says what is missing");
        let argument = json!({"visualizationType": value});
        let calls = json!([{"method": "setProfilePhoto", "argument": argument}]);
        write!(client.stdin.take().unwrap(), "{calls}").unwrap();
        let output = client.wait_with_output().unwrap();
        serde_json::from_slice(&output.stdout).expect("one line of JSON")
    }

    /// The photo's visibility as the sandbox has it.
    fn photo_at_ryze(&self) -> String {
        let mut stream = TcpStream::connect(&self.sandbox.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = "GET /api/profile/getPrivacy/main HTTP/1.1\r\nHost: sandbox\r\n\
                       token: sandbox-token\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        let body: Value = serde_json::from_str(body).unwrap();
        body["settings"]["visibility"]["profile"]
            .as_str()
            .unwrap()
            .to_owned()
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
