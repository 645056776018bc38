//! Where a configuration comes from.

use std::path::{Path, PathBuf};

use super::{
    Loaded, Problem,
    load::{load_listening, process_environment},
    variables::{has_variables, load_variables, unused},
};

/// A file, or the environment variables of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    Variables,
}

impl Origin {
    /// The file if there is one, or the variables if any is set.
    #[must_use]
    pub fn find(file: Option<PathBuf>) -> Option<Self> {
        match file {
            Some(file) => Some(Self::File(file)),
            None => has_variables().then_some(Self::Variables),
        }
    }

    /// Its name, which problems begin with.
    #[must_use]
    pub fn name(&self) -> &Path {
        match self {
            Self::File(file) => file,
            Self::Variables => Path::new("environment"),
        }
    }

    /// Reads it, with another address in `server.listen` if `listen` is one.
    ///
    /// # Errors
    /// Every problem.
    pub fn load(&self, listen: Option<&str>) -> Result<Loaded, Vec<Problem>> {
        match self {
            Self::File(file) => {
                let mut loaded = load_listening(file, listen)?;
                loaded.warnings.extend(unused(&process_environment));
                Ok(loaded)
            }
            Self::Variables => load_variables(listen),
        }
    }
}
