//! The outcomes of calls: in time, and true.

use std::time::Duration;

use zapi_to_ryze::privacy::{Change, Setting};

use super::{
    SLACK, is_from, is_of, numbered, outcome, same_setting, suspensions::is_of_suspension,
    turns::Turns, waited,
};
use crate::simulation::{
    fault::FIELDS,
    history::{Call, End, Exchange, History},
    schedule::Schedule,
};

/// From the use of a slot, or of a place in Ryze's window, to its next use.
const ROUND: Duration = Duration::from_secs(62);
/// The longest suspension of an instance.
const LONGEST_HOLD: Duration = Duration::from_secs(300);
/// Messages of WhatsApp's library that leave the outcome of a change unknown.
const OPEN: [&str; 2] = ["info query timed out", "websocket disconnected"];

pub fn every_call_completes_in_time(history: &History) -> Vec<String> {
    let late = |call: &Call| match &call.end {
        None => true,
        Some((at, End::Answered(_))) => *at > call.deadline + SLACK,
        Some(_) => false,
    };
    numbered(&history.calls, late, "answer: none in time")
}

/// The success of a change rests on the response to an update that it was in, or to the read-back of that
/// update. The response shows the call's value, or one that replaced it before it was sent, and Ryze held
/// that value.
pub fn success_is_confirmed(history: &History, turns: &Turns) -> Vec<String> {
    let is_lie = |call: &Call| {
        let (Some(change), Some((end, Ok(_)))) = (call.change(), outcome(call)) else {
            return false;
        };
        let mut updates = history.exchanges.iter().enumerate();
        !updates.any(|(number, update)| {
            is_of(update, call)
                && call.start <= update.sent
                && turns
                    .proofs(number)
                    .any(|proof| confirms(history, update, proof, call, change, end) == Some(true))
        })
    };
    numbered(&history.calls, is_lie, "success: not confirmed")
}

fn confirms(
    history: &History,
    update: &Exchange,
    proof: &Exchange,
    call: &Call,
    Change { setting, audience }: Change,
    end: Duration,
) -> Option<bool> {
    let sent = update.asked.get(setting)?;
    let answer = proof.answer.as_ref()?;
    let is_shown = answer.confirmed?.get(setting) == Some(sent);
    let wants_it = |change: Change| change.audience == sent;
    // By this update, or by one of which it is the retry.
    let is_replaced_in = |it: &Exchange| {
        is_of(it, call)
            && (call.start..=update.sent).contains(&it.sent)
            && it.asked.get(setting) == Some(sent)
            && replaced_by(history, call, it).any(|it| it.change().is_some_and(wants_it))
    };
    let is_wanted = audience == sent || history.exchanges.iter().any(is_replaced_in);
    let held = answer.store.get(setting);
    // A slow response shows the settings from before one of these landed.
    let has_landed = |it: &Exchange| {
        it.is_lost() && it.instance == call.instance && it.asked.get(setting) == held
    };
    let is_true = held == Some(sent) || history.exchanges.iter().any(has_landed);
    Some(is_shown && is_wanted && is_from(answer, end) && is_true)
}

/// Later calls for the same setting that were queued as well when the update was sent.
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

/// A call with a failure that promises that nothing was changed was in no update that had an effect on its
/// setting, or may still have one.
pub fn not_changed_is_true(history: &History, turns: &Turns) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, call) in history.calls.iter().enumerate() {
        let (Some(change), Some((_, Err(failure)))) = (call.change(), outcome(call)) else {
            continue;
        };
        if failure.leaves_open() {
            continue;
        }
        for update in &turns.tries[number] {
            if may_have_effect(&history.exchanges[*update], change.setting) {
                broken.push(format!(
                    "not changed: call {number} got {failure:?}, which request {update} contradicts"
                ));
            }
        }
    }
    broken
}

/// Whether the update has set the value, or may still do so.
fn may_have_effect(update: &Exchange, setting: Setting) -> bool {
    let Some(audience) = update.asked.get(setting) else {
        return false;
    };
    let Some(answer) = &update.answer else {
        return true;
    };
    if answer.is_before_whatsapp() {
        return false;
    }
    let own = FIELDS.iter().position(|(known, _)| *known == setting);
    let holds_now =
        [update.found, answer.store].map(|settings| settings.get(setting) == Some(audience));
    match answer.failed_field() {
        Some(failed) if own == Some(failed) => OPEN.iter().any(|it| answer.body.contains(it)),
        Some(failed) => own < Some(failed),
        None => holds_now == [false, true],
    }
}

/// When everything works, changes and reads complete soon after the budget and Ryze's window allow it,
/// and after the longest suspension.
pub fn no_call_starves(schedule: &Schedule, history: &History) -> Vec<String> {
    let instances = u32::try_from(schedule.tokens.len()).unwrap();
    let rounds = 2 + (2 * instances).div_ceil(schedule.share.min(schedule.limit));
    let is_held = history
        .calls
        .iter()
        .filter_map(outcome)
        .any(|(_, it)| it.as_ref().is_err_and(is_of_suspension));
    let hold = if is_held {
        LONGEST_HOLD
    } else {
        Duration::ZERO
    };
    let longest = rounds * ROUND + hold;
    let waits = history.waits.iter().enumerate();
    waits
        .filter(|(_, wait)| **wait > longest)
        .map(|(caller, wait)| format!("starved: {caller} for {wait:?}, not {longest:?}"))
        .collect()
}
