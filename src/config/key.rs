//! A configuration key, as one row: path, format, field, default, and what a reload does with it.
//!
//! Reading the file, `check --print`, the reload and `docs/configuration.md` are projections of these
//! rows. The rows themselves are in `keys.rs`.

use std::path::Path;

use toml::de::DeValue;

/// The value of an environment variable.
pub(super) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The environment and the directory that values are read with, and the warnings found.
pub(super) struct Context<'e> {
    pub(super) environment: Environment<'e>,
    /// Relative paths are looked up here.
    pub(super) directory: &'e Path,
    /// Whether a secret is written as a literal.
    pub(super) has_literal: bool,
    /// What is allowed and probably not intended. It quotes no value.
    pub(super) warnings: Vec<String>,
}

impl<'e> Context<'e> {
    pub(super) fn new(environment: Environment<'e>, directory: &'e Path) -> Self {
        Self {
            environment,
            directory,
            has_literal: false,
            warnings: Vec::new(),
        }
    }
}

/// How a value is written in the file.
pub(super) trait Format: Sync {
    type Value: Clone;

    /// What the value has to be and, after `; write`, an example.
    fn must_be(&self) -> String;

    /// Reads a value.
    fn read(&self, value: &DeValue<'_>, context: &mut Context<'_>) -> Result<Self::Value, Invalid>;

    /// The value as TOML, with secrets masked; `None` if there is nothing to write.
    fn show(&self, value: &Self::Value) -> Option<String>;

    /// Whether two values mean the same.
    fn is_same(&self, one: &Self::Value, other: &Self::Value) -> bool {
        self.show(one) == self.show(other)
    }
}

/// Why a value cannot be read. It never quotes the value.
pub(super) enum Invalid {
    /// It is not what [`Format::must_be`] says.
    Form,
    /// The message for the user.
    Because(String),
}

/// The value of a key that is not written.
pub(super) enum Absent<V> {
    Default(fn() -> V),
    /// None: the key has to be written.
    Required,
    /// The value of another key; the hint says of which.
    Inherited(&'static str),
}

/// What a reload (SIGHUP) does with another value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReload {
    /// The value is in force for the next request.
    TakenOver,
    /// The old value stays until a restart.
    Restart,
}

/// A key that is read into an `O`.
pub(super) struct Key<O, F: Format> {
    /// The full path, as in `server.drain.delay` or `instances[].zapi_token`.
    path: &'static str,
    format: F,
    absent: Absent<F::Value>,
    on_reload: OnReload,
    /// Where the value is kept; `None` if the table it belongs to is optional and absent.
    field: fn(&mut O) -> Option<&mut F::Value>,
}

impl<O, F: Format> Key<O, F> {
    pub(super) const fn new(
        path: &'static str,
        format: F,
        absent: Absent<F::Value>,
        on_reload: OnReload,
        field: fn(&mut O) -> Option<&mut F::Value>,
    ) -> Self {
        Self {
            path,
            format,
            absent,
            on_reload,
            field,
        }
    }
}

/// A [`Key`] of any format.
pub(super) trait Row<O>: Sync {
    fn path(&self) -> &'static str;
    fn must_be(&self) -> String;
    fn on_reload(&self) -> OnReload;

    /// The value if the key is not written, as text for the documentation.
    fn default(&self) -> Option<String>;

    /// Whether the key has to be written into the tables that `owner` has.
    fn is_required(&self, owner: &mut O) -> bool;

    /// Sets the default.
    fn reset(&self, owner: &mut O);

    /// Sets what is written, or returns what is wrong with it.
    fn read(
        &self,
        owner: &mut O,
        value: &DeValue<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), String>;

    /// The value as TOML, with secrets masked; `None` if there is nothing to write.
    fn show(&self, owner: &mut O) -> Option<String>;

    /// Whether the key means the same in both.
    fn is_same(&self, one: &mut O, other: &mut O) -> bool;

    /// Copies the value from `old` to `new`.
    fn keep(&self, old: &mut O, new: &mut O);
}

impl<O, F: Format> Row<O> for Key<O, F> {
    fn path(&self) -> &'static str {
        self.path
    }

    fn must_be(&self) -> String {
        self.format.must_be()
    }

    fn on_reload(&self) -> OnReload {
        self.on_reload
    }

    fn default(&self) -> Option<String> {
        match self.absent {
            Absent::Default(default) => self.format.show(&default()).map(|it| format!("`{it}`")),
            Absent::Required => Some("must be written".to_owned()),
            Absent::Inherited(hint) => Some(hint.to_owned()),
        }
    }

    fn is_required(&self, owner: &mut O) -> bool {
        matches!(self.absent, Absent::Required) && (self.field)(owner).is_some()
    }

    fn reset(&self, owner: &mut O) {
        if let (Absent::Default(default), Some(field)) = (&self.absent, (self.field)(owner)) {
            *field = default();
        }
    }

    fn read(
        &self,
        owner: &mut O,
        value: &DeValue<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let value = self
            .format
            .read(value, context)
            .map_err(|invalid| match invalid {
                Invalid::Form => format!("must be {}", self.must_be()),
                Invalid::Because(message) => message,
            })?;
        if let Some(field) = (self.field)(owner) {
            *field = value;
        }
        Ok(())
    }

    fn show(&self, owner: &mut O) -> Option<String> {
        let value = (self.field)(owner)?;
        self.format.show(value)
    }

    fn is_same(&self, one: &mut O, other: &mut O) -> bool {
        match ((self.field)(one), (self.field)(other)) {
            (Some(one), Some(other)) => self.format.is_same(one, other),
            // An optional table is absent from at least one of them. To add or remove it is a change of
            // the table, not of this key.
            (None, _) | (_, None) => true,
        }
    }

    fn keep(&self, old: &mut O, new: &mut O) {
        if let (Some(old), Some(new)) = ((self.field)(old), (self.field)(new)) {
            new.clone_from(old);
        }
    }
}
