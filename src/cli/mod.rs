//! The commands: what is answered on stdout, what is told on stderr, and the exit code. What the user
//! may type is in `arguments.rs`; what a command does belongs in the module that does it.

mod arguments;
mod check_live;
mod generated;
mod healthcheck;

use std::{
    env,
    fmt::Display,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser as _;
use http::Uri;
use tokio::signal::unix::{SignalKind, signal};

use self::arguments::{Check, Cli, Command, Explain, File, SandboxArgs, Serve};
use crate::{
    app::{self, Reload, Stop},
    config::{self, Config, Listen, Problem},
    explain::{
        self,
        request::{self, InvalidRequest},
    },
    sandbox::{self, Sandbox, Window},
    server::{self, Address},
    telemetry,
};

/// Wrong usage or configuration (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// Anything else that went wrong.
const FAILURE: u8 = 1;
/// Names the configuration where no flag does.
const CONFIG_VARIABLE: &str = "ZAPI_TO_RYZE_CONFIG";
/// Where `serve --sandbox` listens, or where that is taken, on any free port.
const SANDBOX_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8420);

/// Runs the command that the process was started with, to its end.
#[must_use]
pub fn run() -> ExitCode {
    telemetry::hide_panic_messages();
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            // It fails only without stdout or stderr.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let result = match command {
        Command::Check(check) => block_on(self::check(check)),
        Command::Explain(explain) => block_on(self::explain(explain)),
        Command::Serve(serve) => block_on(self::serve(serve)),
        Command::Sandbox(sandbox) => block_on(self::sandbox(sandbox)),
        Command::Healthcheck(command) => block_on(healthcheck::healthcheck(command)),
        Command::Completions { shell } => generated::completions(shell)
            .map(answer)
            .map_err(Into::into),
        Command::Man => generated::man().map(answer).map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Told(code)) => ExitCode::from(code),
        Err(Failed::Because(error)) => {
            tell(format_args!("error: {error}"));
            ExitCode::from(FAILURE)
        }
    }
}

/// Why a command did not succeed.
enum Failed {
    /// The user was told already.
    Told(u8),
    /// The user is to be told this.
    Because(Box<dyn std::error::Error>),
}

impl<E: std::error::Error + 'static> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Because(Box::new(error))
    }
}

/// One thread carries everything: the work is waiting, and the budget bounds it.
fn block_on(command: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(command);
    // A look-up of a name that hangs must not keep the process.
    runtime.shutdown_background();
    result
}

async fn check(check: Check) -> Result<(), Failed> {
    let config = check.file.load()?;
    if check.print {
        answer(config::print(&config).trim_end());
    } else {
        answer("the configuration is fine");
    }
    if check.live && !check_live::check(&config, answer).await? {
        return Err(Failed::Told(FAILURE));
    }
    Ok(())
}

async fn explain(command: Explain) -> Result<(), Failed> {
    let request = request::read(&command.request, &command.headers, io::stdin().lock());
    let request = request.map_err(|error| match error {
        InvalidRequest::Usage(_) => {
            tell(format_args!("error: {error}"));
            Failed::Told(USAGE)
        }
        InvalidRequest::Stdin(_) => error.into(),
    })?;
    if let Some(warning) = request.warning {
        tell(format_args!("warning: {warning}"));
    }
    let config = if command.sandbox {
        let mut config = config::sandbox(SANDBOX_LISTEN, (Ipv4Addr::LOCALHOST, 80).into());
        // Nothing is sent, so the real address shows more than that of a sandbox that does not run.
        config.ryze.base_url = Uri::from_static("https://ryzeapi.cloud");
        config
    } else {
        command.file.load()?
    };
    let explanation = explain::explain(&config, &request.bytes).await?;
    answer(explanation.to_string().trim_end());
    Ok(())
}

async fn serve(serve: Serve) -> Result<(), Failed> {
    if serve.sandbox {
        return serve_sandbox().await;
    }
    // From now on the signal does not end the process; `Reload` answers it as soon as there is one.
    let hangup = signal(SignalKind::hangup())?;
    let path = serve.file.required()?;
    let config = load(&path)?;
    let (_log, log_level) = telemetry::start(&config.log)?;
    let reload = Reload::new(hangup, Arc::new(move || config::load(&path)), log_level);
    let gateway = app::start(&config).await?;
    announce(&gateway.address);
    Ok(gateway.reloading(reload).run().await?)
}

async fn serve_sandbox() -> Result<(), Failed> {
    let upstream = server::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
    let mut config = config::sandbox(SANDBOX_LISTEN, upstream.local_addr()?);
    let (_log, _) = telemetry::start(&config.log)?;
    let ryze = Sandbox::new(sandbox::Options::default());
    tokio::spawn(ryze.serve(upstream));
    let gateway = match app::start(&config).await {
        Err(app::Error::Io(error)) if error.kind() == io::ErrorKind::AddrInUse => {
            config.server.listen = Listen::Tcp((Ipv4Addr::LOCALHOST, 0).into());
            app::start(&config).await?
        }
        started => started?,
    };
    announce(&gateway.address);
    answer(try_it(&config, &gateway.address));
    Ok(gateway.run().await?)
}

/// A line to paste into a shell.
fn try_it(config: &Config, address: &Address) -> String {
    let instance = config.instances.first();
    let (id, token) = instance.map_or(("", ""), |instance| {
        (&instance.zapi_instance, instance.zapi_token.expose())
    });
    format!(
        "\nAn embedded in-memory Ryze answers it. Hide the profile photo from all but contacts:\n\n  \
         curl -i {address}/instances/{id}/token/{token}/privacy/photo \\\n    \
         -H 'Content-Type: application/json' -d '{{\"visualizationType\":\"CONTACTS\"}}'\n"
    )
}

async fn sandbox(sandbox: SandboxArgs) -> Result<(), Failed> {
    let mut stop = Stop::new()?;
    let socket = server::bind(sandbox.listen).await?;
    let address = socket.local_addr()?;
    announce(format_args!("http://{address}"));
    answer(sandbox::usage(address));
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

impl File {
    /// The file that the flag or else the variable names.
    fn path(self) -> Option<PathBuf> {
        let variable = || env::var_os(CONFIG_VARIABLE).map(Into::into);
        self.config.or_else(variable)
    }

    /// The same where there must be one.
    fn required(self) -> Result<PathBuf, Failed> {
        self.path().ok_or_else(|| {
            tell(format_args!(
                "error: no configuration: give --config FILE or set {CONFIG_VARIABLE}"
            ));
            Failed::Told(USAGE)
        })
    }

    /// Reads the configuration, or reports what is wrong with it.
    fn load(self) -> Result<Config, Failed> {
        load(&self.required()?)
    }
}

fn load(file: &Path) -> Result<Config, Failed> {
    let report = |kind: &str, problem: &Problem| {
        tell(format_args!("{}: {kind}: {problem}", file.display()));
    };
    let loaded = config::load(file).map_err(|problems| {
        problems.iter().for_each(|problem| report("error", problem));
        Failed::Told(USAGE)
    })?;
    loaded
        .warnings
        .iter()
        .for_each(|problem| report("warning", problem));
    Ok(loaded.config)
}

fn announce(address: impl Display) {
    answer(format_args!("listening on {address}"));
}

/// Answers on stdout. A reader that is gone is no reason to stop.
fn answer(text: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Tells on stderr.
fn tell(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
