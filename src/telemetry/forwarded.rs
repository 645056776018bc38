//! Calls that went to the fallback, by method, route template and class of status: what clients still
//! need from Z-API. `/metrics`, `/status` and `report` show the same counts.
//!
//! Bounded, because labels come from closed tables.

use std::{collections::BTreeMap, fmt};

use http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};
use tokio::time::Instant;

use super::{
    family::Family,
    labels::{ServerLabels, StatusClass},
    served_calls::ServedCalls,
};

/// The counts of the calls that went to the fallback.
#[derive(Debug)]
pub(crate) struct Forwarded(pub(super) Family<ServerLabels, ServedCalls>);

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
    /// The most frequent first.
    pub(crate) fn calls(&self) -> Vec<ForwardedCall> {
        let mut all = BTreeMap::new();
        self.0.for_each(|labels, calls| {
            if let Some((count, last)) = calls.forwarded {
                let call = (labels.http_request_method, labels.http_route);
                let (by_class, latest) = all.entry(call).or_insert((BTreeMap::new(), last));
                let status = labels.http_response_status_code;
                let status = status.and_then(|code| StatusCode::from_u16(code).ok());
                *by_class.entry(StatusClass::from(status)).or_insert(0) += count;
                *latest = last.max(*latest);
            }
        });
        let of = |((method, route), (by_class, last))| ForwardedCall {
            method,
            route,
            by_class: Vec::from_iter::<BTreeMap<_, _>>(by_class),
            last,
        };
        let mut calls: Vec<_> = all.into_iter().map(of).collect();
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
    use std::time::Duration;

    use prometheus_client::metrics::histogram::Histogram;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_counted_by_class_and_the_most_frequent_is_first() {
        let served = Family::new(|| ServedCalls::new(Histogram::new([1.0])));
        let begin = Instant::now();
        for (method, status) in [
            ("GET", Some(200)),
            ("POST", Some(204)),
            ("POST", Some(502)),
            ("POST", Some(200)),
            ("POST", None),
        ] {
            let labels = ServerLabels {
                http_request_method: method,
                http_route: "/a",
                http_response_status_code: status,
                error_type: None,
            };
            served.with(&labels, |calls| calls.add_forwarded(Instant::now()));
            served.with(&labels, |calls| calls.add(Duration::ZERO));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let calls: Vec<_> = Forwarded(served)
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
