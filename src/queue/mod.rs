//! The only place that orders the steps of an operation: wait for the budget, fold, send, judge.
//!
//! One lane per Ryze instance, by the instance's name, and at most one request for an instance in
//! flight, so that an older value cannot overtake a newer one and Ryze's snapshot is not torn. A reload
//! may replace token and configuration entry of the instance: its lane stays, `directory.rs` tells the
//! token that a call is sent with, and calls of different tokens are never coalesced. Operations that arrive meanwhile
//! wait. When the permit is granted, not before, the next request is folded from the callers who
//! still wait: an update has of the same setting the latest value, and different settings together;
//! a read is for all who want to read. Every caller is judged by its own setting, and where an answer
//! leaves that open, what can be found out is found out. A lane runs in a task of its own, for hyper
//! drops the handler of a caller who hangs up, and what was sent is to be carried to its end.
//!
//! Here callers come and go; what a lane does with them is in `run.rs` and, where a request failed, in
//! `recover.rs`; one request and what is learned from it is in `exchange.rs`; which instances are left
//! alone for a while is in `hold.rs`, and what can be seen of all this from outside in `view.rs`.

mod backoff;
mod batch;
mod directory;
mod pending_call;
mod retry;
mod send;
mod status;
mod suspension;
mod verdict;
mod worker;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    directory::Directory,
    pending_call::{Caller, Tried},
    suspension::Holds,
    worker::Running,
};
pub use self::{status::Health, suspension::Held};
use crate::{
    budget::Budget,
    net::Connect,
    privacy::{Failure, Operation, Outcome},
    redact::SecretIndex,
    ryze::{Client, Target},
    telemetry::{Metrics, Trace},
    timer::TimerPool,
};

/// The part of its time that a caller must still have to be sent: with less it would hardly see the
/// answer.
const MARGIN: u32 = 4;

/// How long a caller with this much time may wait to be sent.
#[must_use]
pub fn longest_wait(deadline: Duration) -> Duration {
    deadline - deadline / MARGIN
}

/// The lanes that have something to do; an idle instance has none.
pub struct Lanes<C> {
    budget: Budget,
    client: Client<C>,
    deadline: Duration,
    max_waiting: usize,
    metrics: Arc<Metrics>,
    health: Mutex<Health>,
    waiting: Mutex<Waiting>,
    /// The tasks of the lanes.
    tasks: TaskTracker,
    cut: CancellationToken,
    timers: TimerPool,
}

/// Who waits in which lane. Bounded: every caller holds a connection, and leaves with it.
#[derive(Default)]
struct Waiting {
    /// By the instance's name.
    lanes: HashMap<Arc<str>, Lane>,
    callers_so_far: u64,
    directory: Directory,
    holds: Holds,
}

struct Lane {
    /// In the order in which they came.
    callers: Vec<Caller>,
    /// Notified when a caller left and when the configured targets changed.
    changed: Arc<Notify>,
    /// One for each caller who may wait for an answer, sent or not.
    places: Arc<Semaphore>,
}

impl<C: Connect> Lanes<C> {
    /// Lanes that share a budget and a client. `deadline` is the time that callers have; three
    /// quarters of it may pass before they are sent. Of one instance `max_waiting` callers may wait.
    pub fn new(
        budget: Budget,
        client: Client<C>,
        deadline: Duration,
        max_waiting: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            budget,
            client,
            deadline,
            max_waiting,
            metrics: Arc::default(),
            health: Mutex::default(),
            waiting: Mutex::default(),
            tasks: TaskTracker::new(),
            cut: CancellationToken::new(),
            timers: TimerPool::default(),
        })
    }

    /// Queues an operation and returns its outcome by `deadline`. A call that was not sent when three
    /// quarters of its time are over fails at that moment. The trace records the upstream requests.
    /// Dropping the future cancels an operation that is not in a request yet; one that is runs to its
    /// end.
    pub async fn carry_out(
        self: &Arc<Self>,
        target: &Arc<Target>,
        operation: Operation,
        deadline: Instant,
        trace: &Arc<Trace>,
    ) -> Outcome {
        let (outcome, mut answer) = oneshot::channel();
        let latest = deadline
            .checked_sub(self.deadline / MARGIN)
            .unwrap_or(deadline);
        let mut place = self.join(target, |number| Caller {
            number,
            target: Arc::clone(target),
            operation,
            latest,
            gives_up: None,
            was_put_back: false,
            tried: Tried::Nothing,
            trace: Arc::clone(trace),
            outcome,
        })?;
        for until in [latest, deadline] {
            let answer = tokio::select! {
                biased;
                answer = self.timers.timeout_at(until, &mut answer) => answer,
                () = self.cut.cancelled() => None,
            };
            if let Some(answer) = answer {
                place.is_taken = false;
                // The lane's task panicked, and what it sent is not known.
                return answer.unwrap_or(Err(Failure::Unknown));
            }
            if let Some(failure) = place.leave() {
                return Err(failure);
            }
        }
        Err(Failure::Unknown)
    }

    /// Answers everybody now, as if the deadlines had come.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Whether [`cut`](Self::cut) was called.
    pub fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// Waits until [`cut`](Self::cut) was called.
    pub async fn until_cut(&self) {
        self.cut.cancelled().await;
    }

    /// Waits until no lane has anything to do.
    pub async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Joins the instance's lane, and starts it where it is idle. Fails where the instance is held, or
    /// too many wait for it.
    fn join<'l>(
        self: &'l Arc<Self>,
        target: &'l Arc<Target>,
        caller: impl FnOnce(u64) -> Caller,
    ) -> Result<Place<'l, C>, Failure> {
        let mut waiting = self.lock();
        waiting.check(target)?;
        waiting.callers_so_far += 1;
        let number = waiting.callers_so_far;
        let lane = match waiting.lanes.entry(Arc::clone(target.name())) {
            Entry::Occupied(lane) => lane.into_mut(),
            Entry::Vacant(vacant) => {
                let changed = Arc::default();
                let running = Running::new(Arc::clone(self), target.name(), Arc::clone(&changed));
                // Boxed, for tokio would move the whole of it several times.
                self.tasks.spawn(Box::pin(running.run()));
                vacant.insert(Lane {
                    callers: Vec::new(),
                    changed,
                    places: Arc::new(Semaphore::new(self.max_waiting)),
                })
            }
        };
        let place = Arc::clone(&lane.places).try_acquire_owned();
        let place = place.map_err(|_| Failure::QueueFull)?;
        lane.callers.push(caller(number));
        Ok(Place {
            lanes: self,
            name: target.name(),
            number,
            is_taken: true,
            _place: place,
        })
    }
}

impl<C> Lanes<C> {
    /// From now on these are the configured targets: calls that wait are sent with their tokens, and
    /// wait for the limits of these. No instance is held any more for having been denied: the operator
    /// may have cured it.
    pub fn serve(&self, targets: &[Arc<Target>]) {
        let tokens = targets.iter().map(|target| target.token_digest());
        self.budget.serve(tokens);
        let mut waiting = self.lock();
        let waiting = &mut *waiting;
        waiting.directory = Directory::new(targets);
        waiting.holds.retain(&waiting.directory, Instant::now());
        for lane in waiting.lanes.values() {
            lane.changed.notify_one();
        }
    }

    /// From now on no reason shows one of these secrets.
    pub fn redact(&self, secrets: Arc<SecretIndex>)
    where
        C: Connect,
    {
        self.client.redact(secrets);
    }

    fn lock_health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic elsewhere leaves nothing half done here: each lock covers one complete step.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// What the first of those who wait for the instance is sent with.
    fn next_target(&self, name: &str) -> Option<&Arc<Target>> {
        let first = self.lanes.get(name)?.callers.first()?;
        Some(self.directory.current(&first.target))
    }

    /// Fails while the instance is held, for the token that it has now.
    fn check(&self, target: &Arc<Target>) -> Result<(), Failure> {
        let target = self.directory.current(target);
        self.holds.check(target, Instant::now())
    }
}

/// A caller's place in a lane. Dropping it leaves the lane.
struct Place<'l, C> {
    lanes: &'l Lanes<C>,
    name: &'l str,
    number: u64,
    is_taken: bool,
    _place: OwnedSemaphorePermit,
}

impl<C> Place<'_, C> {
    /// Leaves the lane; tells what became of the operation where the caller still waited there, so
    /// that it is not under way.
    fn leave(&mut self) -> Option<Failure> {
        if !self.is_taken {
            return None;
        }
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.get_mut(self.name)?;
        let number = |caller: &Caller| caller.number;
        let place = lane.callers.binary_search_by_key(&self.number, number);
        let caller = lane.callers.remove(place.ok()?);
        self.is_taken = false;
        lane.changed.notify_one();
        Some(caller.failure_unless_sent(Failure::NotSent))
    }
}

impl<C> Drop for Place<'_, C> {
    fn drop(&mut self) {
        let _ = self.leave();
    }
}
