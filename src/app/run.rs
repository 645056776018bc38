//! The gateway at work, from its first caller to its last.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{Bound, LifecycleError, Reload, reload::Running};
use crate::{admin::Phase, systemd};

/// Time for the last answers to reach their callers once every deadline was cut short.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

impl Bound {
    /// Takes over another configuration whenever the process gets SIGHUP.
    #[must_use]
    pub fn reloading(mut self, reload: Reload) -> Self {
        self.reload = Some(reload);
        self
    }

    /// Serves until a signal, then stops in order.
    ///
    /// # Errors
    /// [`LifecycleError::Cut`].
    pub async fn run(mut self) -> Result<(), LifecycleError> {
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
                Some(reload) => reload.whenever_asked(&running).await,
                None => std::future::pending().await,
            }
        };
        systemd::ready("serving");
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
        let in_a_hurry = tokio::select! {
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
        let clean = !in_a_hurry
            && tokio::select! {
                result = timeout(drain.limit, finished) => result.is_ok(),
                () = &mut admin => false,
                () = self.stop.signalled() => false,
            };
        if clean {
            tracing::info!("stopped");
            return Ok(());
        }
        overview.enter(Phase::Cut);
        self.abort.cancel();
        // Who cannot take its answer in this time is gone.
        let _ = timeout(LAST_ANSWERS, connections.wait()).await;
        Err(LifecycleError::Cut)
    }
}
