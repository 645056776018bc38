//! What the gateway goes by, and a reload replaces as a whole: the instances with their credentials,
//! who answers what, the limits of a body, the way to the old vendor. What a reload leaves as it is,
//! such as the lanes, belongs in `mod.rs`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use http::request::Parts;
use tokio::time::Instant;

use super::targets::Targets;
use crate::{
    config::Config,
    fallback::Fallback,
    network::Connect,
    ryze::{Credentials, Target},
    server::head,
    sync::lock,
    telemetry::OutcomeLabel,
    zapi::{
        accounts::{Accounts, CLIENT_TOKEN},
        request::Limits,
        response::Refusal,
        router::{Routed, Router},
    },
};

/// The rules.
pub struct Rules<C> {
    router: Router<Arc<Fallback<C>>>,
    /// In the order of the configuration, which is that of [`Accounts`].
    instances: Vec<Instance>,
    pub(super) limits: Limits,
    /// Tokens that some instances get with these rules.
    renewals: Vec<(Arc<Target>, Credentials)>,
}

/// An instance, and how its calls went.
#[derive(Debug)]
pub struct Instance {
    /// As callers know it.
    pub(super) id: String,
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
    pub fn new(config: &Config, fallback: Option<Arc<Fallback<C>>>) -> Result<Self, http::Error> {
        Self::following(config, fallback, &[], &[])
    }

    /// The rules of a configuration that comes after these instances, while these targets are in use.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(super) fn following(
        config: &Config,
        fallback: Option<Arc<Fallback<C>>>,
        before: &[Instance],
        in_use: &[Arc<Target>],
    ) -> Result<Self, http::Error> {
        let Targets {
            of_instances,
            renewals,
        } = Targets::new(config, before, in_use)?;
        let by_id: HashMap<_, _> = before.iter().map(|it| (it.id.as_str(), it)).collect();
        let instances = config.instances.iter().zip(of_instances);
        let instances = instances.map(|(instance, target)| {
            let id = instance.zapi_instance.clone();
            let same = by_id.get(id.as_str()).filter(|it| it.target == target);
            let last = same.map(|before| Arc::clone(&before.last));
            Instance {
                id,
                target,
                last: last.unwrap_or_default(),
            }
        });
        Ok(Self {
            instances: instances.collect(),
            renewals,
            router: Router::new(Accounts::new(&config.instances), fallback),
            limits: Limits {
                max_body: config.server.max_body,
                body_timeout: config.server.body_timeout,
                contacts_blacklist: config.policy.contacts_blacklist,
            },
        })
    }

    /// Who answers a call, if its head is sound.
    pub(super) fn route(&self, parts: &Parts) -> Result<Routed<'_, Arc<Fallback<C>>>, Refusal> {
        head::check(parts, &CLIENT_TOKEN).map_err(Refusal::BadRequest)?;
        Ok(self.router.route(parts))
    }

    /// The way to the old vendor.
    pub fn fallback(&self) -> Option<Arc<Fallback<C>>> {
        self.router.fallback().cloned()
    }

    /// The instances, in the order of the configuration.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// The rules are in force: the instances get their new tokens.
    pub(super) fn renew_tokens(&mut self) {
        for (target, credentials) in self.renewals.drain(..) {
            target.renew(credentials);
        }
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
