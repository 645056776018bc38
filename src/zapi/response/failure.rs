//! The sentences for a failure of Ryze itself. `outcome.rs` has those for all other failures.

use std::borrow::Cow;

use crate::privacy::{Fault, Malformed, Report};

/// What Ryze's error response says.
#[must_use]
pub fn report(report: &Report) -> Cow<'_, str> {
    match &report.message {
        Some(message) => message.into(),
        None => format!("Ryze answered with status {}", report.status).into(),
    }
}

/// How Ryze failed.
#[must_use]
pub fn fault(fault: &Fault) -> Cow<'_, str> {
    match fault {
        Fault::Unreachable(fault) => format!("Ryze could not be reached: {fault}").into(),
        Fault::Answered(answer) => report(answer),
        Fault::Malformed(what) => malformed(*what).into(),
        Fault::NotConfirmed => "Ryze did not confirm the change".into(),
        Fault::OtherSetting => "Ryze failed at another setting of the same update".into(),
        Fault::ThrottledMidway => {
            "WhatsApp's rate limit ended the update, and what it had changed is not known".into()
        }
        Fault::Incomplete => "Ryze did not complete the update".into(),
    }
}

fn malformed(what: Malformed) -> &'static str {
    match what {
        Malformed::Protocol => "Ryze's answer is not HTTP",
        Malformed::TooLarge => "Ryze's answer is too large",
        Malformed::CutShort => "Ryze's answer is cut short",
        Malformed::Encoded => "Ryze's answer is encoded",
        Malformed::NoSettings => "Ryze did not confirm it: its answer shows no settings",
    }
}
