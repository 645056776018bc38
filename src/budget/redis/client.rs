//! The connection to Redis. It is opened when a step needs it, and again where one turns out to be
//! closed: Redis and proxies close connections that are idle.

use std::sync::Mutex;

use redis::{
    AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError, RedisResult, aio::MultiplexedConnection, parse_redis_url,
};
use rustls::{RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::{
    ConfigError,
    step::{Reason, Reply, Replying, SCRIPT, Store},
};
use crate::{
    net::{Resolver, tls},
    sync::lock,
};

/// One Redis.
pub(super) struct Client {
    host: String,
    port: u16,
    tls: Option<(ServerName<'static>, TlsConnector)>,
    resolver: Resolver,
    login: RedisConnectionInfo,
    /// Connections that answered last. As many as there are steps at a time, which is one a budget.
    idle: Mutex<Vec<Link>>,
}

/// Idle connections beyond this are closed.
const MAX_IDLE_CONNECTIONS: usize = 4;

/// How often a step is sent again because its connection was cut.
const MAX_RETRIES: u32 = 3;

struct Link {
    connection: MultiplexedConnection,
    _driver: AbortOnDropHandle<()>,
}

impl Client {
    pub(super) fn new(url: &str, roots: RootCertStore) -> Result<Self, ConfigError> {
        let mut url = parse_redis_url(url).ok_or(ConfigError::Url)?;
        let is_secure = url.scheme() == "rediss";
        // TLS is made here and not by the driver, which would bring a second set of roots.
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

    async fn connect(&self) -> RedisResult<Link> {
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
        Ok(Link {
            connection,
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    /// Runs the script on a connection, which is kept only if it answers: an answer that is still
    /// awaited when the future is dropped must not delay the next one.
    async fn eval_on(&self, mut link: Link, key: &str, arguments: &[String]) -> RedisResult<Reply> {
        // With its hash Redis would not always know the script, which makes a second round trip.
        let mut command = redis::cmd("EVAL");
        command.arg(SCRIPT).arg(1).arg(key).arg(arguments);
        let reply = command.query_async(&mut link.connection).await?;
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push(link);
        }
        Ok(reply)
    }

    /// Retries on a new connection where one is cut: Redis may be there all the same.
    async fn run(&self, key: &str, arguments: &[String]) -> RedisResult<Reply> {
        let mut retries = 0;
        loop {
            match self.attempt(key, arguments).await {
                Err(error) if is_cut(&error) && retries < MAX_RETRIES => {
                    retries += 1;
                    // The idle connections are no younger.
                    lock(&self.idle).clear();
                }
                reply => return reply,
            }
        }
    }

    async fn attempt(&self, key: &str, arguments: &[String]) -> RedisResult<Reply> {
        let idle = lock(&self.idle).pop();
        let link = match idle {
            Some(link) => link,
            None => self.connect().await?,
        };
        self.eval_on(link, key, arguments).await
    }
}

/// Whether a connection was lost. A refused connection is none: retries at once would not help.
fn is_cut(error: &RedisError) -> bool {
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

/// The kind of an error alone, for its details may repeat what was sent to log in.
fn reason(error: &RedisError) -> Reason {
    match error.code() {
        Some(code) => format!("{}: {code}", error.category()),
        None => error.category().to_owned(),
    }
}
