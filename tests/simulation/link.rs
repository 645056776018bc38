//! The wire between one gateway process and the in-memory Ryze: records every exchange, delays requests,
//! and breaks on demand.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use fastrand::Rng;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use zapi_to_ryze::{
    net::{Connect, Opening},
    privacy::Settings,
    sandbox::Sandbox,
};

use super::{
    history::{Answer, Shared},
    ryze::store,
};
use crate::harness::Message;

const BUFFER: usize = 16 * 1024;
/// How long after the closing of a connection the network may deliver what was sent on it: less than
/// the guard of the slots.
const STILL_DELIVERED: Duration = Duration::from_millis(900);
/// One exchange of this many is the last on its connection, which is closed after it.
const EXCHANGES: u32 = 8;

/// The result of an attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Possible,
    Refused,
    /// Opened, and closed before anything is sent.
    Closed,
}

/// The connector of one process. Clones share their state.
#[derive(Clone)]
pub struct Link {
    process: usize,
    sandbox: Sandbox,
    history: Shared,
    state: Arc<Mutex<State>>,
}

struct State {
    connections: JoinSet<()>,
    reach: Reach,
    longest_transit: Duration,
    rng: Rng,
}

impl Link {
    pub fn new(
        process: usize,
        sandbox: &Sandbox,
        history: &Shared,
        longest_transit: Duration,
    ) -> Self {
        let state = State {
            connections: JoinSet::new(),
            reach: Reach::Possible,
            longest_transit,
            rng: Rng::with_seed(process as u64),
        };
        Self {
            process,
            sandbox: sandbox.clone(),
            history: history.clone(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub fn set_reach(&self, reach: Reach) {
        self.state().reach = reach;
    }

    /// Ends all faults and delays.
    pub fn calm_down(&self) {
        let mut state = self.state();
        state.reach = Reach::Possible;
        state.longest_transit = Duration::ZERO;
    }

    /// Breaks every connection. Data that has not arrived is lost.
    pub fn reset(&self) {
        self.state().connections.abort_all();
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        let connections = &mut self.state().connections;
        while let Some(ended) = connections.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        connections.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Moves messages until either side closes its end.
    async fn relay(self, near: DuplexStream) {
        let (far, sandboxs) = duplex(BUFFER);
        let sandbox = self.sandbox.clone();
        tokio::select! {
            biased;
            () = sandbox.serve_connection(TokioIo::new(sandboxs)) => (),
            () = self.exchanges(near, far) => (),
        }
    }

    async fn exchanges(&self, mut near: DuplexStream, mut far: DuplexStream) {
        while let Some(request) = Message::read(&mut near).await {
            let number = self.history.send(self.process, &request);
            let _over = Over(&self.history, number);
            let (transit, is_last) = {
                let mut state = self.state();
                let longest = state.longest_transit.as_millis() as u64;
                let transit = Duration::from_millis(state.rng.u64(0..=longest));
                (transit, state.rng.u32(0..EXCHANGES) == 0)
            };
            let arrival = Instant::now() + transit;
            tokio::select! {
                () = sleep_until(arrival) => (),
                _ = near.read_u8() => {
                    self.history.give_up(number);
                    sleep_until(arrival.min(Instant::now() + STILL_DELIVERED)).await;
                }
            }
            let found = self.store(number);
            self.history.exchange(number, |it, now| {
                it.arrived = Some(now);
                it.found = found;
            });
            let bytes = format!("{}\r\n\r\n{}", request.head, request.body);
            far.write_all(bytes.as_bytes()).await.unwrap();
            let answer = tokio::select! {
                biased;
                answer = Message::read(&mut far) => answer,
                _ = near.read_u8() => {
                    self.history.give_up(number);
                    // A request that has arrived is processed nevertheless.
                    return sleep(Duration::from_millis(1)).await;
                }
            };
            let Some(answer) = answer else { return };
            let store = self.store(number);
            self.history.exchange(number, |it, now| {
                it.answer = Some(Answer::new(&answer, store, now));
            });
            let bytes = format!("{}\r\n\r\n{}", answer.head, answer.body);
            if near.write_all(bytes.as_bytes()).await.is_err() || is_last {
                return;
            }
        }
    }

    /// Ryze's current settings of the exchange's instance.
    fn store(&self, number: usize) -> Settings {
        let mut name = String::new();
        self.history
            .exchange(number, |it, _| name.clone_from(&it.instance));
        store(&self.sandbox, &name)
    }
}

/// Records the end of an exchange when it is dropped.
struct Over<'history>(&'history Shared, usize);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over(self.1);
    }
}

impl Connect for Link {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async move {
            let mut state = self.state();
            if state.reach != Reach::Possible {
                self.history.unreachable(self.process);
            }
            if state.reach == Reach::Refused {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (gateways, near) = duplex(BUFFER);
            if state.reach == Reach::Possible {
                state.connections.spawn(self.clone().relay(near));
            }
            Ok(Box::new(gateways) as _)
        })
    }
}
