//! Instances that are left alone for a while, whose calls are answered without a request: those that
//! WhatsApp throttles, for longer from one time to the next, and those that the upstream denies the
//! gateway. Pure: the time is an argument.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    privacy::{Failure, Limiter},
    ryze::Target,
};

const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Only the operator can cure it, so asking again soon would spend the budget on nothing.
const DENIAL: Duration = Duration::from_secs(30);

/// The holds of instances, at most one for each that is configured.
#[derive(Debug, Default)]
pub(super) struct Holds(HashMap<Arc<Target>, Hold>);

#[derive(Debug)]
struct Hold {
    until: Instant,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// WhatsApp throttles the account, lately for this long.
    Throttled(Duration),
    /// The upstream denies the instance.
    Denied(Failure),
}

impl Holds {
    /// Fails, with the answer to whoever calls, while the instance is held.
    pub(super) fn check(&self, target: &Target, now: Instant) -> Result<(), Failure> {
        let Some(Hold { until, cause }) = self.0.get(target).filter(|hold| now < hold.until) else {
            return Ok(());
        };
        Err(match cause {
            Cause::Throttled(_) => Failure::Throttled {
                by: Limiter::WhatsApp,
                retry_after: *until - now,
            },
            Cause::Denied(failure) => failure.clone(),
        })
    }

    /// WhatsApp throttled the account: it is left alone for the time that is returned, twice the last,
    /// within bounds.
    pub(super) fn throttled(&mut self, target: &Arc<Target>, now: Instant) -> Duration {
        let length = match self.0.get(target) {
            Some(Hold {
                cause: Cause::Throttled(last),
                ..
            }) => (*last * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        self.hold(target, now + length, Cause::Throttled(length));
        length
    }

    /// The upstream denied the instance, with this failure for its callers.
    pub(super) fn denied(&mut self, target: &Arc<Target>, now: Instant, failure: Failure) {
        self.hold(target, now + DENIAL, Cause::Denied(failure));
    }

    /// The upstream did what was asked of it; for an update it had to reach WhatsApp.
    pub(super) fn succeeded(&mut self, target: &Target, is_update: bool) {
        if let Some(Hold { cause, .. }) = self.0.get(target)
            && (is_update || matches!(cause, Cause::Denied(_)))
        {
            self.0.remove(target);
        }
    }

    fn hold(&mut self, target: &Arc<Target>, until: Instant, cause: Cause) {
        self.0.insert(Arc::clone(target), Hold { until, cause });
    }
}
