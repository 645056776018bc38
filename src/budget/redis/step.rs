//! One step on the shared state: the arguments of `script.lua` and its answer. A [`Store`] runs the script:
//! Redis, or a model of it on a paused clock.

use std::{pin::Pin, time::Duration};

use super::{super::slots::Purpose, quota::SharedQuota, server_clock::SLACK};

/// The script that every step runs.
pub const SCRIPT: &str = include_str!("script.lua");

/// How long only the refused process may take a slot once its ticket is due.
const TICKET_TTL: Duration = Duration::from_millis(500);

/// The script's answer: a word, the epoch, the server's time in microseconds, a wait in microseconds, whether
/// the epoch is open, and whether a process vouches for it.
pub type Reply = (String, String, i64, i64, i64, i64);

/// Why there is no answer, free of secrets.
pub type Reason = String;

/// A reply that is pending.
pub type Replying<'a> = Pin<Box<dyn Future<Output = Result<Reply, Reason>> + Send + 'a>>;

/// Runs [`SCRIPT`]. It may run it twice if the connection was closed: every step is idempotent.
pub trait Store: Send + Sync {
    /// Runs it on `key`.
    fn eval<'a>(&'a self, key: &'a str, arguments: Vec<String>) -> Replying<'a>;
}

/// The identity of the shared state, which changes when the state is lost.
pub(super) type Epoch = u64;

/// What a process reports to Redis and requests.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) action: Action,
    /// The epoch that the process knows.
    pub(super) known: Option<Epoch>,
    /// The identity of the epoch that starts if there is none.
    pub(super) fresh: Epoch,
    pub(super) access: Access,
    /// Whether an epoch other than `known` is closed for a window, because this process used that one.
    pub(super) contests: bool,
    /// Slots of the process that changed, each with the time to its release.
    pub(super) slots: Vec<(u64, Duration)>,
    pub(super) returned: Vec<u64>,
    /// The version of its leases when the step was planned.
    pub(super) version: u64,
}

/// What to do besides reporting slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Take {
        id: u64,
        purpose: Purpose,
    },
    Keep,
    /// The clock of the server was stepped, so the scores of slots are wrong: starts another epoch.
    Distrust,
}

/// How much of the limit a process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Exact,
    /// Its static share at most.
    Capped,
    Closed,
}

/// The answer to a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) result: Outcome,
    pub(super) epoch: Epoch,
    pub(super) server_time: Duration,
    pub(super) is_open: bool,
    /// Whether a process that shares the limit exactly took part just before.
    pub(super) is_vouched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// Ask again after this time.
    Wait(Duration),
    /// A capped process may take nothing: the epoch's predecessor was in use when it was lost.
    Closed,
    Kept,
    /// The epoch is another one than the process knows.
    Other,
}

impl Step {
    /// The arguments of the script.
    pub(super) fn arguments(&self, process: u64, quota: &SharedQuota) -> Vec<String> {
        let name = |id: &u64| format!("{process:016x}-{id}");
        let (action, limit, jumps_queue) = match self.action {
            Action::Take { purpose, .. } => (
                "take",
                quota.limit - purpose.reserved(quota.limit),
                purpose == Purpose::ReadBack,
            ),
            Action::Keep => ("keep", quota.limit, false),
            Action::Distrust => ("distrust", quota.limit, false),
        };
        let access = match self.access {
            Access::Exact => "exact",
            Access::Capped => "capped",
            Access::Closed => "closed",
        };
        let known = self.known.map_or(String::new(), hexadecimal);
        let flag = |is_set: bool| u8::from(is_set).to_string();
        let mut arguments = vec![
            action.to_owned(),
            format!("{process:016x}"),
            known,
            hexadecimal(self.fresh),
            access.to_owned(),
            flag(self.contests),
            flag(jumps_queue),
            limit.to_string(),
            microseconds(quota.interval),
            microseconds(quota.interval * (quota.burst - 1)),
            microseconds(quota.lease() + SLACK),
            microseconds(quota.release_delay + SLACK),
            microseconds(TICKET_TTL),
            microseconds(quota.grace),
            microseconds(SLACK),
            self.returned.len().to_string(),
        ];
        arguments.extend(self.returned.iter().map(name));
        if let Action::Take { id, .. } = self.action {
            arguments.extend([name(&id), microseconds(quota.lease() + SLACK)]);
        }
        for (id, time) in &self.slots {
            arguments.extend([name(id), microseconds(*time + SLACK)]);
        }
        arguments
    }
}

impl Answer {
    /// Parses a reply. `None` if the script cannot have sent it.
    pub(super) fn read(reply: &Reply) -> Option<Self> {
        let (word, epoch, time, wait, is_open, is_vouched) = reply;
        let result = match &**word {
            "taken" => Outcome::Taken,
            "wait" => Outcome::Wait(Duration::from_micros(u64::try_from(*wait).ok()?)),
            "closed" => Outcome::Closed,
            "kept" => Outcome::Kept,
            "other" => Outcome::Other,
            _ => return None,
        };
        Some(Self {
            result,
            epoch: Epoch::from_str_radix(epoch, 16).ok()?,
            server_time: Duration::from_micros(u64::try_from(*time).ok()?),
            is_open: *is_open == 1,
            is_vouched: *is_vouched == 1,
        })
    }
}

fn hexadecimal(epoch: Epoch) -> String {
    format!("{epoch:016x}")
}

/// Rounded up: no time here must be shorter.
fn microseconds(time: Duration) -> String {
    time.as_nanos().div_ceil(1_000).to_string()
}
