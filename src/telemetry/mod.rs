//! What the gateway records about itself: the log, the metrics and the ids of requests.
//!
//! Below everything else: it knows no vendor, no queue and no budget. What the operator sees of the
//! running gateway is in `admin`, the log line of a request in `gateway/access_log.rs`.

mod call_result;
mod called;
mod forwarded;
mod json_line;
mod labels;
mod line_output;
mod log;
mod metrics;
mod panic;
mod reason;
mod recent;
mod request_id;
mod rolling;
mod trace;
mod upstream_record;
mod writer;

pub use self::{
    call_result::CallResult,
    labels::{ObservedLabel, OutcomeLabel},
    log::{LogLevel, start},
    metrics::Metrics,
    panic::hide_panic_messages,
    reason::Reason,
    trace::{TRACEPARENT, Trace, Usage, X_REQUEST_ID},
    writer::{LogWriter, dropped_lines},
};
pub(crate) use self::{
    called::Called,
    forwarded::ForwardedCall,
    labels::{EndedBy, RefusedBy, Reloaded, Upstream, WaitPurpose, method, words},
    metrics::Served,
    recent::RecentCall,
    rolling::Rolling,
    upstream_record::UpstreamActivity,
};
