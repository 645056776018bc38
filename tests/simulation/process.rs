//! One gateway process of a schedule, without its sockets, and its clients.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use zapi_to_ryze::{
    budget::{Budget, Quota},
    privacy::Outcome,
    queue::Queues,
    ryze::{Client, Target},
    sandbox::Sandbox,
};

use super::{
    history::{End, Shared, Vendor},
    link::{Link, Reach},
    schedule::{Caller, Schedule},
    zapi::Zapi,
};

/// Longer than any call waits.
const FOREVER: Duration = Duration::from_secs(3600);

pub struct Process {
    pub number: usize,
    pub link: Link,
    pub queues: Arc<Queues>,
    pub callers: JoinSet<()>,
    zapi: Zapi,
    zapi_timeout: Duration,
    history: Shared,
}

impl Process {
    pub fn new(number: usize, schedule: &Schedule, sandbox: &Sandbox, history: &Shared) -> Self {
        let link = Link::new(number, sandbox, history, schedule.longest_transit);
        let budget = Budget::new(Quota {
            share: schedule.share,
            burst: schedule.burst,
            max_wait: schedule.max_wait,
        });
        let client = Client::new(link.clone(), schedule.request_timeout);
        Self {
            number,
            link,
            queues: Queues::new(
                budget,
                client,
                schedule.deadline,
                1000,
                Arc::default(),
                CancellationToken::new(),
            ),
            callers: JoinSet::new(),
            zapi: Zapi {
                sandbox: sandbox.clone(),
                history: history.clone(),
                killed: CancellationToken::new(),
            },
            zapi_timeout: schedule.zapi_timeout,
            history: history.clone(),
        }
    }

    pub fn caller(&self, target: &Arc<Target>, caller: &Caller) -> Calling {
        Calling {
            history: self.history.clone(),
            process: self.number,
            queues: Arc::clone(&self.queues),
            zapi: self.zapi.clone(),
            zapi_timeout: self.zapi_timeout,
            target: Arc::clone(target),
            caller: caller.clone(),
        }
    }

    /// Ends the process: nothing of it reaches its clients or Ryze any more.
    pub fn kill(self) {
        self.link.set_reach(Reach::Refused);
        self.link.reset();
        self.zapi.killed.cancel();
        self.history.kill(self.number);
    }
}

/// A client of one process.
pub struct Calling {
    history: Shared,
    process: usize,
    queues: Arc<Queues>,
    zapi: Zapi,
    zapi_timeout: Duration,
    target: Arc<Target>,
    caller: Caller,
}

impl Calling {
    /// Returns the outcome, or `None` if the client disconnected.
    pub async fn call(&self) -> Option<Outcome> {
        let (history, target, deadline) = (&self.history, &self.target, self.caller.deadline);
        let operation = self.caller.operation;
        let vendor = match self.caller.zapi {
            Some(_) => Vendor::ZApi,
            None => Vendor::Ryze,
        };
        let number = history.call(vendor, self.process, target.name(), operation, deadline);
        let until = Instant::now() + deadline;
        let trace = Arc::default();
        let outcome = async {
            let Some(fate) = &self.caller.zapi else {
                return self.queues.submit(target, operation, until, &trace).await;
            };
            let work = self.zapi.clone().change_contacts(number, fate.clone());
            let limit = self.zapi_timeout;
            let outcome = self.queues.run_in_turn(target, until, limit, work);
            outcome.await.unwrap_or_else(Err)
        };
        let patience = self.caller.hangs_up_after.unwrap_or(FOREVER);
        let outcome = timeout(patience, outcome).await.ok();
        history.end(number, outcome.clone().map_or(End::HungUp, End::Answered));
        outcome
    }
}
