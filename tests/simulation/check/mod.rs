//! What must hold of every history. Each function is one promise, and returns how it was broken.

mod answers;
mod reads;
mod requests;

use std::time::Duration;

use zapi_to_ryze::privacy::Outcome;

use super::{
    history::{Call, End, Exchange, History},
    schedule::Schedule,
};

/// What a timer may be late, and what an answer may take from Ryze to the caller.
const SLACK: Duration = Duration::from_millis(2);

pub fn violations(schedule: &Schedule, history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    broken.extend(requests::share_is_kept(schedule, history));
    broken.extend(answers::everybody_is_answered_in_time(history));
    broken.extend(answers::success_is_confirmed(history));
    broken.extend(answers::not_changed_is_true(history));
    broken.extend(reads::they_are_fresh_and_true(schedule, history));
    broken.extend(requests::requests_do_not_overtake(schedule, history));
    broken.extend(requests::who_waits_longest_is_next(history));
    broken.extend(requests::the_last_acknowledged_holds(history));
    broken.extend(answers::nobody_starves(schedule, history));
    broken.extend(
        history
            .left
            .iter()
            .map(|left| format!("left in the end: {left}")),
    );
    broken
}

fn outcome(call: &Call) -> Option<(Duration, &Outcome)> {
    match &call.end {
        Some((at, End::Answered(outcome))) => Some((*at, outcome)),
        _ => None,
    }
}

fn is_of(exchange: &Exchange, call: &Call) -> bool {
    exchange.process == call.process && exchange.instance == call.instance
}

fn same_setting(one: &Call, other: &Call) -> bool {
    let key = |it: &Call| it.change().map(|change| change.setting);
    (one.process, &one.instance, key(one)) == (other.process, &other.instance, key(other))
}

/// Whether the call was there at that time.
fn waited(call: &Call, at: Duration) -> bool {
    call.start <= at && call.end.as_ref().is_none_or(|(end, _)| *end >= at)
}

fn numbered(calls: &[Call], is_wrong: impl Fn(&Call) -> bool, what: &str) -> Vec<String> {
    let wrong = calls.iter().enumerate().filter(|(_, call)| is_wrong(call));
    wrong
        .map(|(number, _)| format!("{what}, call {number}"))
        .collect()
}
