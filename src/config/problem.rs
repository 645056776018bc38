//! A problem of a configuration, as the user is told of it.
//!
//! It names the key and says what to write. It never quotes a value, which may be a secret.

use std::{fmt, path::PathBuf};

/// A line of a file.
#[derive(Clone, Debug)]
pub struct Position {
    /// As that of [`Problem`].
    pub file: Option<PathBuf>,
    /// Counted from 1.
    pub line: Option<usize>,
}

/// Something in the file that the user should change. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The included file that it is in; `None` for the configuration file itself.
    pub file: Option<PathBuf>,
    /// Counted from 1; `None` for a file that cannot be read and for a table that is missing.
    pub line: Option<usize>,
    /// The full key, as in `instances[2].zapi_token`; empty for a problem of the whole file.
    pub key: String,
    /// What is wrong and what to write.
    pub message: String,
}

impl Problem {
    pub(super) fn of_file(message: impl Into<String>) -> Self {
        Self {
            file: None,
            line: None,
            key: String::new(),
            message: message.into(),
        }
    }

    /// The problem with the file that it is in, if that is an included one.
    #[must_use]
    pub fn with_file(&self) -> String {
        match &self.file {
            Some(file) => format!("{}: {self}", file.display()),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.message)
    }
}
