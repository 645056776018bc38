//! Commands and flags. Their doc comments are the text of `--help` and of the man page.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::version::{LONG_VERSION, VERSION};

/// Answers Z-API's privacy calls and does the work on Ryze.
#[derive(Parser)]
#[command(version = VERSION, long_version = LONG_VERSION, disable_help_subcommand = true)]
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
    /// List what is fine in the configuration and what is not; opens no port, and sends nothing without --live
    Check(Check),
    /// Explain how a Z-API request is handled; opens no port and sends nothing
    Explain(Explain),
    /// Probe the running gateway on this machine; exit 0 if it is ready
    Healthcheck(Healthcheck),
    /// List the calls that the running gateway on this machine has passed on to the fallback
    Report(Report),
    /// Print the completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) file: File,
    /// Use a built-in configuration, an embedded in-memory Ryze, and an in-memory Z-API as its fallback
    #[arg(long, conflicts_with = "config")]
    pub(super) sandbox: bool,
}

#[derive(Args)]
pub(super) struct File {
    /// The configuration file [default: the value of ZAPI_TO_RYZE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct SandboxArgs {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(super) listen: SocketAddr,
    /// Requests a minute that are accepted for each token
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) requests_per_minute: u32,
    /// Use a sliding window instead of fixed ones
    #[arg(long)]
    pub(super) sliding_window: bool,
    /// Latency of WhatsApp for each field, and for a read, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(super) latency_ms: u32,
}

fn address(written: &str) -> Result<SocketAddr, &'static str> {
    let address = written.parse();
    address.map_err(|_| "write an IP address and a port, as in 127.0.0.1:9100")
}

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) file: File,
    /// Print the effective configuration, with secrets masked
    #[arg(long)]
    pub(super) print: bool,
    /// Also ask Redis, open a connection to the fallback, and read each instance's settings at Ryze once,
    /// within the budget, to verify its token and name
    #[arg(long)]
    pub(super) live: bool,
}

#[derive(Args)]
pub(super) struct Healthcheck {
    #[command(flatten)]
    pub(super) file: File,
    /// Probe whether the process is alive, which includes a gateway that is shutting down
    #[arg(long)]
    pub(super) live: bool,
}

#[derive(Args)]
pub(super) struct Report {
    #[command(flatten)]
    pub(super) file: File,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
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
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) calls: Calls,
    /// The variables of the Postman collection: an exported environment
    #[arg(long, value_name = "FILE", requires = "postman")]
    pub(super) postman_environment: Option<PathBuf>,
    /// METHOD, TARGET (a path or a URL) and optionally BODY (JSON unless a header says otherwise);
    /// without them, a raw HTTP request or a curl command line is read from stdin
    #[arg(value_name = "METHOD TARGET [BODY]")]
    pub(super) request: Vec<String>,
    #[command(subcommand)]
    pub(super) pasted: Option<Pasted>,
}

/// A file of calls in place of one request.
#[derive(Args)]
#[group(multiple = false, conflicts_with_all = ["request", "headers"])]
pub(super) struct Calls {
    /// Count how each request of a HAR file would be handled, and why
    #[arg(long, value_name = "FILE")]
    pub(super) har: Option<PathBuf>,
    /// The same for a Postman collection (v2.1)
    #[arg(long, value_name = "FILE")]
    pub(super) postman: Option<PathBuf>,
    /// The same for an access log (common or combined format, or JSON lines), by method and path
    #[arg(long, value_name = "FILE")]
    pub(super) access_log: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(super) enum Pasted {
    /// A curl command line, pasted after the other options
    #[command(disable_help_flag = true)]
    Curl {
        /// The rest of the line
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}
