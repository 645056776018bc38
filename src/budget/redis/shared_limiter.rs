//! The limiter that several processes share. A clone is the same process.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::RootCertStore;
use tokio::time::Instant;

use super::{
    super::slots::Purpose,
    client::{Client, ConfigError},
    decision::Decision,
    leases::Lease,
    process::{Process, heartbeat},
    quota::SharedQuota,
    state::Mode,
    step::{Reason, Store},
};
use crate::sync::lock;

/// How long an unused limiter of a token is kept. As long as it knows its epoch, the first request need not
/// wait for the grace.
const IDLE_LIMITER_TTL: Duration = Duration::from_secs(3600);

#[derive(Clone)]
pub struct SharedLimiter {
    process: Arc<Process>,
    has_heartbeat: Arc<AtomicBool>,
    last_used: Arc<Mutex<Instant>>,
}

impl SharedLimiter {
    /// The limiter of the budget `bucket` in the Redis at `url`. Opens no connection yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(
        url: &str,
        bucket: &str,
        quota: SharedQuota,
        roots: RootCertStore,
    ) -> Result<Self, ConfigError> {
        let client = Client::new(url, roots)?;
        Ok(Self::with_store(Arc::new(client), bucket, quota))
    }

    /// As [`new`](Self::new), with another store than Redis.
    #[must_use]
    pub fn with_store(store: Arc<dyn Store>, bucket: &str, quota: SharedQuota) -> Self {
        Self::build(store, bucket, quota, true)
    }

    /// A limiter with the same quota and store for another budget.
    #[must_use]
    pub fn sibling(&self, bucket: &str) -> Self {
        Self::build(
            Arc::clone(&self.process.store),
            bucket,
            self.process.quota,
            false,
        )
    }

    fn build(
        store: Arc<dyn Store>,
        bucket: &str,
        quota: SharedQuota,
        is_always_connected: bool,
    ) -> Self {
        let process = Process::new(store, bucket, quota, is_always_connected);
        Self {
            process: Arc::new(process),
            has_heartbeat: Arc::default(),
            last_used: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Starts to send heartbeats, in a task. The first [`acquire`](Self::acquire) does so as well.
    pub fn start_heartbeat(&self) {
        if !self.has_heartbeat.swap(true, Ordering::Relaxed) {
            tokio::spawn(heartbeat(Arc::downgrade(&self.process)));
        }
    }

    /// Whether it can be dropped: it has no slots and was not used for [`IDLE_LIMITER_TTL`].
    pub(in super::super) fn is_idle(&self) -> bool {
        self.in_use() == 0 && lock(&self.last_used).elapsed() > IDLE_LIMITER_TTL
    }

    /// How many slots this process has.
    pub(in super::super) fn in_use(&self) -> usize {
        self.process.lock().in_use(Instant::now())
    }

    /// Requests of all processes in any 60 s.
    pub(in super::super) fn limit(&self) -> u32 {
        self.process.quota.limit
    }

    /// Until when nothing is sent, as far as is known.
    pub(in super::super) fn unavailable_until(&self, now: Instant) -> Option<Instant> {
        self.process.lock().unavailable_until(now)
    }

    /// Acquires a slot and a turn of the pace: usually one round trip, at most a few of a second each.
    /// Dropping the future may leave a slot in use until its lease ends.
    pub async fn acquire(&self, purpose: Purpose) -> Decision {
        self.start_heartbeat();
        *lock(&self.last_used) = Instant::now();
        self.process.acquire(purpose).await
    }

    /// Asks Redis once, even during an outage.
    ///
    /// # Errors
    /// Why it does not answer.
    pub async fn probe(&self) -> Result<(), Reason> {
        self.process.probe().await
    }

    /// Nothing was sent: releases the slot and the turn of the pace at once.
    pub fn release(&self, lease: Lease) {
        self.process.lock().release(&lease);
        self.process.news.notify_one();
    }

    /// The request ended now: releases the slot after the release delay.
    pub fn release_later(&self, lease: Lease) {
        self.process.lock().release_later(&lease, Instant::now());
        self.process.news.notify_one();
    }

    #[must_use]
    pub fn mode(&self) -> Mode {
        self.process.lock().mode(Instant::now())
    }
}

impl fmt::Debug for SharedLimiter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("SharedLimiter")
            .field(&self.mode())
            .finish()
    }
}
