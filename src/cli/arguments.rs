//! What the user may type. What the commands do is in `mod.rs`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Answers Z-API's privacy calls and does the work on Ryze.
#[derive(Parser)]
#[command(version, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the gateway
    Serve(Serve),
    /// Run only an in-memory Ryze, to test an integration with
    Sandbox(SandboxArgs),
    /// Read the configuration and report every problem; opens no port, and sends nothing without --live
    Check(Check),
    /// Tell what becomes of a Z-API request; opens no port and sends nothing
    Explain(Explain),
    /// Ask the running gateway on this machine whether it takes calls; exit 0 if so
    Healthcheck(Healthcheck),
    /// Print the completions for a shell
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) file: File,
    /// Use a built-in configuration in front of an embedded in-memory Ryze
    #[arg(long, conflicts_with = "config")]
    pub(super) sandbox: bool,
}

#[derive(Args)]
pub(super) struct File {
    /// The configuration file [default: what ZAPI_TO_RYZE_CONFIG names]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct SandboxArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: SocketAddr,
    /// Requests of one token that are admitted in a minute
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) requests_per_minute: u32,
    /// Count the minute back from each request, not in fixed windows
    #[arg(long)]
    pub(super) sliding_window: bool,
    /// Milliseconds that WhatsApp takes for each field, and to read the settings
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(super) latency_ms: u32,
}

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) file: File,
    /// Show the effective configuration, secrets masked
    #[arg(long)]
    pub(super) print: bool,
    /// Read each instance's settings at Ryze once, within the budget, to see that its token and its
    /// name are right
    #[arg(long)]
    pub(super) live: bool,
}

#[derive(Args)]
pub(super) struct Healthcheck {
    #[command(flatten)]
    pub(super) file: File,
    /// Ask whether the process lives, which it does also while it stops
    #[arg(long)]
    pub(super) live: bool,
}

#[derive(Args)]
pub(super) struct Explain {
    #[command(flatten)]
    pub(super) file: File,
    /// Use the built-in configuration of serve --sandbox
    #[arg(long, conflicts_with = "config")]
    pub(super) sandbox: bool,
    /// Add a header; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(super) headers: Vec<String>,
    /// METHOD, TARGET (a path or a URL) and perhaps BODY (JSON, if no header says otherwise);
    /// without them a raw HTTP request is read from stdin
    #[arg(value_name = "METHOD TARGET [BODY]")]
    pub(super) request: Vec<String>,
}
