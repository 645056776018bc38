//! The command line: runs a command, prints its result on stdout and errors on stderr, and sets the exit
//! code. `arguments.rs` defines commands and flags.

mod admin_client;
mod arguments;
mod check;
mod check_live;
mod explain;
mod generated;
mod healthcheck;
mod progress;
mod report;
mod sandbox;

use std::{
    env,
    fmt::Display,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{
    CommandFactory as _, Parser as _,
    error::{ContextKind, ContextValue},
};
use tokio::signal::unix::{SignalKind, signal};

use self::arguments::{Cli, Command, File, Serve};
use crate::{
    app::{self, Reload},
    config::{self, Config, Problem},
    spelling::is_close,
    telemetry,
};

/// Wrong usage or configuration (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// Any other failure.
const FAILURE: u8 = 1;
/// Path of the configuration file if `--config` is not given.
const CONFIG_VARIABLE: &str = "ZAPI_TO_RYZE_CONFIG";

/// Parses the command line and runs the command.
#[must_use]
pub fn run() -> ExitCode {
    telemetry::hide_panic_messages();
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            // Fails only if stdout or stderr is closed.
            let _ = error.print();
            if let Some(hint) = hint(&error) {
                print_error(format_args!("\n{hint}"));
            }
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let result = match command {
        Command::Check(command) => block_on(check::check(command)),
        Command::Explain(command) => block_on(explain::explain(command)),
        Command::Serve(serve) => block_on(self::serve(serve)),
        Command::Sandbox(arguments) => block_on(sandbox::sandbox(arguments)),
        Command::Healthcheck(command) => block_on(healthcheck::healthcheck(command)),
        Command::Report(command) => block_on(report::report(command)),
        Command::Completions { shell } => {
            generated::completions(shell).map(print).map_err(Into::into)
        }
        Command::Man => generated::man().map(print).map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Exit::Reported(code)) => ExitCode::from(code),
        Err(Exit::Error(error)) => {
            print_error(format_args!("error: {error}"));
            ExitCode::from(FAILURE)
        }
    }
}

/// What a command line that is rejected was probably meant to be.
fn hint(error: &clap::Error) -> Option<String> {
    let wrong = |kind| match error.get(kind)? {
        ContextValue::String(wrong) => Some(wrong.as_str()),
        _ => None,
    };
    let command = wrong(ContextKind::InvalidSubcommand);
    let wrong = command.or_else(|| wrong(ContextKind::InvalidArg))?;
    if matches!(wrong, "-c" | "--config") || wrong.ends_with(".toml") {
        return Some("A command comes first, then its file: serve --config FILE".to_owned());
    }
    let (command, cli) = (command?, Cli::command());
    let mut names = cli.get_subcommands().map(clap::Command::get_name);
    // Two letters are most of a short name, so the first has to be right.
    let near = names.find(|name| name.get(..1) == command.get(..1) && is_close(name, command))?;
    Some(format!("Did you mean `{near}`?"))
}

/// Why a command failed.
enum Exit {
    /// The error was printed already; the exit code.
    Reported(u8),
    /// An error that is still to be printed.
    Error(Box<dyn std::error::Error>),
}

impl<E: std::error::Error + 'static> From<E> for Exit {
    fn from(error: E) -> Self {
        Self::Error(Box::new(error))
    }
}

/// Runs a command on one thread.
fn block_on(command: impl Future<Output = Result<(), Exit>>) -> Result<(), Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(command);
    // Does not wait for a blocked thread, such as a name look-up that hangs.
    runtime.shutdown_background();
    result
}

async fn serve(serve: Serve) -> Result<(), Exit> {
    if serve.sandbox {
        return sandbox::serve().await;
    }
    // Installed first, so that SIGHUP does not terminate the process; `Reload` handles it later.
    let hangup = signal(SignalKind::hangup())?;
    let path = serve.file.required()?;
    let config = load(&path)?;
    let (_log, log_level) = telemetry::start(&config.log)?;
    let reload = Reload::new(hangup, Arc::new(move || config::load(&path)), log_level);
    let gateway = app::start(&config).await?;
    announce(&gateway.address);
    Ok(gateway.reloading(reload).run().await?)
}

impl File {
    /// The path from the flag, or else from the environment.
    fn path(self) -> Option<PathBuf> {
        let variable = || env::var_os(CONFIG_VARIABLE).map(Into::into);
        self.config.or_else(variable)
    }

    /// As [`path`](Self::path); prints an error if there is none.
    fn required(self) -> Result<PathBuf, Exit> {
        self.path().ok_or_else(|| {
            print_error(format_args!(
                "error: no configuration: give --config FILE or set {CONFIG_VARIABLE}"
            ));
            Exit::Reported(USAGE)
        })
    }

    fn load(self) -> Result<Config, Exit> {
        load(&self.required()?)
    }
}

fn load(file: &Path) -> Result<Config, Exit> {
    let report = |kind: &str, problem: &Problem| {
        let file = problem.file.as_deref().unwrap_or(file);
        print_error(format_args!("{}: {kind}: {problem}", file.display()));
    };
    let loaded = config::load(file).map_err(|problems| {
        problems.iter().for_each(|problem| report("error", problem));
        Exit::Reported(USAGE)
    })?;
    loaded
        .warnings
        .iter()
        .for_each(|problem| report("warning", problem));
    Ok(loaded.config)
}

fn announce(address: impl Display) {
    print(format_args!("listening on {address}"));
}

/// Prints a line on stdout. A closed pipe is not an error.
fn print(text: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints a line on stderr.
fn print_error(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
