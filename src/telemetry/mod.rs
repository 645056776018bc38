//! What the gateway records about itself: the log, the metrics and the ids of requests.
//!
//! Below everything else: it knows no vendor, no queue and no budget. What the operator sees of the
//! running gateway is in `admin`, the log line of a request in `gateway/access_log.rs`.

mod forwarded;
mod json_line;
mod labels;
mod line_output;
mod log;
mod metrics;
mod panic;
mod reason;
mod request_id;
mod trace;
mod writer;

pub(crate) use self::{
    forwarded::ForwardedCall,
    labels::{EndedBy, RefusedBy, Reloaded, Upstream, WaitPurpose, method, words},
    metrics::{Called, Served},
};
pub use self::{
    labels::{ObservedLabel, OutcomeLabel},
    log::{LogLevel, start},
    metrics::Metrics,
    panic::hide_panic_messages,
    reason::Reason,
    trace::{TRACEPARENT, Trace, Usage, X_REQUEST_ID},
    writer::{LogWriter, dropped_lines},
};
