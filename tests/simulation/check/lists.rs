//! Changes of lists of contacts, which Z-API carries out: each is sent once, alone and in its order, and the
//! last that was acknowledged is what Z-API has in the end. That requests to Ryze keep behind them is in
//! `turns` and `requests`.

use zapi_to_ryze::privacy::Failure;

use super::{SLACK, is_of_queue, outcome, waited};
use crate::simulation::history::{Call, Exchange, History, Vendor};

/// The requests for this call.
fn requests(history: &History, call: usize) -> impl Iterator<Item = &Exchange> {
    let exchanges = history.exchanges.iter();
    exchanges.filter(move |it| it.call == Some(call))
}

fn lists(history: &History) -> impl Iterator<Item = (usize, &Call)> {
    let calls = history.calls.iter().enumerate();
    calls.filter(|(_, call)| call.vendor == Vendor::ZApi)
}

/// Each is sent at most once, while its client waits, and after all that came before it is over.
pub fn each_is_sent_once_and_in_its_order(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, call) in lists(history) {
        if requests(history, number).count() > 1 {
            broken.push(format!("list: call {number} was sent twice"));
        }
        for request in requests(history, number) {
            if !waited(call, request.sent) {
                broken.push(format!("list: call {number} was sent without its client"));
            }
            let mut before = history.calls[..number].iter();
            let overtakes =
                |it: &Call| is_of_queue(request, it) && waited(it, request.sent + SLACK);
            if before.any(overtakes) {
                broken.push(format!("list: call {number} overtook another"));
            }
        }
    }
    broken
}

/// At the end Z-API has the list of the last request that was acknowledged, or of a later one, or of one that
/// got no response.
pub fn the_last_acknowledged_is_held(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    let sent = history.exchanges.iter().enumerate();
    for (number, request) in sent.filter(|(_, it)| it.vendor == Vendor::ZApi) {
        let is_acknowledged = request.call.is_some_and(|call| {
            outcome(&history.calls[call]).is_some_and(|(_, outcome)| outcome.is_ok())
        });
        let Some(setting) = request.asked.iter().next().map(|it| it.setting) else {
            continue;
        };
        let held = history.lists.get(&(request.instance.clone(), setting));
        let is_allowed = |held: usize| held >= number || history.exchanges[held].is_lost();
        if is_acknowledged && !held.is_some_and(|held| is_allowed(*held)) {
            broken.push(format!(
                "list: request {number} was acknowledged, and request {held:?} is held"
            ));
        }
    }
    broken
}

/// An unknown outcome is that of a call that was sent and had no response yet, and of no other.
pub fn unknown_is_what_was_sent(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, call) in lists(history) {
        let Some((end, outcome)) = outcome(call) else {
            continue;
        };
        let is_open = |it: &Exchange| {
            let answer = it.answer.as_ref();
            answer.is_none_or(|answer| answer.at + SLACK >= end)
        };
        let is_sent = requests(history, number).any(|it| it.sent <= end && is_open(it));
        if matches!(outcome, Err(Failure::Unknown(_))) && !is_sent {
            broken.push(format!("list: call {number} was not sent, and is unknown"));
        }
    }
    broken
}
