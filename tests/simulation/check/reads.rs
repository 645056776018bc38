//! The outcomes of reads: fresh and true.

use std::time::Duration;

use zapi_to_ryze::privacy::{Audience, Setting, Settings};

use super::{is_from, is_of, numbered, outcome, requests::Acknowledged, turns::Turns};
use crate::simulation::{
    fault::LATEST_LANDING,
    history::{Call, Exchange, History},
    schedule::Schedule,
};

/// The outcome of a read is the response to a request that was sent after the call arrived. Each value is
/// one that the setting had meanwhile, none older than what was acknowledged before the call.
pub fn they_are_fresh_and_true(
    schedule: &Schedule,
    history: &History,
    turns: &Turns,
) -> Vec<String> {
    let acknowledged = Acknowledged::new(history, turns);
    let is_lie = |call: &Call| {
        let (None, Some((end, Ok(shown)))) = (call.change(), outcome(call)) else {
            return false;
        };
        let mut reads = history
            .exchanges
            .iter()
            .filter(|it| is_of(it, call) && it.asked.is_empty() && it.sent >= call.start);
        let Some(read) = reads.find(|it| answers(it, shown, end)) else {
            return true;
        };
        let is_true = |setting, value| {
            had(schedule, history, read, setting, value)
                && acknowledged.may_hold(&call.instance, setting, value, call.start)
        };
        !shown.iter().all(|it| is_true(it.setting, it.audience))
    };
    numbered(&history.calls, is_lie, "read: stale or not true")
}

/// Whether a call that ended at `end` may have got the response to this read.
fn answers(read: &Exchange, shown: &Settings, end: Duration) -> bool {
    read.answer
        .as_ref()
        .is_some_and(|answer| answer.confirmed.as_ref() == Some(shown) && is_from(answer, end))
}

/// Whether a setting had this value between the arrival of a read and its response. No update of the
/// instance is in flight then, except those that got no response: they may land at any time.
fn had(
    schedule: &Schedule,
    history: &History,
    read: &Exchange,
    setting: Setting,
    value: Audience,
) -> bool {
    let (Some(arrived), Some(answer)) = (read.arrived, &read.answer) else {
        return false;
    };
    let held = [read.found, answer.store].map(|settings| settings.get(setting));
    let may_land = |it: &Exchange| {
        let latest = LATEST_LANDING + schedule.stanza * 7;
        it.instance == read.instance
            && it.asked.get(setting) == Some(value)
            && it.is_lost()
            && it
                .arrived
                .is_some_and(|at| at <= answer.at && at + latest >= arrived)
    };
    held.contains(&Some(value)) || history.exchanges.iter().any(may_land)
}
