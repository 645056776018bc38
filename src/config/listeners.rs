//! `[server]` and `[admin]`: who is listened to, where, and for how long.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Admin, Drain, Listen, Server, rules::seconds, table::Table, tls::tls};

/// `admin.listen` where it is not written.
pub(super) const ADMIN_LISTEN: SocketAddr = loopback(8421);

const MIB: usize = 1024 * 1024;

/// `[server]`, `[server.drain]` and `[server.tls]`.
pub(super) fn server(table: &mut Table<'_>) -> Server {
    let drain = table.table("drain", |table| Drain {
        delay: table.key("delay").duration_or_zero().unwrap_or_default(),
        limit: table.key("limit").duration().unwrap_or(seconds(25)),
    });
    let tls = table.optional("tls", tls);
    let listen = listen(table, tls.is_some());
    let mut key = |name| table.key(name);
    Server {
        listen,
        deadline: key("deadline").duration().unwrap_or(seconds(30)),
        max_connections: key("max_connections").integer(1..=1_000_000).unwrap_or(512),
        max_body: key("max_body").integer(1..=16 * MIB).unwrap_or(65_536),
        header_timeout: key("header_timeout").duration().unwrap_or(seconds(10)),
        body_timeout: key("body_timeout").duration().unwrap_or(seconds(10)),
        idle_timeout: key("idle_timeout").duration().unwrap_or(seconds(60)),
        drain,
        tls: tls.flatten(),
    }
}

/// `server.listen` and `server.socket_mode`, which is for a Unix socket, as TLS is for the others.
fn listen(table: &mut Table<'_>, has_tls: bool) -> Listen {
    let key = table.key("listen");
    let mode_key = table.key("socket_mode");
    let mode = mode_key.mode().unwrap_or(0o660);
    let listen = key.listen(mode).unwrap_or(Listen::Tcp(loopback(8420)));
    let is_unix = matches!(listen, Listen::Unix { .. });
    if is_unix && has_tls {
        key.conflict(
            &[],
            "is a Unix socket, where no TLS is spoken; remove [server.tls], or write an address",
        );
    }
    if !is_unix && mode_key.is_written() {
        mode_key.conflict(
            &[key.path()],
            "is for a Unix socket; remove it, or write one in server.listen",
        );
    }
    listen
}

/// `[admin]`, which must not listen where `server` does.
pub(super) fn admin(table: &mut Table<'_>, server: &Listen) -> Admin {
    let key = table.key("listen");
    let listen = key.address().unwrap_or(ADMIN_LISTEN);
    let allow_remote = table.key("allow_remote").boolean().unwrap_or(false);
    if !listen.ip().is_loopback() && !allow_remote {
        key.conflict(
            &["admin.allow_remote"],
            "can be reached from other machines; write a loopback address, or allow_remote = true",
        );
    }
    if *server == Listen::Tcp(listen) && listen.port() != 0 {
        key.conflict(
            &["server.listen"],
            "is server.listen too; write another port",
        );
    }
    Admin {
        listen,
        allow_remote,
        is_optional: !key.is_written(),
    }
}

/// A port of this machine that no other machine reaches.
const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
