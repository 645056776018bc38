//! Service state for systemd, by its notification protocol (`sd_notify(3)`). Does nothing if
//! `NOTIFY_SOCKET` is not set.

use std::time::Duration;

use sd_notify::NotifyState::{self, Ready, Reloading, Status, Stopping, Watchdog};
use tokio::time::interval;

/// Reports that requests are served: after the start, and after each reload, applied or refused.
/// `status` is one line for people, without secrets.
pub fn ready(status: &str) {
    notify(&[Ready, Status(status)]);
}

/// Reports a reload. [`ready`] must follow.
pub fn reloading() {
    // The time tells this reload from an earlier one. Linux always has this clock.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[Reloading, now, Status("reloading the configuration")]);
    }
}

/// Reports a shutdown; `status` as for [`ready`].
pub fn stopping(status: &str) {
    notify(&[Stopping, Status(status)]);
}

/// Reports twice within each `WatchdogSec=` that the runtime still polls its tasks; returns if systemd does
/// not ask for that.
pub async fn watchdog() {
    let Some(timeout) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut ticks = interval((timeout / 2).max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        notify(&[Watchdog]);
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::{
        env,
        os::unix::net::UnixDatagram,
        process::{Command, Stdio},
        time::Duration,
    };

    use super::*;

    /// Passes without `NOTIFY_SOCKET`, because nothing is sent.
    #[test]
    fn lifecycle() {
        ready("serving");
        reloading();
        stopping("draining");
    }

    /// Runs the test above in another process, because an environment belongs to a whole process.
    #[test]
    fn systemd_is_notified() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", "systemd::tests::lifecycle"])
            .env("NOTIFY_SOCKET", &path)
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        let next = || {
            let mut message = [0; 1024];
            let length = socket.recv(&mut message).unwrap();
            String::from_utf8(message[..length].to_vec()).unwrap()
        };
        assert_eq!(next(), "READY=1\nSTATUS=serving\n");
        let message = next();
        let [reloading, time, status] = message.lines().collect::<Vec<_>>()[..] else {
            panic!("{message}");
        };
        assert_eq!(reloading, "RELOADING=1");
        let time = time.strip_prefix("MONOTONIC_USEC=").unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
        assert_eq!(status, "STATUS=reloading the configuration");
        assert_eq!(next(), "STOPPING=1\nSTATUS=draining\n");
    }
}
