//! Tables and keys of the file. A table's known keys are those that its reader takes; what is left
//! is unknown. What a key's value may look like belongs in `readers.rs`.

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::report::File;

/// A table that is being read.
pub(super) struct Table<'f> {
    file: &'f File<'f>,
    path: String,
    at: Option<usize>,
    entries: DeTable<'f>,
    known: Vec<&'static str>,
}

impl<'f> Table<'f> {
    /// Reads one table: whatever `read` does not take is reported.
    pub(super) fn read<T>(
        file: &'f File<'f>,
        path: String,
        at: Option<usize>,
        entries: DeTable<'f>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut table = Self {
            file,
            path,
            at,
            entries,
            known: Vec::new(),
        };
        let value = read(&mut table);
        table.report_unknown();
        value
    }

    /// Takes the key `name`, whether it is written or not.
    pub(super) fn key(&mut self, name: &'static str) -> Key<'f> {
        self.known.push(name);
        let (at, value) = self.entries.remove_entry(name).unzip();
        Key {
            file: self.file,
            path: self.path_of(name),
            at: at.map(|key| key.span().start).or(self.at),
            value: value.map(Spanned::into_inner),
        }
    }

    /// Takes the key `name`, which must be written.
    pub(super) fn required(&mut self, name: &'static str) -> Key<'f> {
        let key = self.key(name);
        if !key.is_written() {
            key.problem("missing; write it");
        }
        key
    }

    /// Reads the table `name`; one that is not written is empty.
    pub(super) fn table<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        let mut key = self.key(name);
        let entries = match key.value.take() {
            None => DeTable::new(),
            Some(DeValue::Table(entries)) => entries,
            Some(_) => {
                key.problem(format!("must be a table; write `[{}]`", key.path));
                DeTable::new()
            }
        };
        Self::read(key.file, key.path, key.at, entries, read)
    }

    /// Reads the table `name`, if it is written.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let value = self.entries.get(name).map(Spanned::get_ref);
        if matches!(value, Some(DeValue::Table(_))) {
            return Some(self.table(name, read));
        }
        self.table(name, |_| ());
        None
    }

    /// Reads the array of tables `name`, which must hold at least one. `read` gives nothing for a
    /// table with a problem.
    pub(super) fn tables<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Vec<T> {
        let mut key = self.key(name);
        let hint = format!("write `[[{name}]]` and its keys");
        let elements = match key.value.take() {
            None => DeArray::new(),
            Some(DeValue::Array(elements)) => elements,
            Some(_) => {
                key.problem(format!("must be an array of tables; {hint}"));
                return Vec::new();
            }
        };
        if elements.is_empty() {
            key.problem(format!("there is none; {hint}"));
        }
        let mut values = Vec::new();
        for (index, element) in elements.into_iter().enumerate() {
            let at = Some(element.span().start);
            let path = format!("{}[{index}]", key.path);
            match element.into_inner() {
                DeValue::Table(entries) => {
                    values.extend(Self::read(key.file, path, at, entries, &mut read))
                }
                _ => key
                    .file
                    .report(at, &path, format!("must be a table; {hint}")),
            }
        }
        values
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn report_unknown(&self) {
        for key in self.entries.keys() {
            let name = key.get_ref().as_ref();
            let message = match self.known.iter().find(|known| is_close(known, name)) {
                Some(known) => format!("unknown key; did you mean `{known}`?"),
                None => format!(
                    "unknown key; remove it, or write one of {}",
                    self.known.join(", ")
                ),
            };
            let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let shown = if !name.is_empty() && name.bytes().all(is_bare) {
                name.to_owned()
            } else {
                format!("{name:?}")
            };
            self.file
                .report(Some(key.span().start), &self.path_of(&shown), message);
        }
    }
}

/// Whether two words differ in one stretch of at most two letters.
fn is_close(one: &str, other: &str) -> bool {
    let head = one
        .bytes()
        .zip(other.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let tail = one
        .bytes()
        .rev()
        .zip(other.bytes().rev())
        .take_while(|(a, b)| a == b)
        .count();
    head + tail + 2 >= one.len().max(other.len())
}

/// A key that was taken, and what is written there.
pub(super) struct Key<'f> {
    pub(super) file: &'f File<'f>,
    path: String,
    at: Option<usize>,
    pub(super) value: Option<DeValue<'f>>,
}

impl Key<'_> {
    /// The full key.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether the user wrote it.
    pub(super) fn is_written(&self) -> bool {
        self.value.is_some()
    }

    /// Reports what is wrong here.
    pub(super) fn problem(&self, message: impl Into<String>) {
        self.file.report(self.at, &self.path, message);
    }

    /// Reports that it does not go with the keys in `others`, unless it or one of them is known to
    /// be wrong by itself.
    pub(super) fn conflict(&self, others: &[&str], message: impl Into<String>) {
        if !self.file.has_problem(&self.path)
            && !others.iter().any(|key| self.file.has_problem(key))
        {
            self.problem(message);
        }
    }

    /// Tells the user what may not be meant.
    pub(super) fn warn(&self, message: impl Into<String>) {
        self.file.warn(self.at, &self.path, message);
    }
}
