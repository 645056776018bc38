//! `init`: writes a configuration of one instance, and the files of its secrets.
//!
//! The answers come from options, variables and a terminal (`question.rs`), and each is checked at once as the
//! configuration would be. Nothing is written before the last answer is in, and then all files or none
//! (`new_files.rs`). A signal is received and not left to its default, so that it cannot come between two
//! files, and the terminal echoes again.

mod answers;
mod given;
mod new_files;
mod question;
mod terminal;
mod text;

use std::path::{Path, PathBuf};

use self::{
    answers::Answers, given::Given, new_files::NewFiles, question::ask, terminal::Terminal,
};
use super::{Exit, FAILURE, USAGE, arguments::Init, check, print, print_error};
use crate::{
    app::Stop,
    config::{Loaded, Origin},
};

/// The folder of the secrets, beside the configuration.
const SECRETS: &str = "secrets";
/// The permissions of the configuration, which has no secret, and of a secret.
const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

pub(super) async fn init(command: Init) -> Result<(), Exit> {
    let paths = Paths::beside(&command.file);
    paths.are_free()?;
    // Before signals are received: reading stdin cannot be interrupted otherwise.
    let given = Given::read(&command)?;
    let terminal = Terminal::new()?;
    let mut stop = Stop::new()?;
    let answers = match &terminal {
        Some(terminal) => {
            print_error(text::welcome(&paths.configuration));
            let answers = tokio::select! {
                answers = ask(given, terminal) => answers,
                () = stop.signalled() => Err(Exit::Reported(FAILURE)),
            };
            answers.inspect_err(|exit| {
                if matches!(exit, Exit::Reported(FAILURE)) {
                    print_error("\nstopped: nothing was written");
                }
            })?
        }
        None => given.complete()?,
    };
    let files = write(&paths, &answers)?;
    let origin = Origin::File(paths.configuration.clone());
    let loaded = check::load(&origin).inspect_err(|_| print_error("nothing was written"))?;
    let written = files.keep();
    check::list(&origin, &loaded, "the configuration is fine");
    print(text::written(&written).trim_end());
    let is_live = match &terminal {
        Some(terminal) if !command.live && !command.no_live => tokio::select! {
            is_live = question::is_live(terminal) => is_live,
            () = stop.signalled() => false,
        },
        _ => command.live,
    };
    if is_live {
        live(&origin, &loaded, &mut stop).await?;
    }
    print(text::next(&paths.configuration, &loaded.config));
    Ok(())
}

/// Asks the upstreams. The files are there, whatever they answer.
async fn live(origin: &Origin, loaded: &Loaded, stop: &mut Stop) -> Result<(), Exit> {
    let asked = tokio::select! {
        asked = check::live(origin, loaded) => asked,
        () = stop.signalled() => Err(Exit::Reported(FAILURE)),
    };
    if asked.is_err() {
        let file = origin.name().display();
        print_error(format_args!(
            "The files are written. Correct what is wrong, then: zapi-to-ryze check {file} --live"
        ));
    }
    asked
}

/// Writes all files, which are removed again unless they are kept.
fn write(paths: &Paths, answers: &Answers) -> Result<NewFiles, Exit> {
    let mut files = NewFiles::default();
    let secrets = [
        (&paths.zapi_token, Some(&answers.zapi_token)),
        (&paths.client_token, answers.client_token.as_ref()),
        (&paths.ryze_token, Some(&answers.ryze_token)),
    ];
    let written = files.add_folder(&paths.secrets).and_then(|()| {
        for (path, secret) in secrets {
            if let Some(secret) = secret {
                files.add(path, PRIVATE, &[secret.expose().as_bytes(), b"\n"])?;
            }
        }
        // Last: with it the configuration is there.
        let configuration = text::configuration(answers);
        files.add(&paths.configuration, PUBLIC, &[configuration.as_bytes()])
    });
    written.map_err(|error| {
        print_error(format_args!("error: {error}; nothing was written"));
        Exit::Reported(FAILURE)
    })?;
    Ok(files)
}

/// The paths of all files.
struct Paths {
    configuration: PathBuf,
    secrets: PathBuf,
    zapi_token: PathBuf,
    client_token: PathBuf,
    ryze_token: PathBuf,
}

impl Paths {
    fn beside(configuration: &Path) -> Self {
        let secrets = configuration.with_file_name(SECRETS);
        Self {
            configuration: configuration.to_owned(),
            zapi_token: secrets.join(text::ZAPI_TOKEN),
            client_token: secrets.join(text::CLIENT_TOKEN),
            ryze_token: secrets.join(text::RYZE_TOKEN),
            secrets,
        }
    }

    /// Prints an error if a file exists, or cannot be created: before the first question.
    fn are_free(&self) -> Result<(), Exit> {
        let refuse = |message: String| {
            print_error(format_args!("error: {message}"));
            Err(Exit::Reported(USAGE))
        };
        // A link that leads nowhere exists too.
        let exists = |path: &Path| path.symlink_metadata().is_ok();
        let is_folder = self
            .configuration
            .as_os_str()
            .as_encoded_bytes()
            .ends_with(b"/");
        if is_folder || self.configuration.is_dir() {
            let folder = self.configuration.display();
            return refuse(format!(
                "write the name of a file in it: {folder} is a folder"
            ));
        }
        if exists(&self.configuration) {
            return refuse(text::exists(&self.configuration));
        }
        let secrets = [&self.zapi_token, &self.client_token, &self.ryze_token];
        if let Some(path) = secrets.into_iter().find(|path| exists(path)) {
            let path = path.display();
            return refuse(format!(
                "{path} exists, and no file is overwritten; remove it, or name a FILE in another folder"
            ));
        }
        match new_files::probe(&self.configuration) {
            Ok(()) => Ok(()),
            Err(error) => refuse(format!(
                "{error}; name a FILE in a folder that exists and that you may write to"
            )),
        }
    }
}
