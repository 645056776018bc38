//! The latest calls of clients, for `/status` and the page: what their log lines have, and no more.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::{
    call_result::CallResult, labels::EndedBy, outcome_label::OutcomeLabel, reason::Reason,
};
use crate::sync::lock;

const CAPACITY: usize = 50;

/// A call that ended.
#[derive(Clone, Debug)]
pub(crate) struct RecentCall {
    pub(crate) time: Instant,
    /// Free of credentials and phone numbers (`request_id.rs`).
    pub(crate) request_id: HeaderValue,
    pub(crate) method: &'static str,
    /// The template of its path, `other` or `unknown`.
    pub(crate) route: &'static str,
    pub(crate) instance: Option<Arc<str>>,
    pub(crate) zapi_instance: Option<Arc<str>>,
    /// `None` if the client disconnected before the response.
    pub(crate) status: Option<StatusCode>,
    pub(crate) result: CallResult,
    pub(crate) outcome: OutcomeLabel,
    pub(crate) reason: Option<Reason>,
    pub(crate) ended_by: EndedBy,
    pub(crate) duration: Duration,
}

#[derive(Debug, Default)]
pub(super) struct RecentCalls(Mutex<VecDeque<RecentCall>>);

impl RecentCalls {
    pub(super) fn add(&self, call: RecentCall) {
        let mut calls = lock(&self.0);
        calls.truncate(CAPACITY - 1);
        calls.push_front(call);
    }

    /// The latest first.
    pub(super) fn all(&self) -> Vec<RecentCall> {
        lock(&self.0).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_calls_are_kept() {
        let recent = RecentCalls::default();
        let start = Instant::now();
        for number in 0..CAPACITY + 10 {
            recent.add(RecentCall {
                time: start,
                request_id: HeaderValue::from(number),
                method: "GET",
                route: "other",
                instance: None,
                zapi_instance: None,
                status: None,
                result: CallResult::Done,
                outcome: OutcomeLabel::Read,
                reason: None,
                ended_by: EndedBy::Ryze,
                duration: Duration::ZERO,
            });
        }
        let ids: Vec<_> = recent.all().into_iter().map(|it| it.request_id).collect();
        let latest = (10..CAPACITY + 10).rev().map(HeaderValue::from);
        assert_eq!(ids, latest.collect::<Vec<_>>());
    }
}
