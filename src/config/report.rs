//! Collects the problems of a configuration file and the files that it includes, each with its line.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use toml::de::Error;

use super::problem::{Position, Problem};

/// A file in another format has an error on every line.
const MAX_SYNTAX_ERRORS: usize = 20;

/// Collects the problems and the warnings of the configuration file and the files that it includes.
///
/// Their texts are taken as one behind the other, so that a byte offset also says which file it is in.
pub(super) struct Report {
    /// The configuration file first. The last one is being read.
    files: Vec<File>,
    /// Where the text begins that is being read, in all texts.
    begin: usize,
    /// The keys that are written, and where, in all texts. Not a hash map: with thousands of instances its one
    /// allocation would be large enough to have the effect that `pieces.rs` avoids.
    places: BTreeMap<String, usize>,
    problems: Vec<Found>,
    /// The keys of `problems`.
    faulty: HashSet<String>,
    warnings: Vec<Found>,
    advice: Vec<Found>,
}

/// A problem, and its file and line, by which problems are sorted.
type Found = ((usize, Option<usize>), Problem);

struct File {
    /// `None` for the configuration file.
    path: Option<PathBuf>,
    /// Of its text.
    begin: usize,
    end: usize,
    line_ends: Vec<usize>,
}

impl Report {
    pub(super) fn new(text: &str) -> Self {
        Self {
            files: vec![File::new(None, 0, text)],
            begin: 0,
            places: BTreeMap::new(),
            problems: Vec::new(),
            faulty: HashSet::new(),
            warnings: Vec::new(),
            advice: Vec::new(),
        }
    }

    /// Goes on with an included file.
    pub(super) fn include(&mut self, path: &Path, text: &str) {
        let begin = self.files.last().map_or(0, |file| file.end + 1);
        let file = File::new(Some(path.to_owned()), begin, text);
        self.files.push(file);
        self.begin = begin;
    }

    /// Goes on with a piece of the text that is being read, which begins at this byte offset of it.
    pub(super) fn piece(&mut self, begin: usize) {
        self.begin = self.files.last().map_or(0, |file| file.begin) + begin;
    }

    /// The problems of a text that is not TOML: the first error of each line, of
    /// [`MAX_SYNTAX_ERRORS`] lines at most.
    pub(super) fn not_toml(&self, text: &str, errors: Vec<Error>) -> Vec<Problem> {
        // The parser reports a string or a table without an end behind the last line.
        let end = text.trim_end().len();
        let kind = other_format(text);
        let to_problem = |error: Error| {
            let at = error.span().map(|span| span.start.min(end));
            // The error's `Display` quotes the line.
            let message = format!("not TOML{kind}: {}", error.message());
            self.to_problem(self.in_all(at), "", message)
        };
        let mut problems = sorted(errors.into_iter().map(to_problem).collect());
        problems.dedup_by_key(|problem| problem.line);
        let more = problems.len().saturating_sub(MAX_SYNTAX_ERRORS);
        problems.truncate(MAX_SYNTAX_ERRORS);
        if more > 0 {
            let message = format!("and {more} more lines that are not TOML");
            problems.push(self.to_problem(self.in_all(Some(end)), "", message).1);
        }
        problems
    }

    /// Reports problems of the file that is being read.
    pub(super) fn problems(&mut self, problems: Vec<Problem>) {
        let file = self.files.len() - 1;
        let found = problems.into_iter().map(|it| ((file, it.line), it));
        self.problems.extend(found);
    }

    /// Records that `key` is written, and where.
    pub(super) fn place(&mut self, key: String, at: usize) {
        self.places.insert(key, self.begin + at);
    }

    /// The key, with its file and line if there are several files.
    pub(super) fn described(&self, key: &str) -> String {
        let Position { file, line } = self.position(key);
        match (line, file) {
            (Some(line), Some(file)) => format!("{key} ({}:{line})", file.display()),
            (Some(line), None) if self.files.len() > 1 => format!("{key} (line {line})"),
            _ => key.to_owned(),
        }
    }

    pub(super) fn is_written(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    pub(super) fn is_faulty(&self, key: &str) -> bool {
        self.faulty.contains(key)
    }

    /// Whether a key of `table` has a problem, also one that does not exist.
    pub(super) fn is_faulty_in(&self, table: &str) -> bool {
        let key_of = |key: &String| key.strip_prefix(table)?.strip_prefix('.').map(drop);
        self.faulty.iter().any(|key| key_of(key).is_some())
    }

    /// Whether `key` is written and has no problem so far.
    pub(super) fn is_valid(&self, key: &str) -> bool {
        self.is_written(key) && !self.is_faulty(key)
    }

    /// Reports a problem at the byte offset `at` of the file that is being read.
    pub(super) fn problem_at(&mut self, at: Option<usize>, key: &str, message: impl Into<String>) {
        self.add(self.in_all(at), key, message.into());
    }

    /// Reports a problem where `key` stands.
    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.add(self.at(key), key, message.into());
    }

    fn add(&mut self, at: Option<usize>, key: &str, message: String) {
        let found = self.to_problem(at, key, message);
        self.faulty.insert(key.to_owned());
        self.problems.push(found);
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

    /// Reports something of the file that is being read that is allowed and probably not intended.
    pub(super) fn warn_of_file(&mut self, message: &str) {
        let mut warning = self.to_problem(self.in_all(Some(0)), "", message.to_owned());
        warning.0.1 = None;
        warning.1.line = None;
        self.warnings.push(warning);
    }

    /// Reports something that is allowed and has a consequence that one may not expect.
    pub(super) fn advise(&mut self, key: &str, message: impl Into<String>) {
        let advice = self.to_problem(self.at(key), key, message.into());
        self.advice.push(advice);
    }

    /// The warnings and the advice, or all problems, in the order of the files and lines.
    pub(super) fn finish(self) -> Result<(Vec<Problem>, Vec<Problem>), Vec<Problem>> {
        if self.problems.is_empty() {
            Ok((sorted(self.warnings), sorted(self.advice)))
        } else {
            Err(sorted(self.problems))
        }
    }

    /// Where `key` stands, or its table if the key is not written.
    pub(super) fn position(&self, key: &str) -> Position {
        let ((_, line), problem) = self.to_problem(self.at(key), key, String::new());
        Position {
            file: problem.file,
            line,
        }
    }

    /// Where `key` stands, or else its table.
    fn at(&self, key: &str) -> Option<usize> {
        let table = || self.at(key.rsplit_once('.')?.0);
        self.places.get(key).copied().or_else(table)
    }

    /// The offset in all texts of one in the text that is being read.
    fn in_all(&self, at: Option<usize>) -> Option<usize> {
        Some(at? + self.begin)
    }

    fn to_problem(&self, at: Option<usize>, key: &str, message: String) -> Found {
        let number = self.files.partition_point(|file| Some(file.begin) <= at);
        let number = number.saturating_sub(1);
        let file = &self.files[number];
        let line = at.map(|at| file.line_ends.partition_point(|end| *end < at) + 1);
        let problem = Problem {
            file: file.path.clone(),
            line,
            key: key.to_owned(),
            message,
        };
        ((number, line), problem)
    }
}

/// The problems in the order of the files and lines.
fn sorted(mut found: Vec<Found>) -> Vec<Problem> {
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, problem)| problem).collect()
}

impl File {
    fn new(path: Option<PathBuf>, begin: usize, text: &str) -> Self {
        let line_ends = text.match_indices('\n').map(|(at, _)| begin + at);
        Self {
            path,
            begin,
            end: begin + text.len(),
            line_ends: line_ends.collect(),
        }
    }
}

/// What a text that is not TOML looks like; completes "not TOML".
fn other_format(text: &str) -> &'static str {
    let without_comment = |line| str::split(line, '#').next().unwrap_or(line).trim();
    let mut lines = text.lines().map(without_comment);
    match lines.find(|line| !line.is_empty()) {
        Some(line) if line.starts_with('{') => ", the file looks like JSON",
        Some(line) if line == "---" || line.ends_with(':') => ", the file looks like YAML",
        _ => "",
    }
}
