//! `healthcheck`: asks a running gateway how it is, as a container's or a pod's probe does.

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

use super::{FAILURE, Failed, answer, arguments::Healthcheck, tell};
use crate::config;

/// Within this a gateway in good health has answered.
const LIMIT: Duration = Duration::from_secs(2);

pub(super) async fn healthcheck(command: Healthcheck) -> Result<(), Failed> {
    let file = command.file.path();
    let listen = config::admin_listen(file.as_deref()).map_err(|problem| {
        let file = file.clone().unwrap_or_default();
        tell(format_args!("{}: error: {problem}", file.display()));
        Failed::Told(FAILURE)
    })?;
    let address = reachable(listen.address);
    if let Some(doubt) = listen.doubt {
        let file = file.map_or_else(String::new, |file| format!("{}: ", file.display()));
        tell(format_args!("{file}asking {address}: {doubt}"));
    }
    let path = if command.live { "/live" } else { "/ready" };
    let status = timeout(LIMIT, status(address, path)).await;
    let status = status.unwrap_or_else(|elapsed| Err(elapsed.into()));
    let status = status.map_err(|error| {
        tell(format_args!(
            "http://{address}{path} did not answer: {error}"
        ));
        Failed::Told(FAILURE)
    })?;
    answer(format_args!("http://{address}{path} answered {status}"));
    match status {
        StatusCode::OK => Ok(()),
        _ => Err(Failed::Told(FAILURE)),
    }
}

/// Where this machine finds what listens at `listen`.
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
    let answer = sender.send_request(request).await;
    Ok(answer.map_err(io::Error::other)?.status())
}
