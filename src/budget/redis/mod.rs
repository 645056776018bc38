//! A limit that several processes share exactly, through Redis, with a static share for each process
//! while Redis is away.
//!
//! `PROTOCOL.md` says who may take when, and why the limit holds. `member.rs` is the state machine of one
//! process, `script.lua` the shared state, `step.rs` what goes between them, `server_clock.rs` the watch
//! on the server's clock, and `client.rs` the connection. This file runs them: one step of a process is
//! in flight at a time, and a background task keeps in touch with Redis while nothing is asked for.

mod client;
mod member;
mod server_clock;
mod step;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::RootCertStore;
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, sleep, timeout},
};

use self::{
    client::Client,
    member::{Member, Plan},
    step::{Answer, Step},
};
use super::slots::{Purpose, RELEASE_DELAY};
use crate::sync::lock;

pub use self::step::{Reason, Reply, Replying, SCRIPT, Store};

/// Redis is lost when it takes longer for one answer, connecting included.
const STEP_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a process shows that it is there, and looks whether Redis is.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A process that does not know the state needs four steps at most: it meets another epoch, tells its
/// slots, notices a stepped clock, and takes.
const MAX_STEPS: usize = 4;

/// For how long an unused budget of a token is remembered, because what is known of its epoch saves the
/// first request the time in which others may contest it.
const IDLE_BUDGET_TTL: Duration = Duration::from_secs(3600);

/// A limit that several processes share. Cloning it shares it within this one.
#[derive(Clone)]
pub struct SharedLimiter(Arc<Inner>);

/// What is shared, and the times that make it exact.
#[derive(Clone, Copy, Debug)]
pub struct SharedQuota {
    /// Requests of all processes in any 60 s, at least 1.
    pub limit: u32,
    /// How many may go out at once before pacing sets in, `1..=limit`.
    pub burst: u32,
    /// Requests of this process in any 60 s while Redis is away or its state is new.
    pub static_share: u32,
    /// The pace: one request in this time on average.
    pub interval: Duration,
    /// The longest time from a slot's being taken to the end of its request. A slot whose process
    /// was killed comes back by itself this long and `hold` after it was taken.
    pub longest_request: Duration,
    /// How long a slot is not free after its request is over, and a process silent after a loss.
    pub release_delay: Duration,
    /// Within this time all processes have noticed that Redis is lost, or back.
    pub margin: Duration,
    /// How long a process takes nothing from an epoch that it has just met: within this time all
    /// processes that used another one have said so.
    pub grace: Duration,
}

/// One slot. It stays taken until it is handed back to [`SharedLimiter`].
#[must_use = "a slot that is not handed back stays taken"]
#[derive(Debug)]
pub struct Lease {
    id: u64,
    is_of_static_share: bool,
}

/// What a process that asks for a slot gets.
#[derive(Debug)]
pub enum Decision {
    /// A slot: it may send.
    Granted(Lease),
    /// Nothing before this time; sooner only if one of its own leases is handed back.
    NotBefore(Instant),
    /// Redis or its state is lost, and nothing may be sent until this time, unless Redis is back sooner.
    Unavailable {
        /// When to ask again.
        until: Instant,
    },
}

/// How a process stands to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// It shares the limit exactly.
    Shared,
    /// It keeps to its static share.
    StaticShare,
    /// It lost Redis or the shared state, and sends nothing.
    Silent,
}

/// There is no way to Redis. It says nothing of the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It has to be one of `redis` or `rediss` with a host.
    #[error("the URL of Redis cannot be used")]
    Url,
    /// The protocol versions are not usable.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

struct Inner {
    store: Arc<dyn Store>,
    key: String,
    /// Tells this process's slots from those of others.
    process: u64,
    quota: SharedQuota,
    member: Mutex<Member>,
    /// A permit for each step in flight: one.
    steps: Semaphore,
    /// Notified when there is a step to make, and when the last user is gone.
    news: Arc<Notify>,
    /// Whether it keeps in touch with Redis while it has no slots.
    is_watch: bool,
    is_watching: AtomicBool,
    last_used: Mutex<Instant>,
}

impl SharedQuota {
    /// `limit` requests of all processes in any 60 s, `burst` of them at once, and `static_share` of
    /// this one while Redis is away.
    #[must_use]
    pub fn new(limit: u32, burst: u32, static_share: u32, longest_request: Duration) -> Self {
        Self {
            limit,
            burst,
            static_share,
            interval: Duration::from_secs(60) / limit,
            longest_request,
            release_delay: RELEASE_DELAY,
            margin: Duration::from_secs(5),
            grace: Duration::from_secs(3),
        }
    }

    /// How long the slot of a request in flight is taken.
    fn lease(&self) -> Duration {
        self.longest_request + self.release_delay
    }
}

impl SharedLimiter {
    /// The limit of the budget `bucket`, in the Redis at `url`, where the certificates in `roots`
    /// are trusted. Opens no connection yet.
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

    /// As [`new`](Self::new), where something else than a Redis runs [`SCRIPT`].
    #[must_use]
    pub fn with_store(store: Arc<dyn Store>, bucket: &str, quota: SharedQuota) -> Self {
        Self::of(store, bucket, quota, true)
    }

    /// Another limit with the same configuration in the same Redis.
    #[must_use]
    pub fn sibling(&self, bucket: &str) -> Self {
        Self::of(Arc::clone(&self.0.store), bucket, self.0.quota, false)
    }

    fn of(store: Arc<dyn Store>, bucket: &str, quota: SharedQuota, is_watch: bool) -> Self {
        let now = Instant::now();
        Self(Arc::new(Inner {
            store,
            key: format!("zapi-to-ryze:{bucket}"),
            process: fastrand::u64(..),
            quota,
            member: Mutex::new(Member::new(quota, now)),
            steps: Semaphore::new(1),
            news: Arc::default(),
            is_watch,
            is_watching: AtomicBool::new(false),
            last_used: Mutex::new(now),
        }))
    }

    /// Keeps in touch with Redis from now on, in a task. The first [`acquire`](Self::acquire) does it too.
    pub fn start_heartbeat(&self) {
        if !self.0.is_watching.swap(true, Ordering::Relaxed) {
            tokio::spawn(watch(Arc::downgrade(&self.0)));
        }
    }

    /// Whether nothing would be lost with it: no slot is in flight or held, and it was not used of late.
    pub(super) fn is_idle(&self) -> bool {
        self.in_use() == 0 && lock(&self.0.last_used).elapsed() > IDLE_BUDGET_TTL
    }

    /// How many slots this process has.
    pub(super) fn in_use(&self) -> usize {
        self.0.lock().in_use(Instant::now())
    }

    /// Requests of all processes in any 60 s.
    pub(super) fn limit(&self) -> u32 {
        self.0.quota.limit
    }

    /// Until when nothing is sent, as far as is known.
    pub(super) fn unavailable_until(&self, now: Instant) -> Option<Instant> {
        self.0.lock().unavailable_until(now)
    }

    /// Asks for a slot and a turn of the pace: at most a few round trips of a second each, one as a rule.
    /// Dropping the future may leave a slot taken until its lease runs out.
    pub async fn acquire(&self, purpose: Purpose) -> Decision {
        let inner = &self.0;
        self.start_heartbeat();
        *lock(&inner.last_used) = Instant::now();
        if inner.lock().is_away()
            && let Plan::Known(taken) = inner.lock().plan_acquire(Instant::now(), purpose)
        {
            // The step that looks for Redis need not be waited for.
            return taken;
        }
        let _step = inner.steps.acquire().await;
        for _ in 0..MAX_STEPS {
            let plan = inner.lock().plan_acquire(Instant::now(), purpose);
            let taken = match plan {
                Plan::Known(taken) => Some(taken),
                Plan::Ask(step) => inner.make(step).await.unwrap_or_default(),
            };
            if let Some(taken) = taken {
                return taken;
            }
        }
        Decision::NotBefore(Instant::now() + HEARTBEAT)
    }

    /// Makes one step now, whatever is known.
    ///
    /// # Errors
    /// Why Redis does not answer.
    pub async fn probe(&self) -> Result<(), Reason> {
        let _step = self.0.steps.acquire().await;
        let step = self.0.lock().plan_sync(Instant::now());
        self.0.make(step).await.map(|_| ())
    }

    /// Nothing was sent: the slot is free at once, and so is the turn of the pace.
    pub fn release(&self, lease: Lease) {
        self.0.lock().release(&lease);
        self.0.news.notify_one();
    }

    /// The request is over now: the slot is free 61 s later.
    pub fn release_later(&self, lease: Lease) {
        self.0.lock().release_later(&lease, Instant::now());
        self.0.news.notify_one();
    }

    /// How this process stands to Redis.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.0.lock().mode(Instant::now())
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

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Member> {
        lock(&self.member)
    }

    /// Makes one step. The caller holds the permit for it.
    async fn make(&self, step: Step) -> Result<Option<Decision>, Reason> {
        let asked = Instant::now();
        let arguments = step.arguments(self.process, &self.quota);
        let reply = timeout(STEP_TIMEOUT, self.store.eval(&self.key, arguments)).await;
        let answer = match reply {
            Ok(Ok(reply)) => Answer::read(&reply).ok_or_else(|| "not an answer".to_owned()),
            Ok(Err(reason)) => Err(reason),
            Err(_) => Err("no answer in time".to_owned()),
        };
        let mut member = self.lock();
        let now = Instant::now();
        match answer {
            Ok(answer) => Ok(member.answered(step, &answer, asked, now)),
            Err(reason) => {
                member.lost(step, &reason, now);
                Err(reason)
            }
        }
    }

    /// Tells Redis what it does not know, and sees whether it is there.
    async fn sync(&self) {
        let _step = self.steps.acquire().await;
        for _ in 0..MAX_STEPS {
            let step = self.lock().plan_sync(Instant::now());
            let version = step.version;
            let _ = self.make(step).await;
            let member = self.lock();
            let is_done = if member.is_away() {
                member.version() == version
            } else {
                !member.needs_sync()
            };
            if is_done {
                return;
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.news.notify_one();
    }
}

/// Makes a step every [`HEARTBEAT`], and at once when there is something to tell.
async fn watch(inner: Weak<Inner>) {
    loop {
        let Some(shared) = inner.upgrade() else {
            return;
        };
        shared.sync().await;
        let news = Arc::clone(&shared.news);
        let may_rest = !shared.is_watch && shared.lock().is_idle(Instant::now());
        drop(shared);
        if may_rest {
            news.notified().await;
        } else {
            tokio::select! {
                () = sleep(HEARTBEAT) => (),
                () = news.notified() => (),
            }
        }
    }
}
