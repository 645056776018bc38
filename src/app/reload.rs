//! Taking over another configuration while callers are served: it is read and checked as a whole, put
//! together beside the one in force, and then takes its place in one step. Whatever is wrong with it is
//! told, and nothing is changed. Which keys can be taken over is in `config/reload.rs`.

use std::{sync::Arc, time::Duration};

use tokio::{signal::unix::Signal, task::spawn_blocking, time::timeout};

use super::{LifecycleError, proxy};
use crate::{
    admin::Overview,
    config::{Config, Loaded, Problem, reload},
    gateway::{Gateway, Rules},
    net::Network,
    server::Listener,
    systemd,
    telemetry::LogLevel,
};

/// How long reading a configuration may take.
const LONGEST_LOAD: Duration = Duration::from_secs(10);

/// Reads a configuration and everything that it names.
pub type Load = Arc<dyn Fn() -> Result<Loaded, Vec<Problem>> + Send + Sync>;

/// What a configuration is in force in.
pub(super) struct Running<'g> {
    pub(super) listener: &'g Listener<Gateway<Network>>,
    pub(super) gateway: &'g Gateway<Network>,
    pub(super) overview: &'g Overview,
}

/// Loads the configuration anew at SIGHUP.
pub struct Reload {
    hangup: Signal,
    load: Load,
    log_level: LogLevel,
}

impl Reload {
    /// Answers the signal, also one that came before.
    #[must_use]
    pub fn new(hangup: Signal, load: Load, log_level: LogLevel) -> Self {
        Self {
            hangup,
            load,
            log_level,
        }
    }

    /// Goes on until it is dropped. Signals that come during a reload ask for one more.
    pub(super) async fn whenever_asked(&mut self, running: &Running<'_>) {
        while self.hangup.recv().await.is_some() {
            systemd::reloading();
            let is_applied = self.reload(running).await;
            systemd::ready(if is_applied {
                "serving"
            } else {
                "serving; the last configuration was refused"
            });
        }
    }

    /// Tells whether the configuration is in force.
    async fn reload(&self, running: &Running<'_>) -> bool {
        let load = Arc::clone(&self.load);
        // What it reads may be slow, or never come.
        let loaded = timeout(LONGEST_LOAD, spawn_blocking(move || load())).await;
        let applied = match loaded {
            Ok(Ok(Ok(loaded))) => {
                let applied = self.apply(&loaded, running);
                applied.map_err(|error| vec![error.to_string()])
            }
            Ok(Ok(Err(problems))) => Err(problems.iter().map(Problem::to_string).collect()),
            Ok(Err(_)) | Err(_) => Err(vec!["it could not be read in time".into()]),
        };
        let Err(problems) = applied else {
            tracing::info!("the configuration was loaded anew");
            return true;
        };
        running.overview.refused();
        for problem in problems {
            tracing::error!(
                problem,
                "the new configuration is refused; the old one stays in force"
            );
        }
        false
    }

    fn apply(
        &self,
        Loaded { config, warnings }: &Loaded,
        running: &Running<'_>,
    ) -> Result<(), LifecycleError> {
        let Running {
            listener,
            gateway,
            overview,
        } = running;
        let before = overview.config();
        let restart_pending = reload::restart_pending(&before, config);
        let config = reload::take_over(&before, config);
        let config = config.map_err(LifecycleError::Conflict)?;
        let rules = rules(&config, &before, gateway)?;
        for warning in reload::ambiguities(&before, &config).iter().chain(warnings) {
            tracing::warn!(%warning, "the configuration may not be as it is meant");
        }
        for key in &restart_pending {
            tracing::warn!(key, "a change of the configuration waits for a restart");
        }
        gateway.replace(rules);
        if let Some(tls) = &config.server.tls {
            listener.renew_tls(Arc::clone(&tls.server));
        }
        self.log_level.set(config.log.level);
        overview.applied(Arc::new(config), restart_pending);
        Ok(())
    }
}

/// The rules of a configuration. The proxy and its connections are kept if `[fallback]` did not change.
fn rules(
    config: &Config,
    before: &Config,
    gateway: &Gateway<Network>,
) -> Result<Rules<Network>, LifecycleError> {
    let proxy = if config.fallback == before.fallback {
        gateway.rules().proxy().cloned()
    } else {
        proxy(config)?
    };
    Ok(gateway.prepare(config, proxy)?)
}
