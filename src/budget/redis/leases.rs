//! The slots of this process in a shared limit, and which of them are not yet reported to Redis. Pure:
//! the time is an argument.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    time::Duration,
};

use tokio::time::Instant;

use super::quota::SharedQuota;

/// One slot. It stays in use until it is returned to the [`SharedLimiter`](super::SharedLimiter).
#[must_use = "a slot that is not returned stays in use"]
#[derive(Debug)]
pub struct Lease {
    id: u64,
    pub(super) is_of_static_share: bool,
}

#[derive(Debug)]
pub(super) struct Leases {
    quota: SharedQuota,
    in_flight: HashSet<u64>,
    /// When the slots of ended requests are released, the earliest first. With `in_flight` never more than
    /// the limit.
    releases: VecDeque<(u64, Instant)>,
    /// Ended and released since the last step, for the next one. Empty during an outage.
    ended: Vec<(u64, Instant)>,
    released: Vec<u64>,
    /// Counts the changes that Redis did not make: slots taken in an outage, ended or released.
    version: u64,
    taken_so_far: u64,
}

impl Leases {
    pub(super) fn new(quota: SharedQuota) -> Self {
        Self {
            quota,
            in_flight: HashSet::new(),
            releases: VecDeque::new(),
            ended: Vec::new(),
            released: Vec::new(),
            version: 0,
            taken_so_far: 0,
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.taken_so_far += 1;
        self.taken_so_far
    }

    /// Records a slot that Redis granted.
    pub(super) fn granted(&mut self, id: u64) -> Lease {
        self.in_flight.insert(id);
        Lease {
            id,
            is_of_static_share: false,
        }
    }

    /// Takes a slot of the static share without Redis.
    pub(super) fn take_static(&mut self) -> Lease {
        self.version += 1;
        let id = self.next_id();
        Lease {
            is_of_static_share: true,
            ..self.granted(id)
        }
    }

    /// Releases a slot at once: nothing was sent.
    pub(super) fn release(&mut self, lease: &Lease, is_outage: bool) {
        self.in_flight.remove(&lease.id);
        self.version += 1;
        // Redis never had a slot of the static share, and an outage may release many.
        if !(lease.is_of_static_share && is_outage) {
            self.released.push(lease.id);
        }
    }

    /// Releases the slot of a request that ended at `now` after the release delay.
    pub(super) fn release_later(&mut self, lease: &Lease, now: Instant, is_outage: bool) {
        self.in_flight.remove(&lease.id);
        self.version += 1;
        let release = now + self.quota.release_delay;
        self.releases.push_back((lease.id, release));
        if !is_outage {
            self.ended.push((lease.id, release));
        }
    }

    /// How many slots are in use.
    pub(super) fn in_use(&mut self, now: Instant) -> usize {
        self.forget_released(now);
        self.in_flight.len() + self.releases.len()
    }

    /// If `available` slots are in use, when one of them is released.
    pub(super) fn next_release(&mut self, now: Instant, available: usize) -> Option<Instant> {
        let first = self.in_use(now).checked_sub(available)?;
        let release = self.releases.get(first).map(|(_, release)| *release);
        Some(release.unwrap_or(now + self.quota.release_delay))
    }

    /// Whether a slot is in use, or was when a method last got the time.
    pub(super) fn has_slots(&self) -> bool {
        !self.in_flight.is_empty() || !self.releases.is_empty()
    }

    /// All slots in use, each with the time to its release.
    pub(super) fn all(&mut self, now: Instant) -> Vec<(u64, Duration)> {
        self.forget_released(now);
        let lease = self.quota.lease();
        let in_flight = self.in_flight.iter().map(|id| (*id, lease));
        let releases = self.releases.iter();
        in_flight
            .chain(releases.map(|&(id, release)| (id, release - now)))
            .collect()
    }

    /// The slots whose requests ended since the last step, each with the time to its release.
    pub(super) fn take_ended(&mut self, now: Instant) -> Vec<(u64, Duration)> {
        let ended = mem::take(&mut self.ended).into_iter();
        let held = ended.filter(|(_, release)| *release > now);
        held.map(|(id, release)| (id, release - now)).collect()
    }

    /// The slots released since the last step.
    pub(super) fn take_released(&mut self) -> Vec<u64> {
        mem::take(&mut self.released)
    }

    /// Adds slots, whose release Redis may not know of, to the report of the next step.
    pub(super) fn report_released(&mut self, ids: impl IntoIterator<Item = u64>) {
        self.released.extend(ids);
    }

    /// Whether the next step has something to report.
    pub(super) fn has_news(&self) -> bool {
        !self.ended.is_empty() || !self.released.is_empty()
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    fn forget_released(&mut self, now: Instant) {
        let is_released = |(_, release): &(u64, Instant)| *release <= now;
        while self.releases.front().is_some_and(is_released) {
            self.releases.pop_front();
        }
    }
}
