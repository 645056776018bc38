//! Name resolution by the system (`getaddrinfo`: hosts file, nsswitch, resolv.conf).
//!
//! `getaddrinfo` cannot be cancelled and takes minutes if no name server answers. So each name has at
//! most one look-up in flight, which all its callers share and none of them cancels. It runs on its own
//! thread, so that it blocks neither other names nor tokio's blocking pool. Its answer is cached for a
//! short time, even if every caller timed out before it came.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// How long a caller waits for a look-up. glibc retries a query after 5 s, so one lost packet does not
/// fail a call.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long addresses are cached.
const CACHE_TIME: Duration = Duration::from_secs(10);
/// How long a failure is cached, and addresses of which none could be connected to.
const FAILURE_CACHE_TIME: Duration = Duration::from_secs(1);
/// Bound on cached names, and so on look-up threads. There are three upstreams; a reload may add names
/// while look-ups of replaced ones still run.
const MAX_NAMES: usize = 16;

/// Starts a look-up, which completes through the [`Reply`].
type LookUp = dyn Fn(Arc<str>, Reply) + Send + Sync;
/// The addresses, with port 0, or the kind of the error, because `io::Error` cannot be cloned.
type Addresses = Result<Arc<[SocketAddr]>, io::ErrorKind>;

/// Resolves names. Clones share look-ups and the cache.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    look_up: Box<LookUp>,
    names: Mutex<HashMap<Arc<str>, watch::Receiver<Option<Answer>>>>,
}

#[derive(Clone, Debug)]
struct Answer {
    addresses: Addresses,
    expires: Instant,
}

/// Completes a look-up. Dropping it without a result fails the look-up.
#[derive(Debug)]
pub struct Reply(watch::Sender<Option<Answer>>);

impl Resolver {
    /// Uses this function to start look-ups; it must not block.
    pub fn new(look_up: impl Fn(Arc<str>, Reply) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            look_up: Box::new(look_up),
            names: Mutex::default(),
        }))
    }

    /// The system's resolver, one per process, so that its threads have one bound.
    #[must_use]
    pub fn system() -> Self {
        static SYSTEM: LazyLock<Resolver> = LazyLock::new(|| Resolver::new(spawn_look_up));
        SYSTEM.clone()
    }

    /// Returns the addresses of a host, in the order in which to try them. Dropping the future does not
    /// cancel the look-up.
    ///
    /// # Errors
    /// `NotFound`: the name has no address, or no name server answered; `TimedOut`: the look-up exceeds
    /// [`LOOKUP_TIMEOUT`]; `ResourceBusy`: too many look-ups are in flight.
    pub async fn resolve(&self, host: &str) -> io::Result<Arc<[SocketAddr]>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Arc::new([SocketAddr::new(address, 0)]));
        }
        let mut answer = self.subscribe(host)?;
        let answer = timeout(LOOKUP_TIMEOUT, answer.wait_for(Option::is_some)).await;
        match answer.map(|answer| answer.ok().and_then(|answer| answer.clone())) {
            Ok(Some(answer)) => answer.addresses.map_err(io::Error::from),
            Ok(None) => Err(io::ErrorKind::NotFound.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Shortens the cache time of a host, because none of its addresses could be connected to.
    pub fn distrust(&self, host: &str) {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(answer) = names.get_mut(host) else {
            return;
        };
        let kept = answer.borrow().clone();
        if let Some(mut kept) = kept {
            kept.expires = kept.expires.min(Instant::now() + FAILURE_CACHE_TIME);
            *answer = watch::channel(Some(kept)).1;
        }
    }

    /// Subscribes to the cached answer, the look-up in flight or a new look-up.
    fn subscribe(&self, host: &str) -> io::Result<watch::Receiver<Option<Answer>>> {
        let (host, sender, receiver) = {
            let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            names.retain(|_, answer| {
                let answer = answer.borrow();
                answer.as_ref().is_none_or(|answer| now < answer.expires)
            });
            if let Some(answer) = names.get(host) {
                return Ok(answer.clone());
            }
            if names.len() >= MAX_NAMES {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            let (sender, receiver) = watch::channel(None);
            let host: Arc<str> = host.into();
            names.insert(Arc::clone(&host), receiver.clone());
            (host, sender, receiver)
        };
        (self.0.look_up)(host, Reply(sender));
        Ok(receiver)
    }
}

impl Reply {
    /// Completes the look-up. An error is cached as `NotFound`.
    pub fn send(self, found: io::Result<Vec<SocketAddr>>) {
        self.publish(found.unwrap_or_default());
    }

    fn publish(&self, found: Vec<SocketAddr>) {
        let (addresses, cache_time) = if found.is_empty() {
            (Err(io::ErrorKind::NotFound), FAILURE_CACHE_TIME)
        } else {
            (Ok(found.into()), CACHE_TIME)
        };
        self.0.send_replace(Some(Answer {
            addresses,
            expires: Instant::now() + cache_time,
        }));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.0.borrow().is_none() {
            self.publish(Vec::new());
        }
    }
}

fn spawn_look_up(host: Arc<str>, reply: Reply) {
    let look_up = move || {
        let found = (&*host, 0).to_socket_addrs();
        reply.send(found.map(Iterator::collect));
    };
    // If no thread can be spawned, the reply is dropped, which fails the look-up.
    let _ = thread::Builder::new().name("look-up".into()).spawn(look_up);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::{
        task::JoinSet,
        time::{advance, sleep},
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn found(last: u8) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![([192, 0, 2, last], 0).into()])
    }

    /// A resolver whose n-th look-up, counted from 0, takes this time (`None`: never completes) and
    /// returns this result.
    fn scripted(
        script: impl Fn(usize) -> (Option<Duration>, io::Result<Vec<SocketAddr>>)
        + Send
        + Sync
        + 'static,
    ) -> (Resolver, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let resolver = Resolver::new(move |_, reply| {
            let (time, found) = script(counted.fetch_add(1, Ordering::Relaxed));
            tokio::spawn(async move {
                match time {
                    Some(time) => sleep(time).await,
                    None => std::future::pending().await,
                }
                reply.send(found);
            });
        });
        (resolver, count)
    }

    fn count(counted: &AtomicUsize) -> usize {
        counted.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_needs_no_look_up() {
        let (resolver, looked_up) = scripted(|_| (None, found(1)));
        for address in ["192.0.2.7", "2001:db8::7"] {
            let resolved = resolver.resolve(address).await.unwrap();
            assert_eq!(resolved[0].ip().to_string(), address);
        }
        assert_eq!(count(&looked_up), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_share_one_look_up() {
        let (resolver, looked_up) = scripted(|_| (Some(SECOND * 3), found(1)));
        let mut callers = JoinSet::new();
        for _ in 0..500 {
            let resolver = resolver.clone();
            callers.spawn(async move { resolver.resolve("slow.test").await });
        }
        for resolved in callers.join_all().await {
            assert_eq!(*resolved.unwrap(), *found(1).unwrap());
        }
        assert_eq!(count(&looked_up), 1);
    }

    /// glibc retries a query after 5 s.
    #[tokio::test(start_paused = true)]
    async fn a_lost_packet_fails_no_caller() {
        let (resolver, looked_up) = scripted(|_| (Some(SECOND * 5), found(1)));
        resolver.resolve("slow.test").await.unwrap();
        assert_eq!(count(&looked_up), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_caller_does_not_cancel_the_look_up() {
        let (resolver, looked_up) = scripted(|_| (Some(SECOND * 5), found(1)));
        for _ in 0..4 {
            let timed_out = timeout(SECOND, resolver.resolve("slow.test")).await;
            assert!(timed_out.is_err());
        }
        sleep(SECOND * 2).await;
        let kept = timeout(Duration::ZERO, resolver.resolve("slow.test")).await;
        assert_eq!(*kept.unwrap().unwrap(), *found(1).unwrap());
        assert_eq!(count(&looked_up), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn callers_of_a_look_up_that_hangs_time_out_and_start_no_second_one() {
        let (resolver, looked_up) = scripted(|number| match number {
            0 => (None, found(0)),
            _ => (Some(Duration::ZERO), found(1)),
        });
        for _ in 0..3 {
            let begun = Instant::now();
            let error = resolver.resolve("dead.test").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(begun.elapsed(), LOOKUP_TIMEOUT);
        }
        assert_eq!(count(&looked_up), 1);
        let other = timeout(SECOND, resolver.resolve("sound.test")).await;
        assert_eq!(*other.unwrap().unwrap(), *found(1).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn answers_and_failures_are_cached() {
        let (resolver, looked_up) = scripted(|number| match number {
            0 | 1 => (Some(Duration::ZERO), Err(io::ErrorKind::Other.into())),
            _ => (Some(Duration::ZERO), found(1)),
        });
        for failures in 1..=2 {
            for _ in 0..100 {
                let error = resolver.resolve("name.test").await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::NotFound);
            }
            assert_eq!(count(&looked_up), failures);
            advance(FAILURE_CACHE_TIME).await;
        }
        resolver.resolve("name.test").await.unwrap();
        advance(CACHE_TIME - Duration::from_millis(1)).await;
        resolver.resolve("name.test").await.unwrap();
        assert_eq!(count(&looked_up), 3);
        advance(Duration::from_millis(1)).await;
        resolver.resolve("name.test").await.unwrap();
        assert_eq!(count(&looked_up), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn distrusted_addresses_are_looked_up_again_soon() {
        let (resolver, looked_up) = scripted(|_| (Some(Duration::ZERO), found(1)));
        resolver.resolve("name.test").await.unwrap();
        for _ in 0..100 {
            resolver.resolve("name.test").await.unwrap();
            resolver.distrust("name.test");
            advance(Duration::from_millis(1)).await;
        }
        assert_eq!(count(&looked_up), 1);
        advance(FAILURE_CACHE_TIME).await;
        resolver.resolve("name.test").await.unwrap();
        assert_eq!(count(&looked_up), 2);
        for _ in 0..3 {
            resolver.distrust("name.test");
            advance(FAILURE_CACHE_TIME / 2).await;
        }
        resolver.resolve("name.test").await.unwrap();
        assert_eq!(
            count(&looked_up),
            3,
            "distrusting again does not extend the cache time"
        );
        resolver.distrust("another.test");
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_not_distrusted_while_it_is_looked_up() {
        let (resolver, looked_up) = scripted(|_| (Some(SECOND), found(1)));
        let resolved = resolver.resolve("name.test");
        let distrusted = async {
            tokio::task::yield_now().await;
            resolver.distrust("name.test");
        };
        let (resolved, ()) = tokio::join!(resolved, distrusted);
        resolved.unwrap();
        advance(FAILURE_CACHE_TIME).await;
        resolver.resolve("name.test").await.unwrap();
        assert_eq!(count(&looked_up), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_reply_fails_the_look_up() {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let resolver = Resolver::new(move |_, reply| {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(reply);
        });
        for look_ups in 1..=2 {
            let error = resolver.resolve("name.test").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert_eq!(count.load(Ordering::Relaxed), look_ups);
            advance(FAILURE_CACHE_TIME).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn look_ups_are_bounded() {
        let (resolver, looked_up) = scripted(|_| (Some(SECOND * 60), found(1)));
        let resolve = |number: usize| {
            let resolver = resolver.clone();
            async move { resolver.resolve(&format!("{number}.test")).await.map(drop) }
        };
        for number in 0..MAX_NAMES {
            assert!(timeout(SECOND, resolve(number)).await.is_err());
        }
        let error = resolve(MAX_NAMES).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(count(&looked_up), MAX_NAMES);
        sleep(SECOND * 60 + CACHE_TIME).await;
        assert!(timeout(SECOND, resolve(MAX_NAMES)).await.is_err());
        assert_eq!(count(&looked_up), MAX_NAMES + 1);
    }

    #[tokio::test]
    async fn the_system_resolver_reads_the_hosts_file() {
        let resolved = Resolver::system().resolve("localhost").await.unwrap();
        assert!(resolved.iter().all(|address| address.ip().is_loopback()));
    }
}
