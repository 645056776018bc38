//! What the service manager is told of the gateway's life, by systemd's notification protocol
//! (`sd_notify(3)`). Without `NOTIFY_SOCKET` in the environment nobody is told anything. When to
//! tell belongs in `lifecycle`.

use sd_notify::NotifyState::{self, Ready, Reloading, Status, Stopping};

/// Callers are served: after the start, and after each reload, applied or refused. `status` is one
/// line for people, without secrets.
pub fn ready(status: &str) {
    notify(&[Ready, Status(status)]);
}

/// The configuration is being read anew. [`ready`] must follow.
pub fn reloading() {
    // The time lets systemd tell this reload from an earlier one. Linux always has it.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[Reloading, now, Status("reading the configuration anew")]);
    }
}

/// The gateway is about to stop. `status` is as that of [`ready`].
pub fn stopping(status: &str) {
    notify(&[Stopping, Status(status)]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
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

    /// Passes without a service manager, for then nothing happens.
    #[test]
    fn a_life() {
        ready("serving");
        reloading();
        stopping("draining");
    }

    /// The environment is a process's own, so another process lives that life.
    #[test]
    fn the_systemd_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", "systemd::tests::a_life"])
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
        assert_eq!(status, "STATUS=reading the configuration anew");
        assert_eq!(next(), "STOPPING=1\nSTATUS=draining\n");
    }
}
