//! What callers were told: when, and whether it was true.

use std::time::Duration;

use zapi_to_ryze::privacy::{Change, Failure, Limiter, Operation, Setting};

use super::{SLACK, is_of, numbered, outcome, same_setting, waited};
use crate::simulation::{
    fault::FIELDS,
    history::{Answer, Call, End, Exchange, History},
    schedule::Schedule,
};

/// From the use of a slot or a place in Ryze's window to the next.
const ROUND: Duration = Duration::from_secs(62);
/// For how long an account that WhatsApp throttles is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

pub fn everybody_is_answered_in_time(history: &History) -> Vec<String> {
    let late = |call: &Call| match &call.end {
        None => true,
        Some((at, End::Answered(_))) => *at > call.deadline + SLACK,
        Some(_) => false,
    };
    numbered(&history.calls, late, "answer: none in time")
}

/// A change's success is backed by an answer that shows the caller's value, or one that replaced it
/// before it was sent, and Ryze held that value.
pub fn success_is_confirmed(history: &History) -> Vec<String> {
    let is_lie = |call: &Call| {
        let is_success = call.change().is_some() && matches!(outcome(call), Some((_, Ok(_))));
        let mut exchanges = history.exchanges.iter().filter(|it| is_of(it, call));
        is_success && !exchanges.any(|it| confirms(history, it, call) == Some(true))
    };
    numbered(&history.calls, is_lie, "success: not confirmed")
}

fn confirms(history: &History, exchange: &Exchange, call: &Call) -> Option<bool> {
    let (end, _) = outcome(call)?;
    let answer = exchange.answer.as_ref()?;
    let Change { setting, audience } = call.change()?;
    let shown = answer.confirmed?.get(setting)?;
    let update = history.exchanges.iter().rfind(|update| {
        is_of(update, call)
            && (call.start..=exchange.sent).contains(&update.sent)
            && update.asked.get(setting) == Some(shown)
    })?;
    let wants_it = |change: Change| change.audience == shown;
    let is_wanted = audience == shown
        || replaced_by(history, call, update).any(|it| it.change().is_some_and(wants_it));
    let is_in_time = answer.at <= end && answer.at + SLACK >= end;
    let held = answer.store.get(setting);
    // A slow answer shows what was true before one of these landed.
    let has_landed = |it: &Exchange| {
        it.is_lost() && it.instance == call.instance && it.asked.get(setting) == held
    };
    let is_true = held == Some(shown) || history.exchanges.iter().any(has_landed);
    Some(is_wanted && is_in_time && is_true)
}

/// Later calls for the same setting that waited too when the update was sent.
fn replaced_by<'history>(
    history: &'history History,
    call: &'history Call,
    update: &'history Exchange,
) -> impl Iterator<Item = &'history Call> {
    let later = history
        .calls
        .iter()
        .skip_while(move |it| !std::ptr::eq(*it, call))
        .skip(1);
    later.filter(move |it| same_setting(it, call) && waited(it, update.sent))
}

/// Whoever is told that nothing was changed was not sent, or Ryze refused it.
pub fn not_changed_is_true(history: &History) -> Vec<String> {
    let is_lie = |call: &Call| {
        let says_so =
            |failure: &Failure| !matches!(failure, Failure::Unknown | Failure::Upstream { .. });
        if !outcome(call).is_some_and(|(_, outcome)| outcome.as_ref().is_err_and(says_so)) {
            return false;
        }
        let Operation::Change(Change { setting, audience }) = call.operation else {
            return false;
        };
        let explained = |update: &Exchange| {
            history.calls.iter().any(|it| {
                !std::ptr::eq(it, call)
                    && same_setting(it, call)
                    && it.operation == call.operation
                    && waited(it, update.sent)
            })
        };
        let mut sent = history.exchanges.iter().filter(|it| {
            is_of(it, call) && it.asked.get(setting) == Some(audience) && waited(call, it.sent)
        });
        sent.any(|update| {
            let refused = update
                .answer
                .as_ref()
                .is_some_and(|it| is_refusal(it, setting));
            !explained(update) && !refused
        })
    };
    numbered(
        &history.calls,
        is_lie,
        "not changed: it was sent and not refused",
    )
}

/// Whether an answer tells that this setting was not changed.
fn is_refusal(answer: &Answer, setting: Setting) -> bool {
    let names = |name| answer.body.contains(&format!("failed to update {name} "));
    let failed = FIELDS.iter().position(|(_, name)| names(*name));
    let own = FIELDS.iter().position(|(known, _)| *known == setting);
    match failed {
        Some(_) => own >= failed,
        None => (400..500).contains(&answer.status),
    }
}

/// When everything works, who changes and who reads is served soon after the budget and Ryze's window
/// allow it, and after WhatsApp's longest pause.
pub fn nobody_starves(schedule: &Schedule, history: &History) -> Vec<String> {
    let instances = u32::try_from(schedule.tokens.len()).unwrap();
    let rounds = 2 + (2 * instances).div_ceil(schedule.share.min(schedule.limit));
    let whatsapp = Limiter::WhatsApp;
    let is_paused = history.calls.iter().any(|call| {
        matches!(outcome(call), Some((_, Err(Failure::Throttled { by, .. }))) if *by == whatsapp)
    });
    let pause = if is_paused {
        LONGEST_PAUSE
    } else {
        Duration::ZERO
    };
    let longest = rounds * ROUND + pause;
    let waits = history.waits.iter().enumerate();
    waits
        .filter(|(_, wait)| **wait > longest)
        .map(|(caller, wait)| format!("starved: {caller} for {wait:?}, not {longest:?}"))
        .collect()
}
