//! An upstream at the other end of in-memory pipes, for tests on a paused clock: sockets and a paused
//! clock do not mix. It confirms every update and returns the last one to a read, in the form and after
//! the time that a test sets.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt as _, DuplexStream, duplex},
    time::{Instant, sleep},
};
use zapi_to_ryze::{
    budget::{Budget, Quota},
    net::{Connect, Opening},
    ryze::Target,
};

use crate::harness::{Message, answer};

/// The result of one request.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// From its sending to its arrival.
    pub transit: Duration,
    /// From its arrival to the answer.
    pub work: Duration,
    pub ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// What was asked for is confirmed.
    Confirm,
    /// This status and body.
    Answer(u16, &'static str, &'static str),
    /// The connection is closed without an answer.
    Close,
    /// What was asked for is confirmed, and the connection closed.
    ConfirmAndClose,
    /// There is never an answer.
    Hang,
}

impl Fate {
    pub const fn confirmed_after(work: Duration) -> Self {
        Self {
            transit: Duration::ZERO,
            work,
            ending: Ending::Confirm,
        }
    }
}

/// The connector to it. Clones share the upstream.
#[derive(Clone)]
pub struct Pipes {
    fate: Arc<dyn Fn(usize) -> Fate + Send + Sync>,
    arrivals: Arc<Mutex<Vec<(Instant, Message)>>>,
    /// How connections fail, if they do.
    refusal: Arc<Mutex<Option<io::ErrorKind>>>,
    connects: Arc<Mutex<Vec<Instant>>>,
}

impl Pipes {
    /// `fate` decides the result of the n-th request that arrives, from 0.
    pub fn new(fate: impl Fn(usize) -> Fate + Send + Sync + 'static) -> Self {
        Self {
            fate: Arc::new(fate),
            arrivals: Arc::default(),
            refusal: Arc::default(),
            connects: Arc::default(),
        }
    }

    pub fn refusing() -> Self {
        let pipes = Self::new(|_| Fate::confirmed_after(Duration::ZERO));
        pipes.refuse(Some(io::ErrorKind::ConnectionRefused));
        pipes
    }

    /// From now on connections fail so, or with none are opened again.
    pub fn refuse(&self, how: Option<io::ErrorKind>) {
        *self.refusal.lock().unwrap() = how;
    }

    /// When connections were asked for.
    pub fn connects(&self) -> Vec<Instant> {
        self.connects.lock().unwrap().clone()
    }

    /// When requests arrived.
    pub fn arrivals(&self) -> Vec<Instant> {
        self.arrivals
            .lock()
            .unwrap()
            .iter()
            .map(|(at, _)| *at)
            .collect()
    }

    /// The bodies that arrived; that of a read is empty.
    pub fn bodies(&self) -> Vec<String> {
        let arrivals = self.arrivals.lock().unwrap();
        arrivals
            .iter()
            .map(|(_, request)| request.body.clone())
            .collect()
    }

    /// The tokens that requests arrived with.
    pub fn tokens(&self) -> Vec<String> {
        let arrivals = self.arrivals.lock().unwrap();
        let tokens = arrivals.iter().map(|(_, it)| it.header("token"));
        tokens.map(|token| token.unwrap().to_owned()).collect()
    }

    async fn serve(self, mut stream: DuplexStream) {
        while let Some(request) = Message::read(&mut stream).await {
            let number = self.arrivals.lock().unwrap().len();
            let fate = (self.fate)(number);
            sleep(fate.transit).await;
            self.arrivals
                .lock()
                .unwrap()
                .push((Instant::now(), request));
            sleep(fate.work).await;
            let mut bodies = self.bodies();
            bodies.truncate(number + 1);
            let settings = bodies.iter().rfind(|body| !body.is_empty());
            let settings = settings.map_or("{}", String::as_str);
            let body = format!("{{\"success\":true,\"settings\":{settings}}}");
            let bytes = match fate.ending {
                Ending::Confirm | Ending::ConfirmAndClose => answer(200, "", &body),
                Ending::Answer(status, headers, body) => answer(status, headers, body),
                Ending::Close => return,
                Ending::Hang => return std::future::pending().await,
            };
            let written = stream.write_all(bytes.as_bytes()).await;
            if written.is_err() || fate.ending == Ending::ConfirmAndClose {
                return;
            }
        }
    }
}

impl Connect for Pipes {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async {
            self.connects.lock().unwrap().push(Instant::now());
            if let Some(how) = *self.refusal.lock().unwrap() {
                return Err(how.into());
            }
            let (near, far) = duplex(16 * 1024);
            tokio::spawn(self.clone().serve(far));
            Ok(Box::new(near) as _)
        })
    }
}

/// A budget for everything.
pub fn budget(share: u32, burst: u32, max_wait: Duration) -> Budget {
    Budget::new(Quota {
        share,
        burst,
        max_wait,
    })
}

/// The most calls of one instance that may wait, where a test is not about that.
pub const MAX_WAITING: usize = 2000;

/// An instance of this name at the upstream.
pub fn target(name: &str) -> Arc<Target> {
    target_of(name, name, "token")
}

/// An instance as an entry of the configuration has it.
pub fn target_of(entry: &str, name: &str, token: &str) -> Arc<Target> {
    let base_url = "http://ryze.test".parse().unwrap();
    let token = zapi_to_ryze::config::Secret::new(token);
    Arc::new(Target::new(&base_url, entry, name, &token).unwrap())
}
