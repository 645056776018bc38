//! The only place that orders the steps of a change: wait for the budget, fold, send, judge.
//!
//! One lane per Ryze instance, and at most one update of an instance in flight, so that an older
//! value cannot overtake a newer one and Ryze's snapshot is not torn. Changes that arrive meanwhile
//! wait. When the permit is granted, not before, the next update is folded from the callers who
//! still wait: of the same setting the latest value, different settings in one request. Every
//! caller is judged by its own setting. A lane runs in a task of its own, for hyper drops the
//! handler of a caller who hangs up, and what was sent is to be carried to its end.

use std::{
    collections::{HashMap, hash_map::Entry},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    alarm::Alarm,
    budget::{Allowance, Budget, Permit, Refused},
    privacy::{Change, Failure, Limiter, Outcome, Setting, Settings},
    ryze::{Client, Connect, Error, RateLimit, Reply, Target},
};

/// The part of its time that a caller must still have to be sent: with less it would hardly see the
/// answer.
const MARGIN: u32 = 4;

/// How long an account is left alone after WhatsApp throttled it: first, and at most; in between
/// it doubles from one time to the next.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How long a caller with this much time may wait to be sent.
#[must_use]
pub fn longest_wait(deadline: Duration) -> Duration {
    deadline - deadline / MARGIN
}

/// The lanes that have something to do; an idle instance has none.
pub struct Lanes<C> {
    budget: Budget,
    client: Client<C>,
    margin: Duration,
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
    /// The instances whose account WhatsApp throttled, until one of their updates succeeds.
    paused: HashMap<Arc<Target>, Pause>,
}

#[derive(Clone, Copy)]
struct Pause {
    length: Duration,
    until: Instant,
}

#[derive(Default)]
struct Lane {
    /// In the order in which they came.
    callers: Vec<Caller>,
    /// Told when one of them left.
    left: Arc<Notify>,
}

struct Caller {
    number: u64,
    change: Change,
    /// Until then it may be sent.
    latest: Instant,
    outcome: oneshot::Sender<Outcome>,
}

impl<C: Connect> Lanes<C> {
    /// Lanes that share a budget and a client. `deadline` is the time that callers have; three
    /// quarters of it may pass before they are sent.
    pub fn new(budget: Budget, client: Client<C>, deadline: Duration) -> Arc<Self> {
        Arc::new(Self {
            budget,
            client,
            margin: deadline / MARGIN,
            waiting: Mutex::default(),
            tasks: TaskTracker::new(),
            cut: CancellationToken::new(),
        })
    }

    /// Carries a change out, or says by `deadline` why not; the alarm is the caller's own. Dropping
    /// the future before the change was folded takes it back; afterwards it is carried to its end
    /// unseen.
    pub async fn carry_out(
        self: &Arc<Self>,
        target: &Arc<Target>,
        change: Change,
        deadline: Instant,
        alarm: &mut Alarm,
    ) -> Outcome {
        let (outcome, answer) = oneshot::channel();
        let latest = deadline.checked_sub(self.margin).unwrap_or(deadline);
        let mut place = self.join(target, change, latest, outcome)?;
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
            None if place.leave() => Err(Failure::NotSent),
            None => Err(Failure::Unknown),
        }
    }

    /// Answers everybody now, as if the deadlines had come.
    pub fn cut(&self) {
        self.cut.cancel();
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

    /// Joins the instance's lane, and starts it where it is idle. Fails where WhatsApp is to be left
    /// alone.
    fn join<'l>(
        self: &'l Arc<Self>,
        target: &'l Arc<Target>,
        change: Change,
        latest: Instant,
        outcome: oneshot::Sender<Outcome>,
    ) -> Result<Place<'l, C>, Failure> {
        let mut waiting = self.lock();
        waiting.check_pause(target)?;
        waiting.callers_so_far += 1;
        let number = waiting.callers_so_far;
        let caller = Caller {
            number,
            change,
            latest,
            outcome,
        };
        match waiting.lanes.entry(Arc::clone(target)) {
            Entry::Occupied(mut lane) => lane.get_mut().callers.push(caller),
            Entry::Vacant(lane) => {
                lane.insert(Lane::default()).callers.push(caller);
                let running = Running {
                    lanes: Arc::clone(self),
                    target: Arc::clone(target),
                };
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

impl Waiting {
    fn check_pause(&self, target: &Arc<Target>) -> Outcome {
        let Some(pause) = self.paused.get(target) else {
            return Ok(());
        };
        match pause.until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Ok(()),
            retry_after => Err(Failure::Throttled {
                by: Limiter::WhatsApp,
                retry_after,
            }),
        }
    }

    /// Leaves the account alone, for longer than the last time.
    fn pause(&mut self, target: &Arc<Target>) -> Duration {
        let last = self.paused.get(target).map(|pause| pause.length * 2);
        let length = last.unwrap_or(FIRST_PAUSE).min(LONGEST_PAUSE);
        let until = Instant::now() + length;
        let pause = Pause { length, until };
        self.paused.insert(Arc::clone(target), pause);
        length
    }
}

impl<C> Lanes<C> {
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
    /// Leaves the lane; tells whether the caller still waited there, so was not sent.
    fn leave(&mut self) -> bool {
        if !mem::replace(&mut self.is_taken, false) {
            return false;
        }
        let mut waiting = self.lanes.lock();
        let Some(lane) = waiting.lanes.get_mut(self.target) else {
            return false;
        };
        let number = |caller: &Caller| caller.number;
        let Ok(place) = lane.callers.binary_search_by_key(&self.number, number) else {
            return false;
        };
        lane.callers.remove(place);
        lane.left.notify_one();
        true
    }
}

impl<C> Drop for Place<'_, C> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Caller {
    fn answer(self, outcome: Outcome) {
        // A caller who hung up meanwhile has no use for it.
        drop(self.outcome.send(outcome));
    }
}

/// A lane at work.
struct Running<C> {
    lanes: Arc<Lanes<C>>,
    target: Arc<Target>,
}

impl<C: Connect> Running<C> {
    async fn run(self) {
        let mut longest_wait = None;
        while let Some(left) = self.goes_on() {
            tokio::select! {
                biased;
                permit = self.permit(longest_wait) => match permit {
                    Ok(permit) => longest_wait = self.send(permit).await,
                    Err(refused) => self.refuse(refused),
                },
                () = self.nobody_to_send(&left) => self.refuse_late(),
            }
        }
    }

    async fn permit(&self, longest_wait: Option<Duration>) -> Result<Permit, Refused> {
        let token = self.target.token_digest();
        match longest_wait {
            None => self.lanes.budget.permit(token).await,
            Some(longest) => self.lanes.budget.permit_within(token, longest).await,
        }
    }

    fn refuse(&self, refused: Refused) {
        let retry_after = refused.retry_after;
        let failure = if refused.by_upstream {
            Failure::Throttled {
                by: Limiter::Upstream,
                retry_after,
            }
        } else {
            Failure::Budget { retry_after }
        };
        for caller in self.take_callers() {
            caller.answer(Err(failure.clone()));
        }
    }

    /// The lane's notice of who left, or none where it ends: nobody waits, and it is taken away in
    /// the same moment.
    fn goes_on(&self) -> Option<Arc<Notify>> {
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.get(&self.target)?;
        if lane.callers.is_empty() {
            waiting.lanes.remove(&self.target);
            return None;
        }
        Some(Arc::clone(&lane.left))
    }

    /// Waits until there is nobody whom a permit would be for, so that none is asked for in vain.
    async fn nobody_to_send(&self, left: &Notify) {
        loop {
            let latest = {
                let waiting = self.lanes.lock();
                let lane = waiting.lanes.get(&self.target);
                lane.and_then(|lane| lane.callers.iter().map(|caller| caller.latest).max())
            };
            match latest {
                Some(latest) if Instant::now() <= latest => tokio::select! {
                    () = sleep_until(latest + Duration::from_millis(1)) => (),
                    () = left.notified() => (),
                },
                _ => return,
            }
        }
    }

    fn take_callers(&self) -> Vec<Caller> {
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.get_mut(&self.target);
        lane.map(|lane| mem::take(&mut lane.callers))
            .unwrap_or_default()
    }

    /// Answers those who are too late to be sent.
    fn refuse_late(&self) {
        let now = Instant::now();
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.get_mut(&self.target);
        for late in lane
            .into_iter()
            .flat_map(|lane| lane.callers.extract_if(.., |caller| caller.latest < now))
        {
            late.answer(Err(Failure::NotSent));
        }
    }

    /// Sends one update for all who wait. Where Ryze throttled it and there are callers with time
    /// for another try, it returns how long the next permit may be waited for.
    async fn send(&self, mut permit: Permit) -> Option<Duration> {
        self.refuse_late();
        let callers = self.take_callers();
        let update: Settings = callers.iter().map(|caller| caller.change).collect();
        if update.is_empty() {
            return None;
        }
        permit.sent();
        let Reply { result, limit } = self.lanes.client.update(&self.target, &update).await;
        match result {
            Err(Error::Unreachable(_)) => permit.not_sent(),
            Err(Error::Unknown(_)) => (),
            Ok(_) | Err(Error::Answered { .. }) => permit.answered(allowance(&result, limit)),
        }
        drop(permit);
        let mut pause = None;
        match limiter(&result) {
            Some((Limiter::Upstream, until)) => return self.put_back(callers, until),
            Some((Limiter::WhatsApp, _)) => pause = Some(self.pause()),
            None if result.is_ok() => self.end_pause(),
            None => (),
        }
        for caller in callers {
            let mut outcome = judge(&result, &update, caller.change.setting);
            if let (Some(pause), Err(Failure::Throttled { retry_after, .. })) =
                (pause, &mut outcome)
            {
                *retry_after = pause;
            }
            caller.answer(outcome);
        }
        None
    }

    /// Ryze sent them away for `pause`: who has the time waits again, before all others. Returns how
    /// long they may wait.
    fn put_back(&self, callers: Vec<Caller>, pause: Duration) -> Option<Duration> {
        let now = Instant::now();
        let (mut again, late): (Vec<_>, Vec<_>) = callers
            .into_iter()
            .filter(|caller| !caller.outcome.is_closed())
            .partition(|caller| now + pause <= caller.latest);
        for caller in late {
            caller.answer(Err(Failure::Throttled {
                by: Limiter::Upstream,
                retry_after: pause,
            }));
        }
        let latest = again.iter().map(|caller| caller.latest).max()?;
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.entry(Arc::clone(&self.target)).or_default();
        again.append(&mut lane.callers);
        lane.callers = again;
        Some(latest - now)
    }

    /// WhatsApp throttles the account: nobody else is sent until the pause, which is returned, is
    /// over.
    fn pause(&self) -> Duration {
        let retry_after = self.lanes.lock().pause(&self.target);
        for caller in self.take_callers() {
            caller.answer(Err(Failure::Throttled {
                by: Limiter::WhatsApp,
                retry_after,
            }));
        }
        retry_after
    }

    fn end_pause(&self) {
        self.lanes.lock().paused.remove(&self.target);
    }
}

impl<C> Drop for Running<C> {
    /// Who waits in the lane of a task that panics is answered, and the next one starts anew.
    fn drop(&mut self) {
        if thread::panicking() {
            self.lanes.lock().lanes.remove(&self.target);
        }
    }
}

/// What is left for the token: nothing where Ryze refused for its limit, else what it says.
fn allowance(result: &Result<Settings, Error>, limit: Option<RateLimit>) -> Option<Allowance> {
    if let Some((Limiter::Upstream, reset)) = limiter(result) {
        return Some(Allowance {
            remaining: 0,
            reset,
        });
    }
    limit.map(|RateLimit { remaining, reset }| Allowance { remaining, reset })
}

/// Whose limit an update met, and for how long.
fn limiter(result: &Result<Settings, Error>) -> Option<(Limiter, Duration)> {
    match result {
        Err(Error::Answered {
            failure: Failure::Throttled { by, retry_after },
            ..
        }) => Some((*by, *retry_after)),
        _ => None,
    }
}

/// What the answer to an update means for one of its settings. The value that was sent counts, not
/// the caller's own: where they differ, a later caller replaced it while both were under way, and
/// both orders are true.
fn judge(result: &Result<Settings, Error>, update: &Settings, setting: Setting) -> Outcome {
    match result {
        Ok(settings) if settings.get(setting) == update.get(setting) => Ok(()),
        Ok(_) => Err(Failure::Upstream {
            reason: "Ryze did not confirm the change".into(),
        }),
        Err(error) => Err(error.failure(setting)),
    }
}
