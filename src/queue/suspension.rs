//! Instances that get no requests for a while, whose calls are answered at once: those that WhatsApp
//! throttles, for longer from one time to the next, and those that the upstream denies the gateway.
//! The throttle is the account's, whatever the token; a denial holds for the token that it answered.
//! Pure: the time is an argument.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::directory::Directory;
use crate::{
    budget::TokenDigest,
    privacy::{Failure, Limiter},
    ryze::Target,
};

const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Only the operator can cure it, so asking again soon would spend the budget on nothing.
const DENIAL: Duration = Duration::from_secs(30);

/// The holds of instances.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// By the instance's name.
    throttled: HashMap<Arc<str>, Throttled>,
    denied: HashMap<(Arc<str>, TokenDigest), Denied>,
}

#[derive(Debug)]
struct Throttled {
    until: Instant,
    length: Duration,
}

#[derive(Debug)]
struct Denied {
    until: Instant,
    failure: Failure,
}

/// Why an instance gets no requests.
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
        let (cause, until) = match (self.throttled(target, now), self.denied(target, now)) {
            (Some(throttled), _) => ("throttled", throttled.until),
            (None, Some(denied)) => ("denied", denied.until),
            (None, None) => return None,
        };
        Some(Held {
            cause,
            left: until - now,
        })
    }

    /// Forgets all denials, for the operator may have cured them, and throttles that have long been over of
    /// instances that are not configured any more. One that is put back sooner goes on where it was.
    pub(super) fn retain(&mut self, configured: &Directory, now: Instant) {
        self.denied.clear();
        self.throttled.retain(|name, throttled| {
            configured.has_name(name) || now < throttled.until + LONGEST_PAUSE
        });
    }

    /// Fails, with the answer to the caller, while the instance is held.
    pub(super) fn check(&self, target: &Target, now: Instant) -> Result<(), Failure> {
        if let Some(throttled) = self.throttled(target, now) {
            return Err(Failure::Throttled {
                by: Limiter::WhatsApp,
                retry_after: throttled.until - now,
            });
        }
        match self.denied(target, now) {
            Some(denied) => Err(denied.failure.clone()),
            None => Ok(()),
        }
    }

    fn throttled(&self, target: &Target, now: Instant) -> Option<&Throttled> {
        let throttled = self.throttled.get(target.name());
        throttled.filter(|throttled| now < throttled.until)
    }

    fn denied(&self, target: &Target, now: Instant) -> Option<&Denied> {
        // With nothing denied, which is usual, no key is made.
        if self.denied.is_empty() {
            return None;
        }
        let denied = self.denied.get(&key(target));
        denied.filter(|denied| now < denied.until)
    }

    /// WhatsApp throttled the account: it is held for the time that is returned, twice the last,
    /// within bounds.
    pub(super) fn throttle(&mut self, target: &Target, now: Instant) -> Duration {
        let last = self.throttled.get(target.name());
        let length = last.map_or(FIRST_PAUSE, |last| (last.length * 2).min(LONGEST_PAUSE));
        let throttled = Throttled {
            until: now + length,
            length,
        };
        self.throttled.insert(Arc::clone(target.name()), throttled);
        length
    }

    /// The upstream denied the instance to this token, with this failure for its callers.
    pub(super) fn deny(&mut self, target: &Target, now: Instant, failure: Failure) {
        let until = now + DENIAL;
        self.denied.insert(key(target), Denied { until, failure });
    }

    /// The upstream did what was asked of it; for an update it had to reach WhatsApp.
    pub(super) fn succeeded(&mut self, target: &Target, is_update: bool) {
        if !self.denied.is_empty() {
            self.denied.remove(&key(target));
        }
        if is_update {
            self.throttled.remove(target.name());
        }
    }
}

fn key(target: &Target) -> (Arc<str>, TokenDigest) {
    (Arc::clone(target.name()), target.token_digest())
}
