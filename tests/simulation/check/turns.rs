//! The calls of each request, inferred from the history alone. A request has the oldest call of its queue,
//! with all that may share a request with it, and a retry shares none with new calls. Only a read-back
//! comes out of turn. A request to Z-API has the one call that it was recorded with.

use std::time::Duration;

use zapi_to_ryze::privacy::{Audience, Change, Setting};

use super::{SLACK, heard, is_of, is_of_queue, outcome, waited};
use crate::simulation::{
    history::{Answer, Call, Exchange, History, Vendor},
    schedule::Schedule,
};

/// The purpose of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An operation of a client.
    Call,
    /// To resolve what the update before it left open.
    ReadBack,
    /// A change of a list of contacts, at Z-API.
    List,
}

/// Calls with the same key may share a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BatchKey {
    Reads,
    Changes,
    /// Changes that are sent once more.
    Retry,
    /// Changes of one setting that are sent once more.
    Isolated(Setting),
}

/// The interpretation of a history.
pub struct Turns<'history> {
    schedule: &'history Schedule,
    history: &'history History,
    /// The purpose of each exchange.
    pub purposes: Vec<Purpose>,
    /// The read-back of each exchange.
    pub read_backs: Vec<Option<usize>>,
    /// The calls that may have been in each exchange.
    members: Vec<Vec<usize>>,
    /// The exchanges that each call was in, except those that Ryze rejected for its rate limit.
    pub tries: Vec<Vec<usize>>,
    /// The current key of each call.
    keys: Vec<BatchKey>,
    /// The value that was sent for each call.
    sent: Vec<Option<Audience>>,
    /// Whether a call arrived or was cancelled in the very moment of a request, so that its attempts cannot be
    /// inferred.
    pub unsure: Vec<bool>,
    /// Requests that were rejected for a token that had been replaced meanwhile.
    pub sent_again_with_new_token: Vec<usize>,
    /// The first change of a list that may be queued when the current request is sent.
    possible_list: usize,
    pub broken: Vec<String>,
}

impl<'history> Turns<'history> {
    pub fn new(schedule: &'history Schedule, history: &'history History) -> Self {
        let key = |call: &Call| match call.change() {
            Some(_) => BatchKey::Changes,
            None => BatchKey::Reads,
        };
        let mut turns = Self {
            schedule,
            history,
            purposes: Vec::new(),
            read_backs: vec![None; history.exchanges.len()],
            members: Vec::new(),
            tries: vec![Vec::new(); history.calls.len()],
            keys: history.calls.iter().map(key).collect(),
            sent: vec![None; history.calls.len()],
            unsure: vec![false; history.calls.len()],
            sent_again_with_new_token: Vec::new(),
            possible_list: history.calls.len(),
            broken: Vec::new(),
        };
        for number in 0..history.exchanges.len() {
            turns.take(number);
        }
        turns
    }

    /// The request of the same instance before this one.
    pub fn before(&self, number: usize) -> Option<usize> {
        let request = &self.history.exchanges[number];
        let mut earlier = self.history.exchanges[..number].iter();
        earlier.rposition(|it| it.is_of_same_instance(request))
    }

    /// The update that a read-back resolved, or would have if its token had not been replaced.
    pub fn update_before(&self, number: usize) -> Option<usize> {
        let mut before = self.before(number)?;
        while self.purposes[before] == Purpose::ReadBack && self.is_of_replaced_token(before) {
            before = self.before(before)?;
        }
        Some(before)
    }

    /// Whether Ryze rejected the request for its token, which a reload may have replaced by then.
    fn is_of_replaced_token(&self, number: usize) -> bool {
        let request = &self.history.exchanges[number];
        let refusal = heard(request, self.schedule);
        let refusal = refusal.filter(|it| it.is_denial() || it.is_over_ryzes_limit());
        refusal.is_some_and(|answer| {
            let is_replaced = self.history.is_token_replaced(request, answer.at, SLACK);
            is_replaced.unwrap_or(true)
        })
    }

    /// Whether the update has a change for which it is not the first attempt.
    pub fn is_repeat(&self, number: usize) -> bool {
        let again = |call: &usize| self.tries[*call].get(1) == Some(&number);
        !self.history.exchanges[number].asked.is_empty() && self.members[number].iter().any(again)
    }

    /// A request and its read-back: either may show its outcome.
    pub fn proofs(&self, request: usize) -> impl Iterator<Item = &'history Exchange> {
        let numbers = [Some(request), self.read_backs[request]];
        let exchanges = &self.history.exchanges;
        numbers.into_iter().flatten().map(|it| &exchanges[it])
    }

    /// Whether the call may have been in the request.
    pub fn may_be_in(&self, call: usize, request: usize) -> bool {
        self.members[request].contains(&call)
    }

    fn take(&mut self, number: usize) {
        let request = &self.history.exchanges[number];
        if let Some(call) = request.call {
            self.purposes.push(Purpose::List);
            self.members.push(vec![call]);
            return self.tries[call].push(number);
        }
        let behind = self.list_before(request, SLACK);
        self.possible_list = self.list_before(request, Duration::ZERO);
        let calls = self.history.calls.iter().enumerate().take(behind);
        let waiting: Vec<usize> = calls
            .filter(|(_, call)| is_of(request, call) && waited(call, request.sent))
            .map(|(call, _)| call)
            .collect();
        if let Some(update) = self.resolved_by(number, &waiting) {
            self.purposes.push(Purpose::ReadBack);
            self.read_backs[update] = Some(number);
            self.members.push(Vec::new());
            return;
        }
        self.purposes.push(Purpose::Call);
        let surely = waiting.iter().position(|call| self.surely(*call, request));
        let first = &waiting[..surely.map_or(waiting.len(), |place| place + 1)];
        let possible = first
            .iter()
            .rev()
            .flat_map(|call| self.possible_keys(*call));
        let mut possible = possible.filter(|it| self.coalesces_to(*it, &waiting, request));
        let Some(key) = possible.next() else {
            self.broken
                .push(format!("turns: request {number} was not the next"));
            return self.members.push(Vec::new());
        };
        let others: Vec<_> = possible.filter(|other| *other != key).collect();
        let with = |call: &usize| {
            let own = self.possible_keys(*call);
            own.contains(&key) || others.iter().any(|other| own.contains(other))
        };
        let members: Vec<_> = waiting.into_iter().filter(with).collect();
        if others.is_empty() {
            self.record(number, key, &members);
        } else {
            // A retry and a batch of new calls may have the same content.
            members.iter().for_each(|call| self.unsure[*call] = true);
        }
        self.members.push(members);
    }

    /// The update that this read resolves: the one before, if it left something open and one of its calls
    /// still waits.
    fn resolved_by(&self, number: usize, waiting: &[usize]) -> Option<usize> {
        let request = &self.history.exchanges[number];
        let update = self.update_before(number);
        let update = update.filter(|_| request.asked.is_empty())?;
        let before = &self.history.exchanges[update];
        let is_open = !before.asked.is_empty()
            && heard(before, self.schedule).is_none_or(|answer| before.is_left_open_by(answer));
        let mut surely = waiting.iter().filter(|call| self.surely(**call, request));
        let is_for_a_reader = surely
            .next()
            .is_some_and(|it| self.keys[*it] == BatchKey::Reads);
        // A call that ends in this very moment may have completed before the request was sent, which is
        // then a client's read.
        let hears_of_it = |call: &&usize| {
            let call = &self.history.calls[**call];
            !is_for_a_reader
                || waited(call, request.sent + SLACK)
                || self.is_answered_by(call, request)
        };
        let mut waiting = waiting.iter().filter(hears_of_it);
        (is_open && waiting.any(|call| self.may_be_in(*call, update))).then_some(update)
    }

    /// Whether the end of this request completed the call: the call had time left, also to be sent, so that
    /// nothing else completed it.
    fn is_answered_by(&self, call: &Call, request: &Exchange) -> bool {
        let latest = call.deadline - self.schedule.deadline / 4;
        outcome(call).is_some_and(|(end, _)| {
            request.over.is_some_and(|over| over <= end)
                && end + SLACK < call.deadline
                && request.sent <= latest
        })
    }

    /// The first change of a list that is queued for `time` after the request is sent, or the number of
    /// calls. The calls behind it wait.
    fn list_before(&self, request: &Exchange, time: Duration) -> usize {
        let mut calls = self.history.calls.iter().enumerate();
        let list = calls.find(|(number, call)| {
            call.vendor == Vendor::ZApi
                && is_of_queue(request, call)
                && call.start < request.sent
                && waited(call, request.sent + time)
                && self.tries[*number].is_empty()
        });
        list.map_or(self.history.calls.len(), |(number, _)| number)
    }

    /// Whether the call was queued when the request was sent, with no change of a list before it, and has
    /// only one possible key.
    fn surely(&self, call: usize, request: &Exchange) -> bool {
        let is_of_one = self.possible_keys(call).len() == 1;
        let is_behind = call > self.possible_list;
        let call = &self.history.calls[call];
        is_of_one && !is_behind && call.start < request.sent && waited(call, request.sent + SLACK)
    }

    fn possible_keys(&self, call: usize) -> Vec<BatchKey> {
        match self.history.calls[call].change() {
            Some(Change { setting, .. }) if self.unsure[call] => {
                vec![
                    BatchKey::Changes,
                    BatchKey::Retry,
                    BatchKey::Isolated(setting),
                ]
            }
            _ => vec![self.keys[call]],
        }
    }

    /// The possible values of a change: the call's own, or the one that was sent before.
    fn values(&self, call: usize, own: Audience) -> Vec<Audience> {
        match self.sent[call] {
            Some(sent) if self.unsure[call] => vec![own, sent],
            Some(sent) => vec![sent],
            None => vec![own],
        }
    }

    /// Whether the request is what the calls with this key coalesce into: the latest value of each setting.
    fn coalesces_to(&self, key: BatchKey, waiting: &[usize], request: &Exchange) -> bool {
        if key == BatchKey::Reads || request.asked.is_empty() {
            return key == BatchKey::Reads && request.asked.is_empty();
        }
        Setting::ALL.into_iter().all(|setting| {
            let mut values = vec![None];
            for call in waiting {
                let change = self.history.calls[*call].change();
                let Some(change) = change.filter(|it| it.setting == setting) else {
                    continue;
                };
                if self.possible_keys(*call).contains(&key) {
                    if self.surely(*call, request) {
                        values.clear();
                    }
                    let possible = self.values(*call, change.audience);
                    values.extend(possible.into_iter().map(Some));
                }
            }
            values.contains(&request.asked.get(setting))
        })
    }

    /// Records the request for its calls.
    fn record(&mut self, number: usize, key: BatchKey, members: &[usize]) {
        let history = self.history;
        let request = &history.exchanges[number];
        let answer = heard(request, self.schedule);
        if answer.is_some_and(Answer::is_over_ryzes_limit) {
            return;
        }
        if let Some(denial) = answer.filter(|answer| answer.is_denial()) {
            match history.is_token_replaced(request, denial.at, SLACK) {
                // These calls are sent with the new token.
                Some(true) => return self.sent_again_with_new_token.push(number),
                Some(false) => (),
                None => return members.iter().for_each(|call| self.unsure[*call] = true),
            }
        }
        let possible = |call: &usize| {
            let change = history.calls[*call].change();
            change.map(|it| (it.setting, self.values(*call, it.audience)))
        };
        let possible: Vec<_> = members.iter().map(possible).collect();
        for (place, call) in members.iter().enumerate() {
            let change = history.calls[*call].change();
            if change.is_some_and(|it| request.asked.get(it.setting).is_none()) {
                continue;
            }
            let is_alone_with_it = change.is_some_and(|it| {
                let asked = request.asked.get(it.setting);
                let may_have_it = |(setting, values): &(Setting, Vec<Audience>)| {
                    *setting == it.setting && values.iter().any(|it| Some(*it) == asked)
                };
                let is_it = |possible: &Option<_>| possible.as_ref().is_some_and(may_have_it);
                let is_certain = possible[place].as_ref().is_some_and(|it| it.1.len() == 1);
                let all = possible.iter().filter(|it| is_it(it)).count();
                is_certain && is_it(&possible[place]) && all == 1
            });
            if let Some(change) = change {
                self.sent[*call] = request.asked.get(change.setting);
            }
            if !self.surely(*call, request) && !is_alone_with_it {
                self.unsure[*call] = true;
                continue;
            }
            self.tries[*call].push(number);
            if key == BatchKey::Changes {
                match self.retry_key(request, change) {
                    Some(again) => self.keys[*call] = again,
                    None => self.unsure[*call] = true,
                }
            }
        }
    }

    /// The key of a change that this update left open, if that can be inferred.
    fn retry_key(&self, update: &Exchange, change: Option<Change>) -> Option<BatchKey> {
        let is_coalesced = update.asked.iter().count() > 1;
        match &update.answer {
            Some(answer) if is_coalesced && answer.failed_field().is_none() => {
                // Otherwise the response came in the moment of the timeout.
                heard(update, self.schedule)?;
                change.map(|it| BatchKey::Isolated(it.setting))
            }
            _ => Some(BatchKey::Retry),
        }
    }
}
