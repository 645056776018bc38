//! Calls that went to the fallback, by method, route template and class of status: what clients still
//! need from Z-API. `/metrics`, `/status` and `report` show the same counts.
//!
//! Bounded, because templates, methods and classes come from closed tables.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use foldhash::fast::RandomState;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};
use tokio::time::Instant;

use super::labels::StatusClass;
use crate::sync::lock;

/// Counters; a clone has the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forwarded(Arc<Mutex<HashMap<Call, Counts, RandomState>>>);

/// Method and route template.
type Call = (&'static str, &'static str);

#[derive(Clone, Copy, Debug)]
struct Counts {
    /// In the order of [`StatusClass::ALL`].
    by_class: [u64; StatusClass::ALL.len()],
    last: Instant,
}

/// The calls with one method and one route template.
#[derive(Clone, Debug)]
pub(crate) struct ForwardedCall {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    /// The classes of status that occurred, with their counts.
    pub(crate) by_class: Vec<(StatusClass, u64)>,
    /// When the last of them ended.
    pub(crate) last: Instant,
}

impl Forwarded {
    pub(super) fn count(
        &self,
        method: &'static str,
        route: &'static str,
        class: StatusClass,
        last: Instant,
    ) {
        let mut calls = lock(&self.0);
        let counts = calls.entry((method, route)).or_insert(Counts {
            by_class: Default::default(),
            last,
        });
        counts.last = last;
        let classes = StatusClass::ALL.iter().zip(&mut counts.by_class);
        for (_, count) in classes.filter(|(it, _)| **it == class) {
            *count += 1;
        }
    }

    /// The most frequent first.
    pub(crate) fn calls(&self) -> Vec<ForwardedCall> {
        let calls = lock(&self.0);
        let of = |(&(method, route), counts): (&Call, &Counts)| {
            let classes = StatusClass::ALL.iter().copied().zip(counts.by_class);
            ForwardedCall {
                method,
                route,
                by_class: classes.filter(|(_, count)| *count > 0).collect(),
                last: counts.last,
            }
        };
        let mut calls: Vec<_> = calls.iter().map(of).collect();
        calls.sort_unstable_by_key(|call| (u64::MAX - call.total(), call.route, call.method));
        calls
    }
}

impl ForwardedCall {
    pub(crate) fn total(&self) -> u64 {
        self.by_class.iter().map(|(_, count)| count).sum()
    }
}

impl Collector for Forwarded {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Calls forwarded to the fallback";
        let kind = MetricType::Counter;
        let mut metric = encoder.encode_descriptor("forwarded_calls", help, None, kind)?;
        for call in self.calls() {
            for (class, count) in &call.by_class {
                let labels = [
                    ("http_request_method", call.method),
                    ("http_route", call.route),
                    ("status", class.as_str()),
                ];
                ConstCounter::new(*count).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_counted_by_class_and_the_most_frequent_is_first() {
        let forwarded = Forwarded::default();
        let begin = Instant::now();
        for (method, status) in [
            ("GET", Some(StatusCode::OK)),
            ("POST", Some(StatusCode::NO_CONTENT)),
            ("POST", Some(StatusCode::BAD_GATEWAY)),
            ("POST", Some(StatusCode::OK)),
            ("POST", None),
        ] {
            forwarded.count(method, "/a", status.into(), Instant::now());
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
        }
        let calls: Vec<_> = forwarded
            .calls()
            .into_iter()
            .map(|call| (call.method, call.by_class, (call.last - begin).as_secs()))
            .collect();
        let of_post = vec![
            (StatusClass::Success, 2),
            (StatusClass::ServerError, 1),
            (StatusClass::NoResponse, 1),
        ];
        let of_get = vec![(StatusClass::Success, 1)];
        assert_eq!(calls, [("POST", of_post, 4), ("GET", of_get, 0)]);
    }
}
