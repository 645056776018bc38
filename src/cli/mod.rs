//! The command line: runs a command, prints its result on stdout and errors on stderr, and sets the exit
//! code. `arguments.rs` defines commands and flags.

mod admin_client;
mod arguments;
mod check;
mod check_live;
mod explain;
mod generated;
mod healthcheck;
mod help;
mod hint;
mod init;
mod origin;
mod progress;
mod report;
mod sandbox;

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use self::arguments::{Cli, Command, FileOption, Serve};
use crate::{
    app::{self, Reload},
    config::{Loaded, LogFormat},
    telemetry,
};

/// Wrong usage or configuration (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// Any other failure.
const FAILURE: u8 = 1;

/// Parses the command line and runs the command.
#[must_use]
pub fn run() -> ExitCode {
    telemetry::hide_panic_messages();
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            hint::print(error);
            return ExitCode::from(code);
        }
    };
    let result = match command {
        Command::Init(command) => block_on(init::init(command)),
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
    let listen = serve.address();
    if serve.sandbox {
        return sandbox::serve(listen).await;
    }
    // Installed first, so that SIGHUP does not terminate the process; `Reload` handles it later.
    let hangup = signal(SignalKind::hangup())?;
    let origin = FileOption::from(serve.file).required()?;
    let config = for_terminal(origin::load(&origin, listen.as_deref())?).config;
    let (_log, log_level) = telemetry::start(&config.log)?;
    let load = move || Ok(for_terminal(origin.load(listen.as_deref())?));
    let reload = Reload::new(hangup, Arc::new(load), log_level);
    let gateway = app::start(&config).await?;
    announce(&gateway.address);
    if let Some(page) = gateway.admin_address() {
        print(format_args!("status page on {page}/"));
    }
    Ok(gateway.reloading(reload).run().await?)
}

/// The log is text on a terminal, unless the file says what it is.
fn for_terminal(mut loaded: Loaded) -> Loaded {
    if loaded.has_default_log_format && io::stderr().is_terminal() {
        loaded.config.log.format = LogFormat::Text;
    }
    loaded
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
