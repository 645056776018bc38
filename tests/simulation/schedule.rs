//! A schedule of events, generated from its seed alone. `world.rs` runs it.

use std::{ops::RangeInclusive, time::Duration};

use fastrand::Rng;
use zapi_to_ryze::{
    privacy::{Audience, Change, Operation, Setting},
    sandbox::{Call, Fault, Window},
};

use super::{fault, link::Reach, zapi::Fate};

#[derive(Debug)]
pub struct Schedule {
    pub seed: u64,
    pub share: u32,
    pub burst: u32,
    pub max_wait: Duration,
    pub deadline: Duration,
    pub request_timeout: Duration,
    /// How long the gateway waits for Z-API.
    pub zapi_timeout: Duration,
    /// Ryze's limit for each token, and how it counts.
    pub limit: u32,
    pub window: Window,
    /// WhatsApp's time for one setting.
    pub stanza: Duration,
    /// From sending to arrival.
    pub longest_transit: Duration,
    /// The number of each instance's token.
    pub tokens: Vec<usize>,
    /// In the order of time.
    pub steps: Vec<(Duration, Step)>,
}

#[derive(Clone, Debug)]
pub enum Step {
    Call(Caller),
    /// A request of the instance will have this fault.
    Fault(Fault),
    /// Another client sends this many requests with this token.
    Foreign(usize, u32),
    /// An instance loses or finds its connection to WhatsApp.
    Connected(usize, bool),
    /// An instance of Ryze gets another token than the gateway has for it, or that one again.
    Mapped(usize, bool),
    /// The result of new connections to Ryze.
    Reach(Reach),
    /// Every connection to Ryze breaks.
    Reset,
    /// The gateway is killed, and another one started.
    Restart,
    /// Ryze gives an instance its second token.
    Issue(usize),
    /// The gateway loads another configuration of an instance.
    Reload(usize, Entry),
}

/// How an instance is configured after a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// With its second token.
    Rotated,
    /// With its second token, in another entry.
    Replaced,
    /// Not at all.
    Gone,
}

#[derive(Clone, Debug)]
pub struct Caller {
    pub instance: usize,
    pub operation: Operation,
    /// For a change of a list of contacts: what Z-API does with it.
    pub zapi: Option<Fate>,
    /// Its deadline.
    pub deadline: Duration,
    pub hangs_up_after: Option<Duration>,
}

impl Schedule {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let share = match rng.u32(0..3) {
            0 => rng.u32(1..=5),
            1 => rng.u32(6..=20),
            _ => rng.u32(21..=100),
        };
        let max_wait = match rng.u32(0..3) {
            0 => Duration::ZERO,
            1 => millis(&mut rng, 1..=10_000),
            _ => millis(&mut rng, 10_001..=120_000),
        };
        let tokens_in_use = rng.usize(1..=2);
        let instances = rng.usize(1..=8);
        let mut schedule = Self {
            seed,
            share,
            burst: rng.u32(1..=share.min(20)),
            max_wait,
            deadline: millis(&mut rng, 4_000..=40_000),
            request_timeout: millis(&mut rng, 1_500..=60_000),
            zapi_timeout: Duration::ZERO,
            limit: match rng.u32(0..4) {
                0 => rng.u32(1..=share),
                _ => share + rng.u32(0..=30),
            },
            window: if rng.bool() {
                Window::Fixed
            } else {
                Window::Sliding
            },
            stanza: millis(&mut rng, 0..=400),
            longest_transit: millis(&mut rng, 0..=[200, 1_000, 8_000][seed as usize % 3]),
            tokens: (0..instances)
                .map(|_| rng.usize(0..tokens_in_use))
                .collect(),
            steps: Vec::new(),
        };
        let length = rng.u64(5_000..=240_000);
        schedule.add_callers(&mut rng, length);
        schedule.add_faults(&mut rng, length);
        schedule.add_events(&mut rng, length);
        schedule.add_rotations(&mut rng);
        schedule.add_lists(&mut Rng::with_seed(seed.reverse_bits()), length);
        schedule.steps.sort_by_key(|(at, _)| *at);
        schedule
    }

    fn add_callers(&mut self, rng: &mut Rng, length: u64) {
        let deadline = self.deadline.as_millis() as u64;
        let crowds = rng.u32(0..=4);
        let leaving = rng.u32(0..=50);
        let reading = rng.u32(0..=60);
        for crowd in 0..=crowds {
            // The first group has the single calls.
            let callers = if crowd == 0 {
                rng.u32(1..=60)
            } else {
                rng.u32(5..=40)
            };
            let start = rng.u64(0..length);
            let gap = [0, 1, 50, 500][rng.usize(0..4)];
            let one_instance = rng.bool().then(|| rng.usize(0..self.tokens.len()));
            for number in 0..u64::from(callers) {
                let at = match crowd {
                    0 => rng.u64(0..length),
                    _ => start + number * gap,
                };
                let instance = one_instance.filter(|_| crowd > 0);
                let caller = Caller {
                    instance: instance.unwrap_or_else(|| rng.usize(0..self.tokens.len())),
                    operation: if rng.u32(0..100) < reading {
                        Operation::Read
                    } else {
                        Operation::Change(change(rng))
                    },
                    zapi: None,
                    // Some bodies were read late: a later call may have an earlier deadline.
                    deadline: match rng.u32(0..4) {
                        0 => millis(rng, deadline / 2..=deadline),
                        _ => self.deadline,
                    },
                    hangs_up_after: (rng.u32(0..100) < leaving).then(|| millis(rng, 0..=deadline)),
                };
                self.steps
                    .push((Duration::from_millis(at), Step::Call(caller)));
            }
        }
    }

    /// Each schedule has only a few kinds of faults, so that none hides another.
    fn add_faults(&mut self, rng: &mut Rng, length: u64) {
        let kinds: Vec<u32> = (0..fault::KINDS).filter(|_| rng.u32(0..3) == 0).collect();
        if kinds.is_empty() {
            return;
        }
        for _ in 0..rng.u32(0..=30) {
            let kind = kinds[rng.usize(0..kinds.len())];
            let mut fault = fault::fault(rng, self, kind);
            fault.instance = Some(name(rng.usize(0..self.tokens.len())));
            fault.call = fault.call.or(match rng.u32(0..6) {
                0 => None,
                1 => Some(Call::Read),
                _ => Some(Call::Update),
            });
            let at = millis(rng, 0..=length);
            let of_read_back = (fault.call == Some(Call::Update) && rng.u32(0..3) == 0)
                .then(|| fault::of_a_read(rng, fault.instance.clone()));
            self.steps.push((at, Step::Fault(fault)));
            self.steps
                .extend(of_read_back.map(|fault| (at, Step::Fault(fault))));
        }
    }

    fn add_events(&mut self, rng: &mut Rng, length: u64) {
        let kinds: Vec<u32> = (0..7).filter(|_| rng.u32(0..3) == 0).collect();
        for kind in kinds {
            for _ in 0..rng.u32(1..=3) {
                let at = millis(rng, 0..=length);
                let until = at + millis(rng, 1..=40_000);
                let instance = rng.usize(0..self.tokens.len());
                match kind {
                    0 => {
                        let requests = rng.u32(1..=self.limit);
                        self.steps
                            .push((at, Step::Foreign(self.tokens[instance], requests)));
                    }
                    1 => {
                        self.steps.push((at, Step::Connected(instance, false)));
                        self.steps.push((until, Step::Connected(instance, true)));
                    }
                    2 => {
                        let reach = [Reach::Refused, Reach::Closed][rng.usize(0..2)];
                        self.steps.push((at, Step::Reach(reach)));
                        self.steps.push((until, Step::Reach(Reach::Possible)));
                    }
                    3 => self.steps.push((at, Step::Reset)),
                    4 => {
                        self.steps.push((at, Step::Mapped(instance, false)));
                        self.steps.push((until, Step::Mapped(instance, true)));
                    }
                    5 => {
                        // Shorter than the outage that calls survive.
                        let until = at + millis(rng, 1..=3_000);
                        self.steps.push((at, Step::Reach(Reach::Refused)));
                        self.steps.push((until, Step::Reach(Reach::Possible)));
                    }
                    _ => self.steps.push((at, Step::Restart)),
                }
            }
        }
    }
}

impl Schedule {
    /// Some instances get their second token, at most once, at Ryze before or after the gateway's reload.
    fn add_rotations(&mut self, rng: &mut Rng) {
        for instance in 0..self.tokens.len() {
            if rng.u32(0..4) > 0 {
                continue;
            }
            // While something is likely to be in flight.
            let (near, _) = self.steps[rng.usize(0..self.steps.len())];
            let [mut at, mut issued] = [near + millis(rng, 0..=1_500); 2];
            let longest = [0, 500, 10_000][rng.usize(0..3)];
            let gap = millis(rng, 0..=longest);
            *if rng.bool() { &mut at } else { &mut issued } += gap;
            self.steps.push((issued, Step::Issue(instance)));
            let entry = [Entry::Rotated, Entry::Replaced, Entry::Gone][rng.usize(0..3)];
            self.steps.push((at, Step::Reload(instance, entry)));
            if entry == Entry::Gone {
                let back = at + millis(rng, 0..=10_000);
                self.steps
                    .push((back, Step::Reload(instance, Entry::Replaced)));
            }
        }
    }
}

impl Schedule {
    /// Changes of lists of contacts, single ones and several at once, mostly near other calls. Generated
    /// apart, so that a seed's other events are the same with and without them.
    fn add_lists(&mut self, rng: &mut Rng, length: u64) {
        self.zapi_timeout = millis(rng, 1_500..=60_000);
        if rng.u32(0..3) == 0 {
            return;
        }
        let callers = self.steps.iter().filter_map(|(at, step)| match step {
            Step::Call(caller) => Some((*at, caller.instance)),
            _ => None,
        });
        let callers: Vec<_> = callers.collect();
        let leaving = rng.u32(0..=50);
        for _ in 0..rng.u32(1..=25) {
            let (mut at, mut instance) = callers[rng.usize(0..callers.len())];
            let latest = [0, 1, 2_000][rng.usize(0..3)];
            at += millis(rng, 0..=latest);
            if rng.u32(0..4) == 0 {
                at = millis(rng, 0..=length);
                instance = rng.usize(0..self.tokens.len());
            }
            for _ in 0..[1, 1, 1, 3][rng.usize(0..4)] {
                let deadline = self.deadline.as_millis() as u64;
                let caller = Caller {
                    instance,
                    operation: Operation::Change(mode_of_list(rng)),
                    zapi: Some(Fate::new(rng, self.zapi_timeout)),
                    deadline: self.deadline,
                    hangs_up_after: (rng.u32(0..100) < leaving).then(|| millis(rng, 0..=deadline)),
                };
                self.steps.push((at, Step::Call(caller)));
            }
        }
    }
}

/// The mode that is set with a list of contacts.
pub fn mode_of_list(rng: &mut Rng) -> Change {
    let settings = [
        Setting::ProfilePhoto,
        Setting::LastSeen,
        Setting::About,
        Setting::GroupAdd,
    ];
    Change {
        setting: settings[rng.usize(0..settings.len())],
        audience: Audience::ContactsExcept,
    }
}

/// The instance's name at Ryze.
pub fn name(instance: usize) -> String {
    format!("instance-{instance}")
}

pub fn change(rng: &mut Rng) -> Change {
    use Audience::{Contacts, ContactsExcept, Everyone, Nobody, SameAsLastSeen};
    let setting = Setting::ALL[rng.usize(0..Setting::ALL.len())];
    let audiences: &[Audience] = match setting {
        Setting::ProfilePhoto | Setting::LastSeen | Setting::About => {
            &[Everyone, Contacts, ContactsExcept, Nobody]
        }
        Setting::Online => &[Everyone, SameAsLastSeen],
        Setting::GroupAdd => &[Everyone, Contacts, ContactsExcept],
        Setting::ReadReceipts => &[Everyone, Nobody],
    };
    let audience = audiences[rng.usize(0..audiences.len())];
    Change { setting, audience }
}

pub fn millis(rng: &mut Rng, range: RangeInclusive<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}
