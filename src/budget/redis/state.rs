//! The state of a process that shares a limit: it uses the limit exactly, keeps to its static share, or is
//! silent. `PROTOCOL.md` has the events and the proof. Pure but for the log: the time is an argument.

use tokio::time::Instant;

use super::{
    quota::SharedQuota,
    step::{Access, Answer, Epoch, Step},
};
use crate::telemetry::words;

words! {
    /// What a process may use, from the least restricted mode to the most.
    pub enum Mode {
        /// It shares the limit exactly.
        Shared = "shared",
        /// It keeps to its static share.
        StaticShare = "alone",
        /// Redis or the shared state is lost, and it sends nothing.
        Silent = "silent",
    }
}

#[derive(Debug)]
pub(super) struct State {
    quota: SharedQuota,
    /// The epoch that the process knows, and since when.
    epoch: Option<(Epoch, Instant)>,
    /// Since when Redis does not answer.
    outage_since: Option<Instant>,
    /// Nothing is sent before.
    silent_until: Instant,
    /// Nothing is taken before: other processes may still contest the epoch.
    grace_until: Instant,
    /// Before this no more than the static share is taken.
    static_until: Instant,
}

impl State {
    pub(super) fn new(quota: SharedQuota, now: Instant) -> Self {
        Self {
            quota,
            epoch: None,
            outage_since: None,
            silent_until: now,
            grace_until: now,
            static_until: now,
        }
    }

    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.epoch.map(|(epoch, _)| epoch)
    }

    /// Whether Redis does not answer.
    pub(super) fn is_outage(&self) -> bool {
        self.outage_since.is_some()
    }

    pub(super) fn mode(&self, now: Instant) -> Mode {
        if self.unavailable_until(now).is_some() {
            Mode::Silent
        } else if self.is_static(now) {
            Mode::StaticShare
        } else {
            Mode::Shared
        }
    }

    /// Until when nothing is sent.
    pub(super) fn unavailable_until(&self, now: Instant) -> Option<Instant> {
        let until = self.silent_until.max(self.end_of_silence().unwrap_or(now));
        (now < until).then_some(until)
    }

    /// Until when nothing is taken, because the epoch is new to this process.
    pub(super) fn grace_until(&self, now: Instant) -> Option<Instant> {
        (now < self.grace_until).then_some(self.grace_until)
    }

    /// Whether the process keeps to its static share.
    pub(super) fn is_static(&self, now: Instant) -> bool {
        self.is_outage() || now < self.static_until
    }

    /// What the next step may use, if it has nothing else to report.
    pub(super) fn access(&self, now: Instant) -> Access {
        if self.is_outage() || now < self.silent_until {
            Access::Closed
        } else if now < self.static_until {
            Access::Capped
        } else {
            Access::Exact
        }
    }

    /// Whether a request of the last 60 s may have been granted by Redis beyond the static share.
    pub(super) fn was_exact(&self, now: Instant) -> bool {
        let is_silence_over = self.end_of_silence().is_some_and(|end| now >= end);
        !is_silence_over && now >= self.static_until
    }

    /// Redis does not answer.
    pub(super) fn begin_outage(&mut self, reason: &str, now: Instant) {
        if self.is_outage() {
            return;
        }
        self.outage_since = Some(now);
        tracing::warn!(
            reason,
            silent_seconds = self.quota.release_delay.as_secs(),
            static_share = self.quota.static_share,
            "Redis is lost: nothing is sent for a while, then no more than the static share"
        );
    }

    /// Redis answers with the known epoch.
    pub(super) fn confirm_epoch(&mut self, now: Instant) {
        let Some(end_of_silence) = self.end_of_silence() else {
            return;
        };
        self.outage_since = None;
        // Other processes lost it a little earlier or later, and may have begun to use their static share.
        if now + self.quota.margin >= end_of_silence {
            self.silent_until = self.silent_until.max(end_of_silence);
            self.keep_static_until(now + self.quota.release_delay + self.quota.margin);
        }
        self.log_return(now);
    }

    /// Redis answers with another epoch than the known one, or with the first.
    pub(super) fn adopt_epoch(
        &mut self,
        step: &Step,
        answer: &Answer,
        has_slots: bool,
        now: Instant,
    ) {
        let was_outage = self.outage_since.take().is_some();
        self.epoch = Some((answer.epoch, now));
        if step.contests {
            self.silent_until = now + self.quota.release_delay;
            tracing::warn!(
                silent_seconds = self.quota.release_delay.as_secs(),
                "Redis lost the state of the shared budget: nothing is sent for a while"
            );
            return;
        }
        self.grace_until = now + self.quota.grace;
        if has_slots {
            self.keep_static_until(now + self.quota.release_delay + self.quota.margin);
        } else if answer.is_open && answer.is_vouched {
            self.static_until = now;
        } else {
            self.keep_static_until(now + self.quota.release_delay);
        }
        if was_outage {
            self.log_return(now);
        }
    }

    /// Redis grants nothing in the static share: the epoch is contested.
    pub(super) fn close(&mut self) {
        if let Some((_, since)) = self.epoch {
            self.silent_until = self.silent_until.max(since + self.quota.release_delay);
        }
    }

    fn end_of_silence(&self) -> Option<Instant> {
        let since = self.outage_since?;
        Some(since + self.quota.release_delay)
    }

    fn keep_static_until(&mut self, until: Instant) {
        self.static_until = self.static_until.max(until);
    }

    fn log_return(&self, now: Instant) {
        tracing::info!(
            silent_seconds = self.silent_until.saturating_duration_since(now).as_secs(),
            static_share_seconds = self.static_until.saturating_duration_since(now).as_secs(),
            "Redis is back"
        );
    }
}
