//! Reachability of Ryze, as the last requests saw it. For display only: no decision depends on it.

use serde::{Serialize, Serializer};
use tokio::time::Instant;

#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// Whether the last request got a response, even if it was a failure. True before the first one.
    #[serde(rename = "up")]
    pub is_up: bool,
    #[serde(rename = "seconds_since_answer", serialize_with = "seconds_since")]
    pub last_answer: Option<Instant>,
    /// Why the last request without a response got none, free of secrets.
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
    pub(super) fn record_response(&mut self, now: Instant) {
        self.is_up = true;
        self.last_answer = Some(now);
    }

    pub(super) fn record_failure(&mut self, reason: String) {
        self.is_up = false;
        self.last_failure = Some(reason);
    }
}

fn seconds_since<S: Serializer>(time: &Option<Instant>, serializer: S) -> Result<S::Ok, S::Error> {
    let seconds = time.map(|time| time.elapsed().as_secs());
    seconds.serialize(serializer)
}
