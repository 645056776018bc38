//! The record of a run: every call, and every exchange on the wire. `check` judges it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;
use zapi_to_ryze::{
    privacy::{Change, Operation, Outcome, Setting, Settings},
    ryze::wire,
};

use super::{fault::FIELDS, ryze::settings_of};
use crate::harness::Message;

/// Times are counted from the start of the schedule.
#[derive(Default)]
pub struct History {
    /// In the order in which they were queued.
    pub calls: Vec<Call>,
    /// In the order in which they were sent.
    pub exchanges: Vec<Exchange>,
    /// The configuration at each reload: the token of each instance in it.
    pub reloads: Vec<(Duration, HashMap<String, String>)>,
    /// When a process could not connect.
    pub unreachable: Vec<(usize, Duration)>,
    /// The number of gateway processes.
    pub processes: usize,
    /// The settings of each instance at Ryze at the end.
    pub held: Vec<Settings>,
    /// The exchange that changed each list of contacts last, by instance and setting.
    pub lists: HashMap<(String, Setting), usize>,
    /// How long each patient client waited at the end.
    pub waits: Vec<Duration>,
    /// Resources that were not released at the end.
    pub left: Vec<String>,
}

impl History {
    /// Whether the instance has another token at that time than this request had, or
    /// `None` if a reload within `slack` of it leaves that open.
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

/// The vendor that carries out a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    Ryze,
    /// For a change of a list of contacts, which also sets the mode.
    ZApi,
}

pub struct Call {
    pub vendor: Vendor,
    pub process: usize,
    pub instance: String,
    pub operation: Operation,
    pub start: Duration,
    pub deadline: Duration,
    pub end: Option<(Duration, End)>,
}

impl Call {
    /// The change, or `None` for a read.
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
    pub vendor: Vendor,
    /// The only call in it, known at Z-API alone.
    pub call: Option<usize>,
    pub process: usize,
    pub instance: String,
    pub token: String,
    /// The settings of an update; empty for a read.
    pub asked: Settings,
    pub sent: Duration,
    pub arrived: Option<Duration>,
    /// Ryze's settings at its arrival.
    pub found: Settings,
    pub answer: Option<Answer>,
    /// When the response was complete or the connection closed.
    pub over: Option<Duration>,
    /// Whether the gateway closed the connection.
    pub given_up: bool,
}

impl Exchange {
    pub fn is_of_same_instance(&self, other: &Self) -> bool {
        (self.process, &self.instance) == (other.process, &other.instance)
    }

    /// Whether these settings show all values of the update.
    pub fn is_in(&self, settings: &Settings) -> bool {
        let mut asked = self.asked.iter();
        asked.all(|it| settings.get(it.setting) == Some(it.audience))
    }

    /// Whether this response leaves the outcome of a field open.
    pub fn is_left_open_by(&self, answer: &Answer) -> bool {
        let is_coalesced = self.asked.iter().count() > 1;
        match &answer.confirmed {
            Some(shown) => !self.is_in(shown),
            None if answer.is_before_whatsapp() => false,
            None => is_coalesced || !answer.is_definite(),
        }
    }

    /// Whether it arrived and got no response: it may be applied at any time.
    pub fn is_lost(&self) -> bool {
        self.arrived.is_some() && self.answer.is_none()
    }
}

/// Parts of messages from after Ryze asked WhatsApp.
const OF_WHATSAPP: [&str; 4] = ["failed to ", "info query", "websocket ", "rate-overlimit"];

pub struct Answer {
    pub at: Duration,
    pub status: u16,
    pub body: String,
    /// The settings that it shows, if it is a success.
    pub confirmed: Option<Settings>,
    /// Ryze's settings at the response.
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

    /// Whether Ryze rejected the request for its own rate limit.
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

    /// Whether the response is from before Ryze asks WhatsApp, so that nothing of an update was applied.
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

    /// Whether it is certain that the failed field, named or the only one, was not changed.
    fn is_definite(&self) -> bool {
        let says = |words: &[&str]| words.iter().any(|it| self.body.contains(it));
        match self.failed_field() {
            Some(_) => says(&["rate-overlimit", "forbidden", "not connected"]),
            None => (400..500).contains(&self.status) && !says(&["failed to "]),
        }
    }

    /// The index in [`FIELDS`] of the setting at which Ryze failed, if it names one.
    pub fn failed_field(&self) -> Option<usize> {
        let names = |name| self.body.contains(&format!("failed to update {name} "));
        FIELDS.iter().position(|(_, name)| names(*name))
    }
}

/// The history while it is recorded.
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

    /// Records a new call and returns its number.
    pub fn call(
        &self,
        vendor: Vendor,
        process: usize,
        instance: &str,
        operation: Operation,
        time: Duration,
    ) -> usize {
        let start = self.now();
        let calls = &mut self.lock().calls;
        calls.push(Call {
            vendor,
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

    /// Ends all pending calls of this process.
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

    /// Records a request on the wire and returns its number.
    pub fn send(&self, process: usize, request: &Message) -> usize {
        let path = request.first_line().split(' ').nth(1).unwrap();
        self.push(Exchange {
            process,
            instance: path.rsplit('/').next().unwrap().into(),
            token: request.header("token").unwrap().into(),
            asked: settings_of(&request.body),
            ..self.exchange_with(Vendor::Ryze)
        })
    }

    /// Records a request to Z-API for this call and returns its number.
    pub fn send_to_zapi(&self, call: usize) -> usize {
        let exchange = {
            let of = &self.lock().calls[call];
            Exchange {
                call: Some(call),
                process: of.process,
                instance: of.instance.clone(),
                asked: of.change().into_iter().collect(),
                ..self.exchange_with(Vendor::ZApi)
            }
        };
        self.push(exchange)
    }

    fn exchange_with(&self, vendor: Vendor) -> Exchange {
        Exchange {
            vendor,
            call: None,
            process: 0,
            instance: String::new(),
            token: String::new(),
            asked: Settings::default(),
            sent: self.now(),
            arrived: None,
            found: Settings::default(),
            answer: None,
            over: None,
            given_up: false,
        }
    }

    fn push(&self, exchange: Exchange) -> usize {
        let exchanges = &mut self.lock().exchanges;
        exchanges.push(exchange);
        exchanges.len() - 1
    }

    pub fn reload(&self, tokens: HashMap<String, String>) {
        let now = self.now();
        self.lock().reloads.push((now, tokens));
    }

    pub fn unreachable(&self, process: usize) {
        let now = self.now();
        self.lock().unreachable.push((process, now));
    }

    /// Records the end of an exchange, unless it has one.
    pub fn over(&self, number: usize) {
        self.exchange(number, |it, now| {
            it.over.get_or_insert(now);
        });
    }

    /// Records that the gateway closed the connection.
    pub fn give_up(&self, number: usize) {
        self.over(number);
        self.exchange(number, |it, _| it.given_up = true);
    }

    pub fn exchange(&self, number: usize, change: impl FnOnce(&mut Exchange, Duration)) {
        let now = self.now();
        change(&mut self.lock().exchanges[number], now);
    }
}
