//! What the gateway records about itself: the log, the metrics and the ids of requests.
//!
//! Of the other modules it knows the domain, the configuration of the log and the names of connection
//! faults; no queue, no budget and no vendor's module. What the operator sees of the running gateway is
//! in `admin`, the log line of a request in `gateway/access_log.rs`.

mod call_result;
mod called;
mod family;
mod forwarded;
mod json_line;
mod labels;
mod line_output;
mod log;
mod metrics;
mod outcome_label;
mod panic;
mod reason;
mod recent;
mod request_id;
mod rolling;
mod served_calls;
mod terminal_line;
mod text_line;
mod timestamp;
mod trace;
mod upstream_record;
mod words;
mod writer;

pub use self::{
    call_result::CallResult,
    labels::{EndedBy, ObservedLabel},
    log::{LogLevel, start},
    metrics::Metrics,
    outcome_label::OutcomeLabel,
    panic::hide_panic_messages,
    reason::Reason,
    trace::{TRACEPARENT, Trace, Usage, X_REQUEST_ID},
    writer::{LogWriter, dropped_lines},
};
pub(crate) use self::{
    called::Called,
    forwarded::ForwardedCall,
    labels::{RefusedBy, Reloaded, Upstream, WaitPurpose, method},
    metrics::Served,
    recent::RecentCall,
    rolling::Rolling,
    upstream_record::UpstreamActivity,
    words::words,
};
