//! The state that gateways share: where it is in Redis, and the one script that changes it. When a
//! gateway asks for what belongs in `mod.rs`.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError, RedisResult, aio::MultiplexedConnection, parse_redis_url,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::{super::slots::Purpose, SharedError, Terms};

const SCRIPT: &str = include_str!("script.lua");

/// One budget's place in one Redis.
#[derive(Clone)]
pub(super) struct Store {
    host: String,
    port: u16,
    tls: Option<(ServerName<'static>, TlsConnector)>,
    login: RedisConnectionInfo,
    key: String,
    /// Tells this process's slots from those of others.
    process: u64,
    terms: Terms,
}

/// What a step is to do with its slots.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// Take the slot if it may be taken for this.
    Take(Purpose),
    /// Hold the slot from now on.
    Hold,
    /// Let go of the slot and of the turn that it took.
    GiveBack,
    /// Put in all slots, and make the state where there is none.
    Join,
}

/// What became of a step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// It was made, in the state that was made at this time by the clock of Redis.
    Done { since: i64 },
    /// It may be tried again after this time.
    Wait(Duration),
    /// The state in which this process has slots is gone.
    Lost,
}

/// A connection. It is dropped at its first error, for after it nothing is known of the state.
pub(super) struct Link {
    connection: MultiplexedConnection,
    is_open: Arc<AtomicBool>,
    _driver: AbortOnDropHandle<()>,
}

impl Link {
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }
}

impl Store {
    pub(super) fn new(
        url: &str,
        bucket: &str,
        terms: Terms,
        roots: RootCertStore,
    ) -> Result<Self, SharedError> {
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
            key: key(bucket),
            process: RandomState::new().build_hasher().finish(),
            terms,
        })
    }

    /// Another budget's place in the same Redis.
    pub(super) fn sibling(&self, bucket: &str) -> Self {
        Self {
            key: key(bucket),
            ..self.clone()
        }
    }

    /// Opens a connection. `on_close` is called if it ends before it is dropped.
    pub(super) async fn connect(
        &self,
        on_close: impl FnOnce() + Send + 'static,
    ) -> RedisResult<Link> {
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        stream.set_nodelay(true)?;
        let is_open = Arc::new(AtomicBool::new(true));
        let is_still_open = Arc::clone(&is_open);
        let close = move || {
            is_still_open.store(false, Ordering::Relaxed);
            on_close();
        };
        // Whoever uses the connection limits the time of all its steps.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) = match &self.tls {
            None => {
                let (connection, driver) =
                    MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
                (connection, drive(driver, close))
            }
            Some((name, tls)) => {
                let stream = tls.connect(name.clone(), stream).await?;
                let (connection, driver) =
                    MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
                (connection, drive(driver, close))
            }
        };
        Ok(Link {
            connection,
            is_open,
            _driver: driver,
        })
    }

    /// Makes one step, all or nothing. `known` is the state in which this process has slots, or 0;
    /// with each slot stands for how long it will not be free.
    pub(super) async fn ask(
        &self,
        link: &Link,
        action: Action,
        known: i64,
        slots: &[(u64, Duration)],
    ) -> RedisResult<Answer> {
        let Terms {
            limit,
            burst,
            interval,
            hold,
            grace,
            ..
        } = self.terms;
        // With its hash Redis would not always know the script, which makes a second round trip.
        let mut command = redis::cmd("EVAL");
        command.arg(SCRIPT).arg(1).arg(&self.key);
        command
            .arg(action.word())
            .arg(known)
            .arg(limit - action.leaves(limit))
            .arg(microseconds(interval))
            .arg(microseconds(interval * (burst - 1)))
            .arg(microseconds(hold))
            .arg(microseconds(self.terms.lease()))
            .arg(microseconds(grace));
        for (id, time) in slots {
            let id = format!("{:016x}-{id}", self.process);
            command.arg(id).arg(microseconds(*time));
        }
        let mut connection = link.connection.clone();
        let (word, number): (String, i64) = command.query_async(&mut connection).await?;
        match (&*word, u64::try_from(number)) {
            ("done", _) => Ok(Answer::Done { since: number }),
            ("wait", Ok(time)) => {
                // By then it is worth while to ask again in any case.
                let wait = Duration::from_micros(time).min(self.terms.lease());
                Ok(Answer::Wait(wait))
            }
            ("lost", _) => Ok(Answer::Lost),
            _ => Err(nonsense()),
        }
    }
}

/// An answer that the script does not give.
pub(super) fn nonsense() -> RedisError {
    RedisError::from((ErrorKind::UnexpectedReturnType, "not an answer"))
}

impl Action {
    /// How many slots stay for others.
    fn leaves(self, limit: u32) -> u32 {
        match self {
            Self::Take(purpose) => purpose.leaves(limit),
            Self::Hold | Self::GiveBack | Self::Join => 0,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Take(_) => "take",
            Self::Hold => "hold",
            Self::GiveBack => "give_back",
            Self::Join => "join",
        }
    }
}

fn key(bucket: &str) -> String {
    format!("zapi-to-ryze:{bucket}")
}

fn drive(
    driver: impl Future<Output = ()> + Send + 'static,
    close: impl FnOnce() + Send + 'static,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        driver.await;
        close();
    }))
}

/// Rounded up, which no time here minds.
fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX)
}
