//! The program in a terminal: typed into, and read as it appears on the screen. It has no assertions on
//! behaviour.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt as _},
    path::Path,
    process::{Child, Command},
    thread,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};
use tokio::sync::watch;

use crate::{
    harness::soon,
    process::{program, without_environment},
};

/// Dropping it kills the process.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: watch::Receiver<String>,
    /// Bytes of the screen that were looked at.
    seen: usize,
}

impl Terminal {
    /// Starts the program in a folder, with the terminal as its own.
    pub fn start(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let mut options = OpenOptions::new();
        let noctty = i32::try_from(OpenptFlags::NOCTTY.bits()).unwrap();
        let options = options.read(true).write(true).custom_flags(noctty);
        let end = || OwnedFd::from(options.open(name.to_str().unwrap()).unwrap());
        let program = program(arguments);
        // Ctrl-C is a signal only for the processes of the terminal's own session.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program.get_program());
        without_environment(command.args(program.get_args()).current_dir(folder));
        command.env("TERM", "xterm").envs(variables.iter().copied());
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        let keyboard = File::from(keyboard);
        let mut display = keyboard.try_clone().unwrap();
        let (text, screen) = watch::channel(String::new());
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let mut more = [0; 4096];
            // It fails when the last process has closed the terminal.
            while let Ok(count @ 1..) = display.read(&mut more) {
                bytes.extend_from_slice(&more[..count]);
                let whole = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
                text.send_replace(whole);
            }
        });
        Self {
            child,
            keyboard,
            screen,
            seen: 0,
        }
    }

    /// Waits until `part` appears, behind what was looked at before.
    pub async fn shows(&mut self, part: &str) {
        let seen = self.seen;
        let is_there = |text: &String| text.get(seen..).is_some_and(|new| new.contains(part));
        let found = soon(self.screen.wait_for(is_there)).await.is_ok();
        let text = self.so_far();
        assert!(found, "it ended without {part:?}: {text}");
        self.seen += text[seen..].find(part).unwrap() + part.len();
    }

    /// Types a line when `prompt` is there.
    pub async fn answer(&mut self, prompt: &str, line: &str) {
        self.shows(prompt).await;
        self.press(&format!("{line}\n"));
    }

    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether the terminal shows what is typed.
    pub fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.keyboard).unwrap();
        modes.local_modes.contains(LocalModes::ECHO)
    }

    pub fn so_far(&self) -> String {
        self.screen.borrow().clone()
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end of the process: its exit code, and all that was on the screen.
    pub async fn ended(&mut self) -> (Option<i32>, String) {
        soon(async { while self.screen.changed().await.is_ok() {} }).await;
        let code = self.child.wait().unwrap().code();
        (code, self.so_far())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
