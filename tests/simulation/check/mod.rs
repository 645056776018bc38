//! The promises that every history must keep. Each function is one promise, and returns its violations.

mod answers;
mod lists;
mod reads;
mod recovery;
mod requests;
pub mod suspensions;
pub mod turns;

use std::time::Duration;

use zapi_to_ryze::privacy::Outcome;

use self::turns::Turns;
use super::{
    history::{Answer, Call, End, Exchange, History, Vendor},
    schedule::Schedule,
};

/// The tolerance for a timer, and for the way of a response from Ryze to the client.
const SLACK: Duration = Duration::from_millis(2);

/// The violations, and how often each kind of event happened.
pub fn check(schedule: &Schedule, history: &History) -> (Vec<String>, Vec<(&'static str, usize)>) {
    let turns = &Turns::new(schedule, history);
    let mut broken = turns.broken.clone();
    broken.extend(requests::share_is_kept(schedule, history, turns));
    broken.extend(requests::requests_do_not_overtake(schedule, history));
    broken.extend(requests::values_are_in_order(history));
    broken.extend(requests::no_call_is_sent_too_late(schedule, history, turns));
    broken.extend(requests::the_last_acknowledged_holds(history, turns));
    broken.extend(lists::each_is_sent_once_and_in_its_order(history));
    broken.extend(lists::the_last_acknowledged_is_held(history));
    broken.extend(lists::unknown_is_what_was_sent(history));
    broken.extend(answers::every_call_completes_in_time(history));
    broken.extend(answers::success_is_confirmed(history, turns));
    broken.extend(answers::not_changed_is_true(history, turns));
    broken.extend(answers::no_call_starves(schedule, history));
    broken.extend(reads::they_are_fresh_and_true(schedule, history, turns));
    broken.extend(recovery::nothing_is_sent_too_often(history, turns));
    broken.extend(recovery::nothing_is_read_back_without_need(history, turns));
    broken.extend(recovery::a_value_that_is_shown_is_a_success(
        schedule, history, turns,
    ));
    broken.extend(recovery::no_call_is_given_up_too_soon(
        schedule, history, turns,
    ));
    broken.extend(suspensions::they_are_kept(schedule, history, turns));
    broken.extend(
        history
            .left
            .iter()
            .map(|left| format!("left in the end: {left}")),
    );
    (broken, history.counts(turns))
}

fn outcome(call: &Call) -> Option<(Duration, &Outcome)> {
    match &call.end {
        Some((at, End::Answered(outcome))) => Some((*at, outcome)),
        _ => None,
    }
}

/// How long the gateway waits for the response.
fn patience(exchange: &Exchange, schedule: &Schedule) -> Duration {
    if exchange.vendor == Vendor::ZApi {
        schedule.zapi_timeout
    } else if exchange.asked.is_empty() {
        schedule.request_timeout.min(schedule.deadline)
    } else {
        schedule.request_timeout
    }
}

/// The response, if the gateway certainly received it.
fn heard<'it>(exchange: &'it Exchange, schedule: &Schedule) -> Option<&'it Answer> {
    let late = exchange.sent + patience(exchange, schedule);
    let answer = exchange.answer.as_ref();
    answer.filter(|answer| answer.at + SLACK < late)
}

/// Whether an outcome at `then` may come from this response.
pub fn is_from(answer: &Answer, then: Duration) -> bool {
    answer.at <= then && answer.at + SLACK >= then
}

fn is_of(exchange: &Exchange, call: &Call) -> bool {
    exchange.vendor == call.vendor && is_of_queue(exchange, call)
}

/// Whether they are of the same queue, at either vendor.
fn is_of_queue(exchange: &Exchange, call: &Call) -> bool {
    exchange.process == call.process && exchange.instance == call.instance
}

fn same_setting(one: &Call, other: &Call) -> bool {
    let key = |it: &Call| it.change().map(|change| change.setting);
    (one.process, &one.instance, key(one)) == (other.process, &other.instance, key(other))
}

/// Whether the call was pending at that time.
fn waited(call: &Call, at: Duration) -> bool {
    call.start <= at && call.end.as_ref().is_none_or(|(end, _)| *end >= at)
}

fn numbered(calls: &[Call], is_wrong: impl Fn(&Call) -> bool, what: &str) -> Vec<String> {
    let wrong = calls.iter().enumerate().filter(|(_, call)| is_wrong(call));
    wrong
        .map(|(number, _)| format!("{what}, call {number}"))
        .collect()
}
