//! What happened: every call, and every exchange on the wire. Whether that is right is said in
//! `check.rs`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;
use zapi_to_ryze::{
    privacy::{Change, Operation, Outcome, Settings},
    ryze::wire,
};

use super::{fault::FIELDS, ryze::settings_of};
use crate::harness::Message;

/// Times are counted from the start of the schedule.
#[derive(Default)]
pub struct History {
    /// In the order in which they joined their lanes.
    pub calls: Vec<Call>,
    /// In the order in which they were sent.
    pub exchanges: Vec<Exchange>,
    /// What the gateway was configured with at each reload: the token of each instance that it has.
    pub reloads: Vec<(Duration, HashMap<String, String>)>,
    /// When a process had no connection when it asked for one.
    pub out_of_reach: Vec<(usize, Duration)>,
    /// How many gateway processes there were.
    pub processes: usize,
    /// What Ryze holds of each instance in the end.
    pub held: Vec<Settings>,
    /// How long each patient caller had to wait in the end.
    pub waits: Vec<Duration>,
    /// What should be gone in the end and is not.
    pub left: Vec<String>,
}

impl History {
    /// Whether the instance has another token at that time than this request had, where a reload within
    /// `slack` of it does not leave that open.
    pub fn is_token_replaced(
        &self,
        request: &Exchange,
        at: Duration,
        slack: Duration,
    ) -> Option<bool> {
        let is_replaced = |at| {
            let (_, configured) = self.reloads.iter().rfind(|(then, _)| *then <= at)?;
            let token = configured.get(&request.instance)?;
            Some(*token != request.token)
        };
        let [before, after] =
            [at.saturating_sub(slack), at + slack].map(|at| is_replaced(at).unwrap_or(false));
        (before == after).then_some(after)
    }

    /// The first reload after that time.
    pub fn next_reload(&self, at: Duration) -> Option<Duration> {
        let mut reloads = self.reloads.iter().map(|(then, _)| *then);
        reloads.find(|then| *then >= at)
    }
}

pub struct Call {
    pub process: usize,
    pub instance: String,
    pub operation: Operation,
    pub start: Duration,
    pub deadline: Duration,
    pub end: Option<(Duration, End)>,
}

impl Call {
    /// What is to be changed, unless it reads.
    pub fn change(&self) -> Option<Change> {
        match self.operation {
            Operation::Change(change) => Some(change),
            Operation::Read => None,
        }
    }
}

#[derive(Debug, PartialEq)]
pub enum End {
    Answered(Outcome),
    HungUp,
    /// The gateway was killed.
    Killed,
}

pub struct Exchange {
    pub process: usize,
    pub instance: String,
    pub token: String,
    /// What an update asks for; empty for a read.
    pub asked: Settings,
    pub sent: Duration,
    pub arrived: Option<Duration>,
    /// What Ryze held when it arrived.
    pub found: Settings,
    pub answer: Option<Answer>,
    /// When the answer was in or the connection closed.
    pub over: Option<Duration>,
    /// Whether it was the gateway that closed the connection.
    pub given_up: bool,
}

impl Exchange {
    pub fn is_of_lane(&self, other: &Self) -> bool {
        (self.process, &self.instance) == (other.process, &other.instance)
    }

    /// Whether these settings show all that it asks for.
    pub fn is_in(&self, settings: &Settings) -> bool {
        let mut asked = self.asked.iter();
        asked.all(|it| settings.get(it.setting) == Some(it.audience))
    }

    /// Whether this answer to it leaves open, of some field, what became of it.
    pub fn is_left_open_by(&self, answer: &Answer) -> bool {
        let is_folded = self.asked.iter().count() > 1;
        match &answer.confirmed {
            Some(shown) => !self.is_in(shown),
            None if answer.is_before_whatsapp() => false,
            None => is_folded || !answer.is_definite(),
        }
    }

    /// Whether it arrived and got no answer: nobody can tell when it is carried out.
    pub fn is_lost(&self) -> bool {
        self.arrived.is_some() && self.answer.is_none()
    }
}

/// Words of messages that come after Ryze asked WhatsApp.
const OF_WHATSAPP: [&str; 4] = ["failed to ", "info query", "websocket ", "rate-overlimit"];

pub struct Answer {
    pub at: Duration,
    pub status: u16,
    pub body: String,
    /// What it confirms, if it is a success.
    pub confirmed: Option<Settings>,
    /// What Ryze held when it answered.
    pub store: Settings,
}

impl Answer {
    pub fn new(message: &Message, store: Settings, at: Duration) -> Self {
        let status = message.first_line().split(' ').nth(1);
        let status = status.unwrap().parse().unwrap();
        let confirmed = wire::settings(message.body.as_bytes());
        Self {
            at,
            status,
            confirmed: confirmed.filter(|_| status == 200),
            body: message.body.clone(),
            store,
        }
    }

    /// Whether Ryze sent the request away for its own limit.
    pub fn is_over_ryzes_limit(&self) -> bool {
        self.status == 429 && self.is_before_whatsapp()
    }

    pub fn is_over_whatsapps_limit(&self) -> bool {
        self.body.contains("rate-overlimit")
    }

    /// Whether Ryze denied the instance to the request's token.
    pub fn is_denial(&self) -> bool {
        [401, 403, 404].contains(&self.status) && self.is_before_whatsapp()
    }

    /// Whether Ryze says this before it asks WhatsApp, so that nothing of an update was carried out.
    pub fn is_before_whatsapp(&self) -> bool {
        let says = |words: &[&str]| words.iter().any(|it| self.body.contains(it));
        match self.status {
            400 => says(&[
                "\"Instance is not connected",
                "\"Invalid ",
                "\"At least one ",
            ]),
            401 | 403 | 404 | 405 | 413 | 415 | 429 => !says(&OF_WHATSAPP),
            _ => says(&["\"Instance is not connected"]),
        }
    }

    /// Whether it is certain that the field that failed was not changed, be it named or the only one.
    fn is_definite(&self) -> bool {
        let says = |words: &[&str]| words.iter().any(|it| self.body.contains(it));
        match self.failed_field() {
            Some(_) => says(&["rate-overlimit", "forbidden", "not connected"]),
            None => (400..500).contains(&self.status) && !says(&["failed to "]),
        }
    }

    /// The place in [`FIELDS`] of the setting at which Ryze failed, if it names one.
    pub fn failed_field(&self) -> Option<usize> {
        let names = |name| self.body.contains(&format!("failed to update {name} "));
        FIELDS.iter().position(|(_, name)| names(*name))
    }
}

/// The history while it is made.
#[derive(Clone)]
pub struct Shared {
    start: Instant,
    history: Arc<Mutex<History>>,
}

impl Shared {
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            history: Arc::default(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap()
    }

    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Takes a new call down and gives it a number.
    pub fn call(
        &self,
        process: usize,
        instance: &str,
        operation: Operation,
        time: Duration,
    ) -> usize {
        let start = self.now();
        let calls = &mut self.lock().calls;
        calls.push(Call {
            process,
            instance: instance.into(),
            operation,
            start,
            deadline: start + time,
            end: None,
        });
        calls.len() - 1
    }

    pub fn end(&self, call: usize, end: End) {
        let now = self.now();
        let call = &mut self.lock().calls[call];
        assert!(call.end.is_none(), "a second end");
        call.end = Some((now, end));
    }

    /// Whoever still waited for this process waits no more.
    pub fn kill(&self, process: usize) {
        let now = self.now();
        for call in self
            .lock()
            .calls
            .iter_mut()
            .filter(|call| call.process == process)
        {
            call.end.get_or_insert((now, End::Killed));
        }
    }

    /// Takes a request down that is on the wire, and gives it a number.
    pub fn send(&self, process: usize, request: &Message) -> usize {
        let path = request.first_line().split(' ').nth(1).unwrap();
        let sent = self.now();
        let exchanges = &mut self.lock().exchanges;
        exchanges.push(Exchange {
            process,
            instance: path.rsplit('/').next().unwrap().into(),
            token: request.header("token").unwrap().into(),
            asked: settings_of(&request.body),
            sent,
            arrived: None,
            found: Settings::default(),
            answer: None,
            over: None,
            given_up: false,
        });
        exchanges.len() - 1
    }

    pub fn reload(&self, tokens: HashMap<String, String>) {
        let now = self.now();
        self.lock().reloads.push((now, tokens));
    }

    pub fn out_of_reach(&self, process: usize) {
        let now = self.now();
        self.lock().out_of_reach.push((process, now));
    }

    /// The exchange is over, if it was not already.
    pub fn over(&self, number: usize) {
        self.exchange(number, |it, now| {
            it.over.get_or_insert(now);
        });
    }

    /// The gateway closed the connection.
    pub fn give_up(&self, number: usize) {
        self.over(number);
        self.exchange(number, |it, _| it.given_up = true);
    }

    pub fn exchange(&self, number: usize, change: impl FnOnce(&mut Exchange, Duration)) {
        let now = self.now();
        change(&mut self.lock().exchanges[number], now);
    }
}
