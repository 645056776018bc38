//! TLS of the listener: a real client with a private authority, and clients that do not complete a
//! handshake or a request. The contents of the two files are in `config/tls.rs`, TLS to Ryze in
//! `tls.rs`.

use std::{fs, net::SocketAddr, path::Path, process::Command, sync::Arc};

use rustls::{ClientConfig, ProtocolVersion, SupportedProtocolVersion, crypto::ring, version};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::spawn_blocking,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    harness::{Gateway, Reply, Setup, Upstream, confirms, photo, post, soon},
    process::{Process, file, send},
    tls::{Authority, certificate},
};

const CONFIRMED: &str = r#"{"visibility":{"profile":"all"}}"#;
const NAME: &str = "api.z-api.io";
const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

/// A certificate of the authority for these names, and the table that names it. The files last as
/// long as the folder.
fn table(authority: &Authority, names: &[&str]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = authority.issue(&certificate(names));
    let path = |name: &str| folder.path().join(name);
    fs::write(path("tls.crt"), certificate).unwrap();
    fs::write(path("tls.key"), key).unwrap();
    let table = format!(
        "[server.tls]\ncert_file = {:?}\nkey_file = {:?}",
        path("tls.crt"),
        path("tls.key")
    );
    (folder, table)
}

fn setup(server: String) -> Setup {
    Setup {
        // A setup is made of literals.
        server: server.leak(),
        ..Setup::default()
    }
}

/// A gateway with a certificate for `NAME`, whose files are gone once it has started.
async fn gateway(authority: &Authority, server: &str, upstream: &Upstream) -> Gateway {
    let (_folder, table) = table(authority, &[NAME]);
    setup(format!("{server}\n{table}"))
        .start(&upstream.base_url)
        .await
}

/// A caller's trust in the authority, and the protocols that it offers.
fn client(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> TlsConnector {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    TlsConnector::from(Arc::new(config))
}

/// A caller for whom the name leads to the gateway.
async fn connect(
    client: &TlsConnector,
    name: &'static str,
    address: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    soon(client.connect(name.try_into().unwrap(), stream)).await
}

async fn call(caller: &mut TlsStream<TcpStream>) -> Reply {
    caller.write_all(photo("ALL").as_bytes()).await.unwrap();
    Reply::read(caller).await
}

#[tokio::test]
async fn a_caller_who_knows_nothing_but_the_vendors_name() {
    let authority = Authority::new();
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let gateway = gateway(&authority, "", &upstream).await;
    for (version, expected) in [
        (&version::TLS12, ProtocolVersion::TLSv1_2),
        (&version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        for (offered, chosen) in [
            (&[][..], None),
            (&["h2", "http/1.1"], Some(&b"http/1.1"[..])),
        ] {
            let client = client(&authority, &[version], offered);
            let mut caller = connect(&client, NAME, gateway.address).await.unwrap();
            for _ in 0..2 {
                assert!(call(&mut caller).await.is_success());
            }
            let (_, session) = caller.get_ref();
            assert_eq!(session.protocol_version(), Some(expected));
            assert_eq!(session.alpn_protocol(), chosen);
        }
    }
}

#[tokio::test]
async fn a_caller_who_expects_something_else_does_not_get_as_far_as_a_request() {
    let authority = Authority::new();
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let gateway = gateway(&authority, "", &upstream).await;
    let trusting = client(&authority, BOTH, &[]);
    for (name, client, expected) in [
        ("another name", &trusting, "api.example.com"),
        (
            "another authority",
            &client(&Authority::new(), BOTH, &[]),
            NAME,
        ),
        ("HTTP/2 alone", &client(&authority, BOTH, &["h2"]), NAME),
    ] {
        let connected = connect(client, expected, gateway.address).await;
        assert!(connected.is_err(), "{name}");
    }
    let mut caller = connect(&trusting, NAME, gateway.address).await.unwrap();
    assert!(call(&mut caller).await.is_success());
}

/// The response to bytes without TLS, up to the end of the connection.
async fn send_plain(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset loses what was not read yet.
    soon(plain.read_to_end(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn plain_http_on_the_port_with_tls_is_told_so() {
    let authority = Authority::new();
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let (_folder, table) = table(&authority, &[NAME]);
    let text = setup(table).toml(&upstream.base_url);
    let (mut gateway, address) = Process::serve(&text).await;
    assert!(
        gateway
            .stdout
            .so_far()
            .contains(&format!("listening on https://{address}\n"))
    );
    let large = post("/send-image", &"x".repeat(1024 * 1024));
    for call in [photo("ALL"), photo("ALL").repeat(2), large] {
        let answer = send_plain(address, call.as_bytes()).await;
        let reply = Reply::read(&mut answer.as_slice()).await;
        reply.assert_failure(400, "BAD_REQUEST");
        assert!(reply.text("message").contains("https"), "{answer:?}");
        assert_eq!(reply.header("connection"), Some("close"));
        let line = gateway.stderr.line("tls_required").await;
        // Not "T1" alone, which a timestamp from 10:00 to 19:59 contains.
        for sent in ["instances", "/T1", "visualizationType"] {
            assert!(!line.contains(sent), "{line}");
        }
    }
    let head = send_plain(address, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(head.starts_with(b"HTTP/1.1 400 ") && head.ends_with(b"\r\n\r\n"));
    assert_eq!(upstream.seen(), []);
    // The operator's listener speaks no TLS.
    let admin = gateway.admin_address().await;
    let live = send(admin, "GET /live HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(live.status, 200);
    let metrics = send(admin, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(metrics.message.body.contains("error_type=\"tls_required\""));
}

#[tokio::test]
async fn what_is_neither_http_nor_tls_gets_no_http_response() {
    let authority = Authority::new();
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let gateway = gateway(&authority, "", &upstream).await;
    for bytes in [
        &b"\x80\x2e\x01\x00\x02"[..],
        b"\r\n\r\n",
        b"\x17\x03\x03\x00\x01x",
    ] {
        let mut plain = TcpStream::connect(gateway.address).await.unwrap();
        plain.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset ends it as well.
        let _ = soon(plain.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
}

#[tokio::test]
async fn tls_on_the_port_without_it_is_logged() {
    let (mut gateway, address) = Process::serve(&Setup::default().toml("http://127.0.0.1:9")).await;
    let client = client(&Authority::new(), BOTH, &[]);
    assert!(connect(&client, NAME, address).await.is_err());
    let line = gateway.stderr.line("tls_on_plain_port").await;
    assert!(line.contains("\"level\":\"INFO\""), "{line}");
}

#[tokio::test]
async fn a_handshake_that_stalls_holds_a_place_until_its_time_is_up() {
    let authority = Authority::new();
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let limits = "max_connections = 1\nheader_timeout = \"2s\"";
    let gateway = gateway(&authority, limits, &upstream).await;
    let client = client(&authority, BOTH, &[]);
    let mut stalled = TcpStream::connect(gateway.address).await.unwrap();
    let mut turned_away = connect(&client, NAME, gateway.address).await.unwrap();
    let reply = call(&mut turned_away).await;
    reply.assert_failure(503, "SERVICE_UNAVAILABLE");
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(matches!(soon(stalled.read(&mut [0])).await, Ok(0)));
    let mut served = connect(&client, NAME, gateway.address).await.unwrap();
    assert!(call(&mut served).await.is_success());
}

/// The client that was written for Z-API, for whom the vendor's name leads to the gateway, and with
/// the authority in this file.
fn run_node(trusted: &Path, port: u16) -> serde_json::Value {
    let hosts = file(&format!(
        "const dns = require('dns');\nconst {{ lookup }} = dns;\n\
         dns.lookup = (name, ...rest) => lookup(name === '{NAME}' ? '127.0.0.1' : name, ...rest);\n"
    ));
    let call =
        file("{\"method\":\"setProfilePhoto\",\"argument\":{\"visualizationType\":\"ALL\"}}\n");
    let mut node = Command::new("node");
    node.arg("--require").arg(hosts.path()).arg("client.mjs");
    node.args([&format!("https://{NAME}:{port}"), "I1", "T1"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/zapi-client"))
        .stdin(fs::File::open(call.path()).unwrap());
    let output = node.env("NODE_EXTRA_CA_CERTS", trusted).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test]
#[ignore = "needs Node.js and the packages of tests/zapi-client"]
async fn a_client_written_for_z_api_needs_nothing_but_the_authority() {
    let authority = Authority::new();
    let (trusted, _) = authority.trusted();
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let gateway = gateway(&authority, "", &upstream).await;
    let port = gateway.address.port();
    let outcome = spawn_blocking(move || run_node(trusted.path(), port));
    let outcome = outcome.await.unwrap();
    assert_eq!(outcome["resolved"]["success"], true, "{outcome}");
}
