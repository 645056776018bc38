//! Readers of secrets and of values that name other files.

use std::path::{Path, PathBuf};

use toml::de::DeValue;
use zeroize::Zeroizing;

use super::{Text, form, quoted};
use crate::config::{
    CaFile, Secret,
    key::{Environment, Format, Invalid},
    source,
};

/// Shown in place of a secret.
pub(in crate::config) const MASK: &str = "********";

/// A secret: a literal, or what an environment variable or a file holds.
pub(in crate::config) struct SecretText {
    is_header_value: bool,
}

impl SecretText {
    pub(in crate::config) const ANY: Self = Self {
        is_header_value: false,
    };
    pub(in crate::config) const HEADER_VALUE: Self = Self {
        is_header_value: true,
    };
}

impl Format for SecretText {
    type Value = Secret;

    fn must_be(&self) -> String {
        "a secret; write \"literal\", { env = \"NAME\" } or { file = \"/path\" }".to_owned()
    }

    fn read(&self, value: &DeValue<'_>, environment: Environment<'_>) -> Result<Secret, Invalid> {
        let source = form(Source::of(value))?;
        let found = source.fetch(environment).map_err(Invalid::Because)?;
        if found.is_empty() {
            return Err(Invalid::Because(
                "the secret is empty; give it a value".to_owned(),
            ));
        }
        if self.is_header_value && !found.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid::Because(
                "the secret cannot be sent in a header; it must be visible ASCII without spaces"
                    .to_owned(),
            ));
        }
        Ok(Secret::new(&found))
    }

    fn show(&self, _: &Secret) -> Option<String> {
        quoted(MASK)
    }
}

/// Where a secret is.
enum Source<'v> {
    Literal(&'v str),
    Environment(&'v str),
    File(&'v str),
}

impl<'v> Source<'v> {
    fn of(value: &'v DeValue<'_>) -> Option<Self> {
        let table = match value {
            DeValue::String(literal) => return Some(Self::Literal(literal)),
            DeValue::Table(table) if table.len() == 1 => table,
            _ => return None,
        };
        // Problems quote the name. One with a quotation mark may hold a secret, behind a string that
        // was not closed.
        let is_name = |name: &&str| !name.contains(|char: char| char == '"' || char.is_control());
        let name = |key| table.get(key)?.get_ref().as_str().filter(is_name);
        name("env")
            .map(Self::Environment)
            .or_else(|| name("file").map(Self::File))
    }

    fn fetch(self, environment: Environment<'_>) -> Result<Zeroizing<String>, String> {
        match self {
            Self::Literal(literal) => Ok(Zeroizing::new(literal.to_owned())),
            Self::Environment(name) => environment(name).map(Zeroizing::new).ok_or_else(|| {
                let name = name.escape_debug();
                format!("the environment variable \"{name}\" is not set; set it")
            }),
            Self::File(path) => match source::secret(Path::new(path)) {
                Ok(mut text) => {
                    let line_end = ["\r\n", "\n"].into_iter().find(|end| text.ends_with(end));
                    let length = text.len() - line_end.map_or(0, str::len);
                    text.truncate(length);
                    Ok(text)
                }
                Err(error) => Err(format!(
                    "the file \"{}\" cannot be read ({error}); name one that can",
                    path.escape_debug()
                )),
            },
        }
    }
}

const PATH: Text = Text(&[]);

/// The path of a file that a rule reads.
pub(in crate::config) struct FilePath;

impl Format for FilePath {
    type Value = PathBuf;

    fn must_be(&self) -> String {
        PATH.must_be()
    }

    fn read(&self, value: &DeValue<'_>, environment: Environment<'_>) -> Result<PathBuf, Invalid> {
        PATH.read(value, environment).map(PathBuf::from)
    }

    fn show(&self, value: &PathBuf) -> Option<String> {
        quoted(value.display())
    }
}

/// The path of a file with certificates.
pub(in crate::config) struct Certificates;

impl Format for Certificates {
    type Value = CaFile;

    fn must_be(&self) -> String {
        PATH.must_be()
    }

    fn read(&self, value: &DeValue<'_>, environment: Environment<'_>) -> Result<CaFile, Invalid> {
        let path = FilePath.read(value, environment)?;
        match source::certificates(&path) {
            Ok(certificates) if !certificates.is_empty() => Ok(CaFile { path, certificates }),
            Ok(_) => Err(Invalid::Because(
                "the file holds no certificate; name a PEM file that does".to_owned(),
            )),
            Err(error) => Err(Invalid::Because(format!(
                "the file cannot be read ({error}); name a PEM file with certificates"
            ))),
        }
    }

    fn show(&self, value: &CaFile) -> Option<String> {
        FilePath.show(&value.path)
    }
}
