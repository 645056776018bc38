//! One of the processes that share a limit: runs its steps on the shared state, one at a time, and sends
//! heartbeats.

use std::{
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, sleep, timeout},
};

use super::{
    super::slots::Purpose,
    decision::Decision,
    member::{Member, Plan},
    quota::SharedQuota,
    step::{Answer, Reason, Step, Store},
};
use crate::sync::lock;

/// Limit of one step, connecting included. After it Redis counts as unavailable.
const STEP_TIMEOUT: Duration = Duration::from_secs(1);

/// The interval of heartbeats. They show the other processes that this one runs, detect an outage, and
/// retry during one.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A process that does not know the state needs four steps at most: it adopts another epoch, reports its
/// slots, notices a stepped clock, and takes a slot.
const MAX_STEPS: usize = 4;

pub(super) struct Process {
    pub(super) store: Arc<dyn Store>,
    key: String,
    /// Distinguishes this process's slots from those of others.
    id: u64,
    pub(super) quota: SharedQuota,
    member: Mutex<Member>,
    /// A permit for each step in flight: one.
    steps: Semaphore,
    /// Notified when there is something to report, and when the process is dropped.
    pub(super) news: Arc<Notify>,
    /// Whether it sends heartbeats also while it has no slots.
    is_always_connected: bool,
}

impl Process {
    /// `bucket` is the name of the budget in the store.
    pub(super) fn new(
        store: Arc<dyn Store>,
        bucket: &str,
        quota: SharedQuota,
        is_always_connected: bool,
    ) -> Self {
        Self {
            store,
            key: format!("zapi-to-ryze:{bucket}"),
            id: fastrand::u64(..),
            quota,
            member: Mutex::new(Member::new(quota, Instant::now())),
            steps: Semaphore::new(1),
            news: Arc::default(),
            is_always_connected,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Member> {
        lock(&self.member)
    }

    pub(super) async fn acquire(&self, purpose: Purpose) -> Decision {
        if let Some(decision) = self.decide_in_outage(purpose) {
            return decision;
        }
        let _step = self.steps.acquire().await;
        for _ in 0..MAX_STEPS {
            let plan = self.lock().plan_acquire(Instant::now(), purpose);
            let decision = match plan {
                Plan::Decided(decision) => Some(decision),
                Plan::Make(step) => self.make(step).await.unwrap_or_default(),
            };
            if let Some(decision) = decision {
                return decision;
            }
        }
        Decision::NotBefore(Instant::now() + HEARTBEAT)
    }

    /// Decides without Redis during an outage, so that the caller does not wait for the heartbeat that is in
    /// flight.
    fn decide_in_outage(&self, purpose: Purpose) -> Option<Decision> {
        let mut member = self.lock();
        if !member.is_outage() {
            return None;
        }
        match member.plan_acquire(Instant::now(), purpose) {
            Plan::Decided(decision) => Some(decision),
            Plan::Make(_) => None,
        }
    }

    /// Makes one step. The caller holds the permit for it.
    async fn make(&self, step: Step) -> Result<Option<Decision>, Reason> {
        let asked = Instant::now();
        let arguments = step.arguments(self.id, &self.quota);
        let reply = timeout(STEP_TIMEOUT, self.store.eval(&self.key, arguments)).await;
        let answer = match reply {
            Ok(Ok(reply)) => Answer::read(&reply).ok_or_else(|| "not an answer".to_owned()),
            Ok(Err(reason)) => Err(reason),
            Err(_) => Err("no answer in time".to_owned()),
        };
        let mut member = self.lock();
        let now = Instant::now();
        match answer {
            Ok(answer) => Ok(member.step_answered(step, &answer, asked, now)),
            Err(reason) => {
                member.step_failed(step, &reason, now);
                Err(reason)
            }
        }
    }

    /// Makes one step now, even during an outage.
    ///
    /// # Errors
    /// Why Redis does not answer.
    pub(super) async fn probe(&self) -> Result<(), Reason> {
        let _step = self.steps.acquire().await;
        let step = self.lock().plan_sync(Instant::now());
        self.make(step).await.map(|_| ())
    }

    /// Makes steps until Redis has all slots of this process, or does not answer.
    async fn sync(&self) {
        let _step = self.steps.acquire().await;
        for _ in 0..MAX_STEPS {
            let step = self.lock().plan_sync(Instant::now());
            let version = step.version;
            let _ = self.make(step).await;
            let member = self.lock();
            let is_done = if member.is_outage() {
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

impl Drop for Process {
    fn drop(&mut self) {
        self.news.notify_one();
    }
}

/// Makes a step every [`HEARTBEAT`], and at once when there is something to report. Ends when the process is
/// dropped.
pub(super) async fn heartbeat(process: Weak<Process>) {
    loop {
        let Some(process) = process.upgrade() else {
            return;
        };
        process.sync().await;
        let news = Arc::clone(&process.news);
        let may_pause = !process.is_always_connected && process.lock().is_idle(Instant::now());
        drop(process);
        if may_pause {
            news.notified().await;
        } else {
            tokio::select! {
                () = sleep(HEARTBEAT) => (),
                () = news.notified() => (),
            }
        }
    }
}
