//! Reads the tables of a TOML file, row by row.

use std::borrow::Cow;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    key::{Context, Row},
    keys::Owner,
    report::Report,
};
use crate::spelling::is_close;

/// The key of the files to include, at the top of the configuration file.
const INCLUDE: &str = "include";

/// Reads tables and reports their problems.
pub(super) struct Reader<'r, 'e> {
    pub(super) report: Report,
    pub(super) context: &'r mut Context<'e>,
    /// How many elements of arrays were read, which numbers them across the files.
    pub(super) elements: usize,
}

/// The table that is being read.
#[derive(Clone, Copy)]
struct At<'t> {
    /// As the user knows it, as in `instances[2]`; empty for the root.
    path: &'t str,
    /// The start of its rows' paths, as in `instances[].`.
    prefix: &'t str,
}

impl Reader<'_, '_> {
    /// Reads the root. `arrays` are keys that the caller has taken out.
    pub(super) fn root<O: Owner>(
        &mut self,
        entries: DeTable<'_>,
        arrays: &[&'static str],
        owner: &mut O,
    ) {
        let root = At {
            path: "",
            prefix: "",
        };
        self.table(root, entries, arrays, owner);
    }

    /// Reads the array of tables `name`, each with its path. There must be one if `is_required`.
    pub(super) fn array<O: Owner + Default>(
        &mut self,
        name: &'static str,
        value: Option<(Spanned<Cow<'_, str>>, Spanned<DeValue<'_>>)>,
        is_required: bool,
    ) -> Vec<(String, O)> {
        let hint = format!("write `[[{name}]]` and its keys");
        let (at, value) = value.unzip();
        let at = at.map(|key| key.span().start);
        let elements = match value.map(Spanned::into_inner) {
            None => Vec::new(),
            Some(DeValue::Array(elements)) => elements.into_iter().collect(),
            Some(_) => {
                let message = format!("must be an array of tables; {hint}");
                self.report.problem_at(at, name, message);
                return Vec::new();
            }
        };
        if elements.is_empty() && is_required {
            let message = format!("there is none; {hint}, or `[fallback]` to pass every call on");
            self.report.problem_at(at, name, message);
        }
        let mut owners = Vec::with_capacity(elements.len());
        for element in elements {
            let at = element.span().start;
            match element.into_inner() {
                DeValue::Table(entries) => owners.push(self.element(name, at, entries)),
                _ => {
                    let path = self.next_path(name, at);
                    let message = format!("must be a table; {hint}");
                    self.report.problem_at(Some(at), &path, message);
                }
            }
        }
        owners
    }

    /// Reads one element of the array of tables `name`, which begins at the byte offset `at`.
    pub(super) fn element<O: Owner + Default>(
        &mut self,
        name: &str,
        at: usize,
        entries: DeTable<'_>,
    ) -> (String, O) {
        let path = self.next_path(name, at);
        let table = At {
            path: &path,
            prefix: &format!("{name}[]."),
        };
        let mut owner = O::default();
        self.table(table, entries, &[], &mut owner);
        (path, owner)
    }

    /// The path of the next element, which begins at the byte offset `at`.
    fn next_path(&mut self, name: &str, at: usize) -> String {
        let path = format!("{name}[{}]", self.elements);
        self.elements += 1;
        self.report.place(path.clone(), at);
        path
    }

    fn table<O: Owner>(
        &mut self,
        table: At<'_>,
        mut entries: DeTable<'_>,
        arrays: &[&'static str],
        owner: &mut O,
    ) {
        let mut known = Vec::new();
        for row in O::ROWS {
            let Some(name) = row.path().strip_prefix(table.prefix) else {
                continue;
            };
            let (name, is_key) = name
                .split_once('.')
                .map_or((name, true), |(name, _)| (name, false));
            if known.contains(&name) {
                continue;
            }
            known.push(name);
            let (key, value) = entries.remove_entry(name).unzip();
            let path = table.path_of(name);
            if let Some(key) = key {
                self.report.place(path.clone(), key.span().start);
            }
            let value = value.map(Spanned::into_inner);
            if is_key {
                self.key(*row, &path, value, owner);
            } else {
                let inner = At {
                    path: &path,
                    prefix: &format!("{}{name}.", table.prefix),
                };
                self.inner_table(inner, value, owner);
            }
        }
        known.extend(arrays);
        self.unknown(table, &entries, &known);
    }

    fn key<O>(&mut self, row: &dyn Row<O>, path: &str, value: Option<DeValue<'_>>, owner: &mut O) {
        row.reset(owner);
        match value {
            Some(value) => {
                if let Err(message) = row.read(owner, &value, self.context) {
                    self.report.problem(path, message);
                }
                for warning in self.context.warnings.drain(..) {
                    self.report.warn(path, warning);
                }
            }
            None if row.is_required(owner) => self.report.problem(path, "missing; write it"),
            None => (),
        }
    }

    fn inner_table<O: Owner>(&mut self, table: At<'_>, value: Option<DeValue<'_>>, owner: &mut O) {
        let entries = match value {
            None => DeTable::new(),
            Some(DeValue::Table(entries)) => {
                owner.add_table(table.path);
                entries
            }
            Some(_) => {
                let message = format!("must be a table; write `[{}]`", table.path);
                self.report.problem(table.path, message);
                DeTable::new()
            }
        };
        self.table(table, entries, &[], owner);
    }

    fn unknown(&mut self, table: At<'_>, entries: &DeTable<'_>, known: &[&str]) {
        for key in entries.keys() {
            let name = key.get_ref().as_ref();
            let message = if name == INCLUDE && !table.path.is_empty() {
                "stands in a table; write it above the first table".to_owned()
            } else {
                format!("unknown key; {}", instead(name, known))
            };
            let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let path = if !name.is_empty() && name.bytes().all(is_bare) {
                table.path_of(name)
            } else {
                table.path_of(&format!("\"{}\"", name.escape_debug()))
            };
            self.report
                .problem_at(Some(key.span().start), &path, message);
        }
    }
}

impl At<'_> {
    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

/// What to write instead of a name that is not known.
pub(super) fn instead(name: &str, known: &[&str]) -> String {
    match known.iter().find(|known| is_close(known, name)) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("remove it, or write one of {}", known.join(", ")),
    }
}
