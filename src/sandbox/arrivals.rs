//! The record of requests, without headers, which hold tokens.

use std::collections::VecDeque;

use http::{Method, StatusCode};
use tokio::time::Instant;

const MAX_KEPT: usize = 1000;

/// A request to Ryze's API, counted against the limit or not.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The time of its head.
    pub at: Instant,
    pub method: Method,
    /// The raw path, without the query.
    pub path: String,
    /// Empty until the body is complete, and if it is too large.
    pub body: String,
    /// The status of the response, once there is one.
    pub status: Option<StatusCode>,
}

/// The last arrivals, the oldest first.
#[derive(Default)]
pub(super) struct Arrivals {
    /// How many were dropped from the front. An arrival's number counts them.
    dropped: usize,
    kept: VecDeque<Arrival>,
}

impl Arrivals {
    /// Records an arrival and returns its number.
    pub(super) fn push(&mut self, arrival: Arrival) -> usize {
        if self.kept.len() == MAX_KEPT {
            self.kept.pop_front();
            self.dropped += 1;
        }
        self.kept.push_back(arrival);
        self.dropped + self.kept.len() - 1
    }

    /// The arrival with this number, unless it was dropped.
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Arrival> {
        self.kept.get_mut(number.checked_sub(self.dropped)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arrival> {
        self.kept.iter()
    }

    pub(super) fn clear(&mut self) {
        self.dropped += self.kept.len();
        self.kept.clear();
    }
}
