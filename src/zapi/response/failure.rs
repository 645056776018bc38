//! The sentences for a failure of Ryze: whose it is, what cures it, and, where it is proven, that nothing
//! was changed.

use std::borrow::Cow;

use crate::{
    net::ConnectFault,
    privacy::{Denied, Fault, Malformed, Operation, Refused, Report, WhatsAppError},
};

const UNCHANGED: &str = " Nothing was changed.";
const OPEN: &str = " It may still take effect.";

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

pub(super) fn denied(what: Denied, report: &Report, operation: &Operation) -> String {
    let said = quoted(report);
    let sentence = match what {
        Denied::Token => format!(
            "Ryze refuses this instance's token {said}; the operator of the gateway sets ryze_token."
        ),
        Denied::Access => format!(
            "Ryze refuses this instance to its token {said}; the operator of the gateway sets \
             ryze_token and ryze_instance."
        ),
        Denied::Instance if report.message.is_some() => format!(
            "Ryze does not know this instance {said}; the operator of the gateway sets \
             ryze_instance."
        ),
        Denied::Instance => format!(
            "Ryze does not know this instance {said}; the operator of the gateway sets \
             ryze_instance, or ryze.base_url if that is not Ryze's."
        ),
    };
    sentence + unchanged(operation)
}

pub(super) fn refused(by: Refused, report: &Report, operation: &Operation) -> String {
    let said = quoted(report);
    let sentence = match by {
        Refused::Upstream => format!(
            "Ryze refuses the request {said}, and refuses a repeat too; the operator of the \
             gateway checks ryze.base_url and the gateway's version."
        ),
        Refused::WhatsApp(WhatsAppError::BadRequest | WhatsAppError::NotAcceptable) => {
            format!("WhatsApp refuses this value for the account {said}; send another value.")
        }
        Refused::WhatsApp(WhatsAppError::Forbidden | WhatsAppError::NotAuthorized) => format!(
            "WhatsApp refuses this to the account {said}; the account's owner does it in WhatsApp."
        ),
    };
    sentence + unchanged(operation)
}

pub(super) fn upstream(failed: &Fault, operation: &Operation) -> String {
    let what = fault(failed);
    let sentence = match failed {
        Fault::Unreachable(fault) => {
            // Nothing was sent, now or before.
            let cure = cure_of_connection(*fault, "ryze");
            return format!("{what}; {cure}.{}", unchanged(operation));
        }
        Fault::Answered(report) if (300..400).contains(&report.status) => format!(
            "Ryze redirects {}; the operator of the gateway sets ryze.base_url to where it leads.",
            quoted(report)
        ),
        Fault::Answered(report) => format!(
            "Ryze failed {}; send it again, and if it lasts, ask Ryze's support.",
            quoted(report)
        ),
        Fault::Malformed(Malformed::CutShort)
        | Fault::NotConfirmed
        | Fault::OtherSetting
        | Fault::ThrottledMidway
        | Fault::Incomplete => format!("{what}; send it again."),
        Fault::Malformed(_) => {
            format!("{what}; the operator of the gateway checks ryze.base_url.")
        }
    };
    match operation {
        Operation::Change(_) => sentence + OPEN,
        Operation::Read => sentence,
    }
}

/// What cures a failed connection to the upstream of this table of the configuration.
pub(super) fn cure_of_connection(fault: ConnectFault, table: &str) -> String {
    match fault {
        ConnectFault::Refused
        | ConnectFault::TimedOut
        | ConnectFault::Closed
        | ConnectFault::Other => format!(
            "send it again, and if it lasts, the operator of the gateway checks {table}.base_url \
             and the network"
        ),
        ConnectFault::NameNotKnown => {
            format!("the operator of the gateway corrects the host in {table}.base_url")
        }
        ConnectFault::Certificate => {
            format!("the operator of the gateway corrects {table}.base_url or sets {table}.ca_file")
        }
        ConnectFault::Tls => {
            format!("the operator of the gateway sets {table}.base_url to a server with TLS")
        }
    }
}

fn quoted(report: &Report) -> String {
    match &report.message {
        Some(message) => format!("(\"{message}\")"),
        None => format!("(status {})", report.status),
    }
}

/// Of a failure that proves it.
pub(super) fn unchanged(operation: &Operation) -> &'static str {
    match operation {
        Operation::Change(_) => UNCHANGED,
        Operation::Read => "",
    }
}
