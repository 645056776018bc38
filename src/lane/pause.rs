//! Accounts that WhatsApp throttles: each is left alone, for longer from one time to the next, until
//! one of its updates succeeds. Pure: the time is an argument.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    privacy::{Failure, Limiter},
    ryze::Target,
};

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);

/// The pauses of instances, at most one for each that is configured.
#[derive(Debug, Default)]
pub(super) struct Pauses(HashMap<Arc<Target>, Pause>);

#[derive(Clone, Copy, Debug)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Pauses {
    /// Fails where the instance is to be left alone.
    pub(super) fn check(&self, target: &Target, now: Instant) -> Result<(), Failure> {
        let Some(pause) = self.0.get(target) else {
            return Ok(());
        };
        match pause.until.saturating_duration_since(now) {
            Duration::ZERO => Ok(()),
            retry_after => Err(Failure::Throttled {
                by: Limiter::WhatsApp,
                retry_after,
            }),
        }
    }

    /// Leaves the instance alone for the time that is returned: twice the last, within bounds.
    pub(super) fn begin(&mut self, target: &Arc<Target>, now: Instant) -> Duration {
        let last = self.0.get(target).map(|pause| pause.length * 2);
        let length = last.unwrap_or(FIRST).min(LONGEST);
        let until = now + length;
        self.0.insert(Arc::clone(target), Pause { length, until });
        length
    }

    /// An update of the instance succeeded.
    pub(super) fn end(&mut self, target: &Target) {
        self.0.remove(target);
    }
}
