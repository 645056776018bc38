//! What the gateway goes by, and a reload replaces as a whole: the instances with their credentials,
//! who answers what, the limits of a body, the way to the old vendor. What a reload leaves as it is,
//! such as the lanes, belongs in `mod.rs`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use http::request::Parts;
use tokio::time::Instant;

use crate::{
    config::Config,
    net::Connect,
    proxy::Proxy,
    redact::SecretIndex,
    ryze::Target,
    server::validate,
    sync::lock,
    telemetry::OutcomeLabel,
    zapi::{
        auth::{Accounts, CLIENT_TOKEN},
        rejection::{BadRequest, Rejection},
        request::Limits,
        router::{Routed, Router},
    },
};

/// The rules.
pub struct Rules<C> {
    router: Router,
    proxy: Option<Arc<Proxy<C>>>,
    /// In the order of the configuration, which is that of [`Accounts`].
    instances: Vec<Instance>,
    pub(super) limits: Limits,
    /// Of all instances.
    pub(super) secrets: Arc<SecretIndex>,
}

/// An instance, and how its calls went.
#[derive(Debug)]
pub struct Instance {
    pub(super) target: Arc<Target>,
    /// The same from one set of rules to the next.
    last: Arc<Mutex<Option<Last>>>,
}

/// How the last call of an instance ended.
#[derive(Clone, Copy, Debug)]
pub struct Last {
    /// Its outcome.
    pub outcome: OutcomeLabel,
    /// When it ended.
    pub time: Instant,
}

impl<C: Connect> Rules<C> {
    /// The rules of a configuration.
    ///
    /// # Errors
    /// An instance's name or token cannot stand in a request.
    pub fn new(config: &Config, proxy: Option<Arc<Proxy<C>>>) -> Result<Self, http::Error> {
        Self::following(config, proxy, &[])
    }

    /// The rules of a configuration that comes after these instances.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(super) fn following(
        config: &Config,
        proxy: Option<Arc<Proxy<C>>>,
        before: &[Instance],
    ) -> Result<Self, http::Error> {
        let key = |target: &Target| (Arc::clone(target.entry()), Arc::clone(target.name()));
        let before: HashMap<_, _> = before
            .iter()
            .map(|it| (key(&it.target), &it.last))
            .collect();
        let instances = config.instances.iter().map(|instance| {
            let target = Target::new(
                &config.ryze.base_url,
                &instance.zapi_instance,
                &instance.ryze_instance,
                &instance.ryze_token,
            )?;
            let last = before.get(&key(&target)).map(|last| Arc::clone(last));
            Ok(Instance {
                target: Arc::new(target),
                last: last.unwrap_or_default(),
            })
        });
        Ok(Self {
            instances: instances.collect::<Result<_, http::Error>>()?,
            secrets: Arc::new(SecretIndex::of(&config.instances)),
            router: Router::new(Accounts::new(&config.instances), proxy.is_some()),
            proxy,
            limits: Limits {
                max_body: config.server.max_body,
                body_timeout: config.server.body_timeout,
                contacts_blacklist: config.policy.contacts_blacklist,
            },
        })
    }

    /// Who answers a call, if its head is sound.
    pub(super) fn route(&self, parts: &Parts) -> Result<Routed, Rejection> {
        validate::check(parts, &CLIENT_TOKEN).map_err(BadRequest::Head)?;
        Ok(self.router.route(parts))
    }

    /// The proxy to the fallback, if one is configured.
    pub fn proxy(&self) -> Option<&Arc<Proxy<C>>> {
        self.proxy.as_ref()
    }

    /// The instances, in the order of the configuration.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Those of the instances.
    pub(super) fn targets(&self) -> Vec<Arc<Target>> {
        let targets = self.instances.iter().map(Instance::target);
        targets.cloned().collect()
    }
}

impl Instance {
    /// As the upstream knows it.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// How its last call ended, if there was one.
    pub fn last(&self) -> Option<Last> {
        *lock(&self.last)
    }

    /// A call of it ended.
    pub(super) fn note(&self, outcome: OutcomeLabel) {
        let last = Last {
            outcome,
            time: Instant::now(),
        };
        *lock(&self.last) = Some(last);
    }
}
