//! The Z-API of a schedule. It changes lists of contacts, and with them the modes of the same accounts that
//! Ryze has. Its faults are part of each call.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use zapi_to_ryze::{
    privacy::{Failure, Fault, NoAnswer, Outcome, Refused, Report, Settings},
    ryze::wire,
    sandbox::Sandbox,
};

use super::{
    fault::LATEST_LANDING,
    history::{Answer, Shared},
    ryze::store,
    schedule::millis,
};

/// What Z-API does with a request.
#[derive(Clone, Debug)]
pub struct Fate {
    /// From its sending to its arrival.
    pub transit: Duration,
    /// From its arrival to the response.
    pub work: Duration,
    pub ending: Ending,
}

#[derive(Clone, Debug)]
pub enum Ending {
    Made,
    /// With a status of failure.
    Refused,
    /// With the status 200, and not as a success.
    Unconfirmed,
    /// There is no connection.
    Unreachable,
    /// The connection breaks. The list is changed so long after the arrival, if at all.
    Lost(Option<Duration>),
    /// There is never a response. The list is changed as for `Lost`.
    Hangs(Option<Duration>),
}

impl Fate {
    pub fn made() -> Self {
        Self {
            transit: Duration::ZERO,
            work: Duration::from_millis(100),
            ending: Ending::Made,
        }
    }

    pub fn new(rng: &mut Rng, longest: Duration) -> Self {
        let latest = LATEST_LANDING.as_millis() as u64;
        let landing = |rng: &mut Rng| rng.bool().then(|| millis(rng, 0..=latest));
        Self {
            transit: millis(rng, 0..=2_000),
            work: match rng.u32(0..4) {
                0 => millis(rng, 0..=longest.as_millis() as u64 * 5 / 4),
                _ => millis(rng, 0..=1_000),
            },
            ending: match rng.u32(0..12) {
                0 => Ending::Refused,
                1 => Ending::Unconfirmed,
                2 => Ending::Unreachable,
                3 => Ending::Lost(landing(rng)),
                4 => Ending::Hangs(landing(rng)),
                _ => Ending::Made,
            },
        }
    }
}

/// The way of one process to Z-API.
#[derive(Clone)]
pub struct Zapi {
    pub sandbox: Sandbox,
    pub history: Shared,
    /// Cancelled when the process is killed.
    pub killed: CancellationToken,
}

impl Zapi {
    /// Carries out one call, as the gateway has it done in its turn.
    pub async fn change_contacts(self, call: usize, fate: Fate) -> Outcome {
        if matches!(fate.ending, Ending::Unreachable) || self.killed.is_cancelled() {
            return Err(Failure::Upstream(Fault::Incomplete));
        }
        let number = self.history.send_to_zapi(call);
        let mut over = Over(Some((&self.history, number)));
        let answer = tokio::select! {
            answer = self.exchange(number, &fate) => answer,
            () = self.killed.cancelled() => None,
        };
        // It was not the gateway that ended it.
        over.0 = None;
        self.history.over(number);
        match answer {
            None => Err(Failure::Unknown(NoAnswer::Closed)),
            Some(Ending::Made) => Ok(self.store(number)),
            Some(Ending::Unconfirmed) => Err(Failure::Upstream(Fault::NotConfirmed)),
            Some(_) => Err(Failure::Refused {
                by: Refused::Upstream,
                report: Report {
                    status: 400,
                    message: None,
                },
            }),
        }
    }

    /// The response, if there is one.
    async fn exchange(&self, number: usize, fate: &Fate) -> Option<Ending> {
        sleep(fate.transit).await;
        let found = self.store(number);
        self.history.exchange(number, |it, now| {
            it.arrived = Some(now);
            it.found = found;
        });
        let landing = match fate.ending {
            Ending::Made => Some(fate.work),
            Ending::Lost(landing) | Ending::Hangs(landing) => landing,
            _ => None,
        };
        if let Some(landing) = landing {
            // The gateway cannot take back what has arrived.
            tokio::spawn(self.clone().land(number, landing));
        }
        sleep(fate.work).await;
        let (status, body) = match fate.ending {
            Ending::Made => {
                sleep(Duration::from_millis(1)).await;
                (200, "{\"success\":true}")
            }
            Ending::Refused => (400, "{\"error\":\"Invalid phone\"}"),
            Ending::Unconfirmed => (200, "{\"error\":\"NOT_FOUND\"}"),
            Ending::Lost(_) | Ending::Unreachable => return None,
            Ending::Hangs(_) => std::future::pending().await,
        };
        let store = self.store(number);
        self.history.exchange(number, |it, at| {
            let is_made = matches!(fate.ending, Ending::Made);
            it.answer = Some(Answer {
                at,
                status,
                body: body.into(),
                confirmed: is_made.then_some(it.asked),
                store,
            });
        });
        Some(fate.ending.clone())
    }

    /// Changes the list, and the mode of the account.
    async fn land(self, number: usize, landing: Duration) {
        sleep(landing).await;
        let mut history = self.history.lock();
        let (instance, asked) = {
            let it = &history.exchanges[number];
            (it.instance.clone(), it.asked)
        };
        self.sandbox
            .change_elsewhere(&instance, &wire::update(&asked));
        let setting = asked.iter().next().unwrap().setting;
        history.lists.insert((instance, setting), number);
    }

    fn store(&self, number: usize) -> Settings {
        let mut name = String::new();
        self.history
            .exchange(number, |it, _| name.clone_from(&it.instance));
        store(&self.sandbox, &name)
    }
}

/// Records that the gateway gave up an exchange when it is dropped.
struct Over<'history>(Option<(&'history Shared, usize)>);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if let Some((history, number)) = self.0 {
            history.give_up(number);
        }
    }
}
