//! TLS towards Ryze: a server that proves who it is gets the request, and any other gets nothing.
//! What Ryze answers to a request belongs in `ryze_answers.rs`.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    harness::{Gateway, Message, Reply, Setup, Upstream, confirms, photo, soon},
    process::file,
};

const CONFIRMED: &str = r#"{"visibility":{"profile":"contacts"}}"#;

/// A private certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // With the name of what it certifies, OpenSSL takes that for self-signed.
        let name = &mut authority.distinguished_name;
        name.push(DnType::CommonName, "private authority");
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(authority, key).unwrap())
    }

    /// What makes a gateway trust it: a file, and the line that names it.
    pub fn trusted(&self) -> (NamedTempFile, String) {
        let file = file(&self.0.pem());
        let line = format!("ca_file = {:?}", file.path());
        (file, line)
    }

    /// What makes a caller trust it.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).unwrap();
        roots
    }

    /// Its own certificate.
    pub fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate of this authority and its key, as PEM.
    pub fn issue(&self, certificate: &CertificateParams) -> [String; 2] {
        let key = KeyPair::generate().unwrap();
        let certificate = certificate.signed_by(&key, &self.0).unwrap();
        [certificate.pem(), key.serialize_pem()]
    }

    /// A server with a certificate of this authority.
    pub fn certify(&self, certificate: &CertificateParams) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = certificate.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], key)
            .unwrap()
    }
}

/// A certificate for these names and addresses.
pub fn certificate(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

/// Speaks TLS in front of the upstream. Returns the port.
pub async fn terminate_tls(server: ServerConfig, upstream: &Upstream) -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let behind = upstream
        .base_url
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            // A caller who does not trust the certificate hangs up.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut upstream = TcpStream::connect(&behind).await.unwrap();
                tokio::spawn(async move {
                    // How the connection ends is not what is tested.
                    let _ = copy_bidirectional(&mut stream, &mut upstream).await;
                });
            }
        }
    });
    port
}

/// A gateway in front of a server on this port, with more lines for its table `ryze`.
async fn gateway(host: &str, port: u16, ryze: &str) -> Gateway {
    let setup = Setup {
        // A setup is made of literals.
        ryze: ryze.to_owned().leak(),
        ..Setup::default()
    };
    setup.start(&format!("https://{host}:{port}")).await
}

/// A call with an id, for one that the gateway makes is new each time.
async fn call(gateway: &Gateway) -> Reply {
    let request = photo("CONTACTS").replace(
        "Host",
        "X-Request-Id: 0f8fad5b-d9cb-469f-a165-70867728950e\r\nHost",
    );
    gateway.send(request).await
}

/// What Ryze sees of the call without TLS.
async fn without_tls() -> (Message, String) {
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    assert!(call(&gateway).await.is_success());
    let authority = upstream.base_url.strip_prefix("http://").unwrap();
    (upstream.seen().remove(0), authority.to_owned())
}

#[tokio::test]
async fn a_server_with_a_certificate_of_the_private_authority() {
    let authority = Authority::new();
    let (_file, trusted) = authority.trusted();
    let (expected, plain_host) = without_tls().await;
    for host in ["localhost", "127.0.0.1"] {
        let upstream = Upstream::start(confirms(CONFIRMED)).await;
        let server = authority.certify(&certificate(&[host]));
        let port = terminate_tls(server, &upstream).await;
        let gateway = gateway(host, port, &trusted).await;
        for _ in 0..2 {
            let reply = call(&gateway).await;
            assert!(reply.is_success(), "{host}: {}", reply.message.body);
        }
        let mut expected = expected.clone();
        expected.head = expected
            .head
            .replace(&plain_host, &format!("{host}:{port}"));
        assert_eq!(upstream.seen(), [expected.clone(), expected]);
        assert_eq!(upstream.connections(), 1);
    }
}

#[tokio::test]
async fn a_server_that_does_not_prove_who_it_is() {
    let authority = Authority::new();
    let (_file, trusted) = authority.trusted();
    let mut expired = certificate(&["localhost"]);
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2020, 2, 1);
    let mut early = certificate(&["localhost"]);
    early.not_before = date_time_ymd(4000, 1, 1);
    let sound = certificate(&["localhost"]);
    let of_another = Authority::new().certify(&sound);
    let cases = [
        ("another authority", of_another, trusted.as_str()),
        ("expired", authority.certify(&expired), trusted.as_str()),
        ("not valid yet", authority.certify(&early), trusted.as_str()),
        (
            "another name",
            authority.certify(&certificate(&["ryze.example"])),
            trusted.as_str(),
        ),
        (
            "an address in place of the name",
            authority.certify(&certificate(&["127.0.0.1"])),
            trusted.as_str(),
        ),
        ("no ca_file", authority.certify(&sound), ""),
    ];
    for (name, server, ryze) in cases {
        let upstream = Upstream::start(confirms(CONFIRMED)).await;
        let port = terminate_tls(server, &upstream).await;
        let gateway = gateway("localhost", port, ryze).await;
        let reply = gateway.set_photo("CONTACTS").await;
        reply.assert_failure(502, "BAD_GATEWAY");
        assert!(
            reply.text("message").contains("certificate"),
            "{name}: {}",
            reply.message.body
        );
        assert_eq!(upstream.seen(), [], "{name}");
    }
}

/// A server without TLS that says this to everybody. Returns its port and, for each connection that
/// has ended, all that it was sent.
async fn plain(says: &'static str) -> (u16, UnboundedReceiver<Vec<u8>>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let (seen, sent) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                stream.write_all(says.as_bytes()).await.unwrap();
                // A reset ends it as well.
                let _ = stream.read_to_end(&mut bytes).await;
                let _ = seen.send(bytes);
            });
        }
    });
    (port, sent)
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls() {
    let cases = [
        (
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            "",
            "handshake",
        ),
        // It accepts the connection and waits: the time to connect is for the handshake too.
        ("", "connect_timeout = \"300ms\"", "in time"),
    ];
    for (says, ryze, message) in cases {
        let (port, mut sent) = plain(says).await;
        let gateway = gateway("127.0.0.1", port, ryze).await;
        let reply = gateway.set_photo("CONTACTS").await;
        reply.assert_failure(502, "BAD_GATEWAY");
        assert!(
            reply.text("message").contains(message),
            "{}",
            reply.message.body
        );
        let sent = soon(sent.recv()).await.unwrap();
        let sent = String::from_utf8_lossy(&sent);
        assert!(
            !sent.contains("POST") && !sent.contains("ryze-secret"),
            "{sent}"
        );
    }
}
