//! What the gateway records about itself: the log, the metrics and the ids of requests.
//!
//! Of the other modules it knows the domain, the configuration of the log and the names of connection
//! faults; no queue, no budget and no vendor's module. What the operator sees of the running gateway is
//! in `admin`, the log line of a request in `gateway/access_log.rs`.

mod forwarded;
mod json_line;
mod labels;
mod line_output;
mod log;
mod metrics;
mod outcome_label;
mod panic;
mod reason;
mod request_id;
mod trace;
mod words;
mod writer;

pub(crate) use self::{
    forwarded::ForwardedCall,
    labels::{EndedBy, RefusedBy, Reloaded, Upstream, WaitPurpose, method},
    metrics::{Called, Served},
    words::words,
};
pub use self::{
    labels::ObservedLabel,
    log::{LogLevel, start},
    metrics::Metrics,
    outcome_label::OutcomeLabel,
    panic::hide_panic_messages,
    reason::Reason,
    trace::{TRACEPARENT, Trace, Usage, X_REQUEST_ID},
    writer::{LogWriter, dropped_lines},
};
