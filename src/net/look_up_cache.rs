//! The look-ups of names: those in flight, and the answers of the others, which are cached for a short
//! time.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

/// How long addresses are cached.
const CACHE_TIME: Duration = Duration::from_secs(10);
/// How long a failed look-up is cached, and addresses that all refused a connection or timed out.
const FAILURE_CACHE_TIME: Duration = Duration::from_secs(1);
/// Bound on names, and so on look-up threads. There are three upstreams; a reload may add names while
/// look-ups of replaced ones still run.
pub(super) const MAX_NAMES: usize = 16;

/// The answer of a look-up; `None` while it is in flight.
pub(super) type Subscription = watch::Receiver<Option<Answer>>;

#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The addresses, with port 0, or the kind of the error, because `io::Error` cannot be cloned.
    pub(super) addresses: Result<Arc<[SocketAddr]>, io::ErrorKind>,
    expires: Instant,
}

#[derive(Debug, Default)]
pub(super) struct LookUpCache(HashMap<Box<str>, Subscription>);

/// Completes a look-up. Dropping it without a result fails the look-up.
#[derive(Debug)]
pub struct Reply(watch::Sender<Option<Answer>>);

impl LookUpCache {
    /// Subscribes to the cached answer or the look-up in flight, or else to a new look-up, which the caller
    /// starts with the reply.
    ///
    /// # Errors
    /// `ResourceBusy`: there are [`MAX_NAMES`] others.
    pub(super) fn subscribe(&mut self, host: &str) -> io::Result<(Subscription, Option<Reply>)> {
        let now = Instant::now();
        self.0.retain(|_, answer| {
            let answer = answer.borrow();
            answer.as_ref().is_none_or(|answer| now < answer.expires)
        });
        if let Some(answer) = self.0.get(host) {
            return Ok((answer.clone(), None));
        }
        if self.0.len() >= MAX_NAMES {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let (sender, receiver) = watch::channel(None);
        self.0.insert(host.into(), receiver.clone());
        Ok((receiver, Some(Reply(sender))))
    }

    /// Shortens the cache time of a host, because none of its addresses could be connected to.
    pub(super) fn distrust(&mut self, host: &str) {
        let Some(answer) = self.0.get_mut(host) else {
            return;
        };
        let cached = answer.borrow().clone();
        if let Some(mut cached) = cached {
            cached.expires = cached.expires.min(Instant::now() + FAILURE_CACHE_TIME);
            *answer = watch::channel(Some(cached)).1;
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::time::advance;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// The reply of a new look-up, or `None` if the host is cached or in flight.
    fn look_up(cache: &mut LookUpCache, host: &str) -> Option<Reply> {
        cache.subscribe(host).unwrap().1
    }

    fn answer(cache: &mut LookUpCache) {
        let address = ([192, 0, 2, 1], 0).into();
        look_up(cache, "name.test").unwrap().send(Ok(vec![address]));
    }

    fn error(cache: &mut LookUpCache) -> io::ErrorKind {
        let (answer, _) = cache.subscribe("name.test").unwrap();
        let answer = answer.borrow().clone();
        answer.unwrap().addresses.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn answers_and_failures_are_cached() {
        let mut cache = LookUpCache::default();
        answer(&mut cache);
        advance(CACHE_TIME - MILLISECOND).await;
        assert!(look_up(&mut cache, "name.test").is_none());
        advance(MILLISECOND).await;
        let reply = look_up(&mut cache, "name.test").unwrap();
        reply.send(Err(io::ErrorKind::Other.into()));
        assert_eq!(error(&mut cache), io::ErrorKind::NotFound);
        advance(FAILURE_CACHE_TIME - MILLISECOND).await;
        assert!(look_up(&mut cache, "name.test").is_none());
        advance(MILLISECOND).await;
        assert!(look_up(&mut cache, "name.test").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_reply_fails_the_look_up() {
        let mut cache = LookUpCache::default();
        drop(look_up(&mut cache, "name.test").unwrap());
        assert_eq!(error(&mut cache), io::ErrorKind::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn distrusted_addresses_are_looked_up_again_soon() {
        let mut cache = LookUpCache::default();
        answer(&mut cache);
        advance(FAILURE_CACHE_TIME).await;
        for _ in 0..2 {
            // Distrusting again does not extend the cache time.
            cache.distrust("name.test");
            advance(FAILURE_CACHE_TIME / 2).await;
            cache.distrust("another.test");
        }
        answer(&mut cache);
        cache.distrust("name.test");
        advance(FAILURE_CACHE_TIME - MILLISECOND).await;
        assert!(look_up(&mut cache, "name.test").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_not_distrusted_while_it_is_looked_up() {
        let mut cache = LookUpCache::default();
        let reply = look_up(&mut cache, "name.test").unwrap();
        cache.distrust("name.test");
        reply.send(Ok(vec![([192, 0, 2, 1], 0).into()]));
        advance(FAILURE_CACHE_TIME).await;
        assert!(look_up(&mut cache, "name.test").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn look_ups_are_bounded() {
        let mut cache = LookUpCache::default();
        let names = (0..MAX_NAMES).map(|number| format!("{number}.test"));
        let mut replies: Vec<_> = names.map(|name| look_up(&mut cache, &name)).collect();
        let error = cache.subscribe("name.test").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        // A look-up that hangs keeps its place.
        advance(CACHE_TIME * 10).await;
        assert!(cache.subscribe("name.test").is_err());
        drop(replies.pop());
        assert!(cache.subscribe("name.test").is_err());
        advance(FAILURE_CACHE_TIME).await;
        assert!(look_up(&mut cache, "name.test").is_some());
    }
}
