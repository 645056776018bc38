//! Runs a gateway: serves until a signal, drains what is in flight, and aborts the rest.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{Bound, Error, Reload, reload::Running};
use crate::{admin::Phase, config, server::Address, systemd};

/// Time to send the responses of aborted calls.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

impl Bound {
    /// The address of the admin listener.
    #[must_use]
    pub fn admin_address(&self) -> Option<Address> {
        self.admin.as_ref()?.address().ok()
    }

    /// Reloads the configuration at SIGHUP.
    #[must_use]
    pub fn reloading(mut self, reload: Reload) -> Self {
        self.reload = Some(reload);
        self
    }

    /// Serves until a signal, then shuts down.
    ///
    /// # Errors
    /// [`Error::Aborted`].
    pub async fn run(mut self) -> Result<(), Error> {
        // Until the last connection is closed: a drain is not a hang.
        let _watchdog = AbortOnDropHandle::new(tokio::spawn(systemd::watchdog()));
        let overview = &self.overview;
        let admin = async {
            match &self.admin {
                Some(admin) => admin.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(admin);
        let running = Running {
            listener: &self.listener,
            gateway: &self.gateway,
            overview,
        };
        let reloads = async {
            match &mut self.reload {
                Some(reload) => reload.run(&running).await,
                None => std::future::pending().await,
            }
        };
        systemd::ready("serving");
        tracing::info!("{}", config::routing(&overview.config()));
        tokio::select! {
            () = self.listener.accept() => (),
            () = &mut admin => (),
            () = reloads => (),
            () = self.stop.signalled() => (),
        }
        tracing::info!("stopping");
        systemd::stopping("draining requests in flight");
        overview.enter(Phase::Delaying);
        let drain = overview.config().server.drain.clone();
        let is_urgent = tokio::select! {
            () = self.listener.accept() => false,
            () = &mut admin => false,
            () = self.stop.signalled() => true,
            () = sleep(drain.delay) => false,
        };
        overview.enter(Phase::Draining);
        let connections = self.listener.stop();
        let finished = async {
            connections.wait().await;
            self.queues.idle().await;
        };
        let clean = !is_urgent
            && tokio::select! {
                result = timeout(drain.limit, finished) => result.is_ok(),
                () = &mut admin => false,
                () = self.stop.signalled() => false,
            };
        if clean {
            tracing::info!("stopped");
            return Ok(());
        }
        overview.enter(Phase::Aborted);
        self.abort.cancel();
        // A client that does not read its response in this time is disconnected.
        let _ = timeout(ABORT_TIMEOUT, connections.wait()).await;
        Err(Error::Aborted)
    }
}
