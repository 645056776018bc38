//! What a command line that is rejected was probably meant to be.

use std::env;

use clap::{
    Command, CommandFactory as _,
    error::{ContextKind, ContextValue, Error},
};

use super::arguments::Cli;
use crate::spelling::is_close;

/// Prints the error, with a hint if there is one.
pub(super) fn print(mut error: Error) {
    let hint = hint(&error);
    // clap proposes `-- --option`, as if an unknown option was a file.
    if option(&error).is_some() {
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
    if let Some(command) = command {
        let names = cli.get_subcommands().map(Command::get_name);
        return did_you_mean(names, command, "");
    }
    if let Some(value) = context(error, ContextKind::InvalidValue) {
        let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue) else {
            return None;
        };
        return did_you_mean(valid.iter().map(String::as_str), value, "");
    }
    of_option(&cli, option(error)?)
}

/// What an option was probably meant to be that the command does not have.
fn of_option(cli: &Command, option: &str) -> Option<String> {
    if matches!(option, "zapi-token" | "client-token" | "ryze-token") {
        return Some(format!(
            "Other users can read a command line. Put the token into a file, and write --{option}-file FILE"
        ));
    }
    let command = typed_command(cli)?;
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
    command.get_arguments().filter_map(|it| it.get_long())
}

/// The name of the unknown option.
fn option(error: &Error) -> Option<&str> {
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
