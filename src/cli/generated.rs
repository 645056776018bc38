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
NOTIFY_SOCKET
The socket for notifications of start, reload and stop, set by systemd.
.SH SIGNALS
.TP
SIGTERM, SIGINT
Shut down after the requests in flight are answered. A second signal aborts them.
.TP
SIGHUP
Reload the configuration. If it is not valid, the current one stays in force.
\fBserve \-\-sandbox\fR has no configuration file and exits.
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
