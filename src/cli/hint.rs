//! What a command line that is rejected was probably meant to be.

use std::env;

use clap::{
    Command, CommandFactory as _,
    error::{ContextKind, ContextValue, Error, ErrorKind},
};

use super::arguments::Cli;
use crate::spelling::is_close;

/// Prints the error, with a hint if there is one.
pub(super) fn print(mut error: Error) {
    let hint = hint(&error);
    // clap proposes `-- --option`, as if an unknown option was a file.
    if unknown_option(&error).is_some() {
        error.remove(ContextKind::Suggested);
    }
    // Fails only if stdout or stderr is closed.
    let _ = error.print();
    if let Some(hint) = hint {
        super::print_error(format_args!("\n{hint}"));
    }
}

fn hint(error: &Error) -> Option<String> {
    let cli = Cli::command();
    let command = context(error, ContextKind::InvalidSubcommand);
    let wrong = command.or_else(|| context(error, ContextKind::InvalidArg))?;
    let is_first = typed_command(&cli).is_none();
    if is_first && (matches!(wrong, "-c" | "--config") || wrong.ends_with(".toml")) {
        return Some("A command comes first, then its file: serve --config FILE".to_owned());
    }
    if matches!(command, Some("help" | "version")) {
        return Some(format!("Did you mean `--{wrong}`?"));
    }
    if is_first && wrong == "-v" {
        return Some("Did you mean `-V`?".to_owned());
    }
    if let Some(command) = command {
        let names: Vec<_> = cli.get_subcommands().map(Command::get_name).collect();
        let near = did_you_mean(names.iter().copied(), command, "");
        return near.or_else(|| Some(format!("The commands are {}", names.join(", "))));
    }
    if let Some(value) = context(error, ContextKind::InvalidValue) {
        let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue) else {
            return None;
        };
        return did_you_mean(valid.iter().map(String::as_str), value, "");
    }
    of_option(&cli, unknown_option(error)?)
}

/// What an option was probably meant to be that the command does not have.
fn of_option(cli: &Command, option: &str) -> Option<String> {
    if matches!(option, "zapi-token" | "client-token" | "ryze-token") {
        return Some(format!(
            "Other users can read a command line. Put the token into a file, and write --{option}-file FILE"
        ));
    }
    let command = typed_command(cli).unwrap_or(cli);
    if let Some(hint) = did_you_mean(options(command), option, "--") {
        return Some(hint);
    }
    let has_it = |command: &&Command| options(command).any(|it| it == option);
    let others: Vec<_> = cli.get_subcommands().filter(has_it).collect();
    let names: Vec<_> = others.iter().map(|it| it.get_name()).collect();
    let names = names.join(", ");
    (!names.is_empty()).then(|| format!("--{option} is an option of: {names}"))
}

/// Two letters are most of a short name, so the first has to be right.
fn did_you_mean<'a>(
    mut names: impl Iterator<Item = &'a str>,
    wrong: &str,
    prefix: &str,
) -> Option<String> {
    let near = names.find(|name| name.get(..1) == wrong.get(..1) && is_close(name, wrong))?;
    Some(format!("Did you mean `{prefix}{near}`?"))
}

fn options(command: &Command) -> impl Iterator<Item = &str> {
    let options = command.get_arguments().filter_map(|it| it.get_long());
    // clap adds these later.
    let version = command.get_version().map(|_| "version");
    options.chain(["help"]).chain(version)
}

/// The name of an option that the command does not have. Other errors name an option too, such as one that is
/// given twice.
fn unknown_option(error: &Error) -> Option<&str> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let option = context(error, ContextKind::InvalidArg)?.strip_prefix("--")?;
    option.split(['=', ' ']).next()
}

fn context(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

/// The command in the arguments of this process.
fn typed_command(cli: &Command) -> Option<&Command> {
    let mut words = env::args_os().skip(1);
    words.find_map(|word| cli.find_subcommand(word))
}
