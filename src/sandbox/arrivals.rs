//! The record of the requests that arrived. Headers, and with them tokens, are not part of it.

use std::collections::VecDeque;

use http::{Method, StatusCode};
use tokio::time::Instant;

/// How many arrivals are kept.
const KEPT: usize = 1000;

/// A request to Ryze's API, be it counted against the limit or not.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When its head had arrived.
    pub at: Instant,
    /// Its method.
    pub method: Method,
    /// Its path as received, without the query.
    pub path: String,
    /// Its body as received; empty until it is complete, and if it is too large.
    pub body: String,
    /// The status of the answer; `None` as long as there is none.
    pub status: Option<StatusCode>,
}

/// The last arrivals, the oldest first.
#[derive(Default)]
pub(super) struct Arrivals {
    /// How many were dropped from the front, so that an arrival keeps its number.
    dropped: usize,
    kept: VecDeque<Arrival>,
}

impl Arrivals {
    /// Keeps an arrival and gives it a number.
    pub(super) fn push(&mut self, arrival: Arrival) -> usize {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
            self.dropped += 1;
        }
        self.kept.push_back(arrival);
        self.dropped + self.kept.len() - 1
    }

    /// The arrival of that number, if it is still kept.
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
