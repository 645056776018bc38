//! Commands and flags. Their doc comments are the text of `--help` and of the man page.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::help;
use crate::{
    config::{self, Fault},
    sandbox::CONTROLS,
    version::{LONG_VERSION, VERSION},
};

/// Answers Z-API's privacy calls and does the work on Ryze.
#[derive(Parser)]
#[command(version = VERSION, long_version = LONG_VERSION, disable_help_subcommand = true)]
#[command(after_long_help = help::program())]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Write a configuration file and the files of its secrets, from answers on a terminal or from options
    #[command(after_long_help = help::INIT)]
    Init(Init),
    /// Run the gateway
    #[command(after_long_help = help::serve())]
    Serve(Serve),
    /// Run only an in-memory Ryze, to test an integration with
    Sandbox(SandboxArgs),
    /// List what is fine in the configuration and what is not; opens no port, and sends nothing without --live
    #[command(after_long_help = help::CHECK)]
    Check(Check),
    /// Explain how a Z-API request is handled; opens no port and sends nothing
    #[command(after_long_help = help::EXPLAIN)]
    Explain(Explain),
    /// Probe the running gateway on this machine; exit 0 if it is ready
    #[command(after_long_help = help::HEALTHCHECK)]
    Healthcheck(Healthcheck),
    /// List the calls that the running gateway on this machine has passed on to the fallback
    #[command(after_long_help = help::REPORT)]
    Report(Report),
    /// Print the completion script for a shell
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_long_help = help::MAN)]
    Man,
}

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) file: File,
    /// Use a built-in configuration, an embedded in-memory Ryze, and an in-memory Z-API as its fallback
    #[arg(long, conflicts_with_all = ["config", "path"])]
    pub(super) sandbox: bool,
    /// Where to listen, in place of server.listen: an address, or unix:/path of a socket
    #[arg(long, value_name = "ADDR", value_parser = listen_address, env = "ZAPI_TO_RYZE_LISTEN", hide_env_values = true)]
    pub(super) listen: Option<String>,
}

impl Serve {
    /// The address in place of server.listen. Compose and Kubernetes set a variable that is left out to nothing.
    pub(super) fn address(&self) -> Option<String> {
        self.listen.clone().filter(|it| !it.is_empty())
    }
}

fn listen_address(written: &str) -> Result<String, String> {
    if written.is_empty() {
        return Ok(String::new());
    }
    match config::check_value("server.listen", written) {
        Ok(()) => Ok(written.to_owned()),
        Err(Fault::Invalid(message) | Fault::Doubtful(message)) => Err(message),
    }
}

#[derive(Args)]
pub(super) struct File {
    #[command(flatten)]
    pub(super) option: FileOption,
    /// The same as --config FILE
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub(super) path: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct FileOption {
    /// The configuration file [default: the value of ZAPI_TO_RYZE_CONFIG]
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// What `init` would ask for.
#[derive(Args)]
pub(super) struct Init {
    /// The file to write; its secrets go into the folder `secrets` beside it
    #[arg(value_name = "FILE", default_value = "gateway.toml")]
    pub(super) file: PathBuf,
    /// The id of the instance at Z-API
    #[arg(long, value_name = "ID", env = "ZAPI_INSTANCE", hide_env_values = true)]
    pub(super) zapi_instance: Option<String>,
    /// A file with the token of the instance at Z-API; - is stdin
    #[arg(
        long,
        value_name = "FILE",
        env = "ZAPI_TOKEN_FILE",
        hide_env_values = true
    )]
    pub(super) zapi_token_file: Option<PathBuf>,
    /// A file with the Client-Token that calls must have
    #[arg(
        long,
        value_name = "FILE",
        env = "ZAPI_CLIENT_TOKEN_FILE",
        hide_env_values = true
    )]
    pub(super) client_token_file: Option<PathBuf>,
    /// Do not check the Client-Token of calls
    #[arg(long, conflicts_with = "client_token_file")]
    pub(super) no_client_token: bool,
    /// The name of the instance at Ryze
    #[arg(
        long,
        value_name = "NAME",
        env = "RYZE_INSTANCE",
        hide_env_values = true
    )]
    pub(super) ryze_instance: Option<String>,
    /// A file with its token at Ryze
    #[arg(
        long,
        value_name = "FILE",
        env = "RYZE_TOKEN_FILE",
        hide_env_values = true
    )]
    pub(super) ryze_token_file: Option<PathBuf>,
    /// Another URL of Ryze than https://ryzeapi.cloud
    #[arg(long, value_name = "URL", env = "RYZE_URL", hide_env_values = true)]
    pub(super) ryze_url: Option<String>,
    /// Where calls go that Ryze does not have, such as messages, or none [default: https://api.z-api.io]
    #[arg(long, value_name = "URL", env = "ZAPI_URL", hide_env_values = true)]
    pub(super) fallback: Option<String>,
    /// Reject the calls that Ryze does not have
    #[arg(long, conflicts_with = "fallback")]
    pub(super) no_fallback: bool,
    /// observe: Z-API answers all calls, and log and page show what Ryze would get; translate: Ryze gets the
    /// privacy calls [default: observe, or translate without a fallback]
    #[arg(long, value_name = "MODE", value_parser = ["observe", "translate"], hide_possible_values = true)]
    pub(super) mode: Option<String>,
    /// Then ask Ryze once whether its token and name are right
    #[arg(long, overrides_with = "no_live")]
    pub(super) live: bool,
    /// Do not offer to ask Ryze
    #[arg(long)]
    pub(super) no_live: bool,
}

#[derive(Args)]
#[command(after_long_help = CONTROLS)]
pub(super) struct SandboxArgs {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", value_parser = address, default_value = "127.0.0.1:8430")]
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
    pub(super) file: FileOption,
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
