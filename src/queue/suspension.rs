//! Instances that get no requests for a while; their calls fail at once.
//!
//! WhatsApp's throttle belongs to the account, whatever the token, and doubles each time it is met
//! again. A denial by the upstream holds for the token that got it. Pure: the time is an argument.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, Serializer};
use tokio::time::Instant;

use super::directory::Directory;
use crate::{
    budget::TokenDigest,
    configured_map::ConfiguredMap,
    privacy::{Failure, Limiter},
    ryze::Target,
};

const FIRST_PAUSE: Duration = Duration::from_secs(10);
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// Only the operator can fix a denial, so an earlier request would waste the budget.
const DENIAL_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Suspensions {
    /// By the instance's name.
    throttled: ConfiguredMap<Arc<str>, Throttled>,
    denied: ConfiguredMap<(Arc<str>, TokenDigest), Denied>,
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

/// The suspension of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Suspended {
    /// `throttled`, by WhatsApp, or `denied`, by the upstream.
    pub cause: &'static str,
    /// The time until it ends.
    #[serde(rename = "seconds_left", serialize_with = "seconds")]
    pub remaining: Duration,
}

impl Suspensions {
    pub(super) fn suspended(&self, target: &Target, now: Instant) -> Option<Suspended> {
        let (cause, until) = match (self.throttled(target, now), self.denied(target, now)) {
            (Some(throttled), _) => ("throttled", throttled.until),
            (None, Some(denied)) => ("denied", denied.until),
            (None, None) => return None,
        };
        Some(Suspended {
            cause,
            remaining: until - now,
        })
    }

    /// Removes all denials, because the operator may have fixed the cause, and throttles of instances
    /// that are not configured any more, once they have been over for long. An instance that is configured
    /// again before that keeps the length of its pause.
    pub(super) fn retain(&mut self, configured: &Directory, now: Instant) {
        self.denied.clear();
        self.throttled.retain(|name, throttled| {
            configured.has_name(name) || now < throttled.until + MAX_PAUSE
        });
    }

    /// Whether no instance is suspended, or was.
    pub(super) fn is_empty(&self) -> bool {
        self.throttled.is_empty() && self.denied.is_empty()
    }

    /// Fails, with the failure for the call, while the instance is suspended.
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
        // Usually nothing is denied, and the key need not be allocated.
        if self.denied.is_empty() {
            return None;
        }
        let denied = self.denied.get(&key(target));
        denied.filter(|denied| now < denied.until)
    }

    /// Suspends an account that WhatsApp throttled, for twice as long as the last time, at most
    /// [`MAX_PAUSE`]. Returns for how long.
    pub(super) fn throttle(&mut self, target: &Target, now: Instant) -> Duration {
        let last = self.throttled.get(target.name());
        let length = last.map_or(FIRST_PAUSE, |last| (last.length * 2).min(MAX_PAUSE));
        let throttled = Throttled {
            until: now + length,
            length,
        };
        self.throttled.insert(Arc::clone(target.name()), throttled);
        length
    }

    /// Suspends an instance that the upstream denied to this token. Its calls get this failure.
    pub(super) fn deny(&mut self, target: &Target, now: Instant, failure: Failure) {
        let until = now + DENIAL_PAUSE;
        self.denied.insert(key(target), Denied { until, failure });
    }

    /// Ends the suspensions that a successful request disproves. Only an update reaches WhatsApp.
    pub(super) fn record_success(&mut self, target: &Target, is_update: bool) {
        // Usually both are empty, and then no key need be allocated or hashed.
        if !self.denied.is_empty() {
            self.denied.remove(&key(target));
        }
        if is_update && !self.throttled.is_empty() {
            self.throttled.remove(target.name());
        }
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_secs())
}

fn key(target: &Target) -> (Arc<str>, TokenDigest) {
    (Arc::clone(target.name()), target.token_digest())
}
