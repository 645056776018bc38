//! Read-backs and retries: no more and no fewer than promised, and that each call gets the failure that is
//! known by then.

use std::time::Duration;

use zapi_to_ryze::privacy::Failure;

use super::{
    SLACK, heard, is_of, outcome,
    turns::{Purpose, Turns},
};
use crate::simulation::{
    fault::FIELDS,
    history::{Answer, Call, Exchange, History, Vendor},
    schedule::{Schedule, Step},
};

/// How long Ryze may be unreachable before calls fail, and the longest pause between attempts.
const LONGEST_OUTAGE: Duration = Duration::from_secs(10);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);
/// How long a request counts in the budget.
const TRACE: Duration = Duration::from_secs(62);

/// Nothing is sent more than twice, except after Ryze's rate limit, and not twice if Ryze named it among
/// others as the one that failed.
pub fn nothing_is_sent_too_often(history: &History, turns: &Turns) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, (call, tries)) in history.calls.iter().zip(&turns.tries).enumerate() {
        let is_named = |request: &usize| is_named_among_others(&history.exchanges[*request], call);
        if tries.len() > 2 || tries.len() == 2 && is_named(&tries[0]) {
            broken.push(format!("tries: call {number} was in requests {tries:?}"));
        }
    }
    broken
}

/// Nothing is read back that the response to a retry has shown.
pub fn nothing_is_read_back_without_need(history: &History, turns: &Turns) -> Vec<String> {
    let is_in_vain = |request: usize| {
        let shows = |it: &Exchange| it.answer.as_ref().is_some_and(|it| it.confirmed.is_some());
        let mut tries = turns.tries.iter().enumerate();
        turns.read_backs[request].is_some()
            && shows(&history.exchanges[request])
            && tries.all(|(call, tries)| {
                !turns.may_be_in(call, request)
                    || !turns.unsure[call] && tries.get(1) == Some(&request)
            })
    };
    let requests = 0..history.exchanges.len();
    requests
        .filter(|request| is_in_vain(*request))
        .map(|request| format!("read back: request {request}, without need"))
        .collect()
}

/// The calls of a request complete at once when its response, or its read-back, shows the value that was
/// sent.
pub fn a_value_that_is_shown_is_a_success(
    schedule: &Schedule,
    history: &History,
    turns: &Turns,
) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, call) in history.calls.iter().enumerate() {
        let waits = |at| call.end.as_ref().is_none_or(|(end, _)| *end > at + SLACK);
        for request in &turns.tries[number] {
            let asked = &history.exchanges[*request].asked;
            let shows = |answer: &Answer| {
                answer.confirmed.is_some_and(|shown| {
                    let same = |setting| shown.get(setting) == asked.get(setting);
                    call.change().is_none_or(|it| same(it.setting))
                })
            };
            let mut answers = turns.proofs(*request).filter_map(|it| heard(it, schedule));
            if answers.any(|it| shows(it) && waits(it.at)) {
                broken.push(format!(
                    "success: call {number} not at the end of request {request}"
                ));
            }
        }
    }
    broken
}

/// A call that fails before its deadline, for no other reason, was retried for long enough, read back and
/// sent twice.
pub fn no_call_is_given_up_too_soon(
    schedule: &Schedule,
    history: &History,
    turns: &Turns,
) -> Vec<String> {
    if !has_room(schedule, history) {
        return Vec::new();
    }
    let mut broken = Vec::new();
    let calls = history.calls.iter().enumerate();
    for (number, call) in calls.filter(|(_, it)| it.vendor == Vendor::Ryze) {
        let Some((end, Err(Failure::Unknown(_) | Failure::Upstream(_)))) = outcome(call) else {
            continue;
        };
        // A call that is queued for a retry fails when its time to be sent is over.
        let latest = call.deadline - schedule.deadline / 4;
        if turns.unsure[number] || end + SLACK >= latest {
            continue;
        }
        let cause = match turns.tries[number].len() {
            0 => unsent(schedule, history, call, end),
            _ => left_open(schedule, history, turns, number, end),
        };
        broken.extend(cause.map(|cause| format!("given up: call {number} {cause}")));
    }
    broken
}

/// The fault in the failure of a call that was never sent.
fn unsent(
    schedule: &Schedule,
    history: &History,
    call: &Call,
    end: Duration,
) -> Option<&'static str> {
    let Some(outage) = outage(history, call, call.start, end) else {
        return Some("though Ryze could be reached");
    };
    let is_early = end + room(schedule, history, call, end)? < until(schedule, call, Some(outage));
    is_early.then_some("though it was not retried for long enough")
}

/// The fault in the failure of a call that was sent.
fn left_open(
    schedule: &Schedule,
    history: &History,
    turns: &Turns,
    number: usize,
    end: Duration,
) -> Option<&'static str> {
    let (call, tries) = (&history.calls[number], turns.tries[number].len());
    let is_over = |request: &usize| {
        let over = history.exchanges[*request].over;
        over.is_some_and(|over| over <= end)
    };
    // Other requests of the instance may begin and end in the moment in which this call ends.
    let is_for_it = |request: &usize| match turns.purposes[*request] {
        Purpose::Call | Purpose::List => turns.may_be_in(number, *request),
        Purpose::ReadBack => {
            let update = turns.update_before(*request);
            update.is_some_and(|update| turns.may_be_in(number, update))
        }
    };
    let mut requests = (0..history.exchanges.len()).rev();
    let last = requests.find(|request| is_over(request) && is_for_it(request))?;
    let exchange = &history.exchanges[last];
    let heard = heard(exchange, schedule);
    let over = match outage(history, call, exchange.over?, end) {
        Some(_) => end,
        None => exchange.over?,
    };
    let until = until(schedule, call, outage(history, call, call.start, end));
    let has_time = over + room(schedule, history, call, end)? < until;
    if !has_time || exchange.answer.is_some() && heard.is_none() {
        return None;
    }
    let shows = heard.is_some_and(|answer| answer.confirmed.is_some());
    if call.change().is_none() {
        return (tries < 2).then_some("without a retry of the read");
    }
    if turns.purposes[last] == Purpose::Call {
        let is_open = |answer| leaves_open(exchange, answer);
        let is_its = !exchange.asked.is_empty() && (tries < 2 || heard.is_none_or(is_open));
        return is_its.then_some("without a read-back");
    }
    let update = &history.exchanges[turns.update_before(last)?];
    (shows && tries < 2 && !is_named_among_others(update, call)).then_some("without a retry")
}

/// Whether this response to a retry leaves the outcome of its settings open.
fn leaves_open(update: &Exchange, answer: &Answer) -> bool {
    answer.confirmed.is_none() && answer.failed_field().is_none() && update.is_left_open_by(answer)
}

fn is_named_among_others(update: &Exchange, call: &Call) -> bool {
    let named = update.answer.as_ref().and_then(Answer::failed_field);
    let own = |it: usize| call.change().is_some_and(|own| own.setting == FIELDS[it].0);
    update.asked.iter().count() > 1 && named.is_some_and(own)
}

/// When Ryze was first unreachable.
fn outage(history: &History, call: &Call, from: Duration, to: Duration) -> Option<Duration> {
    let mut outages = history.unreachable.iter();
    let outage = outages.find(|(process, at)| *process == call.process && (from..=to).contains(at));
    outage.map(|(_, at)| *at)
}

/// The time after which a call may not be sent.
fn until(schedule: &Schedule, call: &Call, outage: Option<Duration>) -> Duration {
    let latest = call.deadline - schedule.deadline / 4;
    outage.map_or(latest, |outage| latest.min(outage + LONGEST_OUTAGE))
}

/// Whether no other client uses Ryze's limit.
fn has_room(schedule: &Schedule, history: &History) -> bool {
    let is_alone =
        |(_, step): &(Duration, Step)| !matches!(step, Step::Foreign(..) | Step::Restart);
    let is_over = |it: &Answer| it.is_over_ryzes_limit();
    schedule.limit >= schedule.share
        && schedule.steps.iter().all(is_alone)
        && !history
            .exchanges
            .iter()
            .filter_map(|it| it.answer.as_ref())
            .any(is_over)
}

/// The longest time to the next attempt. Unknown if too much was sent in the last minute, or the instance
/// is suspended.
fn room(schedule: &Schedule, history: &History, call: &Call, end: Duration) -> Option<Duration> {
    let exchanges = history.exchanges.iter();
    let counts = |it: &&Exchange| it.sent <= end && it.over.is_none_or(|over| over + TRACE > end);
    let queues = u32::try_from(schedule.tokens.len()).unwrap();
    let taken = exchanges.clone().filter(counts).count() as u32 + 2 * queues + 2;
    let mut own = exchanges
        .filter(|it| is_of(it, call))
        .filter_map(|it| it.answer.as_ref());
    let holds = |answer: &Answer| {
        (answer.at..answer.at + TRACE).contains(&end)
            && (answer.is_over_whatsapps_limit() || answer.is_denial())
    };
    let pace = if taken < schedule.burst {
        Duration::ZERO
    } else {
        Duration::from_secs(60) / schedule.share * (queues + 2)
    };
    (taken < schedule.share && !own.any(holds)).then_some(pace + LONGEST_BACKOFF + SLACK)
}
