//! Plays a schedule against the in-memory Ryze, on a paused clock. What is right and wrong about the
//! history is not judged here.

use std::{
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
    lane::Lanes,
    privacy::{Failure, Operation},
    ryze::Target,
    sandbox::Sandbox,
};

use super::{
    fault::LATEST_LANDING,
    history::{History, Shared},
    link::Link,
    process::Process,
    ryze::{FOREIGN, sandbox, store},
    schedule::{Caller, Schedule, Step, change, name},
};

/// Longer than any schedule takes.
const FOREVER: Duration = Duration::from_secs(7200);

pub async fn play(schedule: &Schedule) -> History {
    timeout(FOREVER, World::new(schedule).await.play())
        .await
        .expect("the schedule comes to its end")
}

struct World<'schedule> {
    schedule: &'schedule Schedule,
    sandbox: Sandbox,
    targets: Vec<Arc<Target>>,
    history: Shared,
    now: Process,
    /// The lanes of every process.
    lanes: Vec<Weak<Lanes<Link>>>,
}

impl<'schedule> World<'schedule> {
    async fn new(schedule: &'schedule Schedule) -> Self {
        let sandbox = sandbox(schedule).await;
        let history = Shared::new();
        let base_url = "http://ryze.test".parse().unwrap();
        let targets = schedule.tokens.iter().enumerate().map(|(instance, token)| {
            let token = Secret::new(&format!("token-{token}"));
            Arc::new(Target::new(&base_url, &name(instance), &token).unwrap())
        });
        let now = Process::new(0, schedule, &sandbox, &history);
        Self {
            schedule,
            targets: targets.collect(),
            lanes: vec![Arc::downgrade(&now.lanes)],
            now,
            sandbox,
            history,
        }
    }

    async fn play(mut self) -> History {
        let start = Instant::now();
        for (at, step) in &self.schedule.steps {
            sleep_until(start + *at).await;
            self.step(step).await;
        }
        self.calm_down().await;
        self.serve_the_patient().await;
        self.finish().await
    }

    async fn step(&mut self, step: &Step) {
        match step {
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
        }
    }

    /// Gives the instance the token that the gateway has for it, or another one.
    fn map(&self, instance: usize, mapped: bool) {
        let token = match mapped {
            true => format!("token-{}", self.schedule.tokens[instance]),
            false => "changed".into(),
        };
        self.sandbox.add_instance(&name(instance), &token);
    }

    fn restart(&mut self) {
        let number = self.now.number + 1;
        let next = Process::new(number, self.schedule, &self.sandbox, &self.history);
        self.lanes.push(Arc::downgrade(&next.lanes));
        std::mem::replace(&mut self.now, next).kill();
    }

    /// Everything works from here on, and nobody calls.
    async fn calm_down(&mut self) {
        self.now.link.calm_down();
        for instance in 0..self.targets.len() {
            self.map(instance, true);
        }
        self.ask("DELETE /sandbox/faults", "").await;
        while let Some(caller) = self.now.callers.join_next().await {
            caller.unwrap();
        }
        self.now.lanes.idle().await;
    }

    /// For each instance one caller with a change and one who reads. They call again whenever they
    /// were told to.
    async fn serve_the_patient(&self) {
        let mut rng = Rng::with_seed(!self.schedule.seed);
        let mut patient = JoinSet::new();
        let instances = 0..self.targets.len();
        let wanted = instances.flat_map(|instance| {
            let change = Operation::Change(change(&mut rng));
            [(instance, change), (instance, Operation::Read)]
        });
        for (number, (instance, operation)) in wanted.enumerate() {
            let caller = Caller {
                instance,
                operation,
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
            lanes,
            targets,
            ..
        } = self;
        let mut left = Vec::new();
        now.lanes.idle().await;
        sleep(LATEST_LANDING + self.schedule.stanza * 7).await;
        for target in &targets {
            if Arc::strong_count(target) > 1 {
                left.push(format!("a lane of {}", target.name()));
            }
        }
        let Process {
            link,
            lanes: last,
            callers,
            ..
        } = now;
        drop((last, callers));
        sleep(Duration::from_millis(10)).await;
        left.extend((0..lanes.len()).filter_map(|process| {
            lanes[process]
                .upgrade()
                .map(|_| format!("a task of process {process}"))
        }));
        if link.connections() > 0 {
            left.push("a connection".into());
        }
        let mut history = std::mem::take(&mut *history.lock());
        history.processes = lanes.len();
        history.held = targets
            .iter()
            .map(|it| store(&sandbox, it.name()))
            .collect();
        history.left = left;
        history
    }

    /// A request of somebody else.
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
