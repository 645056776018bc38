//! The network between processes and Redis, and what happens to both.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};
use zapi_to_ryze::budget::redis::{Replying, Store};

use super::lua_redis::{Database, LuaRedis};

const KEY: &str = "zapi-to-ryze:test";

/// One Redis, and the ways to it.
pub struct Server(Mutex<State>);

struct State {
    redis: LuaRedis,
    start: Instant,
    /// The clock of the server when the model starts, and by how much it was stepped since.
    clock: i64,
    /// Until then nothing answers: connections are refused, or hang.
    down_until: Instant,
    paused_until: Instant,
    snapshot: Database,
    restarts: u32,
}

impl Server {
    pub fn new() -> Arc<Self> {
        let now = Instant::now();
        let redis = LuaRedis::new();
        redis.database().run_id = "run0".into();
        Arc::new(Self(Mutex::new(State {
            redis,
            start: now,
            clock: 1_700_000_000_000_000,
            down_until: now,
            paused_until: now,
            snapshot: Database::default(),
            restarts: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// `FLUSHALL`, an eviction of the key, or its end.
    pub fn lose_state(&self) {
        self.lock().redis.database().sets.clear();
    }

    pub fn step_clock(&self, by: Duration, is_back: bool) {
        let by = i64::try_from(by.as_micros()).unwrap();
        self.lock().clock += if is_back { -by } else { by };
    }

    pub fn pause(&self, time: Duration) {
        let mut state = self.lock();
        state.paused_until = Instant::now() + time;
    }

    /// Another process serves after `time`: with nothing, with what was saved last, or with all.
    pub fn restart(&self, time: Duration, keeps: Keeps) {
        let mut state = self.lock();
        state.down_until = Instant::now() + time;
        state.restarts += 1;
        let run_id = format!("run{}", state.restarts);
        let saved = state.snapshot.sets.clone();
        let mut database = state.redis.database();
        database.run_id = run_id;
        match keeps {
            Keeps::Nothing => database.sets.clear(),
            Keeps::Snapshot => database.sets = saved,
            Keeps::Everything => (),
        }
    }

    pub fn save(&self) {
        let mut state = self.lock();
        let saved = state.redis.database().clone();
        state.snapshot = saved;
    }

    /// How many slots are not free, by the latest step.
    pub fn slots(&self) -> usize {
        let state = self.lock();
        let database = state.redis.database();
        let members = database.sets.get(KEY).into_iter().flatten();
        members.filter(|(score, _)| *score >= 0.0).count()
    }

    fn run(&self, arguments: &[String]) -> Result<zapi_to_ryze::budget::redis::Reply, String> {
        let state = self.lock();
        let now = i64::try_from(state.start.elapsed().as_micros()).unwrap();
        state.redis.database().time = state.clock + now;
        state.redis.eval(KEY, arguments)
    }
}

/// What of the state outlives a restart.
#[derive(Clone, Copy, Debug)]
pub enum Keeps {
    Nothing,
    Snapshot,
    Everything,
}

/// The way of one process.
pub struct Link {
    pub server: Arc<Server>,
    /// One way, less what varies.
    pub distance: Duration,
    pub jitter: Duration,
    cut_until: Mutex<Instant>,
}

impl Link {
    pub fn new(server: &Arc<Server>, distance: Duration, jitter: Duration) -> Arc<Self> {
        Arc::new(Self {
            server: Arc::clone(server),
            distance,
            jitter,
            cut_until: Mutex::new(Instant::now()),
        })
    }

    pub fn cut(&self, time: Duration) {
        *self.cut_until.lock().unwrap() = Instant::now() + time;
    }

    fn delay(&self) -> Duration {
        self.distance + self.jitter.mul_f32(fastrand::f32())
    }
}

impl Store for Link {
    fn eval<'a>(&'a self, _key: &'a str, arguments: Vec<String>) -> Replying<'a> {
        Box::pin(async move {
            sleep(self.delay()).await;
            let (is_down, paused_until) = {
                let state = self.server.lock();
                (Instant::now() < state.down_until, state.paused_until)
            };
            if is_down {
                return Err("connection refused".to_owned());
            }
            let cut_until = *self.cut_until.lock().unwrap();
            if Instant::now() < cut_until {
                sleep_until(cut_until).await;
                return Err("connection reset".to_owned());
            }
            if Instant::now() < paused_until {
                // It is carried out later, whether the process still waits or not.
                let server = Arc::clone(&self.server);
                let late = arguments.clone();
                tokio::spawn(async move {
                    sleep_until(paused_until).await;
                    drop(server.run(&late));
                });
                sleep_until(paused_until + Duration::from_millis(1)).await;
                return Err("too late".to_owned());
            }
            let mut reply = self.server.run(&arguments)?;
            if fastrand::u8(..) < 5 {
                // The connection broke before the answer came: the client asks again on another one.
                sleep(self.delay()).await;
                reply = self.server.run(&arguments)?;
            }
            sleep(self.delay()).await;
            Ok(reply)
        })
    }
}
