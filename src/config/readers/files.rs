//! Readers of secrets and of values that name other files.

use std::{fmt, path::PathBuf};

use rustls::{RootCertStore, pki_types::CertificateDer};
use toml::de::DeValue;
use zeroize::Zeroizing;

use super::{
    Text,
    carried::{self, Carrier},
    form, quoted,
};
use crate::config::{
    CaFile, Secret,
    key::{Context, Format, Invalid},
    source,
};

/// Shown in place of a secret.
pub(in crate::config) const MASK: &str = "********";

/// A secret: a literal, or what an environment variable or a file holds.
pub(in crate::config) struct SecretText(Carrier);

impl SecretText {
    pub(in crate::config) const SEGMENT: Self = Self(Carrier::Segment);
    pub(in crate::config) const HEADER_VALUE: Self = Self(Carrier::Header);
    pub(super) const URL: Self = Self(Carrier::Url);
}

impl Format for SecretText {
    type Value = Secret;

    fn must_be(&self) -> String {
        "a secret; write \"literal\", { env = \"NAME\" } or { file = \"/path\" }".to_owned()
    }

    fn read(&self, value: &DeValue<'_>, context: &mut Context<'_>) -> Result<Secret, Invalid> {
        let source = form(Source::of(value))?;
        let found = source.fetch(context).map_err(Invalid::Because)?;
        if found.is_empty() {
            return Err(Invalid::Because(
                "the secret is empty; give it a value".to_owned(),
            ));
        }
        if let Some(defect) = carried::defect(&found, self.0) {
            let rule = match self.0 {
                Carrier::Header => "; a header carries visible ASCII without spaces",
                Carrier::Segment | Carrier::Url => "",
            };
            let message = format!("write the secret alone: {source} {defect}{rule}");
            return Err(Invalid::Because(message));
        }
        if self.0 != Carrier::Url {
            doubt(&found, context);
        }
        Ok(Secret::new(&found))
    }

    fn show(&self, _: &Secret) -> Option<String> {
        quoted(MASK)
    }
}

/// Warns of a secret, or a part of one, that is probably not the value itself.
pub(super) fn doubt(secret: &str, context: &mut Context<'_>) {
    if let Some(kind) = carried::suspicion(secret) {
        context.warnings.push(format!(
            "write the secret itself, {{ env = \"NAME\" }} or {{ file = \"/path\" }}: this looks like {kind}"
        ));
    }
}

/// Where a secret is.
#[derive(Clone, Copy)]
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

    fn fetch(self, context: &mut Context<'_>) -> Result<Zeroizing<String>, String> {
        let mut found =
            match self {
                Self::Literal(literal) => {
                    context.has_literal = true;
                    return Ok(Zeroizing::new(literal.to_owned()));
                }
                Self::Environment(name) => (context.environment)(name)
                    .map(Zeroizing::new)
                    .ok_or_else(|| {
                        let name = name.escape_debug();
                        format!("the environment variable \"{name}\" is not set; set it")
                    })?,
                Self::File(path) => {
                    let path = context.directory.join(path);
                    let name = path.to_string_lossy();
                    let name = name.escape_debug();
                    let (text, metadata) = source::secret(&path).map_err(|error| {
                        let cure = source::cure(&error);
                        format!("the file \"{name}\" cannot be read ({error}); {cure}")
                    })?;
                    if source::is_open(&metadata) {
                        let message =
                            format!("chmod 640 \"{name}\": others may read or change the secret");
                        context.warnings.push(message);
                    }
                    text
                }
            };
        carried::strip_line_end(&mut found);
        Ok(found)
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => formatter.write_str("the value"),
            Self::Environment(name) => {
                let name = name.escape_debug();
                write!(
                    formatter,
                    "the value of the environment variable \"{name}\""
                )
            }
            Self::File(path) => {
                write!(
                    formatter,
                    "the value in the file \"{}\"",
                    path.escape_debug()
                )
            }
        }
    }
}

const PATH: Text = Text(&[]);

/// The path of a file, from the directory of the configuration file.
pub(in crate::config) struct FilePath;

impl Format for FilePath {
    type Value = PathBuf;

    fn must_be(&self) -> String {
        PATH.must_be()
    }

    fn read(&self, value: &DeValue<'_>, context: &mut Context<'_>) -> Result<PathBuf, Invalid> {
        let path = PATH.read(value, context)?;
        Ok(context.directory.join(path))
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

    fn read(&self, value: &DeValue<'_>, context: &mut Context<'_>) -> Result<CaFile, Invalid> {
        let path = FilePath.read(value, context)?;
        match source::certificates(&path) {
            Ok(certificates) if !certificates.is_empty() => {
                match certificates.iter().zip(1..).find(|(it, _)| !is_root(it)) {
                    None => Ok(CaFile { path, certificates }),
                    Some((_, number)) => Err(Invalid::Because(format!(
                        "certificate {number} of the file is none; write each as X.509 in PEM"
                    ))),
                }
            }
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

/// Whether a certificate can be trusted as a root.
fn is_root(certificate: &CertificateDer<'static>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}

/// A list of files, with `*`, `?` and `[…]` in their names or the names of folders.
pub(in crate::config) struct Patterns;

impl Format for Patterns {
    type Value = Vec<String>;

    fn must_be(&self) -> String {
        "a list of files with instances; write [\"instances.d/*.toml\", \"instances.csv\"]"
            .to_owned()
    }

    fn read(&self, value: &DeValue<'_>, context: &mut Context<'_>) -> Result<Vec<String>, Invalid> {
        let patterns = form(value.as_array())?.iter();
        let patterns = patterns.map(|it| PATH.read(it.get_ref(), context));
        let patterns: Vec<_> = patterns.collect::<Result<_, _>>()?;
        for pattern in &patterns {
            if pattern.contains("**") {
                return Err(Invalid::Because(
                    "`**` would search whole folders; write `*` for each level".to_owned(),
                ));
            }
            form(glob::Pattern::new(pattern).ok())?;
        }
        Ok(patterns)
    }

    fn show(&self, value: &Vec<String>) -> Option<String> {
        let patterns = value.iter().filter_map(quoted);
        Some(format!("[{}]", patterns.collect::<Vec<_>>().join(", ")))
    }
}
