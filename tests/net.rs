//! Connections to a host with several addresses, and the socket options that detect a dead peer. Name
//! resolution is tested beside the resolver.
#![cfg(target_os = "linux")]

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use rustls::pki_types::CertificateDer;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};
use tokio_rustls::TlsAcceptor;
use zapi_to_ryze::net::{Connect as _, Network, Resolver, TcpConnection, USER_TIMEOUT};

use crate::{
    harness::soon,
    tls::{Authority, certificate},
};

const HOST: &str = "upstream.test";
const LIMIT: Duration = Duration::from_secs(4);

/// What is at one of the addresses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    /// Nothing: connections are refused.
    Closed,
    /// Connections are accepted, and that is all.
    Silent,
    /// Another certificate authority's certificate.
    Untrusted,
    /// The upstream.
    Sound,
}

/// Serves loopback addresses that no other test has, at one port; a network that finds them.
async fn network(addresses: &'static [At]) -> Network {
    static BLOCKS: AtomicU8 = AtomicU8::new(0);
    let block = BLOCKS.fetch_add(1, Ordering::Relaxed);
    let address = move |last| IpAddr::from([127, 1, block, last]);
    let authority = Authority::new();
    let mut port = 0;
    for (at, last) in addresses.iter().zip(1u8..) {
        let socket = TcpListener::bind((address(last), port)).await.unwrap();
        port = socket.local_addr().unwrap().port();
        let authority = match at {
            At::Closed => continue,
            At::Untrusted => &Authority::new(),
            At::Silent | At::Sound => &authority,
        };
        let acceptor = TlsAcceptor::from(Arc::new(authority.certify(&certificate(&[HOST]))));
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = socket.accept().await {
                match at {
                    At::Sound | At::Untrusted => {
                        if let Ok(mut stream) = acceptor.accept(stream).await {
                            let _ = stream.write_all(&[last]).await;
                            let _ = stream.shutdown().await;
                        }
                    }
                    At::Silent | At::Closed => open.push(stream),
                }
            }
        });
    }
    let trusted: Vec<CertificateDer<'static>> = vec![authority.der()];
    let base_url = format!("https://{HOST}:{port}").parse().unwrap();
    let mut network = Network::new(&base_url, LIMIT, Some(&trusted)).unwrap();
    network.resolver = Resolver::new(move |host, reply| {
        assert_eq!(&*host, HOST);
        let count = u8::try_from(addresses.len()).unwrap();
        reply.send(Ok((1..=count)
            .map(|last| (address(last), 0).into())
            .collect()));
    });
    network
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_has_no_tcp_no_tls_or_another_certificate() {
    for addresses in [
        &[At::Closed, At::Sound],
        &[At::Silent, At::Sound],
        &[At::Untrusted, At::Sound],
    ] {
        let network = network(addresses).await;
        let begun = Instant::now();
        let mut stream = soon(network.connect()).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 2, "{addresses:?}");
        assert!(begun.elapsed() < LIMIT * 3 / 4, "{addresses:?}");
    }
}

#[tokio::test]
async fn of_several_failures_the_last_is_told() {
    let cases: [(&[At], _); 3] = [
        (
            &[At::Untrusted, At::Closed],
            io::ErrorKind::ConnectionRefused,
        ),
        (&[At::Closed, At::Untrusted], io::ErrorKind::InvalidData),
        (&[At::Closed, At::Silent], io::ErrorKind::TimedOut),
    ];
    for (addresses, kind) in cases {
        let failed = soon(network(addresses).await.connect()).await;
        assert_eq!(failed.err().map(|error| error.kind()), Some(kind));
    }
}

/// They may be old.
#[tokio::test]
async fn addresses_where_nothing_could_be_opened_are_looked_up_again_soon() {
    let mut network = network(&[At::Closed]).await;
    let look_ups = Arc::new(AtomicU8::new(0));
    let counted = Arc::clone(&look_ups);
    network.resolver = Resolver::new(move |_, reply| {
        counted.fetch_add(1, Ordering::Relaxed);
        reply.send(Ok(vec![([127, 1, 255, 255], 0).into()]));
    });
    let begun = Instant::now();
    soon(async {
        while look_ups.load(Ordering::Relaxed) < 2 {
            assert!(network.connect().await.is_err());
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // A sound answer is kept for 10 s.
    assert!(begun.elapsed() < Duration::from_secs(8));
}

/// A connection, and its other end.
async fn connection() -> (TcpConnection, TcpStream) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (opened, accepted) = tokio::join!(TcpConnection::open(address), socket.accept());
    (opened.unwrap(), accepted.unwrap().0)
}

fn user_timeout(connection: &TcpConnection) -> Option<Duration> {
    SockRef::from(connection.as_ref())
        .tcp_user_timeout()
        .unwrap()
}

#[tokio::test]
async fn the_system_is_told_to_find_a_dead_peer() {
    let (connection, _peer) = connection().await;
    let socket = SockRef::from(connection.as_ref());
    assert_eq!(user_timeout(&connection), Some(USER_TIMEOUT));
    assert!(socket.keepalive().unwrap());
    let idle = socket.tcp_keepalive_time().unwrap();
    let interval = socket.tcp_keepalive_interval().unwrap();
    let probes = socket.tcp_keepalive_retries().unwrap();
    assert_eq!(idle + interval * probes, USER_TIMEOUT);
    // The first probe that is due after the user timeout ends the connection, however few were lost.
    assert!(probes >= 3 && idle + interval * 2 < USER_TIMEOUT);
    assert!(socket.tcp_nodelay().unwrap());
    assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
}

#[tokio::test]
async fn small_requests_keep_the_user_timeout_and_a_large_body_lifts_it() {
    let (mut connection, mut peer) = connection().await;
    for _ in 0..10 {
        connection.write_all(&[0; 8 * 1024]).await.unwrap();
        peer.read_exact(&mut [0; 8 * 1024]).await.unwrap();
        peer.write_all(&[0]).await.unwrap();
        connection.read_u8().await.unwrap();
    }
    assert_eq!(user_timeout(&connection), Some(USER_TIMEOUT));
    for _ in 0..3 {
        connection.write_all(&[0; 8 * 1024]).await.unwrap();
    }
    assert_eq!(user_timeout(&connection), None);
}
