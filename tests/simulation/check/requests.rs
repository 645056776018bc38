//! What reached Ryze: how often, in which order, and what is held there in the end.

use std::time::Duration;

use zapi_to_ryze::privacy::{Audience, Setting};

use super::{SLACK, is_of, outcome};
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

/// At most one update of an instance is in flight, and each is listened to until it is answered or
/// `request_timeout` has passed.
pub fn updates_do_not_overtake(schedule: &Schedule, history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, update) in history.exchanges.iter().enumerate() {
        let over = update.over.unwrap_or(Duration::MAX);
        if update.given_up && over + SLACK < update.sent + schedule.request_timeout {
            broken.push(format!("order: request {number} was not listened to"));
        }
        let overtaken_by = |later: &Exchange| {
            (later.process, &later.instance) == (update.process, &update.instance)
                && later.sent < over
        };
        if history.exchanges[number + 1..].iter().any(overtaken_by) {
            broken.push(format!("order: request {number} was overtaken"));
        }
    }
    broken
}

/// In the end Ryze holds the last acknowledged value of each setting, or one that was sent later, or
/// one whose request got no answer: when that lands nobody can tell.
pub fn the_last_acknowledged_holds(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for (instance, held) in history.held.iter().enumerate() {
        let instance = name(instance);
        for setting in Setting::ALL {
            let touches =
                |it: &&Exchange| it.instance == instance && it.asked.get(setting).is_some();
            let acknowledged = history.exchanges.iter().rfind(|it| {
                touches(it)
                    && history
                        .calls
                        .iter()
                        .any(|call| acknowledges(it, call, setting))
            });
            let is_possible = |it: &Exchange| match acknowledged {
                Some(last) => std::ptr::eq(it, last) || it.sent > last.sent || it.is_lost(),
                None => true,
            };
            let mut possible = history
                .exchanges
                .iter()
                .filter(touches)
                .filter(|it| is_possible(it))
                .map(|it| it.asked.get(setting));
            let initial = acknowledged.is_none() && held.get(setting) == Some(Audience::Everyone);
            if !initial && !possible.any(|value| value == held.get(setting)) {
                let held = held.get(setting);
                broken.push(format!(
                    "held: {setting:?} of {instance} is {held:?} in the end"
                ));
            }
        }
    }
    broken
}

/// Whether the update's answer is what the call's success rests on.
fn acknowledges(update: &Exchange, call: &Call, setting: Setting) -> bool {
    let Some((end, Ok(()))) = outcome(call) else {
        return false;
    };
    let answered = update.answer.as_ref().is_some_and(|answer| {
        answer.confirmed.is_some() && answer.at <= end && answer.at + SLACK >= end
    });
    is_of(update, call) && call.change.setting == setting && answered
}
