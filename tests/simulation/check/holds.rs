//! Instances that are held: for how long, that nothing is sent for who calls meanwhile, who is told at
//! once, and that no other instance is held with them.

use std::time::Duration;

use zapi_to_ryze::privacy::{Failure, Limiter};

use super::{
    SLACK, heard, outcome,
    turns::{Purpose, Turns},
    waited,
};
use crate::simulation::{
    history::{Call, Exchange, History},
    schedule::Schedule,
};

const DENIAL: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A hold of one instance, by the request whose answer began it.
struct Hold {
    request: usize,
    from: Duration,
    until: Duration,
    /// Where WhatsApp throttles the account, for how long it is left alone.
    pause: Option<Duration>,
    /// Whether the gateway surely has heard that answer.
    is_sure: bool,
}

/// Whether that is what is said of an instance that is held.
pub fn is_of_a_hold(failure: &Failure) -> bool {
    let whatsapp = Limiter::WhatsApp;
    matches!(failure, Failure::Denied { .. })
        || matches!(failure, Failure::Throttled { by, .. } if *by == whatsapp)
}

pub fn they_are_kept(schedule: &Schedule, history: &History, turns: &Turns) -> Vec<String> {
    let mut broken = Vec::new();
    let mut holds: Vec<Hold> = Vec::new();
    for (number, request) in history.exchanges.iter().enumerate() {
        let is_own = |hold: &&mut Hold| history.exchanges[hold.request].is_of_lane(request);
        let last = holds.iter_mut().rfind(is_own);
        let is_held = last
            .as_ref()
            .is_some_and(|hold| hold.is_sure && request.sent < hold.until);
        if is_held && turns.purposes[number] == Purpose::Call {
            broken.push(format!("held: request {number} was sent all the same"));
        }
        let next = after(schedule, number, request, last);
        holds.extend(next);
    }
    for (number, call) in history.calls.iter().enumerate() {
        let of_lane = |hold: &&Hold| {
            let request = &history.exchanges[hold.request];
            (call.process, &call.instance) == (request.process, &request.instance)
        };
        let mut own = holds.iter().filter(of_lane);
        if !own.clone().all(|it| is_told(call, number, it, turns)) {
            broken.push(format!("held: call {number} was not told at once"));
        }
        let told = outcome(call).filter(|(_, it)| it.as_ref().is_err_and(is_of_a_hold));
        let is_meant = |hold: &Hold| {
            told.is_some_and(|(end, _)| hold.from <= end && end <= hold.until + SLACK)
        };
        if told.is_some() && !own.any(is_meant) {
            broken.push(format!("held: call {number} of an instance that is not"));
        }
    }
    broken
}

/// The hold that this request's answer begins, if it does. It may end the last one.
fn after(
    schedule: &Schedule,
    number: usize,
    request: &Exchange,
    last: Option<&mut Hold>,
) -> Option<Hold> {
    let answer = request.answer.as_ref()?;
    let at = answer.at;
    let last_pause = last.as_ref().and_then(|hold| hold.pause);
    let doubled = last_pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
    let pause = answer.is_over_whatsapps_limit().then_some(doubled);
    let begins = pause.is_some() || answer.is_denial();
    let ends = answer.confirmed.is_some() && (!request.asked.is_empty() || last_pause.is_none());
    if let Some(last) = last
        && (begins || ends)
    {
        last.until = last.until.min(at);
        if ends {
            last.pause = None;
        }
    }
    begins.then_some(Hold {
        request: number,
        from: at,
        until: at + pause.unwrap_or(DENIAL),
        pause,
        is_sure: heard(request, schedule).is_some(),
    })
}

/// Whether the call was told of the hold at once, if it came meanwhile, or waited when it began and was
/// not in the request that began it.
fn is_told(call: &Call, number: usize, hold: &Hold, turns: &Turns) -> bool {
    let came = hold.from < call.start && call.start < hold.until;
    let waited = call.start < hold.from
        && hold.from < hold.until
        && waited(call, hold.from)
        && !turns.may_be_in(number, hold.request);
    let by = call.start.max(hold.from) + SLACK;
    !hold.is_sure || !(came || waited) || call.end.as_ref().is_some_and(|(end, _)| *end <= by)
}
