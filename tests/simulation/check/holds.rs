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
    history::{Call, History},
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
    cause: Cause,
    /// Whether the gateway surely has heard that answer.
    is_sure: bool,
}

#[derive(PartialEq)]
enum Cause {
    /// WhatsApp throttles the account; for so long, unless an update ended the growth.
    Throttled(Option<Duration>),
    /// Ryze denies it to the request's token.
    Denied,
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
        let is_own = |hold: &Hold| {
            let began = &history.exchanges[hold.request];
            let is_meant = hold.cause != Cause::Denied || began.token == request.token;
            began.is_of_lane(request) && is_meant
        };
        let is_held = |hold: &Hold| {
            is_own(hold) && hold.is_sure && (hold.from..hold.until).contains(&request.sent)
        };
        if holds.iter().any(is_held) && turns.purposes[number] == Purpose::Call {
            broken.push(format!("held: request {number} was sent all the same"));
        }
        let next = after(
            schedule,
            history,
            number,
            holds.iter_mut().filter(|it| is_own(it)),
        );
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
        // Its request was refused for a token that was replaced, and it has no time for another.
        let latest = call.deadline - schedule.deadline / 4;
        let is_late = told.is_some_and(|(end, _)| end + SLACK >= latest);
        if told.is_some() && !is_late && !own.any(is_meant) {
            broken.push(format!("held: call {number} of an instance that is not"));
        }
    }
    broken
}

/// The hold that this request's answer begins, if it does. It may end others of its instance.
fn after<'it>(
    schedule: &Schedule,
    history: &History,
    number: usize,
    own: impl Iterator<Item = &'it mut Hold>,
) -> Option<Hold> {
    let request = &history.exchanges[number];
    let answer = request.answer.as_ref()?;
    let at = answer.at;
    let (mut throttled, mut denied) = (None, None);
    for hold in own {
        match hold.cause {
            Cause::Throttled(_) => throttled = Some(hold),
            Cause::Denied => denied = Some(hold),
        }
    }
    let is_throttle = answer.is_over_whatsapps_limit();
    if let Some(throttled) = throttled.as_mut()
        && (is_throttle || answer.confirmed.is_some() && !request.asked.is_empty())
    {
        throttled.until = throttled.until.min(at);
    }
    if let Some(denied) = denied
        && (answer.is_denial() || answer.confirmed.is_some())
    {
        denied.until = denied.until.min(at);
    }
    let mut hold = Hold {
        request: number,
        from: at,
        until: at + DENIAL,
        cause: Cause::Denied,
        is_sure: heard(request, schedule).is_some(),
    };
    if is_throttle {
        let last = throttled.and_then(|hold| match hold.cause {
            Cause::Throttled(pause) => pause,
            Cause::Denied => None,
        });
        let pause = last.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        hold.until = at + pause;
        hold.cause = Cause::Throttled(Some(pause));
        return Some(hold);
    }
    if answer.confirmed.is_some()
        && !request.asked.is_empty()
        && let Some(Hold {
            cause: Cause::Throttled(pause),
            ..
        }) = throttled
    {
        *pause = None;
    }
    if !answer.is_denial() {
        return None;
    }
    match history.is_token_replaced(request, at, SLACK) {
        Some(true) => return None,
        Some(false) => {
            // One at the same moment may have come before the answer.
            let reload = history.next_reload(at + SLACK);
            hold.until = reload.map_or(hold.until, |reload| hold.until.min(reload));
            let near = history.next_reload(at.saturating_sub(SLACK));
            hold.is_sure &= near == reload;
        }
        None => hold.is_sure = false,
    }
    Some(hold)
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
