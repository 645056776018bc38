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

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use self::arguments::{Cli, Command, FileOption, SandboxArgs, Serve};
use crate::{
    app::{self, Reload, Stop},
    config::{self, Config, Listen, Loaded, LogFormat},
    sandbox::{self, Sandbox, Window, Zapi},
    server::{self, Address},
    telemetry,
};

/// Wrong usage or configuration (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// Any other failure.
const FAILURE: u8 = 1;
/// The address of `serve --sandbox`. If the port is in use, it listens on a free one.
const SANDBOX_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8420);

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
        Command::Sandbox(sandbox) => block_on(self::sandbox(sandbox)),
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
    if serve.sandbox {
        return serve_sandbox(serve.listen).await;
    }
    // Installed first, so that SIGHUP does not terminate the process; `Reload` handles it later.
    let hangup = signal(SignalKind::hangup())?;
    let origin = FileOption::from(serve.file).required()?;
    let config = for_terminal(origin::load(&origin, serve.listen.as_deref())?).config;
    let (_log, log_level) = telemetry::start(&config.log)?;
    let load = move || Ok(for_terminal(origin.load(serve.listen.as_deref())?));
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

async fn serve_sandbox(listen: Option<String>) -> Result<(), Exit> {
    let ryze = server::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
    let zapi = server::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
    let zapi_address = zapi.local_addr()?;
    let listen = listen.map(|address| address.parse()).transpose()?;
    let mut config = config::sandbox(
        listen.unwrap_or(SANDBOX_LISTEN),
        ryze.local_addr()?,
        zapi_address,
    );
    let (_log, _) = telemetry::start(&config.log)?;
    tokio::spawn(Sandbox::new(sandbox::Options::default()).serve(ryze));
    tokio::spawn(Zapi::default().serve(zapi));
    let gateway = match app::start(&config).await {
        Err(app::Error::Server(error))
            if error.kind() == io::ErrorKind::AddrInUse && listen.is_none() =>
        {
            config.server.listen = Listen::Tcp((Ipv4Addr::LOCALHOST, 0).into());
            app::start(&config).await?
        }
        started => started?,
    };
    announce(&gateway.address);
    print(try_it(&config, &gateway.address, zapi_address));
    Ok(gateway.run().await?)
}

/// A sample call for each upstream. The text between them is comments for a shell.
fn try_it(config: &Config, address: &Address, zapi: SocketAddr) -> String {
    let instance = config.instances.first();
    let (id, token) = instance.map_or(("", ""), |instance| {
        (&instance.zapi_instance, instance.zapi_token.expose())
    });
    let base = format!("curl -i {address}/instances/{id}/token/{token}");
    let json = "-H 'Content-Type: application/json'";
    let other = sandbox::UNLISTED;
    format!(
        r#"
# An in-memory Z-API on http://{zapi} answers all calls but the privacy calls of {id}.
# It has a second instance, {}, with the token {}. Send a message:

  {base}/send-text \
    {json} -d '{{"phone":"5511999999999","message":"hello"}}'

# An in-memory Ryze answers the privacy calls of {id}. Hide the profile photo from all but contacts:

  {base}/privacy/photo \
    {json} -d '{{"visualizationType":"CONTACTS"}}'
"#,
        other.0, other.1
    )
}

async fn sandbox(sandbox: SandboxArgs) -> Result<(), Exit> {
    let mut stop = Stop::new()?;
    let socket = server::bind(sandbox.listen).await?;
    let address = socket.local_addr()?;
    announce(format_args!("http://{address}"));
    print(sandbox::usage(address));
    let ryze = Sandbox::new(sandbox::Options {
        requests_per_minute: sandbox.requests_per_minute,
        window: if sandbox.sliding_window {
            Window::Sliding
        } else {
            Window::Fixed
        },
        latency: Duration::from_millis(sandbox.latency_ms.into()),
        ..sandbox::Options::default()
    });
    tokio::select! {
        () = ryze.serve(socket) => (),
        () = stop.signalled() => (),
    }
    Ok(())
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
