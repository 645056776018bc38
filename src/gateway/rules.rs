//! The part of the gateway that a reload replaces as a whole: instances, credentials, routing, body
//! limits and the fallback. Queues survive a reload.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::request::Parts;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    observation::Verdict,
    tally::{Recent, Tally},
};
use crate::{
    config::{Config, Mode},
    net::LOOKUP_TIMEOUT,
    proxy::Proxy,
    redact::SecretIndex,
    ryze::Target,
    server::validate,
    sync::lock,
    telemetry::{ObservedLabel, OutcomeLabel},
    zapi::{
        auth::{Accounts, CLIENT_TOKEN},
        rejection::{BadRequest, Rejection},
        request::Limits,
        router::{Destination, Routed, Router},
    },
};

pub struct Rules {
    router: Router,
    proxy: Option<Arc<Proxy>>,
    /// In the order of the configuration, as in [`Accounts`].
    instances: Vec<Instance>,
    pub(super) limits: Limits,
    /// How long a change of a list of contacts may be in flight to the fallback.
    pub(super) contacts_timeout: Duration,
    /// The secrets of all instances, which are removed from reasons.
    pub(super) secrets: Arc<SecretIndex>,
}

/// A configured instance and the record of its calls.
#[derive(Debug)]
pub struct Instance {
    pub(super) target: Arc<Target>,
    mode: Mode,
    /// Survives a reload.
    pub(super) record: SharedRecord,
}

/// What is recorded of an instance's calls.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The last translated call.
    pub(super) last: Option<Last>,
    pub(super) observed: Observed,
    pub(super) tally: Tally,
}

/// A record at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    pub last: Option<Last>,
    pub observed: Observed,
    pub recent: Recent,
}

pub(super) type SharedRecord = Arc<Mutex<Record>>;

/// What would have happened to the privacy calls that were observed.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Observed {
    pub translated: u64,
    pub forwarded: u64,
    pub refused: u64,
    pub unread: u64,
    /// Why the last call that would have been refused would have been.
    pub last_refusal: Option<OutcomeLabel>,
}

impl Observed {
    pub(super) fn count(&mut self, verdict: Verdict) {
        let counter = match verdict.label {
            ObservedLabel::Translated => &mut self.translated,
            ObservedLabel::Forwarded => &mut self.forwarded,
            ObservedLabel::Refused => &mut self.refused,
            ObservedLabel::Unread => &mut self.unread,
        };
        *counter += 1;
        self.last_refusal = verdict.reason.or(self.last_refusal);
    }
}

/// The last call of an instance.
#[derive(Clone, Copy, Debug)]
pub struct Last {
    pub outcome: OutcomeLabel,
    pub time: Instant,
}

impl Rules {
    /// # Errors
    /// If an instance's name or token is not valid in a request.
    pub fn new(config: &Config, proxy: Option<Arc<Proxy>>) -> Result<Self, http::Error> {
        Self::following(config, proxy, &[])
    }

    /// Keeps the records of the instances that were configured before.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(super) fn following(
        config: &Config,
        proxy: Option<Arc<Proxy>>,
        before: &[Instance],
    ) -> Result<Self, http::Error> {
        let key = |target: &Target| (Arc::clone(target.entry()), Arc::clone(target.name()));
        let before: HashMap<_, _> = before
            .iter()
            .map(|it| (key(&it.target), &it.record))
            .collect();
        let instances = config.instances.iter().map(|instance| {
            let target = Target::new(
                &config.ryze.base_url,
                Arc::clone(&instance.zapi_instance),
                Arc::clone(&instance.ryze_instance),
                &instance.ryze_token,
            )?;
            let record = before.get(&key(&target)).map(|record| Arc::clone(record));
            Ok(Instance {
                target: Arc::new(target),
                mode: instance.mode,
                record: record.unwrap_or_default(),
            })
        });
        Ok(Self {
            instances: instances.collect::<Result<_, http::Error>>()?,
            secrets: Arc::new(SecretIndex::of(&config.instances)),
            router: Router::new(Accounts::new(&config.instances), proxy.is_some()),
            proxy,
            contacts_timeout: config.fallback.as_ref().map_or(Duration::ZERO, |fallback| {
                LOOKUP_TIMEOUT + fallback.connect_timeout + fallback.idle_timeout
            }),
            limits: Limits {
                max_body: config.server.max_body,
                body_timeout: config.server.body_timeout,
                contacts_blacklist: config.policy.contacts_blacklist,
            },
        })
    }

    /// The destination of a request, if its head is valid. Only the fallback gets a target that is not
    /// ASCII: some clients send UTF-8, and it is for the fallback to accept it.
    pub(super) fn route(&self, parts: &Parts) -> Result<Routed, Rejection> {
        validate::check(parts, &CLIENT_TOKEN).map_err(BadRequest::Head)?;
        let routed = self.router.route(parts);
        if !matches!(routed.destination, Ok(Destination::Fallback)) {
            validate::check_ascii(&parts.uri).map_err(BadRequest::Head)?;
        }
        Ok(routed)
    }

    /// The proxy to the fallback, if one is configured.
    pub fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.proxy.as_ref()
    }

    /// In the order of the configuration.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    pub(super) fn targets(&self) -> Vec<Arc<Target>> {
        let targets = self.instances.iter().map(Instance::target);
        targets.cloned().collect()
    }
}

impl Instance {
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub fn recorded(&self, now: Instant) -> Recorded {
        let mut record = lock(&self.record);
        Recorded {
            last: record.last,
            observed: record.observed,
            recent: record.tally.recent(now),
        }
    }
}
