//! The client of Redis. It connects when a step needs a connection, and again if a reused one was
//! closed: Redis and proxies close idle connections. There is no back-off: during an outage only the
//! heartbeats of `process.rs` retry.

use std::sync::Mutex;

use redis::{
    AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError, RedisResult, aio::MultiplexedConnection, parse_redis_url,
};
use rustls::{RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::step::{Reason, Reply, Replying, SCRIPT, Store};
use crate::{
    net::{Resolver, tls},
    sync::lock,
};

/// Idle connections beyond this are closed.
const MAX_IDLE_CONNECTIONS: usize = 4;

/// How often a step is sent again because its connection was closed.
const MAX_RETRIES: u32 = 3;

pub(super) struct Client {
    host: String,
    port: u16,
    tls: Option<(ServerName<'static>, TlsConnector)>,
    resolver: Resolver,
    login: RedisConnectionInfo,
    /// The connections that answered last. A budget uses one at a time.
    idle: Mutex<Vec<Connection>>,
}

/// Redis cannot be used. The messages do not show the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not `redis` or `rediss` with a host.
    #[error("the URL of Redis cannot be used")]
    Url,
    /// The protocol versions are not usable.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

struct Connection {
    multiplexed: MultiplexedConnection,
    _driver: AbortOnDropHandle<()>,
}

impl Client {
    pub(super) fn new(url: &str, roots: RootCertStore) -> Result<Self, ConfigError> {
        let mut url = parse_redis_url(url).ok_or(ConfigError::Url)?;
        let is_secure = url.scheme() == "rediss";
        // The driver would bring a second set of roots for TLS.
        url.set_scheme("redis").map_err(|()| ConfigError::Url)?;
        let info = url.into_connection_info().map_err(|_| ConfigError::Url)?;
        let ConnectionAddr::Tcp(host, port) = info.addr().clone() else {
            return Err(ConfigError::Url);
        };
        let tls = if is_secure {
            let name = ServerName::try_from(host.clone()).map_err(|_| ConfigError::Url)?;
            Some((name, TlsConnector::from(tls::client(roots)?)))
        } else {
            None
        };
        Ok(Self {
            host,
            port,
            tls,
            resolver: Resolver::system(),
            login: info.redis_settings().clone().set_skip_set_lib_name(),
            idle: Mutex::default(),
        })
    }

    async fn connect(&self) -> RedisResult<Connection> {
        let mut addresses = self.resolver.resolve(&self.host).await?.to_vec();
        for address in &mut addresses {
            address.set_port(self.port);
        }
        let stream = TcpStream::connect(&*addresses).await?;
        stream.set_nodelay(true)?;
        // The caller limits the time of all steps together.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) = match &self.tls {
            None => {
                let (connection, driver) =
                    MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
                (connection, tokio::spawn(driver))
            }
            Some((name, tls)) => {
                let stream = tls.connect(name.clone(), stream).await?;
                let (connection, driver) =
                    MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
                (connection, tokio::spawn(driver))
            }
        };
        Ok(Connection {
            multiplexed: connection,
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    /// Runs the script on a connection, which is kept only if it answers: an answer that is pending when the
    /// future is dropped must not delay the next one.
    async fn eval_on(
        &self,
        mut connection: Connection,
        key: &str,
        arguments: &[String],
    ) -> RedisResult<Reply> {
        // With its hash Redis would not always know the script, which makes a second round trip.
        let mut command = redis::cmd("EVAL");
        command.arg(SCRIPT).arg(1).arg(key).arg(arguments);
        let reply = command.query_async(&mut connection.multiplexed).await?;
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push(connection);
        }
        Ok(reply)
    }

    /// Retries on a new connection if one was closed: Redis may still be available.
    async fn run(&self, key: &str, arguments: &[String]) -> RedisResult<Reply> {
        let mut retries = 0;
        loop {
            match self.attempt(key, arguments).await {
                Err(error) if is_closed(&error) && retries < MAX_RETRIES => {
                    retries += 1;
                    // The idle connections are not newer.
                    lock(&self.idle).clear();
                }
                reply => return reply,
            }
        }
    }

    async fn attempt(&self, key: &str, arguments: &[String]) -> RedisResult<Reply> {
        let idle = lock(&self.idle).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        self.eval_on(connection, key, arguments).await
    }
}

/// Whether the connection was closed. If it was refused, an immediate retry would not help.
fn is_closed(error: &RedisError) -> bool {
    (error.is_io_error() || error.is_connection_dropped()) && !error.is_connection_refusal()
}

impl Store for Client {
    fn eval<'a>(&'a self, key: &'a str, arguments: Vec<String>) -> Replying<'a> {
        Box::pin(async move {
            let reply = self.run(key, &arguments).await;
            reply.map_err(|error| reason(&error))
        })
    }
}

/// Only the kind of the error, because its message may contain the credentials.
fn reason(error: &RedisError) -> Reason {
    match error.code() {
        Some(code) => format!("{}: {code}", error.category()),
        None => error.category().to_owned(),
    }
}
