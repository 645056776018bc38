//! A history in words, for people: what happened when, and how often.

use std::fmt;

use zapi_to_ryze::privacy::{Failure, Operation};

use super::history::{End, History};

impl fmt::Display for History {
    /// What happened in the order of time, a line each.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        for (number, call) in self.calls.iter().enumerate() {
            let (process, instance) = (call.process, &call.instance);
            let call_is = format!("call {number} in process {process}: {instance}");
            lines.push((call.start, format!("{call_is} {:?}", call.operation)));
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
                "    request {number} in process {}: {}",
                it.process, it.instance
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
            writeln!(formatter, "held in the end: {held:?}")?;
        }
        Ok(())
    }
}

impl History {
    /// How often what happened, to see that the schedules reach what they are for.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        let ends = self.calls.iter().map(|call| match &call.end {
            Some((_, End::Answered(Ok(_)))) => match call.operation {
                Operation::Change(_) => "confirmed",
                Operation::Read => "read",
            },
            Some((_, End::Answered(Err(failure)))) => match failure {
                Failure::Budget { .. } => "refused by the budget",
                Failure::Throttled { .. } => "throttled",
                Failure::NotConnected => "not connected",
                Failure::Refused { .. } => "refused",
                Failure::Upstream { .. } => "failed",
                Failure::NotSent => "not sent",
                Failure::Unknown => "unknown",
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
        let restarts = (1..self.processes).map(|_| "restarts");
        ends.chain(requests)
            .chain(restarts)
            .map(|what| (what, 1))
            .collect()
    }
}
