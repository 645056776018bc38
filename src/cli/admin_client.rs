//! A client for the admin listener of the gateway that runs with a configuration file on this machine.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time};

use super::{
    Exit,
    arguments::{File, FileOption},
    print_error,
};
use crate::{
    config::{self, Origin},
    net::Stream,
    whole_body,
};

/// Limit of a response's body: `/status` with many thousand instances.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The address at which this machine reaches the admin listener. Warns on stderr if it is uncertain.
///
/// # Errors
/// The file cannot be read: `unreadable` is the exit code.
pub(super) fn address(file: File, unreadable: u8) -> Result<SocketAddr, Exit> {
    let file = FileOption::from(file).path();
    let listen = config::admin_listen(file.as_deref()).map_err(|problem| {
        let file = file.clone().unwrap_or_default();
        print_error(format_args!("{}: error: {problem}", file.display()));
        Exit::Reported(unreadable)
    })?;
    let address = reachable(listen.address);
    // Without a file, the variables of one instance leave the default.
    let is_certain = file.is_none() && Origin::find(None).is_some();
    if let Some(doubt) = listen.doubt.filter(|_| !is_certain) {
        let file = file.map_or_else(String::new, |file| format!("{}: ", file.display()));
        print_error(format_args!("{file}asking {address}: {doubt}"));
    }
    Ok(address)
}

/// Loopback for an unspecified address.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => (),
    }
    listen
}

/// GETs a path within `timeout`.
pub(super) async fn get(
    address: SocketAddr,
    path: &str,
    timeout: Duration,
) -> io::Result<(StatusCode, Bytes)> {
    let response = time::timeout(timeout, request(address, path)).await;
    response.unwrap_or_else(|elapsed| Err(elapsed.into()))
}

async fn request(address: SocketAddr, path: &str) -> io::Result<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(address).await?;
    // With the types of the client of Ryze, which share its code.
    let stream: Box<dyn Stream> = Box::new(stream);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .body(Full::<Bytes>::default())
        .map_err(io::Error::other)?;
    let response = sender.send_request(request).await;
    let (parts, body) = response.map_err(io::Error::other)?.into_parts();
    let body = whole_body::read(body, MAX_BODY).await;
    Ok((parts.status, body.map_err(io::Error::other)?))
}
