//! The configuration that a command uses: the file of the command line, or of a variable, or the variables
//! of one instance.

use std::{env, path::PathBuf};

use super::{
    Exit, USAGE,
    arguments::{File, FileOption},
    print_error,
};
use crate::config::{Config, Loaded, Origin, Problem};

/// Path of the configuration file if the command line has none.
const CONFIG_VARIABLE: &str = "ZAPI_TO_RYZE_CONFIG";
/// What `init` writes, and what people name their file.
pub(super) const USUAL_FILE: &str = "gateway.toml";

impl From<File> for FileOption {
    fn from(file: File) -> Self {
        Self {
            config: file.option.config.or(file.path),
        }
    }
}

impl FileOption {
    /// The file of the command line, or else of the environment.
    pub(super) fn path(self) -> Option<PathBuf> {
        // Compose and Kubernetes set a variable that is left out to nothing.
        let variable = || env::var_os(CONFIG_VARIABLE).filter(|it| !it.is_empty());
        self.config.or_else(|| variable().map(Into::into))
    }

    /// Prints an error if there is no configuration.
    pub(super) fn required(self) -> Result<Origin, Exit> {
        Origin::find(self.path()).ok_or_else(|| {
            print_error(format_args!(
                "error: no configuration: give --config FILE or set {CONFIG_VARIABLE}"
            ));
            if PathBuf::from(USUAL_FILE).is_file() {
                print_error(format_args!(
                    "There is a file here: --config {USUAL_FILE}"
                ));
            }
            print_error(
                "`zapi-to-ryze init` writes one. Without a file, set ZAPI_INSTANCE, ZAPI_TOKEN, RYZE_INSTANCE \
                 and RYZE_TOKEN, or try `zapi-to-ryze serve --sandbox`",
            );
            Exit::Reported(USAGE)
        })
    }

    pub(super) fn load(self) -> Result<Config, Exit> {
        Ok(load(&self.required()?, None)?.config)
    }
}

/// Loads a configuration, and prints its problems and warnings.
pub(super) fn load(origin: &Origin, listen: Option<&str>) -> Result<Loaded, Exit> {
    let report = |kind: &str, problem: &Problem| {
        let file = problem.file.as_deref().unwrap_or(origin.name());
        print_error(format_args!("{}: {kind}: {problem}", file.display()));
    };
    let loaded = origin.load(listen).map_err(|problems| {
        problems.iter().for_each(|problem| report("error", problem));
        Exit::Reported(USAGE)
    })?;
    loaded
        .warnings
        .iter()
        .for_each(|problem| report("warning", problem));
    Ok(loaded)
}
