//! A history as text: each event with its time, and the number of events of each kind.

use std::fmt;

use zapi_to_ryze::privacy::{Failure, Operation};

use super::{
    check::{is_from, suspensions::is_of_suspension, turns::Turns},
    history::{Call, End, History, Vendor},
};

impl fmt::Display for History {
    /// The events in the order of time, a line each.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        for (number, call) in self.calls.iter().enumerate() {
            let (process, instance) = (call.process, &call.instance);
            let call_is = format!("call {number} in process {process}: {instance}");
            let asked = format!("{call_is} {:?} {:?}", call.vendor, call.operation);
            lines.push((call.start, asked));
            if let Some((at, end)) = &call.end {
                lines.push((*at, format!("{call_is} {end:?}")));
            }
        }
        for (number, it) in self.exchanges.iter().enumerate() {
            let asked: Vec<_> = it
                .asked
                .iter()
                .map(|it| (it.setting, it.audience))
                .collect();
            let which = format!(
                "    request {number} of {:?} in process {}: {}",
                it.vendor, it.process, it.instance
            );
            lines.push((it.sent, format!("{which} sent {asked:?}")));
            if let Some(arrived) = it.arrived {
                lines.push((arrived, format!("{which} arrived")));
            }
            match (&it.answer, it.over) {
                (Some(answer), _) => {
                    let (status, body) = (answer.status, &answer.body);
                    lines.push((answer.at, format!("{which} answered {status} {body}")));
                }
                (None, Some(over)) => lines.push((
                    over,
                    format!("{which} closed, by the gateway: {}", it.given_up),
                )),
                (None, None) => {}
            }
        }
        lines.sort_by_key(|(at, _)| *at);
        for (at, line) in lines {
            writeln!(formatter, "{:>9.3} {line}", at.as_secs_f64())?;
        }
        for settings in &self.held {
            let held: Vec<_> = settings
                .iter()
                .map(|it| (it.setting, it.audience))
                .collect();
            writeln!(formatter, "settings at the end: {held:?}")?;
        }
        Ok(())
    }
}

impl History {
    /// The number of events of each kind, to see that the schedules reach them.
    pub fn counts(&self, turns: &Turns) -> Vec<(&'static str, usize)> {
        let ends = self.calls.iter().map(|call| match &call.end {
            Some((_, End::Answered(outcome))) if call.vendor == Vendor::ZApi => match outcome {
                Ok(_) => "lists changed",
                Err(Failure::NotSent) => "lists not sent",
                Err(Failure::Unknown(_)) => "lists unknown",
                Err(_) => "lists refused",
            },
            Some((_, End::Answered(Ok(_)))) => match call.operation {
                Operation::Change(_) => "confirmed",
                Operation::Read => "read",
            },
            Some((end, End::Answered(Err(failure))))
                if is_of_suspension(failure) && *end == call.start =>
            {
                "suspended"
            }
            Some((_, End::Answered(Err(failure)))) => match failure {
                Failure::BudgetUnavailable { .. } => "refused for Redis",
                Failure::Budget { .. } => "refused by the budget",
                Failure::Throttled { .. } => "throttled",
                Failure::NotConnected => "not connected",
                Failure::Denied { .. } | Failure::Refused { .. } => "refused",
                Failure::Upstream(_) => "failed",
                Failure::NotSent => "not sent",
                Failure::QueueFull => "queue full",
                Failure::Unknown(_) => "unknown",
            },
            Some((_, End::HungUp)) => "hung up",
            Some((_, End::Killed)) => "killed",
            None => "never answered",
        });
        let requests = self.exchanges.iter().map(|it| match &it.answer {
            Some(answer) if answer.status == 429 => "requests answered with 429",
            Some(_) => "requests answered",
            None if it.given_up => "requests given up",
            None => "requests whose connection broke",
        });
        let numbers = 0..self.exchanges.len();
        let replaced = turns.sent_again_with_new_token.iter();
        let replaced = replaced.map(|_| "rejected for a token that was replaced");
        let read_back = turns.read_backs.iter().flatten().map(|_| "read back");
        let again = numbers.filter(|it| turns.is_repeat(*it)).map(|_| "retried");
        let found = self.calls.iter().zip(&turns.tries);
        let found = found.filter(|(call, tries)| self.is_found(call, tries, turns));
        let found = found.map(|_| "found by a read-back");
        let outages = self.unreachable.iter().map(|_| "unreachable");
        let restarts = (1..self.processes).map(|_| "restarts");
        ends.chain(requests)
            .chain(read_back.chain(found).chain(again).chain(replaced))
            .chain(outages.chain(restarts))
            .map(|what| (what, 1))
            .collect()
    }

    /// Whether the call's success rests on a read-back.
    fn is_found(&self, call: &Call, tries: &[usize], turns: &Turns) -> bool {
        let Some((end, End::Answered(Ok(_)))) = &call.end else {
            return false;
        };
        let read_backs = tries.iter().filter_map(|it| turns.read_backs[*it]);
        let mut answers = read_backs.filter_map(|it| self.exchanges[it].answer.as_ref());
        answers.any(|it| is_from(it, *end))
    }
}
