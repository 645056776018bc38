//! What can be seen of the lanes from outside, for the operator. Nothing is decided by it: whether a
//! request may be sent again belongs in `recover.rs`.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Held, Lanes};
use crate::{budget, ryze::Target, telemetry::Metrics};

impl<C> Lanes<C> {
    /// What is counted of all that goes through here, and of whatever is in front of it.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The budget as it is.
    pub fn budget(&self) -> budget::Snapshot {
        self.budget.snapshot()
    }

    /// Whether the upstream answers.
    pub fn health(&self) -> Health {
        self.lock_health().clone()
    }

    /// How many callers wait to be sent.
    pub fn waiting(&self) -> usize {
        self.lock()
            .lanes
            .values()
            .map(|lane| lane.callers.len())
            .sum()
    }

    /// How many of them wait for one instance, and why it is left alone, if it is.
    pub fn standing(&self, target: &Target) -> (usize, Option<Held>) {
        let waiting = self.lock();
        let lane = waiting.lanes.get(target.name());
        let held = waiting.holds.held(target, Instant::now());
        (lane.map_or(0, |lane| lane.callers.len()), held)
    }
}

/// What the requests so far tell of the upstream.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether the last request got an answer, be it a failure; before the first nothing is wrong.
    pub is_up: bool,
    /// When the last answer came.
    pub last_answer: Option<Instant>,
    /// What kept the last request from getting one that got none, free of secrets.
    pub last_failure: Option<String>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            is_up: true,
            last_answer: None,
            last_failure: None,
        }
    }
}

impl Health {
    /// A request was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.is_up = true;
        self.last_answer = Some(now);
    }

    /// A request got no answer.
    pub(super) fn failed(&mut self, why: String) {
        self.is_up = false;
        self.last_failure = Some(why);
    }
}
