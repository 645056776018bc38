//! The terminal of a person: prompts on stderr, answers from stdin.

use std::io::{self, IsTerminal as _, Write as _};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use crate::cli::{Exit, FAILURE};

/// In place of a special character: there is none (`_POSIX_VDISABLE`).
const NO_CHARACTER: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

pub(super) struct Terminal {
    /// As it was found.
    modes: Termios,
}

impl Terminal {
    /// `None` if stdin or stderr is no terminal.
    pub(super) fn new() -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(None);
        }
        let modes = tcgetattr(io::stdin())?;
        Ok(Some(Self { modes }))
    }

    /// Asks for a line. The end of the input is a failure, which is not printed.
    pub(super) async fn line(&self, prompt: &str) -> Result<Zeroizing<String>, Exit> {
        let _ = write!(io::stderr(), "  {prompt}: ");
        // A thread, because reading cannot be cancelled by a signal.
        let read = spawn_blocking(|| {
            let mut line = Zeroizing::new(String::new());
            io::stdin().read_line(&mut line).map(|bytes| (bytes, line))
        });
        let (bytes, line) = read.await.map_err(io::Error::other)??;
        if bytes == 0 {
            return Err(Exit::Reported(FAILURE));
        }
        Ok(line)
    }

    /// Replaces a prompt and its answer, which has a secret in it, by the prompt and another text.
    pub(super) fn replace(&self, prompt: &str, answer: &str, shown: &str) {
        let size = tcgetwinsize(io::stdin());
        let columns = size.map_or(0, |size| usize::from(size.ws_col));
        // A terminal that does not know its size.
        let columns = if columns == 0 { 80 } else { columns };
        let written = format!("  {prompt}: {answer}").chars().count();
        let rows = written.div_ceil(columns);
        // Moves up to the prompt, and clears all below.
        let _ = writeln!(io::stderr(), "\x1b[{rows}A\r\x1b[J  {prompt}: {shown}");
    }

    /// Asks for a line that the terminal does not show.
    pub(super) async fn hidden_line(&self, prompt: &str) -> Result<Zeroizing<String>, Exit> {
        let mut modes = self.modes.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        modes.local_modes.insert(LocalModes::ECHONL);
        // No Ctrl-Z: a shell turns the echo on, and leaves it on when the program continues.
        modes.special_codes[SpecialCodeIndex::VSUSP] = NO_CHARACTER;
        // Before the prompt: an answer may be pasted at once.
        tcsetattr(io::stdin(), OptionalActions::Now, &modes).map_err(io::Error::from)?;
        let _echo = Echo(self);
        self.line(prompt).await
    }
}

/// Restores the echo when it is dropped, so also if a signal cancels the question.
struct Echo<'t>(&'t Terminal);

impl Drop for Echo<'_> {
    fn drop(&mut self) {
        // It fails only if the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0.modes);
    }
}
