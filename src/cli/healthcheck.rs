//! `healthcheck`: requests `/ready` or `/live` of the running gateway, for container and pod probes.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{Exit, FAILURE, arguments::Healthcheck, print, print_error};
use crate::config;

/// Limit for the whole probe.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn healthcheck(command: Healthcheck) -> Result<(), Exit> {
    let file = command.file.path();
    let listen = config::admin_listen(file.as_deref()).map_err(|problem| {
        let file = file.clone().unwrap_or_default();
        print_error(format_args!("{}: error: {problem}", file.display()));
        Exit::Reported(FAILURE)
    })?;
    let address = reachable(listen.address);
    if let Some(doubt) = listen.doubt {
        let file = file.map_or_else(String::new, |file| format!("{}: ", file.display()));
        print_error(format_args!("{file}asking {address}: {doubt}"));
    }
    let path = if command.live { "/live" } else { "/ready" };
    let status = timeout(TIMEOUT, status(address, path)).await;
    let status = status.unwrap_or_else(|elapsed| Err(elapsed.into()));
    let status = status.map_err(|error| {
        print_error(format_args!(
            "http://{address}{path} did not answer: {error}"
        ));
        Exit::Reported(FAILURE)
    })?;
    print(format_args!("http://{address}{path} answered {status}"));
    match status {
        StatusCode::OK => Ok(()),
        _ => Err(Exit::Reported(FAILURE)),
    }
}

/// The address at which this machine reaches a listener: loopback for an unspecified one.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => (),
    }
    listen
}

async fn status(address: SocketAddr, path: &str) -> io::Result<StatusCode> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let response = sender.send_request(request).await;
    Ok(response.map_err(io::Error::other)?.status())
}
