//! What reached Ryze: how often, in which order, and what is held there in the end.

use std::time::Duration;

use zapi_to_ryze::privacy::{Audience, Change, Setting};

use super::{SLACK, is_of, outcome, waited};
use crate::simulation::{
    history::{Call, Exchange, History},
    schedule::{Schedule, name},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Of each process at most the share arrives in any 60 s, both ends counted.
pub fn share_is_kept(schedule: &Schedule, history: &History) -> Vec<String> {
    let share = schedule.share as usize;
    let broken_in = |process: &usize| {
        let of_process = history.exchanges.iter().filter(|it| it.process == *process);
        let mut arrivals: Vec<_> = of_process.filter_map(|it| it.arrived).collect();
        arrivals.sort();
        arrivals
            .windows(share + 1)
            .any(|window| window[share] - window[0] <= MINUTE)
    };
    let processes = (0..history.processes).filter(broken_in);
    processes
        .map(|process| format!("share: process {process} sent more than {share} in a minute"))
        .collect()
}

/// At most one request for an instance is in flight, be it an update or a read, and each is listened
/// to until it is answered or `request_timeout` has passed.
pub fn requests_do_not_overtake(schedule: &Schedule, history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, request) in history.exchanges.iter().enumerate() {
        let over = request.over.unwrap_or(Duration::MAX);
        if request.given_up && over + SLACK < request.sent + schedule.request_timeout {
            broken.push(format!("order: request {number} was not listened to"));
        }
        let overtaken_by = |later: &Exchange| {
            (later.process, &later.instance) == (request.process, &request.instance)
                && later.sent < over
        };
        if history.exchanges[number + 1..].iter().any(overtaken_by) {
            broken.push(format!("order: request {number} was overtaken"));
        }
    }
    broken
}

/// Each request is for who waits longest, be it to change or to read.
pub fn who_waits_longest_is_next(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, request) in history.exchanges.iter().enumerate() {
        let wants_it = |call: &Call| call.change().is_none() == request.asked.is_empty();
        // Who came or left in this very moment may have been there or not.
        let surely = |call: &Call| call.start < request.sent && waited(call, request.sent + SLACK);
        let first = history.calls.iter().find(|call| {
            waited(call, request.sent) && is_of(request, call) && (wants_it(call) || surely(call))
        });
        if !first.is_some_and(wants_it) {
            broken.push(format!("turns: request {number} was not the next"));
        }
    }
    broken
}

/// In the end Ryze holds of each setting what [`Acknowledged::may_hold`] says.
pub fn the_last_acknowledged_holds(history: &History) -> Vec<String> {
    let acknowledged = Acknowledged::new(history);
    let mut broken = Vec::new();
    for (instance, held) in history.held.iter().enumerate() {
        let instance = name(instance);
        for setting in Setting::ALL {
            let held = held.get(setting);
            if !held.is_some_and(|it| acknowledged.may_hold(&instance, setting, it, Duration::MAX))
            {
                broken.push(format!(
                    "held: {setting:?} of {instance} is {held:?} in the end"
                ));
            }
        }
    }
    broken
}

/// The updates on whose answers a success rests, in the order in which they were sent.
pub struct Acknowledged<'history> {
    history: &'history History,
    updates: Vec<(usize, Setting, Duration)>,
}

impl<'history> Acknowledged<'history> {
    pub fn new(history: &'history History) -> Self {
        let mut updates = Vec::new();
        for (number, update) in history.exchanges.iter().enumerate() {
            for Change { setting, .. } in update.asked.iter() {
                let ends = history
                    .calls
                    .iter()
                    .filter_map(|call| acknowledged_at(update, call, setting));
                updates.extend(ends.min().map(|end| (number, setting, end)));
            }
        }
        Self { history, updates }
    }

    /// Whether Ryze may hold this value after `then`: it is the last acknowledged until then, or was
    /// sent later, or its request got no answer, and when that lands nobody can tell.
    pub fn may_hold(
        &self,
        instance: &str,
        setting: Setting,
        value: Audience,
        then: Duration,
    ) -> bool {
        let exchanges = &self.history.exchanges;
        let last = self.updates.iter().rfind(|(number, of, at)| {
            exchanges[*number].instance == instance && *of == setting && *at <= then
        });
        let first = last.map_or(0, |(number, ..)| *number);
        let initial = last.is_none() && value == Audience::Everyone;
        let mut numbered = exchanges.iter().enumerate();
        initial
            || numbered.any(|(number, it)| {
                it.instance == instance
                    && it.asked.get(setting) == Some(value)
                    && (number >= first || it.is_lost())
            })
    }
}

/// When the update's answer was what the call's success rests on.
fn acknowledged_at(update: &Exchange, call: &Call, setting: Setting) -> Option<Duration> {
    let Some((end, Ok(_))) = outcome(call) else {
        return None;
    };
    let answer = update.answer.as_ref()?;
    let is_acknowledged = answer.confirmed.is_some()
        && answer.at <= end
        && answer.at + SLACK >= end
        && is_of(update, call)
        && call.change()?.setting == setting;
    is_acknowledged.then_some(end)
}
