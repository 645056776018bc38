//! Reload of the configuration at SIGHUP.
//!
//! The new configuration is read, checked and built as a whole, and then replaces the current one in one
//! step that cannot fail. If it is not valid, its problems are logged and the current one stays in
//! force. `config/reload.rs` decides which keys a reload applies.

use std::{sync::Arc, time::Duration};

use tokio::{signal::unix::Signal, task::spawn_blocking, time::timeout};

use super::{Error, build::proxy};
use crate::{
    admin::Overview,
    config::{self, Config, Loaded, Problem, reload},
    gateway::{Gateway, Rules},
    server::Listener,
    systemd,
    telemetry::LogLevel,
};

/// Limit for reading a configuration.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a configuration and the files that it names.
pub type Load = Arc<dyn Fn() -> Result<Loaded, Vec<Problem>> + Send + Sync>;

/// The parts that a reload updates.
pub(super) struct Running<'g> {
    pub(super) listener: &'g Listener<Gateway>,
    pub(super) gateway: &'g Gateway,
    pub(super) overview: &'g Overview,
}

/// Reloads the configuration at SIGHUP.
pub struct Reload {
    hangup: Signal,
    load: Load,
    log_level: LogLevel,
}

impl Reload {
    /// Also handles a signal that `hangup` received before.
    #[must_use]
    pub fn new(hangup: Signal, load: Load, log_level: LogLevel) -> Self {
        Self {
            hangup,
            load,
            log_level,
        }
    }

    /// Reloads at each signal until it is dropped. Signals during a reload are coalesced into one more.
    pub(super) async fn run(&mut self, running: &Running<'_>) {
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

    /// Returns whether the new configuration is in force.
    async fn reload(&self, running: &Running<'_>) -> bool {
        let load = Arc::clone(&self.load);
        // A file may be on a file system that hangs.
        let loaded = timeout(LOAD_TIMEOUT, spawn_blocking(move || load())).await;
        let applied = match loaded {
            Ok(Ok(Ok(loaded))) => {
                let applied = self.apply(&loaded, running);
                applied.map_err(|error| vec![error.to_string()])
            }
            Ok(Ok(Err(problems))) => Err(problems.iter().map(Problem::with_file).collect()),
            Ok(Err(_)) | Err(_) => Err(vec!["it could not be read in time".into()]),
        };
        let Err(problems) = applied else {
            tracing::info!("the configuration was reloaded");
            tracing::info!("{}", config::routing(&running.overview.config()));
            return true;
        };
        running.overview.refused();
        for problem in problems {
            tracing::error!(
                problem,
                "the new configuration is rejected; the current one stays in force"
            );
        }
        false
    }

    fn apply(
        &self,
        Loaded {
            config, warnings, ..
        }: &Loaded,
        running: &Running<'_>,
    ) -> Result<(), Error> {
        let Running {
            listener,
            gateway,
            overview,
        } = running;
        let before = overview.config();
        let restart_pending = reload::restart_pending(&before, config);
        let config = reload::take_over(&before, config);
        let config = config.map_err(Error::Conflict)?;
        let rules = rules(&config, &before, gateway)?;
        for warning in reload::ambiguities(&before, &config).iter().chain(warnings) {
            let warning = warning.with_file();
            tracing::warn!(warning, "the configuration may not do what is intended");
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
fn rules(config: &Config, before: &Config, gateway: &Gateway) -> Result<Rules, Error> {
    let proxy = if config.fallback == before.fallback {
        gateway.rules().proxy().cloned()
    } else {
        proxy(config)?
    };
    Ok(gateway.prepare(config, proxy)?)
}
