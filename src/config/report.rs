//! The problems of a configuration file, each with its line.
//!
//! A problem names the key and says what to write. It never quotes a value, which may be a secret.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use toml::de::Error;

/// A file in another format has an error on every line.
const MAX_SYNTAX_ERRORS: usize = 20;

/// Something in the file that the user should change. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
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
            line: None,
            key: String::new(),
            message: message.into(),
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

/// Where a key stands in the file.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// The byte offset of the key, or of its table if the key is not written.
    pub(super) at: Option<usize>,
    pub(super) is_written: bool,
}

/// Collects the problems and the warnings of one file.
pub(super) struct Report {
    line_ends: Vec<usize>,
    places: HashMap<String, Place>,
    problems: Vec<Problem>,
    /// The keys of `problems`.
    faulty: HashSet<String>,
    warnings: Vec<Problem>,
    advice: Vec<Problem>,
}

impl Report {
    pub(super) fn new(text: &str) -> Self {
        Self {
            line_ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            places: HashMap::new(),
            problems: Vec::new(),
            faulty: HashSet::new(),
            warnings: Vec::new(),
            advice: Vec::new(),
        }
    }

    /// The problems of a text that is not TOML: the first error of each line, of
    /// [`MAX_SYNTAX_ERRORS`] lines at most.
    pub(super) fn not_toml(&self, text: &str, errors: Vec<Error>) -> Vec<Problem> {
        // The parser reports a string or a table without an end behind the last line.
        let end = text.trim_end().len();
        let to_problem = |error: Error| {
            let at = error.span().map(|span| span.start.min(end));
            // The error's `Display` quotes the line.
            self.to_problem(at, "", format!("not TOML: {}", error.message()))
        };
        let mut problems: Vec<_> = errors.into_iter().map(to_problem).collect();
        problems.sort_by_key(|problem| problem.line);
        problems.dedup_by_key(|problem| problem.line);
        let more = problems.len().saturating_sub(MAX_SYNTAX_ERRORS);
        problems.truncate(MAX_SYNTAX_ERRORS);
        if more > 0 {
            let message = format!("and {more} more lines that are not TOML");
            problems.push(self.to_problem(None, "", message));
        }
        problems
    }

    /// Records where `key` stands.
    pub(super) fn place(&mut self, key: &str, place: Place) {
        self.places.insert(key.to_owned(), place);
    }

    pub(super) fn is_written(&self, key: &str) -> bool {
        self.places.get(key).is_some_and(|place| place.is_written)
    }

    pub(super) fn is_faulty(&self, key: &str) -> bool {
        self.faulty.contains(key)
    }

    /// Whether `key` is written and has no problem so far.
    pub(super) fn is_valid(&self, key: &str) -> bool {
        self.is_written(key) && !self.is_faulty(key)
    }

    /// Reports a problem at the byte offset `at`.
    pub(super) fn problem_at(&mut self, at: Option<usize>, key: &str, message: impl Into<String>) {
        let problem = self.to_problem(at, key, message.into());
        self.faulty.insert(key.to_owned());
        self.problems.push(problem);
    }

    /// Reports a problem where `key` stands.
    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.problem_at(self.at(key), key, message);
    }

    /// Reports that `key` contradicts the keys in `others`, unless one of them has a problem of its
    /// own, which may be the cause.
    pub(super) fn conflict(&mut self, key: &str, others: &[&str], message: impl Into<String>) {
        if !self.is_faulty(key) && !others.iter().any(|other| self.is_faulty(other)) {
            self.problem(key, message);
        }
    }

    /// Reports something that is allowed and probably not intended.
    pub(super) fn warn(&mut self, key: &str, message: impl Into<String>) {
        let warning = self.to_problem(self.at(key), key, message.into());
        self.warnings.push(warning);
    }

    /// Reports something that is allowed and has a consequence that one may not expect.
    pub(super) fn advise(&mut self, key: &str, message: impl Into<String>) {
        let advice = self.to_problem(self.at(key), key, message.into());
        self.advice.push(advice);
    }

    /// The warnings and the advice, or all problems, in the order of the lines.
    pub(super) fn finish(mut self) -> Result<(Vec<Problem>, Vec<Problem>), Vec<Problem>> {
        self.problems.sort_by_key(|problem| problem.line);
        self.warnings.sort_by_key(|warning| warning.line);
        self.advice.sort_by_key(|advice| advice.line);
        if self.problems.is_empty() {
            Ok((self.warnings, self.advice))
        } else {
            Err(self.problems)
        }
    }

    /// The line of `key`, or of its table if the key is not written.
    pub(super) fn line(&self, key: &str) -> Option<usize> {
        self.at(key).map(|at| self.line_at(at))
    }

    fn at(&self, key: &str) -> Option<usize> {
        self.places.get(key)?.at
    }

    fn line_at(&self, at: usize) -> usize {
        self.line_ends.partition_point(|end| *end < at) + 1
    }

    fn to_problem(&self, at: Option<usize>, key: &str, message: String) -> Problem {
        Problem {
            line: at.map(|at| self.line_at(at)),
            key: key.to_owned(),
            message,
        }
    }
}
