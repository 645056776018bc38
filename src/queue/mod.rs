//! Per-instance request queues.
//!
//! Each Ryze instance, by its name, has at most one request in flight, so an older value cannot
//! overtake a newer one and Ryze's snapshot of the settings stays consistent. Calls that arrive
//! meanwhile are queued. When the budget grants a permit, not before, the worker coalesces the queued
//! calls into one request: last write wins per setting, reads are shared. Each call gets the result for
//! its own setting; ambiguous results are resolved by a read-back. A change that another upstream
//! carries out takes its place in the same queue (`turn.rs`).
//!
//! A queue outlives a reload that replaces the instance's token or configuration entry; calls of
//! different tokens are never coalesced. The worker is a separate task because hyper drops a handler
//! when its client disconnects, and a request that was sent must be followed to its end.

mod batch;
mod directory;
mod handle;
mod health;
mod pending_call;
mod retry;
mod send;
mod state;
mod suspension;
mod ticket;
mod turn;
mod verdict;
mod worker;

use std::{
    collections::hash_map::Entry,
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::oneshot::{self, error::RecvError},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    directory::Directory,
    pending_call::{Attempt, PendingCall},
    state::{Queue, State},
    ticket::QueueTicket,
    turn::PendingTurn,
    worker::Worker,
};
pub use self::{health::Health, suspension::Suspended};
use crate::{
    budget::{self, Budget},
    privacy::{Failure, NoAnswer, Operation, Outcome},
    redact::SecretIndex,
    ryze::{Client, Target},
    sync,
    telemetry::{Metrics, Trace},
    timer::TimerPool,
};

/// The reciprocal of the part of its deadline that a call must have left to be sent. With less, the
/// client would probably time out before the response.
const MARGIN: u32 = 4;

/// How long a call with this deadline may wait to be sent.
#[must_use]
pub fn longest_wait(deadline: Duration) -> Duration {
    deadline - deadline / MARGIN
}

/// The queues of the instances that have calls or an idle worker, and what their workers share.
pub struct Queues {
    budget: Budget,
    client: Client,
    deadline: Duration,
    max_waiting: usize,
    metrics: Arc<Metrics>,
    health: Mutex<Health>,
    state: Mutex<State>,
    workers: TaskTracker,
    abort: CancellationToken,
    timers: TimerPool,
}

impl Queues {
    /// `deadline` is the time that a call has; it fails unless it is sent within three quarters of it.
    /// At most `max_waiting` calls of one instance may be queued or in flight. Cancelling `abort` ends
    /// every call at once, as if its deadline had passed.
    pub fn new(
        budget: Budget,
        client: Client,
        deadline: Duration,
        max_waiting: usize,
        metrics: Arc<Metrics>,
        abort: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            budget,
            client,
            deadline,
            max_waiting,
            metrics,
            health: Mutex::default(),
            state: Mutex::default(),
            workers: TaskTracker::new(),
            abort,
            timers: TimerPool::default(),
        })
    }

    /// Queues an operation and returns its outcome by `deadline`. A call that was not sent when three
    /// quarters of its time are over fails at that moment. The trace records the upstream requests.
    ///
    /// Dropping the future cancels an operation that is not in a request yet; one that is runs to its
    /// end.
    pub async fn submit(
        self: &Arc<Self>,
        target: &Arc<Target>,
        operation: Operation,
        deadline: Instant,
        trace: &Arc<Trace>,
    ) -> Outcome {
        let (outcome, mut result) = oneshot::channel();
        let send_by = self.send_by(deadline);
        let mut ticket = {
            let mut state = self.lock();
            state.check(target)?;
            self.enqueue(&mut state, target, |queue, number| {
                queue.calls.push(PendingCall {
                    number,
                    target: Arc::clone(target),
                    operation,
                    send_by,
                    give_up_at: None,
                    was_requeued: false,
                    attempt: Attempt::NotMade,
                    trace: Arc::clone(trace),
                    outcome,
                });
            })?
        };
        let result = self.queued(&mut ticket, &mut result, [send_by, deadline]);
        // Without a result the worker panicked, and whether it sent the operation is unknown.
        result
            .await?
            .unwrap_or(Err(Failure::Unknown(NoAnswer::Panicked)))
    }

    /// Runs `work`, which changes an instance through another upstream, in its place in the instance's
    /// queue: after the calls that were queued before, and before those that are queued later. It is
    /// never coalesced and never repeated. Returns its result by `deadline`, as [`submit`](Self::submit).
    ///
    /// The queue waits for `work` for at most `limit`; then its result is unknown. Dropping the future
    /// cancels work that has not begun; work that has runs to its end.
    pub async fn run_in_turn<T: Send + 'static>(
        self: &Arc<Self>,
        target: &Arc<Target>,
        deadline: Instant,
        limit: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (granted, mut turn) = oneshot::channel();
        let send_by = self.send_by(deadline);
        // Not refused for a suspension: that is about requests to Ryze.
        let mut ticket = self.enqueue(&mut self.lock(), target, |queue, number| {
            queue.turns.push_back(PendingTurn {
                number,
                send_by,
                granted,
            });
        })?;
        let turn = self.queued(&mut ticket, &mut turn, [send_by, deadline]);
        let turn = turn.await?.map_err(|_| Failure::NotSent)?;
        let (done, mut result) = oneshot::channel();
        self.workers.spawn(async move {
            let result = timeout(limit, work).await;
            drop(turn);
            drop(done.send(result));
        });
        match self.result_by(deadline, &mut result).await {
            Some(Ok(Ok(result))) => Ok(result),
            // A panic.
            Some(Err(_)) => Err(Failure::Unknown(NoAnswer::Panicked)),
            // The deadline or the limit.
            None | Some(Ok(Err(_))) => Err(Failure::Unknown(NoAnswer::TimedOut)),
        }
    }

    /// When a call with this deadline has to be sent.
    fn send_by(&self, deadline: Instant) -> Instant {
        let margin = self.deadline / MARGIN;
        deadline.checked_sub(margin).unwrap_or(deadline)
    }

    /// The result of a queued call, or its failure: at the first of the two times if it is still queued,
    /// else at the second.
    async fn queued<T>(
        &self,
        ticket: &mut QueueTicket<'_>,
        result: &mut oneshot::Receiver<T>,
        times: [Instant; 2],
    ) -> Result<Result<T, RecvError>, Failure> {
        for until in times {
            if let Some(result) = self.result_by(until, result).await {
                ticket.is_queued = false;
                return Ok(result);
            }
            if let Some(failure) = ticket.cancel() {
                return Err(failure);
            }
        }
        Err(Failure::Unknown(NoAnswer::TimedOut))
    }

    /// `None` at the given time, or when the calls are aborted.
    async fn result_by<T>(
        &self,
        until: Instant,
        result: &mut oneshot::Receiver<T>,
    ) -> Option<Result<T, RecvError>> {
        tokio::select! {
            biased;
            result = self.timers.timeout_at(until, result) => result,
            () = self.abort.cancelled() => None,
        }
    }

    /// Waits until all queues are empty and all workers have ended. From now on none waits for another call.
    pub async fn idle(&self) {
        {
            let mut state = self.lock();
            state.is_closing = true;
            state.notify_workers();
        }
        self.workers.close();
        self.workers.wait().await;
    }

    /// Appends a call or a turn to its instance's queue and starts the worker if there is none. Fails if
    /// the queue is full.
    fn enqueue<'q>(
        self: &'q Arc<Self>,
        state: &mut State,
        target: &'q Arc<Target>,
        append: impl FnOnce(&mut Queue, u64),
    ) -> Result<QueueTicket<'q>, Failure> {
        state.calls_so_far += 1;
        let number = state.calls_so_far;
        let queue = match state.queues.entry(Arc::clone(target.name())) {
            Entry::Occupied(queue) => queue.into_mut(),
            Entry::Vacant(vacant) => {
                let queue = Queue::new(self.max_waiting);
                let changed = Arc::clone(&queue.changed);
                let worker = Worker::run(Arc::downgrade(self), Arc::clone(target.name()), changed);
                // Boxed, because tokio would move the large future several times.
                self.workers.spawn(Box::pin(worker));
                vacant.insert(queue)
            }
        };
        let capacity = Arc::clone(&queue.capacity).try_acquire_owned();
        let capacity = capacity.map_err(|_| Failure::QueueFull)?;
        append(queue, number);
        queue.wake_worker(&mut state.idle_workers);
        Ok(QueueTicket {
            queues: self,
            name: target.name(),
            number,
            is_queued: true,
            _capacity: capacity,
        })
    }

    /// Hides these secrets in all failure reasons from now on.
    pub fn redact(&self, secrets: Arc<SecretIndex>) {
        self.client.redact(secrets);
    }
}

impl Queues {
    /// Replaces the configured targets. Queued calls are sent with the new tokens and wait for the
    /// limits of these. Suspensions for a denial end, because the operator may have fixed the cause.
    pub fn configure(&self, targets: &[Arc<Target>]) {
        let tokens = targets.iter().map(|target| target.token_digest());
        self.budget.retain(tokens);
        let mut state = self.lock();
        let state = &mut *state;
        state.directory = Directory::new(targets);
        state.suspensions.retain(&state.directory, Instant::now());
        state.notify_workers();
    }

    pub fn budget(&self) -> budget::Snapshot {
        self.budget.snapshot(self.waiting())
    }

    pub fn health(&self) -> Health {
        self.lock_health().clone()
    }

    /// How many calls are queued in all, not counting those in flight.
    pub fn waiting(&self) -> usize {
        let state = self.lock();
        state.queues.values().map(Queue::waiting).sum()
    }

    /// How many calls of one instance are queued, and its suspension, if any.
    pub fn instance_status(&self, target: &Target) -> (usize, Option<Suspended>) {
        let state = self.lock();
        let queue = state.queues.get(target.name());
        let suspended = state.suspensions.suspended(target, Instant::now());
        (queue.map_or(0, Queue::waiting), suspended)
    }

    fn lock_health(&self) -> MutexGuard<'_, Health> {
        sync::lock(&self.health)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        sync::lock(&self.state)
    }
}
