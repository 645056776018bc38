//! What happens in one run, made from a seed.

use std::time::Duration;

use super::server::Keeps;

/// Faults begin before this.
const FAULTS: f32 = 240.0;
const MINUTE: Duration = Duration::from_secs(60);
/// Within this time every process has noticed a fault, or its end.
const NOTICED: Duration = Duration::from_secs(5);
/// So long after the begin of an outage a process may keep to its static share: the window less the margin.
const ALONE_AFTER: Duration = Duration::from_secs(56);

#[derive(Debug)]
pub struct Schedule {
    pub limit: u32,
    pub burst: u32,
    pub processes: Vec<Member>,
    /// In the order of their times.
    pub events: Vec<(Duration, Event)>,
    /// When the last fault is over.
    pub quiet: Duration,
}

/// One process.
#[derive(Debug)]
pub struct Member {
    pub start: Duration,
    pub distance: Duration,
    /// When it has something to send; from [`Schedule::quiet`] on it always has.
    pub busy: Vec<(Duration, Duration)>,
}

#[derive(Clone, Copy, Debug)]
pub enum Event {
    LoseState,
    StepClock {
        by: Duration,
        is_back: bool,
    },
    Save,
    Pause(Duration),
    Restart(Duration, Keeps),
    /// No process reaches Redis.
    CutAll(Duration),
    /// One process does not, which adds its static share to what the others send.
    Cut(usize, Duration),
    /// A process is killed and starts again. What it sent is known to Redis only, so where that state is
    /// lost too, it may use its static share.
    Kill(usize, Duration),
}

impl Schedule {
    pub fn new(seed: u64) -> Self {
        let count = fastrand::usize(1..=4);
        let limit = fastrand::u32(2..=6) * u32::try_from(count).unwrap();
        // In half of the runs nothing happens that may cost more than the limit.
        let is_strict = seed.is_multiple_of(2);
        let mut events = Vec::new();
        for _ in 0..fastrand::usize(0..7) {
            let at = seconds(0.0, FAULTS);
            let event = event(is_strict, count);
            events.push((at, event));
            // Troubles come together.
            if fastrand::bool() {
                let soon = at + seconds(0.0, 8.0);
                events.push((soon, self::event(is_strict, count)));
            }
        }
        events.sort_by_key(|(at, _)| *at);
        let ends = events.iter().map(|(at, event)| *at + event.length());
        let ends = ends.max().unwrap_or_default();
        let processes = (0..count)
            .map(|_| Member {
                start: if fastrand::bool() {
                    Duration::ZERO
                } else {
                    seconds(0.0, FAULTS)
                },
                distance: Duration::from_millis(fastrand::u64(0..30)),
                busy: (0..fastrand::usize(0..5))
                    .map(|_| {
                        let from = seconds(0.0, FAULTS);
                        (from, from + seconds(1.0, 80.0))
                    })
                    .collect(),
            })
            .collect::<Vec<_>>();
        let starts = processes.iter().map(|member| member.start).max();
        Self {
            quiet: ends.max(starts.unwrap_or_default()),
            limit,
            burst: fastrand::u32(1..=limit),
            processes,
            events,
        }
    }

    pub fn static_share(&self) -> u32 {
        self.limit / u32::try_from(self.processes.len()).unwrap()
    }

    /// How many more than the limit may arrive in the minute from `begin` on: what `PROTOCOL.md` does not
    /// cover, each time for the static share of one process.
    pub fn exception(&self, begin: Duration) -> u32 {
        let count = u32::try_from(self.processes.len()).unwrap();
        let outages: Vec<_> = (0..self.processes.len())
            .map(|process| self.outages(process))
            .collect();
        let cuts = || outages.iter().flatten().filter(|outage| outage.is_of_one);
        // Only Redis knew what a process had sent that was killed or cut off, and lost it.
        let cut_off = cuts().map(|cut| (cut.from, self.is_state_lost_near(cut.from)));
        let killed = self.events.iter().filter_map(|(at, event)| match event {
            Event::Kill(process, _) => {
                // Or only that process knew it, because it kept to its static share without Redis.
                let mut outages = outages[*process].iter();
                let is_away =
                    outages.any(|it| it.from + ALONE_AFTER <= *at && *at <= it.to + NOTICED);
                Some((*at, is_away || self.is_state_lost_near(*at)))
            }
            _ => None,
        });
        let unknown = cut_off.chain(killed).filter(|(at, is_unknown)| {
            *is_unknown && begin <= *at + NOTICED && *at < begin + MINUTE
        });
        let unknown = u32::try_from(unknown.count()).unwrap();
        // All processes may be newcomers then, and those that start once more.
        let newcomers = unknown.checked_sub(1).map_or(0, |more| count + more);
        // One keeps to its static share while Redis works for the others.
        let alone = cuts().filter(|cut| {
            let since = cut.from + ALONE_AFTER;
            since <= cut.to && since < begin + MINUTE && begin <= cut.to + NOTICED
        });
        (newcomers + u32::try_from(alone.count()).unwrap()) * self.static_share()
    }

    /// Whether the state is lost so shortly after `at`, or before, that a process without slots does not
    /// know what was sent until then.
    fn is_state_lost_near(&self, at: Duration) -> bool {
        self.events.iter().any(|(lost, event)| {
            matches!(
                event,
                Event::LoseState | Event::StepClock { .. } | Event::Restart(..)
            ) && *lost <= at + MINUTE + NOTICED
                && at <= *lost + event.length() + NOTICED
        })
    }

    /// When a process does not reach Redis. What it may not notice to be over is one outage.
    fn outages(&self, process: usize) -> Vec<Outage> {
        let mut outages: Vec<Outage> = Vec::new();
        for (from, event) in &self.events {
            let is_of_one = match event {
                Event::Cut(cut, _) if *cut == process => true,
                Event::Pause(_) | Event::Restart(..) | Event::CutAll(_) => false,
                _ => continue,
            };
            let to = *from + event.length();
            match outages.last_mut() {
                Some(last) if *from <= last.to + NOTICED => {
                    last.to = last.to.max(to);
                    last.is_of_one |= is_of_one;
                }
                _ => outages.push(Outage {
                    from: *from,
                    to,
                    is_of_one,
                }),
            }
        }
        outages
    }
}

/// A time in which a process does not reach Redis, alone for a part of it at least.
struct Outage {
    from: Duration,
    to: Duration,
    is_of_one: bool,
}

impl Event {
    fn length(self) -> Duration {
        match self {
            Self::LoseState | Self::StepClock { .. } | Self::Save => Duration::ZERO,
            Self::Pause(length)
            | Self::Restart(length, _)
            | Self::CutAll(length)
            | Self::Cut(_, length)
            | Self::Kill(_, length) => length,
        }
    }
}

fn event(is_strict: bool, count: usize) -> Event {
    let length = match fastrand::u8(0..3) {
        0 => seconds(0.1, 3.0),
        1 => seconds(1.0, 70.0),
        _ => seconds(50.0, 200.0),
    };
    match fastrand::u8(0..if is_strict { 7 } else { 11 }) {
        0 => Event::LoseState,
        1 | 2 => Event::StepClock {
            by: match fastrand::u8(0..3) {
                0 => seconds(0.3, 3.0),
                1 => seconds(1.0, 100.0),
                _ => seconds(60.0, 5000.0),
            },
            is_back: fastrand::bool(),
        },
        3 => Event::Save,
        4 => Event::Pause(length),
        5 => Event::Restart(
            length,
            fastrand::choice([Keeps::Nothing, Keeps::Snapshot, Keeps::Everything]).unwrap(),
        ),
        6 => Event::CutAll(length),
        7 | 8 => Event::Cut(fastrand::usize(0..count), length),
        _ => Event::Kill(fastrand::usize(0..count), seconds(0.0, 30.0)),
    }
}

fn seconds(from: f32, to: f32) -> Duration {
    Duration::from_secs_f32(from + fastrand::f32() * (to - from))
}
