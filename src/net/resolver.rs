//! Name resolution by the system (`getaddrinfo`: hosts file, nsswitch, resolv.conf).
//!
//! `getaddrinfo` cannot be cancelled and takes minutes if no name server answers. So each name has at
//! most one look-up in flight, which all its callers share and none of them cancels. It runs on its own
//! thread, so that it blocks neither other names nor tokio's blocking pool. Its answer is cached for a
//! short time, even if every caller timed out before it came.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::time::timeout;

use super::look_up_cache::{LookUpCache, Reply, Subscription};

/// How long a caller waits for a look-up. glibc retries a query after 5 s, so one lost packet does not
/// fail a call.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts a look-up, which completes through the [`Reply`].
type LookUp = dyn Fn(Arc<str>, Reply) + Send + Sync;

/// Resolves names. Clones share look-ups and the cache.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    look_up: Box<LookUp>,
    cache: Mutex<LookUpCache>,
}

impl Resolver {
    /// Uses this function to start look-ups; it must not block.
    pub fn new(look_up: impl Fn(Arc<str>, Reply) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            look_up: Box::new(look_up),
            cache: Mutex::default(),
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
        self.lock().distrust(host);
    }

    fn subscribe(&self, host: &str) -> io::Result<Subscription> {
        let (answer, reply) = self.lock().subscribe(host)?;
        if let Some(reply) = reply {
            (self.0.look_up)(host.into(), reply);
        }
        Ok(answer)
    }

    fn lock(&self) -> MutexGuard<'_, LookUpCache> {
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
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
        time::{Instant, sleep},
    };

    use super::{super::look_up_cache::MAX_NAMES, *};

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
    async fn the_kind_of_an_error_shows_its_cause() {
        let (resolver, looked_up) = scripted(|_| (None, found(1)));
        for number in 0..MAX_NAMES {
            let name = format!("{number}.test");
            assert!(timeout(SECOND, resolver.resolve(&name)).await.is_err());
        }
        let error = resolver.resolve("name.test").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(count(&looked_up), MAX_NAMES);
        let resolver = Resolver::new(|_, reply| drop(reply));
        let error = resolver.resolve("name.test").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn the_system_resolver_reads_the_hosts_file() {
        let resolved = Resolver::system().resolve("localhost").await.unwrap();
        assert!(resolved.iter().all(|address| address.ip().is_loopback()));
    }
}
