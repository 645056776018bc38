//! Whom each request was for, told from the history alone. Every request is for whoever of its lane
//! waits longest, with all who can go with that one, and a change that was sent and left open goes with no
//! newcomer; only what makes sure of an update comes before its turn.

use zapi_to_ryze::privacy::{Audience, Change, Setting};

use super::{SLACK, heard, is_of, outcome, waited};
use crate::simulation::{
    history::{Answer, Call, Exchange, History},
    schedule::Schedule,
};

/// What a request was for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What callers ask for.
    Call,
    /// To make sure of what the update before it had left open.
    ReadBack,
}

/// Who can go in one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Company {
    Reads,
    Changes,
    /// Changes that are sent once more.
    Again,
    /// Those of one setting that are sent once more.
    Alone(Setting),
}

/// How a history is to be understood.
pub struct Turns<'history> {
    schedule: &'history Schedule,
    history: &'history History,
    /// Of each exchange.
    pub purposes: Vec<Purpose>,
    /// The exchange that made sure of each.
    pub read_backs: Vec<Option<usize>>,
    /// Who may have been in each exchange.
    members: Vec<Vec<usize>>,
    /// The exchanges that each call was in, but those that Ryze sent away for its limit.
    pub tries: Vec<Vec<usize>>,
    /// Of each call.
    company: Vec<Company>,
    /// The value that was sent for each call.
    sent: Vec<Option<Audience>>,
    /// Whether each call came or left in the very moment of a request and may have been in it or not, so
    /// that nobody can tell its tries.
    pub unsure: Vec<bool>,
    /// Requests that were refused for a token that had been replaced meanwhile.
    pub sent_again_with_new_token: Vec<usize>,
    pub broken: Vec<String>,
}

impl<'history> Turns<'history> {
    pub fn new(schedule: &'history Schedule, history: &'history History) -> Self {
        let company = |call: &Call| match call.change() {
            Some(_) => Company::Changes,
            None => Company::Reads,
        };
        let mut turns = Self {
            schedule,
            history,
            purposes: Vec::new(),
            read_backs: vec![None; history.exchanges.len()],
            members: Vec::new(),
            tries: vec![Vec::new(); history.calls.len()],
            company: history.calls.iter().map(company).collect(),
            sent: vec![None; history.calls.len()],
            unsure: vec![false; history.calls.len()],
            sent_again_with_new_token: Vec::new(),
            broken: Vec::new(),
        };
        for number in 0..history.exchanges.len() {
            turns.take(number);
        }
        turns
    }

    /// The request of the same lane before this one.
    pub fn before(&self, number: usize) -> Option<usize> {
        let request = &self.history.exchanges[number];
        let mut earlier = self.history.exchanges[..number].iter();
        earlier.rposition(|it| it.is_of_lane(request))
    }

    /// The update that a read-back made sure of, or would have if its token had not been replaced.
    pub fn update_before(&self, number: usize) -> Option<usize> {
        let mut before = self.before(number)?;
        while self.purposes[before] == Purpose::ReadBack && self.is_of_replaced_token(before) {
            before = self.before(before)?;
        }
        Some(before)
    }

    /// Whether Ryze refused the request for its token, which the gateway may have replaced by then.
    fn is_of_replaced_token(&self, number: usize) -> bool {
        let request = &self.history.exchanges[number];
        let refusal = heard(request, self.schedule);
        let refusal = refusal.filter(|it| it.is_denial() || it.is_over_ryzes_limit());
        refusal.is_some_and(|answer| {
            let is_replaced = self.history.is_token_replaced(request, answer.at, SLACK);
            is_replaced.unwrap_or(true)
        })
    }

    /// Whether a change is in an update that has not its first try of it.
    pub fn is_repeat(&self, number: usize) -> bool {
        let again = |call: &usize| self.tries[*call].get(1) == Some(&number);
        !self.history.exchanges[number].asked.is_empty() && self.members[number].iter().any(again)
    }

    /// A request and the read that made sure of it: either may show what became of it.
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
        let calls = self.history.calls.iter().enumerate();
        let waiting: Vec<usize> = calls
            .filter(|(_, call)| is_of(request, call) && waited(call, request.sent))
            .map(|(call, _)| call)
            .collect();
        if let Some(update) = self.made_sure_of(number, &waiting) {
            self.purposes.push(Purpose::ReadBack);
            self.read_backs[update] = Some(number);
            self.members.push(Vec::new());
            return;
        }
        self.purposes.push(Purpose::Call);
        let surely = waiting.iter().position(|call| self.surely(*call, request));
        let first = &waiting[..surely.map_or(waiting.len(), |place| place + 1)];
        let mut possible = first.iter().rev().flat_map(|call| self.companies(*call));
        let Some(company) = possible.find(|it| self.folds_to(*it, &waiting, request)) else {
            self.broken
                .push(format!("turns: request {number} was not the next"));
            return self.members.push(Vec::new());
        };
        let with = |call: &usize| self.companies(*call).contains(&company);
        let members: Vec<_> = waiting.into_iter().filter(with).collect();
        self.note(number, company, &members);
        self.members.push(members);
    }

    /// The update that this read makes sure of: the one before, if it left something open and somebody
    /// waits to hear of it.
    fn made_sure_of(&self, number: usize, waiting: &[usize]) -> Option<usize> {
        let request = &self.history.exchanges[number];
        let update = self.update_before(number);
        let update = update.filter(|_| request.asked.is_empty())?;
        let before = &self.history.exchanges[update];
        let is_open = !before.asked.is_empty()
            && heard(before, self.schedule).is_none_or(|answer| before.is_left_open_by(answer));
        let mut surely = waiting.iter().filter(|call| self.surely(**call, request));
        let is_for_a_reader = surely
            .next()
            .is_some_and(|it| self.company[*it] == Company::Reads);
        // A call that ends in this very moment may have been answered before the request was sent,
        // which is then for the reader.
        let hears_of_it = |call: &&usize| {
            let call = &self.history.calls[**call];
            !is_for_a_reader
                || waited(call, request.sent + SLACK)
                || self.is_answered_by(call, request)
        };
        let mut waiting = waiting.iter().filter(hears_of_it);
        (is_open && waiting.any(|call| self.may_be_in(*call, update))).then_some(update)
    }

    /// Whether the call was answered at the end of this request and for no other reason: it had time
    /// left, to be sent too, so that it was not answered without a request.
    fn is_answered_by(&self, call: &Call, request: &Exchange) -> bool {
        let latest = call.deadline - self.schedule.deadline / 4;
        outcome(call).is_some_and(|(end, _)| {
            request.over.is_some_and(|over| over <= end)
                && end + SLACK < call.deadline
                && request.sent <= latest
        })
    }

    /// Whether the call waited when the request was sent, and can only go in one company.
    fn surely(&self, call: usize, request: &Exchange) -> bool {
        let is_of_one = self.companies(call).len() == 1;
        let call = &self.history.calls[call];
        is_of_one && call.start < request.sent && waited(call, request.sent + SLACK)
    }

    fn companies(&self, call: usize) -> Vec<Company> {
        match self.history.calls[call].change() {
            Some(Change { setting, .. }) if self.unsure[call] => {
                vec![Company::Changes, Company::Again, Company::Alone(setting)]
            }
            _ => vec![self.company[call]],
        }
    }

    /// What is sent for a change: the caller's own value, or the one that was sent before.
    fn values(&self, call: usize, own: Audience) -> Vec<Audience> {
        match self.sent[call] {
            Some(sent) if self.unsure[call] => vec![own, sent],
            Some(sent) => vec![sent],
            None => vec![own],
        }
    }

    /// Whether the request is what all of this company come to: the latest value of each setting.
    fn folds_to(&self, company: Company, waiting: &[usize], request: &Exchange) -> bool {
        if company == Company::Reads || request.asked.is_empty() {
            return company == Company::Reads && request.asked.is_empty();
        }
        Setting::ALL.into_iter().all(|setting| {
            let mut values = vec![None];
            for call in waiting {
                let change = self.history.calls[*call].change();
                let Some(change) = change.filter(|it| it.setting == setting) else {
                    continue;
                };
                if self.companies(*call).contains(&company) {
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

    /// Takes down what the request was to those who were in it.
    fn note(&mut self, number: usize, company: Company, members: &[usize]) {
        let history = self.history;
        let request = &history.exchanges[number];
        let answer = heard(request, self.schedule);
        if answer.is_some_and(Answer::is_over_ryzes_limit) {
            return;
        }
        if let Some(denial) = answer.filter(|answer| answer.is_denial()) {
            match history.is_token_replaced(request, denial.at, SLACK) {
                // They are sent with the new token.
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
            if company == Company::Changes {
                match self.company_again(request, change) {
                    Some(again) => self.company[*call] = again,
                    None => self.unsure[*call] = true,
                }
            }
        }
    }

    /// The company of a change that this update left open, if that can be told.
    fn company_again(&self, update: &Exchange, change: Option<Change>) -> Option<Company> {
        let is_folded = update.asked.iter().count() > 1;
        match &update.answer {
            Some(answer) if is_folded && answer.failed_field().is_none() => {
                // Else it came in the moment in which it was given up.
                heard(update, self.schedule)?;
                change.map(|it| Company::Alone(it.setting))
            }
            _ => Some(Company::Again),
        }
    }
}
