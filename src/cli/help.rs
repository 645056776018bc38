//! What `--help` says after the options of a command: examples, variables and where the documentation is.

use crate::config::VARIABLES;

const DOCUMENTATION: &str = "\
Documentation: README.md and docs/ of the source, and /runbook of a running gateway
(http://127.0.0.1:8421/runbook).";

pub(super) fn program() -> String {
    format!(
        "\
Examples:
  zapi-to-ryze serve --sandbox     try it: both vendors in memory, no account, no network
  zapi-to-ryze init                write gateway.toml and the files of its secrets
  zapi-to-ryze check gateway.toml  what is fine in it and what is not
  zapi-to-ryze serve gateway.toml  run the gateway

Exit status: 0 success, 64 wrong usage or configuration, 1 any other failure.

{DOCUMENTATION}"
    )
}

pub(super) fn serve() -> String {
    let width = VARIABLES.iter().map(|it| it.name.len()).max();
    let width = width.unwrap_or_default();
    let variables = VARIABLES
        .iter()
        .map(|it| format!("  {:width$}  {}\n", it.name, it.meaning));
    let variables: String = variables.collect();
    format!(
        "\
Examples:
  zapi-to-ryze serve gateway.toml
  zapi-to-ryze serve --listen 0.0.0.0:8420 -c /etc/zapi-to-ryze/gateway.toml
  zapi-to-ryze serve --sandbox

Variables of one instance, read if there is no file:
{variables}
ZAPI_TO_RYZE_CONFIG names the file if the command line does not. NO_COLOR turns off the colours of the
log on a terminal. SIGHUP reloads the configuration; SIGTERM ends the gateway when the requests in
flight are answered.

{DOCUMENTATION}"
    )
}

pub(super) const INIT: &str = "\
Examples:
  zapi-to-ryze init
  zapi-to-ryze init /etc/zapi-to-ryze/gateway.toml
  zapi-to-ryze init --zapi-instance 3C67AB641C8AA0412F6A2242B4E23AC7 --zapi-token-file zapi.txt \\
      --no-client-token --ryze-instance main --ryze-token-file ryze.txt --mode observe

Asks on a terminal for what the options do not say. Elsewhere the options must say it.
A token is never an option, because other users can read a command line: name a file with it, where - is
stdin, or set ZAPI_TOKEN, ZAPI_CLIENT_TOKEN and RYZE_TOKEN.
Overwrites no file. If anything fails, or you press Ctrl-C, nothing is written.";

pub(super) const CHECK: &str = "\
Examples:
  zapi-to-ryze check gateway.toml
  zapi-to-ryze check gateway.toml --live
  zapi-to-ryze check gateway.toml --print

Without a file it checks the variables of one instance, as serve reads them.
Exit status: 64 if the configuration has an error, 1 if --live finds one.";

pub(super) const EXPLAIN: &str = "\
Examples:
  zapi-to-ryze explain -c gateway.toml GET /instances/ID/token/TOKEN/privacy
  zapi-to-ryze explain -c gateway.toml curl -X POST https://api.z-api.io/instances/… -d '…'
  zapi-to-ryze explain -c gateway.toml --har calls.har
  zapi-to-ryze explain --sandbox POST /instances/SANDBOX/token/sandbox/privacy/photo \\
      '{\"visualizationType\":\"CONTACTS\"}'

Exit status: 0 only if the call would be carried out or passed on.";

pub(super) const HEALTHCHECK: &str = "\
Examples:
  zapi-to-ryze healthcheck gateway.toml
  zapi-to-ryze healthcheck --live

Without a file it asks at the default address of the admin listener, 127.0.0.1:8421.";

pub(super) const REPORT: &str = "\
Examples:
  zapi-to-ryze report gateway.toml
  zapi-to-ryze report gateway.toml --json";

pub(super) const COMPLETIONS: &str = "\
Examples:
  zapi-to-ryze completions bash > /etc/bash_completion.d/zapi-to-ryze
  zapi-to-ryze completions zsh > ~/.zfunc/_zapi-to-ryze
  zapi-to-ryze completions fish > ~/.config/fish/completions/zapi-to-ryze.fish";

pub(super) const MAN: &str = "\
Examples:
  zapi-to-ryze man > zapi-to-ryze.1 && man -l zapi-to-ryze.1";
