//! Suspensions of instances: their length, that nothing is sent meanwhile, that calls fail at once, and
//! that no other instance is suspended.

use std::time::Duration;

use zapi_to_ryze::privacy::{Failure, Limiter};

use super::{
    SLACK, heard, outcome,
    turns::{Purpose, Turns},
    waited,
};
use crate::simulation::{
    history::{Call, History, Vendor},
    schedule::Schedule,
};

const DENIAL: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A suspension of one instance, by the request whose response started it.
struct Suspension {
    request: usize,
    from: Duration,
    until: Duration,
    cause: Cause,
    /// Whether the gateway certainly received that response.
    is_sure: bool,
}

#[derive(PartialEq)]
enum Cause {
    /// WhatsApp throttles the account, for this long, unless an update reset the length.
    Throttled(Option<Duration>),
    /// Ryze denies the instance to the request's token.
    Denied,
}

/// Whether this is a failure of a suspended instance.
pub fn is_of_suspension(failure: &Failure) -> bool {
    let whatsapp = Limiter::WhatsApp;
    matches!(failure, Failure::Denied { .. })
        || matches!(failure, Failure::Throttled { by, .. } if *by == whatsapp)
}

pub fn they_are_kept(schedule: &Schedule, history: &History, turns: &Turns) -> Vec<String> {
    let mut broken = Vec::new();
    let mut suspensions: Vec<Suspension> = Vec::new();
    let requests = history.exchanges.iter().enumerate();
    for (number, request) in requests.filter(|(_, it)| it.vendor == Vendor::Ryze) {
        let is_own = |suspension: &Suspension| {
            let began = &history.exchanges[suspension.request];
            let is_meant = suspension.cause != Cause::Denied || began.token == request.token;
            began.is_of_same_instance(request) && is_meant
        };
        let is_suspended = |suspension: &Suspension| {
            is_own(suspension)
                && suspension.is_sure
                && (suspension.from..suspension.until).contains(&request.sent)
        };
        if suspensions.iter().any(is_suspended) && turns.purposes[number] == Purpose::Call {
            broken.push(format!("suspended: request {number} was sent"));
        }
        let next = after(
            schedule,
            history,
            number,
            suspensions.iter_mut().filter(|it| is_own(it)),
        );
        suspensions.extend(next);
    }
    let calls = history.calls.iter().enumerate();
    for (number, call) in calls.filter(|(_, it)| it.vendor == Vendor::Ryze) {
        let of_instance = |suspension: &&Suspension| {
            let request = &history.exchanges[suspension.request];
            (call.process, &call.instance) == (request.process, &request.instance)
        };
        let mut own = suspensions.iter().filter(of_instance);
        if !own
            .clone()
            .all(|it| failed_at_once(call, number, it, turns))
        {
            broken.push(format!("suspended: call {number} did not fail at once"));
        }
        let told = outcome(call).filter(|(_, it)| it.as_ref().is_err_and(is_of_suspension));
        let is_meant = |suspension: &Suspension| {
            told.is_some_and(|(end, _)| suspension.from <= end && end <= suspension.until + SLACK)
        };
        // Its request was rejected for a token that was replaced, and no time is left for another.
        let latest = call.deadline - schedule.deadline / 4;
        let is_late = told.is_some_and(|(end, _)| end + SLACK >= latest);
        if told.is_some() && !is_late && !own.any(is_meant) {
            broken.push(format!(
                "suspended: call {number} of an instance that is not"
            ));
        }
    }
    broken
}

/// The suspension that this request's response starts, if any. It may end others of its instance.
fn after<'it>(
    schedule: &Schedule,
    history: &History,
    number: usize,
    own: impl Iterator<Item = &'it mut Suspension>,
) -> Option<Suspension> {
    let request = &history.exchanges[number];
    let answer = request.answer.as_ref()?;
    let at = answer.at;
    let (mut throttled, mut denied) = (None, None);
    for suspension in own {
        match suspension.cause {
            Cause::Throttled(_) => throttled = Some(suspension),
            Cause::Denied => denied = Some(suspension),
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
    let mut suspension = Suspension {
        request: number,
        from: at,
        until: at + DENIAL,
        cause: Cause::Denied,
        is_sure: heard(request, schedule).is_some(),
    };
    if is_throttle {
        let last = throttled.and_then(|suspension| match suspension.cause {
            Cause::Throttled(pause) => pause,
            Cause::Denied => None,
        });
        let pause = last.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        suspension.until = at + pause;
        suspension.cause = Cause::Throttled(Some(pause));
        return Some(suspension);
    }
    if answer.confirmed.is_some()
        && !request.asked.is_empty()
        && let Some(Suspension {
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
            // A reload at the same moment may precede the response.
            let reload = history.next_reload(at + SLACK);
            suspension.until =
                reload.map_or(suspension.until, |reload| suspension.until.min(reload));
            let near = history.next_reload(at.saturating_sub(SLACK));
            suspension.is_sure &= near == reload;
        }
        None => suspension.is_sure = false,
    }
    Some(suspension)
}

/// Whether the call failed at once, if it arrived during the suspension, or was queued at its start and not
/// in the request that started it.
fn failed_at_once(call: &Call, number: usize, suspension: &Suspension, turns: &Turns) -> bool {
    let arrived = suspension.from < call.start && call.start < suspension.until;
    let waited = call.start < suspension.from
        && suspension.from < suspension.until
        && waited(call, suspension.from)
        && !turns.may_be_in(number, suspension.request);
    let by = call.start.max(suspension.from) + SLACK;
    !suspension.is_sure
        || !(arrived || waited)
        || call.end.as_ref().is_some_and(|(end, _)| *end <= by)
}
