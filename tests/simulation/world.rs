//! Runs a schedule against the in-memory Ryze, on a paused clock. `check` judges the history.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use fastrand::Rng;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use zapi_to_ryze::{
    config::Secret,
    privacy::{Failure, Operation},
    queue::Queues,
    ryze::Target,
    sandbox::Sandbox,
};

use super::{
    fault::LATEST_LANDING,
    history::{History, Shared},
    process::Process,
    ryze::{FOREIGN, sandbox, store},
    schedule::{Caller, Entry, Schedule, Step, change, mode_of_list, name},
    zapi::Fate,
};

/// The target of an instance with this entry in the configuration.
fn target(entry: &str, instance: usize, token: &str) -> Arc<Target> {
    let base_url = "http://ryze.test".parse().unwrap();
    let (entry, name) = (format!("{entry}-{instance}"), name(instance));
    Arc::new(Target::new(&base_url, entry, name, &Secret::new(token)).unwrap())
}

/// The token that an instance may get later.
fn second_token(instance: usize) -> String {
    format!("second-token-{instance}")
}

/// Longer than any schedule takes.
const FOREVER: Duration = Duration::from_secs(7200);

pub async fn play(schedule: &Schedule) -> History {
    timeout(FOREVER, World::new(schedule).await.play())
        .await
        .expect("the schedule ends")
}

struct World<'schedule> {
    schedule: &'schedule Schedule,
    sandbox: Sandbox,
    targets: Vec<Arc<Target>>,
    /// The current token of each instance.
    tokens: Vec<String>,
    /// The token that Ryze gave each instance.
    issued: Vec<String>,
    /// Whether the instance is removed from the configuration.
    is_gone: Vec<bool>,
    history: Shared,
    now: Process,
    /// The queues of every process.
    queues: Vec<Weak<Queues>>,
}

impl<'schedule> World<'schedule> {
    async fn new(schedule: &'schedule Schedule) -> Self {
        let sandbox = sandbox(schedule).await;
        let history = Shared::new();
        let tokens = schedule.tokens.iter().map(|token| format!("token-{token}"));
        let tokens: Vec<_> = tokens.collect();
        let targets = tokens.iter().enumerate();
        let targets = targets.map(|(instance, token)| target("first", instance, token));
        let now = Process::new(0, schedule, &sandbox, &history);
        let world = Self {
            schedule,
            targets: targets.collect(),
            issued: tokens.clone(),
            is_gone: vec![false; tokens.len()],
            tokens,
            queues: vec![Arc::downgrade(&now.queues)],
            now,
            sandbox,
            history,
        };
        world.configure();
        world
    }

    async fn play(mut self) -> History {
        let start = Instant::now();
        for (at, step) in &self.schedule.steps {
            sleep_until(start + *at).await;
            self.step(step).await;
        }
        self.calm_down().await;
        self.run_patient_clients().await;
        self.finish().await
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Call(caller) if self.is_gone[caller.instance] => (),
            Step::Call(caller) => {
                let target = &self.targets[caller.instance];
                let caller = self.now.caller(target, caller);
                self.now
                    .callers
                    .spawn(async move { drop(caller.call().await) });
            }
            Step::Fault(fault) => self.sandbox.push_fault(fault.clone()),
            Step::Foreign(token, requests) => {
                let line = format!("GET /api/profile/privacy/{FOREIGN}-{token}");
                for _ in 0..*requests {
                    self.ask(&line, &format!("token-{token}")).await;
                }
            }
            Step::Connected(instance, connected) => {
                self.sandbox.set_connected(&name(*instance), *connected);
            }
            Step::Mapped(instance, mapped) => self.map(*instance, *mapped),
            Step::Reach(reach) => self.now.link.set_reach(*reach),
            Step::Reset => self.now.link.reset(),
            Step::Restart => self.restart(),
            Step::Issue(instance) => {
                self.issued[*instance] = second_token(*instance);
                self.map(*instance, true);
            }
            Step::Reload(instance, entry) => self.reload(*instance, *entry),
        }
    }

    fn reload(&mut self, instance: usize, entry: Entry) {
        self.is_gone[instance] = entry == Entry::Gone;
        let entry = match entry {
            Entry::Gone => return self.configure(),
            Entry::Rotated => "first",
            Entry::Replaced => "second",
        };
        self.tokens[instance] = second_token(instance);
        self.targets[instance] = target(entry, instance, &self.tokens[instance]);
        self.configure();
    }

    /// Reloads the gateway's configuration.
    fn configure(&self) {
        let mut tokens = HashMap::new();
        let mut targets = Vec::new();
        for (instance, target) in self.targets.iter().enumerate() {
            if !self.is_gone[instance] {
                tokens.insert(name(instance), self.tokens[instance].clone());
                targets.push(Arc::clone(target));
            }
        }
        self.now.queues.configure(&targets);
        self.history.reload(tokens);
    }

    /// Gives the instance its own token at Ryze, or another one.
    fn map(&self, instance: usize, mapped: bool) {
        let token = if mapped {
            &self.issued[instance]
        } else {
            "changed"
        };
        self.sandbox.add_instance(&name(instance), token);
    }

    fn restart(&mut self) {
        let number = self.now.number + 1;
        let next = Process::new(number, self.schedule, &self.sandbox, &self.history);
        self.queues.push(Arc::downgrade(&next.queues));
        std::mem::replace(&mut self.now, next).kill();
        self.configure();
    }

    /// Ends all faults. No client calls any more.
    async fn calm_down(&mut self) {
        self.now.link.calm_down();
        self.is_gone.fill(false);
        self.configure();
        self.issued.clone_from(&self.tokens);
        for instance in 0..self.targets.len() {
            self.map(instance, true);
        }
        self.ask("DELETE /sandbox/faults", "").await;
        while let Some(caller) = self.now.callers.join_next().await {
            caller.unwrap();
        }
        self.now.queues.idle().await;
    }

    /// For each instance, one client with a change, one with a list and one with a read, which retry whenever their failure
    /// says so.
    async fn run_patient_clients(&self) {
        let mut rng = Rng::with_seed(!self.schedule.seed);
        let mut patient = JoinSet::new();
        let instances = 0..self.targets.len();
        let wanted = instances.flat_map(|instance| {
            let change = Operation::Change(change(&mut rng));
            let list = Operation::Change(mode_of_list(&mut rng));
            [
                (instance, change, None),
                (instance, list, Some(Fate::made())),
                (instance, Operation::Read, None),
            ]
        });
        for (number, (instance, operation, zapi)) in wanted.enumerate() {
            let caller = Caller {
                instance,
                operation,
                zapi,
                deadline: self.schedule.deadline,
                hangs_up_after: None,
            };
            let begin = Instant::now();
            let caller = self.now.caller(&self.targets[instance], &caller);
            patient.spawn(async move {
                while let Some(Err(failure)) = caller.call().await {
                    let pause = match failure {
                        Failure::Budget { retry_after }
                        | Failure::Throttled { retry_after, .. } => retry_after,
                        _ => Duration::ZERO,
                    };
                    sleep(pause.max(Duration::from_secs(1))).await;
                }
                (number, begin.elapsed())
            });
        }
        let mut waits = patient.join_all().await;
        waits.sort();
        self.history.lock().waits = waits.into_iter().map(|(_, wait)| wait).collect();
    }

    async fn finish(self) -> History {
        let Self {
            sandbox,
            history,
            now,
            queues,
            targets,
            ..
        } = self;
        let mut left = Vec::new();
        now.queues.idle().await;
        sleep(LATEST_LANDING + self.schedule.stanza * 7).await;
        let Process {
            link,
            queues: last,
            callers,
            ..
        } = now;
        drop((last, callers));
        sleep(Duration::from_millis(10)).await;
        left.extend((0..queues.len()).filter_map(|process| {
            queues[process]
                .upgrade()
                .map(|_| format!("a task of process {process}"))
        }));
        if link.connections() > 0 {
            left.push("a connection".into());
        }
        let mut history = std::mem::take(&mut *history.lock());
        history.processes = queues.len();
        history.held = targets
            .iter()
            .map(|it| store(&sandbox, it.name()))
            .collect();
        history.left = left;
        history
    }

    /// A request of another client.
    async fn ask(&self, line: &str, token: &str) {
        let (mut near, far) = duplex(1024);
        let sandbox = self.sandbox.clone();
        tokio::spawn(async move { sandbox.serve_connection(TokioIo::new(far)).await });
        let head = format!(
            "{line} HTTP/1.1\r\nhost: ryze.test\r\ntoken: {token}\r\nconnection: close\r\n\r\n"
        );
        near.write_all(head.as_bytes()).await.unwrap();
        near.read_to_end(&mut Vec::new()).await.unwrap();
    }
}
