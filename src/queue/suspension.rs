//! Instances that are left alone for a while, whose calls are answered without a request: those that
//! WhatsApp throttles, for longer from one time to the next, and those that the upstream denies the
//! gateway. Pure: the time is an argument.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

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

/// Why an instance is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// `throttled`, by WhatsApp, or `denied`, by the upstream.
    pub cause: &'static str,
    /// For how long from now.
    pub left: Duration,
}

impl Holds {
    /// Whether the instance is held.
    pub(super) fn held(&self, target: &Target, now: Instant) -> Option<Held> {
        let Hold { until, cause } = self.0.get(target).filter(|hold| now < hold.until)?;
        let cause = match cause {
            Cause::Throttled(_) => "throttled",
            Cause::Denied(_) => "denied",
        };
        Some(Held {
            cause,
            left: *until - now,
        })
    }

    /// Whoever is or was held.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.0.keys()
    }

    /// Forgets who was denied, and instances that are none of these.
    // A target is hashed by which one it is, and that does not change.
    #[expect(clippy::mutable_key_type)]
    pub(super) fn retain(&mut self, targets: &HashSet<Arc<Target>>) {
        self.0.retain(|target, hold| {
            matches!(hold.cause, Cause::Throttled(_)) && targets.contains(target)
        });
    }

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
