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
    history::{End, Shared},
    link::{Link, Reach},
    schedule::{Caller, Schedule},
};

/// Longer than any call waits.
const FOREVER: Duration = Duration::from_secs(3600);

pub struct Process {
    pub number: usize,
    pub link: Link,
    pub queues: Arc<Queues>,
    pub callers: JoinSet<()>,
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
            history: history.clone(),
        }
    }

    pub fn caller(&self, target: &Arc<Target>, caller: &Caller) -> Calling {
        Calling {
            history: self.history.clone(),
            process: self.number,
            queues: Arc::clone(&self.queues),
            target: Arc::clone(target),
            caller: caller.clone(),
        }
    }

    /// Ends the process: nothing of it reaches its clients or Ryze any more.
    pub fn kill(self) {
        self.link.set_reach(Reach::Refused);
        self.link.reset();
        self.history.kill(self.number);
    }
}

/// A client of one process.
pub struct Calling {
    history: Shared,
    process: usize,
    queues: Arc<Queues>,
    target: Arc<Target>,
    caller: Caller,
}

impl Calling {
    /// Returns the outcome, or `None` if the client disconnected.
    pub async fn call(&self) -> Option<Outcome> {
        let (history, target, deadline) = (&self.history, &self.target, self.caller.deadline);
        let operation = self.caller.operation;
        let number = history.call(self.process, target.name(), operation, deadline);
        let until = Instant::now() + deadline;
        let trace = Arc::default();
        let outcome = self.queues.submit(target, operation, until, &trace);
        let patience = self.caller.hangs_up_after.unwrap_or(FOREVER);
        let outcome = timeout(patience, outcome).await.ok();
        history.end(number, outcome.clone().map_or(End::HungUp, End::Answered));
        outcome
    }
}
