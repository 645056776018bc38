//! Plays a schedule and watches what arrives at the upstream.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use zapi_to_ryze::budget::{
    Purpose,
    redis::{Decision, SharedLimiter, SharedQuota},
};

use super::{
    schedule::{Event, Schedule},
    server::{Link, Server},
};

/// The longest request, which bounds when a slot whose process was killed comes back.
pub const LONGEST: Duration = Duration::from_secs(15);
/// A request that arrives at all arrives within this time after its slot was taken.
const LONGEST_WAY: f32 = 0.9;
const MINUTE: Duration = Duration::from_secs(60);
/// From the end of the last fault on, until every process shares exactly again: the silence, the static
/// share after it, the grace, and what it takes to notice.
const RECOVERY: Duration = Duration::from_secs(66 + 66 + 13);
/// Then it is watched for so long.
const WATCHED: Duration = Duration::from_secs(240);

/// What was seen.
#[derive(Default)]
pub struct History {
    /// When a request of which process arrived.
    arrivals: Mutex<Vec<(Duration, usize)>>,
    longest_wait: Mutex<Duration>,
}

impl History {
    fn note_wait(&self, wait: Duration) {
        let mut longest = self.longest_wait.lock().unwrap();
        *longest = longest.max(wait);
    }

    pub fn broken(&self, schedule: &Schedule) -> Vec<String> {
        let mut broken = Vec::new();
        let mut arrivals = self.arrivals.lock().unwrap().clone();
        arrivals.sort();
        for (index, (begin, _)) in arrivals.iter().enumerate() {
            let in_window = arrivals[index..]
                .iter()
                .filter(|(at, _)| *at < *begin + MINUTE);
            let count = u32::try_from(in_window.count()).unwrap();
            let allowed = schedule.limit + schedule.exception(*begin);
            if count > allowed {
                broken.push(format!("{count} of {allowed} in the minute from {begin:?}"));
                break;
            }
        }
        let longest_wait = *self.longest_wait.lock().unwrap();
        if longest_wait > Duration::from_secs(66) {
            broken.push(format!("told to wait for {longest_wait:?}"));
        }
        let watched = schedule.quiet + RECOVERY;
        let late = arrivals.iter().filter(|(at, _)| *at >= watched);
        let mut shares = vec![0_u32; schedule.processes.len()];
        for (_, process) in late {
            shares[*process] += 1;
        }
        let all: u32 = shares.iter().sum();
        // In four minutes; some turns are given back, some requests are long, some slots are reserved.
        if all < schedule.limit {
            broken.push(format!(
                "{all} requests of {} in the end",
                schedule.limit * 4
            ));
        }
        let fair = all as usize / shares.len();
        for (process, share) in shares.iter().enumerate() {
            if (*share as usize + 1) * 10 < fair * 4 {
                broken.push(format!(
                    "process {process} has {share} of {all} requests in the end"
                ));
            }
        }
        broken
    }
}

pub async fn play(schedule: &Schedule, is_shown: bool) -> Arc<History> {
    let world = World {
        start: Instant::now(),
        history: Arc::default(),
        server: Server::new(),
    };
    let quota = SharedQuota::new(
        schedule.limit,
        schedule.burst,
        schedule.static_share(),
        LONGEST,
    );
    let members = schedule.processes.iter();
    let links: Vec<_> = members
        .map(|member| Link::new(&world.server, member.distance, Duration::from_millis(5)))
        .collect();
    let mut running = Vec::new();
    for (index, member) in schedule.processes.iter().enumerate() {
        let busy = member.busy.clone();
        running.push(world.begin(
            index,
            &links[index],
            quota,
            member.start,
            busy,
            schedule.quiet,
        ));
    }
    let end = schedule.quiet + RECOVERY + WATCHED;
    for (at, event) in &schedule.events {
        sleep_until(world.start + *at).await;
        if is_shown {
            println!("{at:?}: {event:?}");
        }
        match *event {
            Event::LoseState => world.server.lose_state(),
            Event::StepClock { by, is_back } => world.server.step_clock(by, is_back),
            Event::Save => world.server.save(),
            Event::Pause(length) => world.server.pause(length),
            Event::Restart(length, keeps) => world.server.restart(length, keeps),
            Event::CutAll(length) => {
                for link in &links {
                    link.cut(length);
                }
            }
            Event::Cut(process, length) => links[process].cut(length),
            Event::Kill(process, length) => {
                let start = at
                    .saturating_add(length)
                    .max(schedule.processes[process].start);
                let busy = schedule.processes[process].busy.clone();
                running[process] =
                    world.begin(process, &links[process], quota, start, busy, schedule.quiet);
            }
        }
    }
    sleep_until(world.start + end).await;
    drop(running);
    world.history
}

struct World {
    start: Instant,
    history: Arc<History>,
    server: Arc<Server>,
}

impl World {
    /// A process that starts later. Dropping what this returns kills it.
    fn begin(
        &self,
        index: usize,
        link: &Arc<Link>,
        quota: SharedQuota,
        start: Duration,
        busy: Vec<(Duration, Duration)>,
        quiet: Duration,
    ) -> JoinSet<()> {
        let (history, origin, link) = (Arc::clone(&self.history), self.start, Arc::clone(link));
        let mut process = JoinSet::new();
        process.spawn(async move {
            sleep_until(origin + start).await;
            let shared = SharedLimiter::with_store(link, "test", quota);
            shared.start_heartbeat();
            let mut requests = JoinSet::new();
            loop {
                let now = origin.elapsed();
                let is_busy =
                    now >= quiet || busy.iter().any(|(from, to)| *from <= now && now < *to);
                if !is_busy {
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
                let purpose = if fastrand::u8(0..10) == 0 {
                    Purpose::ReadBack
                } else {
                    Purpose::Call
                };
                let (until, look) = match shared.acquire(purpose).await {
                    Decision::Granted(lease) => {
                        let (shared, history) = (shared.clone(), Arc::clone(&history));
                        requests.spawn(async move {
                            let way = Duration::from_secs_f32(fastrand::f32() * LONGEST_WAY);
                            sleep(way).await;
                            if fastrand::u8(0..12) == 0 {
                                return shared.release(lease);
                            }
                            history
                                .arrivals
                                .lock()
                                .unwrap()
                                .push((origin.elapsed(), index));
                            let rest = if fastrand::u8(0..4) == 0 {
                                LONGEST - way
                            } else {
                                way
                            };
                            sleep(rest.mul_f32(fastrand::f32())).await;
                            shared.release_later(lease);
                        });
                        continue;
                    }
                    Decision::NotBefore(until) => (until, until),
                    Decision::Unavailable { until } => {
                        (until, until.min(Instant::now() + Duration::from_secs(1)))
                    }
                };
                history.note_wait(until.saturating_duration_since(Instant::now()));
                sleep_until(look).await;
            }
        });
        process
    }
}
