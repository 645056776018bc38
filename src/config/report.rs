//! The file as the user wrote it: from its text to a tree of tables, with every problem on the way
//! instead of the first one alone.
//!
//! How a table is read belongs in `table.rs`; which keys there are, their defaults and the rules
//! between them in `rules.rs`.

use std::{cell::RefCell, fmt};

use toml::de::{DeTable, Error};

use super::table::Table;

/// A file in another format has an error on every line.
const MAX_SYNTAX_ERRORS: usize = 20;

/// Something in the file that the user should change. No secret is ever part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1; none where the file lacks something or cannot be read.
    pub line: Option<usize>,
    /// The full key, as in `instances[2].zapi_token`; empty where it is not about a key.
    pub key: String,
    /// What is wrong and what to write.
    pub message: String,
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

/// Reads a whole file: `read` takes every key that it knows, and what it did not take is unknown.
///
/// # Errors
///
/// Every problem, in the order of the lines. Otherwise what was read comes with the warnings.
pub(super) fn read<T>(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    read: impl FnOnce(&mut Table<'_>) -> T,
) -> Result<(T, Vec<Problem>), Vec<Problem>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let file = File {
        line_ends: text.match_indices('\n').map(|(at, _)| at).collect(),
        environment,
        problems: RefCell::default(),
        warnings: RefCell::default(),
    };
    if !errors.is_empty() {
        return Err(file.not_toml(errors, text.trim_end().len()));
    }
    let value = Table::read(&file, String::new(), None, tree.into_inner(), read);
    let warnings = file.warnings.take();
    let mut problems = file.problems.take();
    problems.sort_by_key(|problem| problem.line);
    if problems.is_empty() {
        Ok((value, warnings))
    } else {
        Err(problems)
    }
}

/// What all tables and keys of one file share.
pub(super) struct File<'f> {
    /// Where its lines end.
    line_ends: Vec<usize>,
    /// The value of an environment variable.
    pub(super) environment: &'f dyn Fn(&str) -> Option<String>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl File<'_> {
    /// The first error of each line, of [`MAX_SYNTAX_ERRORS`] lines at most.
    /// What is not closed is reported at `end`, the last line with a text.
    fn not_toml(&self, errors: Vec<Error>, end: usize) -> Vec<Problem> {
        let to_problem = |error: Error| {
            // Its `Display` quotes the line, which may hold a secret.
            let message = format!("not TOML: {}", error.message());
            self.problem(error.span().map(|span| span.start.min(end)), "", message)
        };
        let mut problems: Vec<_> = errors.into_iter().map(to_problem).collect();
        problems.sort_by_key(|problem| problem.line);
        problems.dedup_by_key(|problem| problem.line);
        let more = problems.len().saturating_sub(MAX_SYNTAX_ERRORS);
        problems.truncate(MAX_SYNTAX_ERRORS);
        if more > 0 {
            problems.push(self.problem(
                None,
                "",
                format!("and {more} more lines that are not TOML"),
            ));
        }
        problems
    }

    fn problem(&self, at: Option<usize>, key: &str, message: impl Into<String>) -> Problem {
        Problem {
            line: at.map(|at| self.line_ends.partition_point(|end| *end < at) + 1),
            key: key.to_owned(),
            message: message.into(),
        }
    }

    /// Reports a problem with a key.
    pub(super) fn report(&self, at: Option<usize>, key: &str, message: impl Into<String>) {
        let problem = self.problem(at, key, message);
        self.problems.borrow_mut().push(problem);
    }

    /// Reports what is allowed and yet may not be meant.
    pub(super) fn warn(&self, at: Option<usize>, key: &str, message: impl Into<String>) {
        let warning = self.problem(at, key, message);
        self.warnings.borrow_mut().push(warning);
    }

    /// Whether a problem with this key is known already.
    pub(super) fn has_problem(&self, key: &str) -> bool {
        self.problems
            .borrow()
            .iter()
            .any(|problem| problem.key == key)
    }
}
