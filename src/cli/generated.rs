//! Shell completions and the man page, generated from the command definitions.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_complete::{Generator as _, Shell};
use clap_mangen::Man;

use super::arguments::Cli;

/// The sections of the man page after the commands.
const SECTIONS: &str = r#".SH EXIT STATUS
.TP
0
Success.
.TP
64
Invalid usage or configuration.
.TP
1
Any other failure; for \fBhealthcheck\fR, any status but 200; for \fBreport\fR, a gateway that does not respond;
for \fBexplain\fR, a call that would be refused.
.SH ENVIRONMENT
.TP
ZAPI_TO_RYZE_CONFIG
The configuration file if \fB\-\-config\fR is not given.
.TP
NAME
The value of a secret that the configuration has as \fB{ env = "NAME" }\fR.
.TP
NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID
The socket for notifications of start, reload and stop, and the interval of those for a watchdog. Set by systemd.
.SH FILES
There is no default path of the configuration. The package of Debian and its unit use these:
.TP
.I /etc/zapi\-to\-ryze/gateway.toml
The configuration. Relative paths in it are looked up in its folder.
.TP
.I /etc/zapi\-to\-ryze/secrets/
One file for each secret, readable for the group \fBzapi\-to\-ryze\fR.
.TP
.I /usr/share/doc/zapi\-to\-ryze/examples/gateway.toml
Every key, with its default.
.TP
.I /run/zapi\-to\-ryze/
The folder for a Unix socket as \fBserver.listen\fR.
.SH SIGNALS
.TP
SIGTERM, SIGINT
Shut down after the requests in flight are answered. A second signal aborts them.
.TP
SIGHUP
Reload the configuration. If it is not valid, the current one stays in force.
\fBserve \-\-sandbox\fR has no configuration file and exits.
.SH EXAMPLES
.TP
Try it, without an account:
.EX
zapi\-to\-ryze serve \-\-sandbox
.EE
.TP
Check a configuration, then its tokens at Ryze with one read for each instance, then run it:
.EX
zapi\-to\-ryze check \-\-config gateway.toml
zapi\-to\-ryze check \-\-config gateway.toml \-\-live
zapi\-to\-ryze serve \-\-config gateway.toml
.EE
.TP
Explain what happens to a call, without sending it:
.EX
zapi\-to\-ryze explain \-\-sandbox POST /instances/SANDBOX/token/sandbox/privacy/photo \
\(aq{"visualizationType":"CONTACTS"}\(aq
.EE
.TP
Count which calls of a program need Z\-API, from a recording of a browser or of a proxy:
.EX
zapi\-to\-ryze explain \-\-config gateway.toml \-\-har calls.har
.EE
.TP
Reload the configuration of the service:
.EX
systemctl reload zapi\-to\-ryze
.EE
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1),
.BR systemd.service (5)
.PP
The running gateway explains each alert and each failure at \fBhttp://127.0.0.1:8421/runbook\fR.
"#;

/// The completion script for `shell`.
pub(super) fn completions(shell: Shell) -> io::Result<String> {
    let cli = built_cli();
    let script = text(|script| shell.try_generate(&cli, script))?;
    // clap_complete 4.6 escapes the hyphen of the program's name in two different ways, so that bash
    // completes only the commands.
    Ok(script.replace("zapi__subcmd__to__subcmd__ryze", "zapi__to__ryze"))
}

/// The man page, section 1, with all commands and their options.
pub(super) fn man() -> io::Result<String> {
    let cli = built_cli();
    let commands: Vec<_> = cli.get_subcommands().cloned().collect();
    let program = Man::new(cli);
    let mut page = text(|page| {
        program.render_title(page)?;
        page.extend(b".nh\n");
        program.render_name_section(page)?;
        program.render_synopsis_section(page)?;
        program.render_description_section(page)
    })?;
    page.push_str(".SH COMMANDS\n");
    for command in commands {
        page.push_str(&format!(".SS {}\n", command.get_name()));
        let command = Man::new(command);
        page.push_str(&body(|page| command.render_synopsis_section(page))?);
        page.push_str(".PP\n");
        page.push_str(&body(|page| command.render_description_section(page))?);
        page.push_str(&body(|page| command.render_options_section(page))?);
    }
    page.push_str(SECTIONS);
    Ok(page)
}

/// The command definitions, built: with defaults and generated flags.
fn built_cli() -> Command {
    let mut cli = Cli::command();
    cli.set_bin_name(cli.get_name().to_owned());
    cli.build();
    cli
}

/// A rendered section without its heading and roff preamble.
fn body(render: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<String> {
    let section = text(render)?;
    let lines = section.split_inclusive('\n');
    let is_body = |line: &&str| {
        ![".SH", ".ie", ".el"]
            .iter()
            .any(|head| line.starts_with(head))
    };
    Ok(lines.filter(is_body).collect())
}

fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<String> {
    let mut bytes = Vec::new();
    write(&mut bytes)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}
