//! The only place that orders the steps of an operation: wait for the budget, fold, send, judge.
//!
//! One lane per Ryze instance, and at most one request for an instance in flight, so that an older
//! value cannot overtake a newer one and Ryze's snapshot is not torn. Operations that arrive meanwhile
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
mod caller;
mod company;
mod exchange;
mod hold;
mod recover;
mod run;
mod verdict;
mod view;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    caller::{Caller, Tried},
    hold::Holds,
    run::Running,
};
pub use self::{hold::Held, view::Health};
use crate::{
    alarm::Alarm,
    budget::Budget,
    metrics::Metrics,
    network::Connect,
    privacy::{Failure, Operation, Outcome},
    redact::SecretIndex,
    ryze::{Client, Target},
    trace::Trace,
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
    metrics: Arc<Metrics>,
    health: Mutex<Health>,
    waiting: Mutex<Waiting>,
    /// The tasks of the lanes.
    tasks: TaskTracker,
    cut: CancellationToken,
}

/// Who waits in which lane. Bounded: every caller holds a connection, and leaves with it.
#[derive(Default)]
struct Waiting {
    lanes: HashMap<Arc<Target>, Lane>,
    callers_so_far: u64,
    holds: Holds,
}

#[derive(Default)]
struct Lane {
    /// In the order in which they came.
    callers: Vec<Caller>,
    /// Told when one of them left.
    left: Arc<Notify>,
}

impl<C: Connect> Lanes<C> {
    /// Lanes that share a budget and a client. `deadline` is the time that callers have; three
    /// quarters of it may pass before they are sent.
    pub fn new(budget: Budget, client: Client<C>, deadline: Duration) -> Arc<Self> {
        Arc::new(Self {
            budget,
            client,
            deadline,
            metrics: Arc::default(),
            health: Mutex::default(),
            waiting: Mutex::default(),
            tasks: TaskTracker::new(),
            cut: CancellationToken::new(),
        })
    }

    /// Carries an operation out, or says by `deadline` why not; the alarm is the caller's own, and the
    /// trace is told what becomes of it. Dropping the future before it was folded takes it back;
    /// afterwards it is carried to its end unseen.
    pub async fn carry_out(
        self: &Arc<Self>,
        target: &Arc<Target>,
        operation: Operation,
        deadline: Instant,
        alarm: &mut Alarm,
        trace: &Arc<Trace>,
    ) -> Outcome {
        let (outcome, answer) = oneshot::channel();
        let latest = deadline
            .checked_sub(self.deadline / MARGIN)
            .unwrap_or(deadline);
        let mut place = self.join(target, |number| Caller {
            number,
            operation,
            latest,
            gives_up: None,
            tried: Tried::Nothing,
            trace: Arc::clone(trace),
            outcome,
        })?;
        let answer = tokio::select! {
            biased;
            answer = alarm.limit(deadline, answer) => answer,
            () = self.cut.cancelled() => None,
        };
        match answer {
            Some(answer) => {
                place.is_taken = false;
                // Without a word the lane's task is gone, and what it sent is not known.
                answer.unwrap_or(Err(Failure::Unknown))
            }
            None => Err(place.leave().unwrap_or(Failure::Unknown)),
        }
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

    /// Joins the instance's lane, and starts it where it is idle. Fails where the instance is held.
    fn join<'l>(
        self: &'l Arc<Self>,
        target: &'l Arc<Target>,
        caller: impl FnOnce(u64) -> Caller,
    ) -> Result<Place<'l, C>, Failure> {
        let mut waiting = self.lock();
        waiting.holds.check(target, Instant::now())?;
        waiting.callers_so_far += 1;
        let number = waiting.callers_so_far;
        let caller = caller(number);
        match waiting.lanes.entry(Arc::clone(target)) {
            Entry::Occupied(mut lane) => lane.get_mut().callers.push(caller),
            Entry::Vacant(lane) => {
                lane.insert(Lane::default()).callers.push(caller);
                let running = Running::new(Arc::clone(self), Arc::clone(target));
                // Boxed, for tokio would move the whole of it several times.
                self.tasks.spawn(Box::pin(running.run()));
            }
        }
        Ok(Place {
            lanes: self,
            target,
            number,
            is_taken: true,
        })
    }
}

impl<C> Lanes<C> {
    /// From now on these are the instances. None of them is left alone any more for having been denied:
    /// the operator may have cured it.
    // A target is hashed by which one it is, and that does not change.
    #[expect(clippy::mutable_key_type)]
    pub fn serve(&self, targets: &HashSet<Arc<Target>>) {
        self.lock().holds.retain(targets);
        self.budget
            .serve(targets.iter().map(|target| target.token_digest()));
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

/// A caller's place in a lane. Dropping it leaves the lane.
struct Place<'l, C> {
    lanes: &'l Lanes<C>,
    target: &'l Target,
    number: u64,
    is_taken: bool,
}

impl<C> Place<'_, C> {
    /// Leaves the lane; tells what became of the operation where the caller still waited there, so
    /// that it is not under way.
    fn leave(&mut self) -> Option<Failure> {
        if !mem::replace(&mut self.is_taken, false) {
            return None;
        }
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.get_mut(self.target)?;
        let number = |caller: &Caller| caller.number;
        let place = lane.callers.binary_search_by_key(&self.number, number);
        let caller = lane.callers.remove(place.ok()?);
        lane.left.notify_one();
        Some(caller.failure_unless_sent(Failure::NotSent))
    }
}

impl<C> Drop for Place<'_, C> {
    fn drop(&mut self) {
        let _ = self.leave();
    }
}
