//! What is made from the table of commands: completions for a shell, and the manual page.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_complete::{Generator as _, Shell};
use clap_mangen::Man;

use super::arguments::Cli;

/// What the page says beside the commands.
const SECTIONS: &str = r#".SH EXIT STATUS
.TP
0
Fine.
.TP
64
Wrong usage or configuration.
.TP
1
Anything else; of \fBhealthcheck\fR, any answer but 200.
.SH ENVIRONMENT
.TP
ZAPI_TO_RYZE_CONFIG
The configuration file where no flag names one.
.TP
NOTIFY_SOCKET
Where systemd is told of start, reload and stop.
.SH SIGNALS
.TP
SIGTERM, SIGINT
Stop in order: what is in flight is answered first. A second one stops at once.
.TP
SIGHUP
Read the configuration anew. If anything in it is wrong, the one in force stays.
\fBserve \-\-sandbox\fR has none and ends.
"#;

/// The completions for `shell`, to be read by it.
pub(super) fn completions(shell: Shell) -> io::Result<String> {
    let cli = table();
    let script = text(|script| shell.try_generate(&cli, script))?;
    // Of a program with a hyphen in its name bash would complete only the commands: clap_complete 4.6
    // spells the hyphen in two ways where it has to be the same.
    Ok(script.replace("zapi__subcmd__to__subcmd__ryze", "zapi__to__ryze"))
}

/// One manual page, in section 1, with all commands and their options.
pub(super) fn man() -> io::Result<String> {
    let cli = table();
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

/// The commands, complete with what follows from what is written of them.
fn table() -> Command {
    let mut cli = Cli::command();
    cli.set_bin_name(cli.get_name().to_owned());
    cli.build();
    cli
}

/// A section without its head, and without the preamble that each has.
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
