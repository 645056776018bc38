//! The connection to Redis. It is opened when a step needs it, and once more where the one from before
//! turns out to be closed: Redis and proxies close connections that are idle.

use std::sync::{Arc, Mutex};

use redis::{
    AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError, RedisResult, aio::MultiplexedConnection, parse_redis_url,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::lock,
    SharedError,
    step::{Reason, Reply, Replying, SCRIPT, Store},
};

/// One Redis.
pub(super) struct Client {
    host: String,
    port: u16,
    tls: Option<(ServerName<'static>, TlsConnector)>,
    login: RedisConnectionInfo,
    /// Connections that answered last. As many as there are steps at a time, which is one a budget.
    idle: Mutex<Vec<Link>>,
}

/// Idle connections beyond this are closed.
const MAX_IDLE_CONNECTIONS: usize = 4;

struct Link {
    connection: MultiplexedConnection,
    _driver: AbortOnDropHandle<()>,
}

impl Client {
    pub(super) fn new(url: &str, roots: RootCertStore) -> Result<Self, SharedError> {
        let mut url = parse_redis_url(url).ok_or(SharedError::Url)?;
        let is_secure = url.scheme() == "rediss";
        // TLS is made here and not by the driver, which would bring a second set of roots.
        url.set_scheme("redis").map_err(|()| SharedError::Url)?;
        let info = url.into_connection_info().map_err(|_| SharedError::Url)?;
        let ConnectionAddr::Tcp(host, port) = info.addr().clone() else {
            return Err(SharedError::Url);
        };
        let tls = if is_secure {
            let name = ServerName::try_from(host.clone()).map_err(|_| SharedError::Url)?;
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Some((name, TlsConnector::from(Arc::new(config))))
        } else {
            None
        };
        Ok(Self {
            host,
            port,
            tls,
            login: info.redis_settings().clone().set_skip_set_lib_name(),
            idle: Mutex::default(),
        })
    }

    async fn connect(&self) -> RedisResult<Link> {
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
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

    async fn run(&self, key: &str, arguments: &[String]) -> RedisResult<Reply> {
        let kept = lock(&self.idle).pop();
        if let Some(link) = kept {
            match self.eval_on(link, key, arguments).await {
                Err(error) if error.is_io_error() || error.is_connection_dropped() => {
                    // The others are no younger.
                    lock(&self.idle).clear();
                }
                reply => return reply,
            }
        }
        let link = self.connect().await?;
        self.eval_on(link, key, arguments).await
    }
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
