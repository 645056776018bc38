//! The requests at Ryze: their rate, their order, and the final settings.

use std::time::Duration;

use zapi_to_ryze::privacy::{Audience, Change, Setting};

use super::{
    SLACK, is_from, is_of, outcome, patience,
    turns::{Purpose, Turns},
    waited,
};
use crate::simulation::{
    history::{Answer, Call, Exchange, History},
    schedule::{Schedule, name},
};

const MINUTE: Duration = Duration::from_secs(60);

/// At most the share of each process arrives at Ryze in any 60 s, both ends included. If two slots are reserved
/// for read-backs, two fewer other requests.
pub fn share_is_kept(schedule: &Schedule, history: &History, turns: &Turns) -> Vec<String> {
    let share = schedule.share as usize;
    let for_callers = if share < 10 { share } else { share - 2 };
    let most_are = |most: usize, process: usize, counts: &dyn Fn(Purpose) -> bool| {
        let numbered = history.exchanges.iter().zip(&turns.purposes);
        let mut arrivals: Vec<_> = numbered
            .filter(|(it, purpose)| it.process == process && counts(**purpose))
            .filter_map(|(it, _)| it.arrived)
            .collect();
        arrivals.sort();
        let mut windows = arrivals.windows(most + 1);
        windows.all(|window| window[most] - window[0] > MINUTE)
    };
    let is_kept = |process: &usize| {
        most_are(share, *process, &|purpose| purpose != Purpose::List)
            && most_are(for_callers, *process, &|purpose| purpose == Purpose::Call)
    };
    let broken = (0..history.processes).filter(|process| !is_kept(process));
    broken
        .map(|process| format!("share: process {process} sent more than {share} in a minute"))
        .collect()
}

/// At most one request of an instance, update or read, is in flight at either vendor, and each until its response or its
/// timeout.
pub fn requests_do_not_overtake(schedule: &Schedule, history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, request) in history.exchanges.iter().enumerate() {
        let over = request.over.unwrap_or(Duration::MAX);
        if request.given_up && over + SLACK < request.sent + patience(request, schedule) {
            broken.push(format!("order: request {number} was given up too soon"));
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

/// No call is sent with less than a quarter of its time left.
pub fn no_call_is_sent_too_late(
    schedule: &Schedule,
    history: &History,
    turns: &Turns,
) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, (call, tries)) in history.calls.iter().zip(&turns.tries).enumerate() {
        let latest = call.deadline - schedule.deadline / 4 + SLACK;
        let sent = |request: &usize| history.exchanges[*request].sent;
        if tries.iter().any(|request| sent(request) > latest) {
            broken.push(format!("late: call {number} was sent"));
        }
    }
    broken
}

/// No update has an older value of a setting than the update before it: the last call that may have
/// requested the one did not arrive before the first that may have requested the other.
pub fn values_are_in_order(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, later) in history.exchanges.iter().enumerate() {
        for Change { setting, audience } in later.asked.iter() {
            let mut before = history.exchanges[..number].iter();
            let Some(earlier) = before.rfind(|it| {
                it.is_of_same_instance(later)
                    && it.asked.get(setting).is_some()
                    && !it.answer.as_ref().is_some_and(changed_nothing)
            }) else {
                continue;
            };
            let asks_for = |request: &Exchange, call: &Call, audience| {
                is_of(request, call)
                    && call.start <= request.sent
                    && call.change() == Some(Change { setting, audience })
            };
            let mut calls = history.calls.iter();
            let last = calls.rposition(|call| asks_for(later, call, audience));
            let first = earlier.asked.get(setting).and_then(|audience| {
                history.calls.iter().position(|call| {
                    asks_for(earlier, call, audience) && waited(call, earlier.sent)
                })
            });
            if last < first {
                broken.push(format!(
                    "order: request {number} has an older value of {setting:?}"
                ));
            }
        }
    }
    broken
}

/// Whether Ryze rejected the request for its token, so that a value that a cancelled call had replaced
/// counts again.
fn changed_nothing(answer: &Answer) -> bool {
    answer.is_over_ryzes_limit() || answer.is_denial()
}

/// At the end Ryze has a value of each setting that [`Acknowledged::may_hold`] allows.
pub fn the_last_acknowledged_holds(history: &History, turns: &Turns) -> Vec<String> {
    let acknowledged = Acknowledged::new(history, turns);
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

/// The updates on which a success rests, on their response or on their read-back, in the order in which
/// they were sent.
pub struct Acknowledged<'history> {
    history: &'history History,
    updates: Vec<(usize, Setting, Duration)>,
}

impl<'history> Acknowledged<'history> {
    pub fn new(history: &'history History, turns: &Turns) -> Self {
        let mut updates = Vec::new();
        for (number, update) in history.exchanges.iter().enumerate() {
            for Change { setting, .. } in update.asked.iter() {
                let ends = history.calls.iter().filter_map(|call| {
                    let mut proofs = turns.proofs(number);
                    proofs.find_map(|proof| acknowledged_at(proof, call, setting))
                });
                updates.extend(ends.min().map(|end| (number, setting, end)));
            }
        }
        Self { history, updates }
    }

    /// Whether Ryze may have this value after `then`: it is the last that was acknowledged until then, or was
    /// sent later, or its request got no response and may land at any time.
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

/// When the call's success was acknowledged, if it rests on this response.
fn acknowledged_at(proof: &Exchange, call: &Call, setting: Setting) -> Option<Duration> {
    let Some((end, Ok(_))) = outcome(call) else {
        return None;
    };
    let answer = proof.answer.as_ref()?;
    let is_acknowledged = answer.confirmed.is_some()
        && is_from(answer, end)
        && is_of(proof, call)
        && call.change()?.setting == setting;
    is_acknowledged.then_some(end)
}
